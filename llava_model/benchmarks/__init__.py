"""How good the answers are, on the field's benchmarks, in their own file formats.

records (files of other people's code) → one file for each benchmark (found by benchmarks.py) → score.Score;
asking (a model's answers, written once) and judge (a text model's reviews) make such files and resume them;
published (rows of the papers) and compare (one table, one page) set models side by side.
"""
