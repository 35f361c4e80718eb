"""The museum's workbook (XLSX)."""

from collections.abc import Sequence

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sample_maker.museum import NAME, NAVY, VISITORS

Cell = str | int | float

BUDGET: tuple[tuple[str, str, int, int], ...] = (
    ("Income", "Admissions", 148_000, 131_460),
    ("Income", "Café and roastery", 96_500, 88_215),
    ("Income", "Museum shop", 41_000, 37_940),
    ("Income", "Grant of the town", 120_000, 120_000),
    ("Income", "Donations", 22_000, 27_310),
    ("Expenses", "Salaries", 214_000, 158_700),
    ("Expenses", "Heating and power", 28_400, 19_865),
    ("Expenses", "Lighthouse Gallery", 64_000, 66_120),
    ("Expenses", "Boat shed restoration", 37_500, 21_480),
    ("Expenses", "Coffee beans and café supplies", 31_200, 27_995),
    ("Expenses", "Insurance", 12_600, 12_600),
    ("Expenses", "Printing and advertising", 14_300, 11_050),
    ("Expenses", "Reserve", 10_000, 0),
)

INVENTORY: tuple[tuple[str, str, str, str, int], ...] = (
    ("MHM-0012", "Brass sextant in a mahogany box", "1884", "Navigation Room, case 4", 2_800),
    ("MHM-0019", "Octant, ebony and ivory scale", "1802", "Navigation Room, case 2", 3_350),
    ("MHM-0031", "Model of the schooner Halcyon Rose, 1:48", "1930", "Main Hall, centre", 14_500),
    ("MHM-0047", "First-order lighthouse lens, 42 prisms", "1891", "Lighthouse Gallery", 185_000),
    ("MHM-0058", "Diving helmet, three bolts", "1922", "Deep Water, case 1", 6_400),
    ("MHM-0063", "Keeper's logbooks, nine volumes", "1919-1931", "Archive, drawer 12", 1_900),
    ("MHM-0077", "Bell of the ferry Adelina", "1936", "Ferry Hall", 3_200),
    ("MHM-0090", "Signal flags, complete set of forty", "1950", "Boat shed, locker 3", 760),
    ("MHM-0104", "Barometer with storm glass", "1868", "Navigation Room, north wall", 1_450),
    ("MHM-0119", "Foghorn with compressed-air tank", "1909", "Ramp, lower floor", 8_900),
    ("MHM-0133", "Diving bell, riveted iron", "1878", "Courtyard", 11_000),
    ("MHM-0162", "Coffee roaster, cast iron, drum of 5 kg", "1954", "The Lamp Room", 4_100),
)


def workbook() -> Workbook:
    """Three sheets: budget, inventory, visitors by month, each with its totals."""
    book = Workbook()
    book.properties.creator = "Greta Lind"
    book.properties.title = f"{NAME}, workbook 2025"
    budget = book.active
    assert isinstance(budget, Worksheet)
    _budget(budget)
    _inventory(book.create_sheet("Inventory"))
    _visitors_by_month(book.create_sheet("Visitors"))
    return book


def _sheet(sheet: Worksheet, header: Sequence[str], rows: Sequence[Sequence[Cell]], widths: Sequence[int]) -> None:
    """Numbers stand as values, not as formulas: a formula that no spreadsheet program has opened has no result."""
    sheet.append(list(header))
    for row in rows:
        sheet.append(list(row))
    for cell in sheet[1]:
        cell.font = Font(name="Georgia", bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", fgColor=NAVY)
        is_number = isinstance(rows[0][cell.column - 1], int)
        cell.alignment = Alignment(horizontal="right" if is_number else "left")
    for row in sheet.iter_rows(min_row=2):
        total = "otal" in str(row[0].value) + str(row[1].value)
        for cell in row:
            cell.font = Font(name="Georgia", bold=total)
            if isinstance(cell.value, int):
                cell.number_format = "#,##0"
            if total:
                cell.fill = PatternFill("solid", fgColor="E8EFF3")
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    for letter, width in zip("ABCDEFGH", widths, strict=False):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"


def _budget(sheet: Worksheet) -> None:
    sheet.title = "Budget"
    rows: list[tuple[Cell, ...]] = []
    for side in ("Income", "Expenses"):
        lines = [line for line in BUDGET if line[0] == side]
        rows += [(*line, line[3] - line[2]) for line in lines]
        plan, actual = sum(line[2] for line in lines), sum(line[3] for line in lines)
        rows.append((side, f"Total {side.lower()}", plan, actual, actual - plan))
    header = ("Side", "Line", "Plan 2025 (€)", "Actual to 30 September (€)", "Difference (€)")
    _sheet(sheet, header, rows, (12, 34, 16, 28, 18))


def _inventory(sheet: Worksheet) -> None:
    rows: list[tuple[Cell, ...]] = list(INVENTORY)
    rows.append(("Total", f"{len(INVENTORY)} objects", "", "", sum(row[-1] for row in INVENTORY)))
    _sheet(sheet, ("Number", "Object", "Made", "Place", "Insured value (€)"), rows, (13, 44, 13, 32, 20))


def _visitors_by_month(sheet: Worksheet) -> None:
    rows: list[tuple[Cell, ...]] = [(month, *counts, sum(counts)) for month, *counts in VISITORS]
    sums = [sum(row[column] for row in VISITORS) for column in range(1, 5)]
    rows.append(("Total", *sums, sum(sums)))
    header = ("Month 2025", "Full price", "Reduced", "Children", "School groups", "All visitors")
    _sheet(sheet, header, rows, (16, 14, 14, 14, 16, 16))
