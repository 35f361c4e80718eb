"""A PDF → blocks with their places: text, tables, figures; and an image of every page.

reader (the file, page by page) → pages (one page): glyphs, vertical → text (words with boxes) → laid_over (annotations,
forms) → legibility, coverage (what OCR has to read) → running_headers (taken out) → objects (rules and pictures) →
statements (figures in columns), ruled_tables, tables (cells) → paragraphs (in reading order, with captions and
headings) → embedded (files inside), xfa; left_out and repeats become notes
"""
