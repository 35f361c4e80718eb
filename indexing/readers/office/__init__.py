"""Office files → blocks: Word, PowerPoint, Excel, OpenDocument, RTF and the old Excel workbooks.

open_xml (the zipped package; Strict files as ordinary ones) → docx: word_markup and word_beside make a copy of the
document in which everything that a person sees is ordinary paragraphs and tables · pptx: charts, diagrams and comments
beside the slides · xlsx: excel_cells and number_format read the cells as they are shown, grid finds the tables among
them, and the same grid serves ods (opendocument) and xls. charts reads the charts of all three; elements is
unstructured, the reader of the main text of Word and PowerPoint.
"""
