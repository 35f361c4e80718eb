"""Draws the sample collection: the papers and pictures of Marevale Harbour Museum, a place that does not exist.

    picture_table.py, pictures.py   photographs and drawings by others, free, cut to size → photos/, drawings/
    pages.py                        web page, mails, handbook, interview         → web/, mail/, notes/
    minutes.py, slides.py, workbook.py, chart.py; office.py saves them           → office/
    manual.py, manual_layout.py, manual_figures.py; invoice.py                   → documents/
    scans.py, paper.py              letter, receipt, fax, and what paper does    → scans/
    sources.py                      where everything comes from                  → SOURCES.md

museum.py has what several papers share, fonts.py finds the font files. Everything but the pictures is drawn from
this code alone: the same code, fonts and library versions give the same bytes.
"""
