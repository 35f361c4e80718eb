"""Draws the sample collection: the papers and pictures of Marevale Harbour Museum, a place that does not exist.

    pictures.py   photographs and drawings by others, public domain or CC0, cut to size → photos/, drawings/
    pages.py      web page, mails, handbook, interview, roasting log             → web/, mail/, notes/
    office.py     minutes (DOCX), slides (PPTX), workbook (XLSX)                 → office/
    chart.py      the picture of the visitors that the slides carry
    manual.py     the espresso machine's two-column manual, the invoice (PDF)    → documents/
    paper.py      what ink, paper, folds and scanners do to a clean page
    scans.py      the keeper's letter, the receipt, the ferry company's fax      → scans/
    sources.py    where everything comes from                                    → SOURCES.md

Everything but the pictures is drawn from this code alone: the same code, fonts and library versions give
the same bytes.
"""
