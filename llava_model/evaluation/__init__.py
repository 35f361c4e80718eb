"""How good the answers are, on the field's benchmarks, in their own file formats.

records (files of other people's code) → one file per benchmark (parser and figures) → score.Score;
answers (a model's answers, written once, resumable) and judge (a text model's reviews) make such files;
published (rows of the papers) and compare (one table, one page) set models side by side.
"""
