"""The minutes of the board (DOCX)."""

from collections.abc import Sequence

from docx import Document
from docx.document import Document as DocxDocument
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.shared import Pt, RGBColor

from sample_maker.museum import NAME, NAVY


def minutes() -> DocxDocument:
    """Six items, a table of actions, the next meeting."""
    document = Document()
    document.core_properties.author = "Greta Lind"
    document.core_properties.title = "Minutes of the board, 6 May 2025"
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "Georgia", Pt(11)
    title = document.add_heading("Minutes of the board", level=0)
    title.alignment = WD_ALIGN_PARAGRAPH.LEFT
    document.add_paragraph(f"{NAME}, Navigation Room. Tuesday 6 May 2025, 18:30 to 20:50.")
    document.add_paragraph(
        "Present: Ines Calder (director), Tobias Wren (collections), Greta Lind (treasurer, minutes), "
        "Noor Haddad (The Lamp Room), João Brandt (boat shed), Sam Oyelaran (volunteers), Adela Quint (friends' "
        "association). Excused: the town's delegate."
    )
    for heading, paragraphs in MINUTES:
        _heading(document, heading)
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
    _heading(document, "Actions")
    _table(document, ("Who", "What", "Until"), ACTIONS)
    document.add_paragraph()
    document.add_paragraph("Next meeting: Tuesday 9 September 2025, 18:30, in the heated end of the boat shed.")
    document.add_paragraph("Greta Lind")
    return document


MINUTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("1. Minutes of 4 March", ("Approved without changes.",)),
    (
        "2. The pilot cutter Guillemot",
        (
            "The owners' heirs offer the cutter, built in 1949, for 18,000 euros, lying at Sorrel Island. João Brandt "
            "has looked at her: the planking is sound, the engine is not, the rig needs two winters.",
            "Greta Lind reminds the board that the boat shed has no second cradle. Adela Quint says that there will "
            "not be a second Guillemot either.",
            "Decision: the museum buys the cutter, if the survey does not find rot in the keel. Five votes in favour, "
            "two against. The price is paid from the bequest and not from this year's budget.",
        ),
    ),
    (
        "3. A new espresso machine",
        (
            "The old machine of The Lamp Room leaks for the third time. Noor Haddad proposes the Zefira Duo with two "
            "groups. It is bought second-hand with a year of guarantee for 5,400 euros. Decided unanimously.",
            "The old machine goes to the boat shed, where nobody minds a puddle.",
        ),
    ),
    (
        "4. Handrail in the tower",
        (
            "The last twenty steps of the lighthouse have no handrail. The tower stays closed on days with wind above "
            "force 7 until the rail is there. An offer from the smithy is asked for.",
        ),
    ),
    (
        "5. Winter hours",
        (
            "Last winter's Mondays brought eleven visitors on average. From November to March the museum will open "
            "from Wednesday to Sunday only. Sam Oyelaran tells the volunteers.",
        ),
    ),
    (
        "6. The cat",
        (
            "A visitor has complained about hair on the bench in the Ferry Hall. The board thanks the visitor. "
            "The cat stays. A brush will be bought.",
        ),
    ),
)

ACTIONS: tuple[tuple[str, str, str], ...] = (
    ("João Brandt", "Order the survey of the cutter's keel", "30 May"),
    ("Noor Haddad", "Collect the espresso machine, with its manual", "16 May"),
    ("Ines Calder", "Offer for the handrail from the smithy", "20 June"),
    ("Sam Oyelaran", "Buy a brush", "tomorrow"),
)


def _heading(document: DocxDocument, text: str) -> None:
    heading = document.add_heading(text, level=1)
    heading.runs[0].font.color.rgb = RGBColor.from_string(NAVY)
    heading.runs[0].font.name = "Georgia"


def _table(document: DocxDocument, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = document.add_table(rows=1, cols=len(header), style="Light Grid Accent 1")
    for cell, text in zip(table.rows[0].cells, header, strict=True):
        cell.text = text
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
