"""How good are search and answers? Questions with known answers in, figures with intervals out.

question files (`question_files`) → `questions` → each asked (`records`) and scored, 0 to 1 (`scores`) → all together
(`figures`), and two runs over the same questions (`comparison`).
"""
