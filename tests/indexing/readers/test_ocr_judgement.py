"""What is kept of the recogniser's lines: its answers are written down here as it gave them."""

from indexing.readers.ocr_judgement import Judgement, RecognisedLine, judged


def line(text: str, confidence: float, length: float) -> RecognisedLine:
    return RecognisedLine(text=text, confidence=confidence, length=length)


ENGLISH = [line("Agreement on the lease of rooms", 0.99, 16.0), line("The monthly rent is 450 euros", 1.0, 15.0)]
CYRILLIC = [line("", 0.92, 10.0), line("5", 0.91, 9.5), line("14", 0.85, 12.0), line("", 0.98, 8.0)]
HEBREW = [line("CALL LUIL ILULCIU", 0.91, 9.0), line("uAlCL auuut LA40", 0.74, 9.0), line("tl UXLLα 4UNU", 0.64, 8.0)]
GREEK = [line("Σμβαση µσωση κατοικα", 0.81, 13.0), line("εταξ των συβαλλμνων", 0.77, 12.0)]


def kept(lines: list[RecognisedLine]) -> list[str]:
    return [each.text for each, keep in zip(lines, judged(lines).kept, strict=True) if keep]


def test_lines_in_a_known_script_are_all_kept() -> None:
    assert judged(ENGLISH) == Judgement(kept=(True, True), unread_lines=(False, False))


def test_letters_that_the_recogniser_passed_over_are_unread_lines() -> None:
    assert judged(CYRILLIC) == Judgement(kept=(False,) * 4, unread_lines=(True,) * 4)


def test_look_alikes_that_it_is_not_sure_of_are_unread_lines() -> None:
    assert judged(HEBREW) == Judgement(kept=(False,) * 3, unread_lines=(True,) * 3)


def test_greek_words_have_holes_and_are_unread_lines() -> None:
    assert judged(GREEK) == Judgement(kept=(False, False), unread_lines=(True, True))


def test_a_formula_with_greek_letters_is_kept() -> None:
    assert kept([line("E = α + β x, where α is small", 0.95, 14.0)])


def test_on_a_page_in_two_languages_the_known_one_is_kept() -> None:
    assert kept([*ENGLISH, *CYRILLIC]) == [each.text for each in ENGLISH]
    assert judged([*ENGLISH, *CYRILLIC]).unread == 4


def test_a_rule_that_passes_for_a_long_line_says_nothing_about_the_page() -> None:
    page = [line("Date: 12 May", 0.93, 6.0), line("2 x 14.20", 0.89, 5.0), line("", 0.0, 65.0), line("Total", 0.9, 2.6)]
    assert judged(page) == Judgement(kept=(True, True, False, True), unread_lines=(False,) * 4)


def test_shapes_in_a_photograph_are_no_words() -> None:
    for shapes in ([line("0", 0.97, 1.0)], [line("業", 0.98, 0.9), line("8", 0.75, 1.1)], [line("EA", 0.6, 1.5)]):
        assert judged(shapes) == Judgement(kept=(False,) * len(shapes), unread_lines=(False,) * len(shapes))


def test_a_doubtful_shape_beside_a_sign_is_left_out() -> None:
    assert kept([line("WV90 GET", 1.0, 4.5), line("儿", 0.79, 0.9)]) == ["WV90 GET"]


def test_thousands_of_lines_are_judged_at_once() -> None:
    assert sum(judged([line("seat 14", 0.99, 4.0)] * 3_000).kept) == 3_000
