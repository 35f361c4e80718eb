from pathlib import Path

import numpy as np
from pdf_doubles import PdfFile, written
from PIL import Image
from reading_doubles import read_here, text_at, words_of

from indexing.records import Reading


def form(*fields: str, content: str = "", declared: bool = True) -> PdfFile:
    """A page with these fields, each the entries of its widget."""
    file = PdfFile()
    widgets = [
        file.add(f"<< /Type /Annot /Subtype /Widget /F 4 /DA (/F1 11 Tf 0 g) {entries} >>") for entries in fields
    ]
    file.page(content, annotations=" ".join(widgets))
    if declared:
        font = "/DR << /Font << /F1 3 0 R >> >>"
        file.catalog = f"/AcroForm << /Fields [{' '.join(widgets)}] /NeedAppearances true {font} >>"
    return file


def read_form(tmp_path: Path, file: PdfFile) -> Reading:
    (tmp_path / "form.pdf").write_bytes(file.data())
    return read_here(tmp_path / "form.pdf", tmp_path / "out")


def box(left: float, bottom: float, width: float = 180, height: float = 20) -> str:
    return f"/Rect [{left} {bottom} {left + width} {bottom + height}]"


def button(state: str, *, flags: int = 0) -> str:
    """A box to tick with its two looks; flag 32768 makes it a round button."""
    looks = "/AP << /N << /Yes << >> /Off << >> >> >>"
    return f"/FT /Btn /Ff {flags} /V /{state} /AS /{state} {looks}"


def test_values_of_all_kinds_of_fields_stand_beside_their_labels(tmp_path: Path) -> None:
    content = "".join(
        text_at(72, 700 - 40 * row, label)
        for row, label in enumerate(["Keeper of the lighthouse:", "Oil paid:", "Fog horn:", "Lamp:", "Visits:"])
    )
    file = form(
        f"/FT /Tx /T (keeper) /V (Isolde Marrable) {box(220, 695)}",
        f"{button('Yes')} /T (oil) {box(220, 655, 14, 14)}",
        f"{button('Off')} /T (horn) {box(220, 615, 14, 14)}",
        f"/FT /Ch /Ff 131072 /T (lamp) /Opt [[(a1) (Argand)] [(p2) (Paraffin)]] /V (p2) {box(220, 575)}",
        f"/FT /Ch /T (visits) /Opt [(May) (June) (July)] /V [(May) (July)] /Ff 2097152 {box(220, 520, 180, 40)}",
        content=content,
    )
    text = words_of(read_form(tmp_path, file).blocks).split("\n")
    assert "Keeper of the lighthouse: Isolde Marrable" in text
    assert "Oil paid: ☒" in text
    assert "Fog horn: ☐" in text
    assert "Lamp: Paraffin" in text
    assert "May, July" in words_of(read_form(tmp_path, file).blocks)


def test_the_page_image_shows_the_values(tmp_path: Path) -> None:
    reading = read_form(tmp_path, form(f"/FT /Tx /T (a) /V (Isolde Marrable) {box(220, 695)}"))
    assert reading.pages[0].image is not None
    with Image.open(reading.pages[0].image) as image:
        grey = np.asarray(image.convert("L"))
    height, width = grey.shape
    assert (
        grey[int(height * 77 / 792) : int(height * 97 / 792), int(width * 220 / 612) : int(width * 400 / 612)].min()
        < 90
    )


def test_a_field_without_a_printed_label_is_read_with_its_own_name(tmp_path: Path) -> None:
    file = form(
        f"/FT /Tx /T (form1[0].page[0].town[0]) /V (Wexcombe) {box(220, 695)}",
        f"/FT /Tx /T (x7) /TU (Date of birth) /V (3 May 1961) {box(220, 400)}",
    )
    text = words_of(read_form(tmp_path, file).blocks)
    assert "town: Wexcombe" in text
    assert "Date of birth: 3 May 1961" in text


def test_of_round_buttons_with_one_name_the_chosen_one_is_known(tmp_path: Path) -> None:
    file = PdfFile()
    parent = "98 0 R"
    looks = "/AP << /N << /{0} << >> /Off << >> >> >>"
    kids = [
        file.add(f"<< /Type /Annot /Subtype /Widget /F 4 /Parent {parent} /AS /{state} {looks.format(name)} {place} >>")
        for name, state, place in (("cash", "Off", box(72, 695, 12, 12)), ("card", "card", box(200, 695, 12, 12)))
    ]
    while int(file.add("null").split()[0]) < 97:
        pass
    file.add(f"<< /FT /Btn /Ff 49152 /T (pay) /V /card /Kids [{' '.join(kids)}] >>")
    file.page(text_at(90, 697, "in cash") + text_at(218, 697, "by card"), annotations=" ".join(kids))
    file.catalog = f"/AcroForm << /Fields [{parent}] >>"
    assert words_of(read_form(tmp_path, file).blocks) == "☐ in cash ☒ by card"


def test_the_lines_of_a_field_are_kept_and_a_password_is_not_read(tmp_path: Path) -> None:
    file = form(
        f"/FT /Tx /Ff 4096 /T (a) /TU (Address) /V (4 Mill Lane\rWexcombe\rWiltshire) {box(220, 600, 200, 60)}",
        f"/FT /Tx /Ff 8192 /T (secret) /V (hunter2) {box(220, 500)}",
    )
    text = words_of(read_form(tmp_path, file).blocks)
    assert [line in text for line in ("4 Mill Lane", "Wexcombe", "Wiltshire", "hunter2")] == [True, True, True, False]


def test_values_of_fields_that_the_form_does_not_list_are_read(tmp_path: Path) -> None:
    file = form(f"/FT /Tx /T (cargo) /V (Forty barrels of tar) {box(220, 695)}", declared=False)
    assert words_of(read_form(tmp_path, file).blocks) == "cargo: Forty barrels of tar"


def test_a_field_that_no_viewer_shows_is_told_and_not_read(tmp_path: Path) -> None:
    reading = read_form(
        tmp_path,
        form(
            f"/FT /Tx /T (a) /V (Nobody sees this) /F 2 {box(220, 695)}",
            content=text_at(72, 600, "Something that one sees"),
        ),
    )
    assert "Nobody" not in words_of(reading.blocks)
    (note,) = reading.notes
    assert (note.kind, note.unread) == ("hidden", False)


def test_values_over_a_scanned_form_stand_beside_the_labels_that_ocr_reads(tmp_path: Path) -> None:
    file = PdfFile()
    picture = file.picture(written(["Application for a fishing licence", "Name of the angler:", "Name of the river:"]))
    widgets = [
        file.add(f"<< /Type /Annot /Subtype /Widget /F 4 /DA (/F1 11 Tf 0 g) /FT /Tx {entries} >>")
        for entries in (
            f"/T (angler) /V (Cuthbert Oxley) {box(300, 680, 200, 18)}",
            f"/T (river) /V (Till) {box(300, 640, 200, 18)}",
        )
    ]
    file.page(
        "q 612 0 0 792 0 0 cm /Im1 Do Q", annotations=" ".join(widgets), resources=f"/XObject << /Im1 {picture} >>"
    )
    file.catalog = (
        f"/AcroForm << /Fields [{' '.join(widgets)}] /NeedAppearances true /DR << /Font << /F1 3 0 R >> >> >>"
    )
    text = words_of(read_form(tmp_path, file).blocks)
    assert "Name of the angler: Cuthbert Oxley" in text
    assert "Name of the river: Till" in text
    assert text.count("Oxley") == 1
