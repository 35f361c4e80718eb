"""A PDF → blocks with their places: text, tables, figures; and an image of every page.

reader (the file, page by page) → text (words with boxes) → running_headers (taken out) → objects (rules and pictures)
→ ruled_tables, tables (cells) → paragraphs (in reading order, with captions and headings)
"""
