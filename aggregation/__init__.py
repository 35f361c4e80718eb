"""Questions about all files together: "how many", "which has the highest".

a question → `scope` (is it one?) → `plan` (the model's line, as data) → `collection` (carried out over the files) →
`results` (computed) → `overview` (a sentence, a table, and their sources).
"""
