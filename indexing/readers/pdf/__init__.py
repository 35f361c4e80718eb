"""PDF pages → blocks: text with boxes, tables, figures, reading order, running headers and footers."""
