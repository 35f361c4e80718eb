"""One file in, one `Reading` out; these modules run inside the worker processes.

registry (which reader takes the file, by its first bytes; encoding) → image · pdf · office · mail · web ·
plain → blocks in reading order, pages, and notes on what was left out. document and archive hold what several readers
share; ocr finds words in pictures, reading_order puts words that have places into their order; output
is the folder that page images and prepared pixels are written to.
"""
