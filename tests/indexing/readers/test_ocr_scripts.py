"""The choice of a script by what each recogniser makes of a few lines; with Tesseract itself where it is installed."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from indexing.readers import ocr, ocr_scripts
from indexing.readers.ocr_judgement import RecognisedLine

LINE = np.full((20, 200, 3), 255, np.uint8)
MADE_OF_IT = {
    "Cyrillic": ("Москва, улица Ленина 14", 0.93),
    "Thai": ("ถา77ข ตาอ7ม ภาขทวท", 0.67),
    "Greek": ("МОСКВА", 0.95),  # sure, and not of letters of its own
}


@pytest.fixture
def three_scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ocr_scripts, "installed", lambda: dict.fromkeys(MADE_OF_IT, "data"))
    monkeypatch.setattr(ocr_scripts, "_recognised", lambda script, crops: iter([MADE_OF_IT[script]] * len(crops)))
    monkeypatch.setattr(ocr_scripts, "_last", [""])
    return


@pytest.mark.usefixtures("three_scripts")
def test_the_script_is_the_one_whose_recogniser_is_sure_of_letters_of_its_own() -> None:
    assert ocr_scripts.surest_script([LINE])[1] == "Cyrillic"
    assert ocr_scripts.read_other_scripts([LINE, LINE]) == [MADE_OF_IT["Cyrillic"]] * 2


@pytest.mark.usefixtures("three_scripts")
def test_lines_that_no_recogniser_is_sure_of_stay_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MADE_OF_IT, "Cyrillic", ("Москва", 0.7))
    assert ocr_scripts.read_other_scripts([LINE]) == [None]


def test_without_tesseract_nothing_is_read_and_no_script_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_scripts, "installed", dict)
    monkeypatch.setattr(ocr_scripts, "_folder", lambda: None)
    assert ocr_scripts.read_other_scripts([LINE, LINE]) == [None, None]
    assert ocr_scripts.surest_script([LINE]) == (0.0, "")
    assert ocr_scripts.script_of(LINE) == ""


def test_a_scripts_own_data_is_taken_before_that_of_its_languages(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script").mkdir()
    for name in ("rus", "ukr", "ell", "osd", "script/Cyrillic", "hin", "mar"):
        (tmp_path / f"{name}.traineddata").touch()
    monkeypatch.setattr(ocr_scripts, "_folder", lambda: tmp_path)
    found = dict(ocr_scripts.installed.__wrapped__())
    assert found == {"Cyrillic": "script/Cyrillic", "Greek": "ell", "Devanagari": "hin+mar"}


def test_guesses_at_an_unknown_script_turn_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    guesses = iter([RecognisedLine(text=text, confidence=0.7, length=8.0) for text in ("aa", "LUIC ULAL XLCA AALLU")])
    monkeypatch.setattr(ocr, "_read_line", lambda crop: next(guesses))
    monkeypatch.setattr(ocr, "surest_script", lambda crops: (0.0, ""))
    assert ocr._is_this_way([LINE], [LINE], margin=1.1)


def test_a_recogniser_that_is_sure_of_one_way_decides_over_few_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upright, turned = [LINE], [np.zeros_like(LINE)]
    on_its_head = RecognisedLine(text="UUAU LAC", confidence=0.7, length=6.0)
    monkeypatch.setattr(ocr, "_read_line", lambda crop: on_its_head)
    monkeypatch.setattr(ocr, "surest_script", lambda crops: (0.91, "Hebrew") if crops is upright else (0.3, "Thai"))
    assert ocr._is_this_way(upright, turned, margin=1.1)
    assert not ocr._is_this_way(turned, upright, margin=1.1)


@pytest.mark.skipif("Greek" not in ocr_scripts.installed(), reason="Tesseract's Greek data is not installed")
def test_a_greek_page_is_read_by_tesseract() -> None:
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.truetype("DejaVuSans.ttf", 30)
    except OSError:
        pytest.skip("no font with Greek letters")
    page = Image.new("RGB", (800, 300), "white")
    for number, line in enumerate(("Σύμβαση προμήθειας εξοπλισμού", "Η πληρωμή γίνεται εντός δέκα ημερών")):
        ImageDraw.Draw(page).text((40, 60 + 80 * number), line, font=font, fill="black")
    words = ocr.read_words(np.asarray(page))
    assert words.unread == 0
    assert "πληρωμή" in " ".join(line.text for line in words.lines)
    assert all(line.confidence is not None and line.confidence > 0.8 for line in words.lines)


def test_how_sure_it_is_of_each_line_comes_with_the_words() -> None:
    page = np.full((200, 700, 3), 255, np.uint8)
    cv2.putText(page, "TOTAL 12.50 EUR", (40, 110), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (0, 0, 0), 3, cv2.LINE_AA)
    (line,) = ocr.read_words(page).lines
    assert line.confidence is not None
    assert 0.8 <= line.confidence <= 1.0
