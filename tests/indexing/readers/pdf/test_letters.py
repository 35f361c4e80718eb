"""What the letters of a text layer are: doubled, ligatures, hidden, without a meaning."""

from pathlib import Path

import pytest
from pdf_doubles import PdfFile
from reading_doubles import make_pdf, read_here, text_at, words_of

from indexing.readers.pdf.legibility import agree, is_read, makes_no_words
from indexing.records import Reading

ENGLISH = "The keeper of the lighthouse rows to the village for oil and bread every other Friday in the winter months"
POLISH = "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw; są oni obdarzeni rozumem"
CZECH = (
    "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv; jsou nadáni rozumem a svědomím a mají jednat"
)
VIETNAMESE = (
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền; mọi con người đều được tạo hoá ban cho"
)
WELSH = "Genir pawb yn rhydd ac yn gydradd â'i gilydd mewn urddas a hawliau; fe'u cynysgaeddir â rheswm a chydwybod"
RUSSIAN = "Маяк горит каждую ночь до пяти часов утра и гаснет только тогда когда солнце встаёт над морем"


def read_page(tmp_path: Path, content: str, file: PdfFile | None = None, resources: str = "") -> Reading:
    if file is None:
        data = make_pdf([content])
    else:
        file.page(content, resources=resources)
        data = file.data()
    (tmp_path / "letters.pdf").write_bytes(data)
    return read_here(tmp_path / "letters.pdf", tmp_path / "out")


@pytest.mark.parametrize("shift", [(0.3, 0), (0.3, -0.3), (1.2, -1.2)])
def test_a_line_that_is_drawn_twice_to_look_bold_is_read_once(tmp_path: Path, shift: tuple[float, float]) -> None:
    line = "A line that is printed twice"
    content = text_at(72, 700, line) + text_at(72, 680, "and another") + text_at(72 + shift[0], 700 + shift[1], line)
    assert words_of(read_page(tmp_path, content).blocks).count(line) == 1


def test_ligatures_are_two_letters(tmp_path: Path) -> None:
    file = PdfFile()
    unicode = file.stream(
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        "1 begincodespacerange <00> <FF> endcodespacerange\n"
        "2 beginbfchar <41> <FB01> <42> <00660066006C> endbfchar endcmap end end"
    )
    font = f"/F2 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode {unicode} >>"
    content = (
        "BT /F2 11 Tf 72 700 Td (A) Tj ET\n"
        + text_at(79, 700, "nal words of the o")
        + "BT /F2 11 Tf 168 700 Td (B) Tj ET\n"
    )
    text = words_of(read_page(tmp_path, content, file, f"/Font << /F1 3 0 R {font} >>").blocks)
    assert text.startswith("fi")
    assert "ffl" in text


def test_a_soft_hyphen_at_the_end_of_a_line_joins_its_word(tmp_path: Path) -> None:
    content = text_at(72, 700, "The keeper of the light\u00ad") + text_at(72, 686, "house rows to the village")
    assert words_of(read_page(tmp_path, content).blocks) == "The keeper of the lighthouse rows to the village"


def test_layers_that_are_switched_off_are_not_read(tmp_path: Path) -> None:
    file = PdfFile()
    off, on = file.add("<< /Type /OCG /Name (Draft) >>"), file.add("<< /Type /OCG /Name (Final) >>")
    file.catalog = f"/OCProperties << /OCGs [{off} {on}] /D << /OFF [{off}] /Order [{off} {on}] >> >>"
    content = (
        f"/OC /L1 BDC {text_at(72, 700, 'Nobody sees the draft of this sentence')} EMC\n"
        f"/OC /L2 BDC {text_at(72, 660, 'Everybody sees the final sentence')} EMC\n"
    )
    resources = f"/Font << /F1 3 0 R >> /Properties << /L1 {off} /L2 {on} >>"
    reading = read_page(tmp_path, content, file, resources)
    assert words_of(reading.blocks) == "Everybody sees the final sentence"
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("hidden", 7, False)]


@pytest.mark.parametrize(
    "hidden", ["1 1 1 rg {} 0 g\n", "{} 0 0 0 rg 60 690 400 30 re f\n", "{} 1 1 0 rg 60 690 400 30 re f 0 g\n"]
)
def test_words_in_the_colour_of_the_paper_and_under_a_cover_are_told_and_not_read(tmp_path: Path, hidden: str) -> None:
    content = hidden.format(text_at(72, 700, "Nobody sees this")) + text_at(72, 600, "Everybody sees the sentence")
    reading = read_page(tmp_path, content)
    assert words_of(reading.blocks) == "Everybody sees the sentence"
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("hidden", 3, False)]


def test_white_words_on_a_dark_ground_are_read(tmp_path: Path) -> None:
    content = f"0 0 0.6 rg 60 690 400 30 re f 1 1 1 rg {text_at(72, 700, 'A white headline')} 0 g\n"
    assert "A white headline" in words_of(read_page(tmp_path, content + text_at(72, 600, "and a line below")).blocks)


def test_text_outside_of_the_crop_box_is_not_read(tmp_path: Path) -> None:
    file = PdfFile()
    content = text_at(72, 700, "A note of the printer outside") + text_at(72, 300, "A sentence of the page itself")
    file.page(content, extra="/CropBox [0 0 612 600]")
    (tmp_path / "cropped.pdf").write_bytes(file.data())
    reading = read_here(tmp_path / "cropped.pdf", tmp_path / "out")
    assert words_of(reading.blocks) == "A sentence of the page itself"
    assert reading.blocks[0].lines[0].box is not None
    assert reading.blocks[0].lines[0].box[1] == pytest.approx((600 - 311) / 600, abs=0.02)


@pytest.mark.parametrize("text", [ENGLISH, POLISH, CZECH, VIETNAMESE, WELSH, RUSSIAN])
def test_languages_make_words(text: str) -> None:
    assert not makes_no_words([text])


def test_shifted_letters_and_letters_of_a_wrong_alphabet_make_none() -> None:
    shifted = "".join(chr((ord(char) - 97 - 3) % 26 + 97) if "a" <= char <= "z" else char for char in ENGLISH.lower())
    assert makes_no_words([shifted])
    assert makes_no_words([RUSSIAN.encode("cp1251").decode("cp1252", "replace")])


def test_two_readings_agree_when_they_share_words() -> None:
    assert agree([ENGLISH], [ENGLISH.upper()])
    assert not agree([ENGLISH], [CZECH])
    assert is_read(["half of it"], 10)
    assert not is_read(["3200"], 60)


def wrong_font(file: PdfFile) -> str:
    """Helvetica whose code for each letter is that of the letter three places before."""
    names = " ".join(f"/{chr((ord(letter) - 97 + 3) % 26 + 97)}" for letter in "abcdefghijklmnopqrstuvwxyz")
    table = "".join(f"<{code:02x}> <{code:04x}>\n" for code in range(97, 123))
    unicode = file.stream(
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange\n26 beginbfchar {table} endbfchar endcmap end end"
    )
    encoding = f"/Encoding << /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [97 {names}] >>"
    return file.add(f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica {encoding} /ToUnicode {unicode} >>")


def shifted_back(text: str) -> str:
    return "".join(chr((ord(char) - 97 - 3) % 26 + 97) if "a" <= char <= "z" else char for char in text.lower())


def test_a_text_layer_with_wrong_letters_is_read_from_the_picture(tmp_path: Path) -> None:
    file = PdfFile()
    font = wrong_font(file)
    lines = ["the keeper of the lighthouse", "rows to the village for oil", "and bread every other friday"]
    content = "".join(
        text_at(72, 700 - 40 * row, shifted_back(each), size=24, font="F2") for row, each in enumerate(lines)
    )
    reading = read_page(tmp_path, content, file, f"/Font << /F2 {font} >>")
    text = words_of(reading.blocks)
    assert [each in text for each in lines] == [True] * 3
    assert reading.pages[0].read_by_ocr


def without_meaning(file: PdfFile) -> str:
    """Helvetica whose letters are said to be of a private alphabet."""
    table = "".join(f"<{code:02x}> <{0xE000 + code:04x}>\n" for code in range(97, 123))
    unicode = file.stream(
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange\n26 beginbfchar {table} endbfchar endcmap end end"
    )
    return file.add(f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode {unicode} >>")


def test_words_in_private_letters_among_good_ones_are_read_from_the_picture(tmp_path: Path) -> None:
    file = PdfFile()
    font = without_meaning(file)
    good = "".join(text_at(72, 700 - 20 * row, f"{ENGLISH[:70]} {row}", size=12) for row in range(6))
    content = good + text_at(72, 400, "the tide turns at seven", size=20, font="F2")
    reading = read_page(tmp_path, content, file, f"/Font << /F1 3 0 R /F2 {font} >>")
    text = words_of(reading.blocks)
    assert "the tide turns at seven" in text
    assert not any(0xE000 <= ord(char) <= 0xF8FF for char in text)
    assert not reading.pages[0].read_by_ocr
    assert reading.notes == ()


def with_letters(file: PdfFile, letters: dict[str, str]) -> str:
    """A font whose letters mean others, by their numbers in UTF-16."""
    table = "".join(f"<{ord(code):02x}> <{letter}>\n" for code, letter in letters.items())
    unicode = file.stream(
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange\n{len(letters)} beginbfchar {table}"
        "endbfchar endcmap end end"
    )
    return f"/F2 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode {unicode} >>"


def test_the_letters_of_an_arabic_ligature_stand_in_their_order(tmp_path: Path) -> None:
    """A font whose signs are drawn from left to right: teh, lam-alef, kaf, and so on of a word for problems."""
    file = PdfFile()
    letters = {"A": "062A", "B": "06440627", "C": "0643", "D": "0634", "E": "0645", "F": "0644", "G": "0627"}
    font = with_letters(file, letters)
    content = text_at(72, 700, "ABCDEFG", font="F2") + text_at(72, 600, "and a line in English below")
    text = words_of(read_page(tmp_path, content, file, f"/Font << /F1 3 0 R {font} >>").blocks)
    assert text.split("\n")[0] == "\u0627\u0644\u0645\u0634\u0643\u0644\u0627\u062a"


def test_a_vowel_point_stands_behind_its_letter_and_no_space_before_it(tmp_path: Path) -> None:
    """The word for "also" from right to left: the mark is drawn before the dad over which it stands."""
    file = PdfFile()
    font = with_letters(file, {"A": "0623", "B": "064A", "i": "064B", "D": "0636", "E": "0627"})
    width = {"A": 13.34, "B": 13.34, "D": 14.44, "E": 13.34}  # of Helvetica's letters at 20 points
    content, x = "", 300.0
    for letter in "AB":
        x -= width[letter]
        content += text_at(x, 700, letter, size=20, font="F2")
    x -= width["D"]
    content += text_at(x + 3, 700, "i", size=20, font="F2") + text_at(x, 700, "D", size=20, font="F2")
    content += text_at(x - width["E"], 700, "E", size=20, font="F2")
    content += text_at(72, 600, "and a line in English below")
    text = words_of(read_page(tmp_path, content, file, f"/Font << /F1 3 0 R {font} >>").blocks)
    assert text.split("\n")[0] == "\u0623\u064a\u0636\u064b\u0627"
