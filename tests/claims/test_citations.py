from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rag_doubles import chunk

from claims.citations import Cited, Judge, cite
from claims.markers import take_markers
from claims.settings import CitationSettings
from claims.support import Verifier
from claims.tokens import read
from indexing.records import Chunk, Line

MANUAL = chunk(
    "The Zefira Duo\nIts tank holds 1.8 litres.\nIt weighs 62 kg.\nDescale it every two months.",
    file="manual.pdf", page=3, boxed=True, title="Zefira Duo manual",
)  # fmt: skip
LETTER = chunk("The exhibition opens on 2 May 2024.\nHelen Marsh, Director", file="letter.pdf", page=1, boxed=True)


class Believing:
    """A verifier that believes everything it is asked, and remembers what that was."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.asked += pairs
        return [0.99] * len(pairs)


def cited(
    text: str, question: str = "", *chunks: Chunk, verifier: Verifier | None = None, judge: Judge | None = None
) -> Cited:
    return cite(
        text,
        dict(enumerate(chunks or (MANUAL, LETTER), start=1)),
        question=question,
        verifier=verifier,
        judge=judge,
        settings=CitationSettings(),
    )


def states(result: Cited) -> list[str]:
    return [each.state for each in result.citations]


def ticked(result: Cited) -> bool:
    return any(each.verified for each in result.citations)


@pytest.mark.parametrize("text", ["Helen Marsh (2)", "Helen Marsh (2).", "Helen Marsh [2]."])
def test_a_round_bracket_at_the_end_is_a_marker_where_evidence_has_its_number(text: str) -> None:
    result = cited(text)
    assert [each.marker for each in result.citations] == [2] and result.text.startswith("Helen Marsh [2]")


def test_a_round_bracket_that_names_no_evidence_stays_words() -> None:
    assert cited("Helen Marsh (7)").text.startswith("Helen Marsh (7)")


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("Anna owes Ben 50 euros.", "Ben owes Anna 50 euros."),
        ("The tank weighs 62 kg.", "The tank holds 1.8 litres. The machine weighs 62 kg."),
        ("The price falls from 950 to 900.", "The price rises from 900 to 950."),
        ("It rises from 950 to 900.", "It rises from 900 to 950."),
        ("The bill is due on 4 May 2024.", "Invoice date: 04/05/2024"),
    ],
)
def test_a_sentence_that_turns_its_source_round_gets_no_tick(claim: str, source: str) -> None:
    assert not ticked(cited(f"{claim} [1]", "", chunk(source)))


def test_a_date_that_can_be_read_two_ways_is_not_even_asked_about() -> None:
    verifier = Believing()
    result = cited("The bill is due on 4 May 2024 [1].", "", chunk("Invoice date: 04/05/2024"), verifier=verifier)
    assert not ticked(result) and verifier.asked == []


def test_a_source_s_own_sentence_is_quoted_and_points_at_its_line() -> None:
    (found,) = cited("Its tank holds 1.8 litres [1].").citations
    assert (found.path, found.page, found.marker) == ("/library/manual.pdf", 3, 1)
    assert found.quote == "Its tank holds 1.8 litres." and found.boxes == (MANUAL.lines[1].box,)
    assert found.state == "quoted" and found.verified and found.attributed_by == "model"


def test_a_short_answer_is_quoted_where_it_stands_as_a_whole() -> None:
    assert states(cited("62 kg [1]")) == ["quoted"]
    assert not ticked(cited("2 kg [1]"))


def test_other_words_are_ticked_only_by_a_verifier() -> None:
    sentence = "The tank holds 1.8 litres [1]."
    assert states(cited(sentence)) == ["unchecked"]
    verifier = Believing()
    (found,) = cited(sentence, verifier=verifier).citations
    assert found.state == "supported" and found.support == 0.99 and found.quote == "Its tank holds 1.8 litres."
    assert all("1.8" in passage for _, passage in verifier.asked)


def test_a_verifier_is_not_asked_about_a_number_that_the_passage_does_not_hold() -> None:
    verifier = Believing()
    assert states(cited("The tank holds 2.8 litres [1].", verifier=verifier)) == ["unchecked"]
    assert verifier.asked == []


def test_a_verifier_reads_the_title_where_the_sentence_takes_words_from_it() -> None:
    verifier = Believing()
    (found,) = cited("The Zefira Duo weighs 62 kg [1].", verifier=verifier).citations
    assert found.state == "supported" and found.quote.endswith("It weighs 62 kg.")
    assert "Zefira Duo manual. It weighs 62 kg." in [passage for _, passage in verifier.asked]


def test_a_judge_takes_the_tick_from_what_does_not_answer() -> None:
    asked: list[tuple[str, str, str]] = []

    def judge(question: str, sentence: str, source: Chunk) -> float:
        asked.append((question, sentence, source.text))
        return 0.1

    (found,) = cited("62 kg [1].", "What does the tank hold?", judge=judge).citations
    assert found.state == "unchecked" and found.support == 0.1
    assert ("What does the tank hold?", "62 kg.", "It weighs 62 kg.") in asked
    assert states(cited("62 kg [1].", "What does it weigh?", judge=lambda *_: 0.9)) == ["quoted"]


def test_nothing_is_judged_where_nothing_was_asked() -> None:
    assert states(cited("62 kg [1].", "", judge=lambda *_: 0.0)) == ["quoted"]


def test_of_two_lines_that_hold_the_answer_the_one_that_speaks_to_the_question_is_quoted() -> None:
    prices = chunk("Entry: 8 euros", file="p.txt"), chunk("Parking 8 euros\nEntry 8 euros", file="q.txt")
    (found,) = cited("8 euros [2]", "What is the entry?", *prices).citations
    assert found.quote == "Entry 8 euros"


def test_the_label_of_a_picture_is_recognised_and_never_ticked() -> None:
    photo = chunk("giant panda", file="far-shores-04.webp", kind="image")
    (found,) = cited("giant panda [1]", "What is it?", photo, verifier=Believing()).citations
    assert found.recognised and found.state == "unchecked" and not found.verified
    read_in_it = chunk("giant panda", file="sign.webp", kind="image", boxed=True)
    (found,) = cited("giant panda [1]", "What is it?", read_in_it).citations
    assert not found.recognised and found.state == "quoted"


def test_a_row_that_ocr_broke_over_lines_is_quoted_as_one() -> None:
    broken = chunk("The museum was opened by the\nmayor of the town in 1927.\nEntry is free.", boxed=True)
    (found,) = cited("The museum was opened by the mayor of the town in 1927 [1].", "", broken).citations
    assert found.state == "quoted" and len(found.boxes) == 2


def test_a_marker_without_evidence_is_dropped_and_reported() -> None:
    result = cited("Its tank holds 1.8 litres [7].")
    assert "[7]" not in result.text and any("[7]" in note for note in result.notes)
    assert [each.marker for each in result.citations] == [1]


def test_a_sentence_without_a_marker_gets_that_of_the_one_evidence_that_bears_it_out() -> None:
    result = cited("The exhibition opens on 2 May 2024.")
    assert result.text == "The exhibition opens on 2 May 2024 [2]."
    assert result.citations[0].attributed_by == "llavero" and result.citations[0].verified


def test_a_wrong_marker_is_changed_and_reported() -> None:
    result = cited("The exhibition opens on 2 May 2024 [1].", "When does the exhibition open?")
    assert result.text == "The exhibition opens on 2 May 2024 [2]."
    assert result.citations[0].attributed_by == "llavero" and any("changed" in note for note in result.notes)


def test_two_evidences_that_say_the_same_leave_an_unmarked_sentence_unmarked() -> None:
    copy = chunk("The exhibition opens on 2 May 2024.", file="copy.pdf", page=1)
    assert cited("The exhibition opens on 2 May 2024.", "", LETTER, copy).citations == ()


def test_an_invented_answer_is_shown_without_sources() -> None:
    result = cited("The president of France is François Maréchal [1].", "Who is the president of France?")
    assert result.citations == () and not result.supported and "[" not in result.text


def test_what_is_half_in_the_evidence_keeps_its_marker_unticked() -> None:
    result = cited("Die Ausstellung wird am 2 May 2024 eröffnet [2].", "Wann wird die Ausstellung eröffnet?")
    assert states(result) == ["unchecked"] and result.supported


def test_markers_come_out_in_one_writing_before_the_full_stop() -> None:
    result = cited("Its tank holds 1.8 litres. 【1】 The exhibition opens on 2 May 2024 [Evidence 2].")
    assert result.text == "Its tank holds 1.8 litres [1]. The exhibition opens on 2 May 2024 [2]."


def test_a_marker_on_a_line_of_its_own_belongs_to_the_sentence_before_it() -> None:
    result = cited("It weighs 62 kg.\n[1]")
    assert states(result) == ["quoted"] and result.text == "It weighs 62 kg [1]."


def test_sentences_end_at_stops_and_not_after_a_title_or_a_day() -> None:
    source = chunk("Dr. Weber kam am 4. Mai. Er blieb 3 Tage. 彼は来た。彼は帰った。")
    result = cited("Dr. Weber kam am 4. Mai [1]. Er blieb 3 Tage [1]. 彼は来た。[1]彼は帰った。[1]", "", source)
    assert [each.sentence for each in result.citations if each.sentence[0] in "DE"] == [
        "Dr. Weber kam am 4. Mai.",
        "Er blieb 3 Tage.",
    ] or len(result.citations) == 1  # all stand in one passage: merged
    assert result.text.count("[1]") == 4


def test_a_chunk_without_lines_is_cited_by_its_own_box() -> None:
    figure = Chunk(
        content_hash="f", path="/f.pdf", kind="figure", ordinal=0, page=2, box=(0.1, 0.2, 0.3, 0.4), text="A circuit"
    )  # fmt: skip
    (found,) = cited("A circuit [1].", "", figure).citations
    assert found.boxes == ((0.1, 0.2, 0.3, 0.4),)


@pytest.mark.parametrize("wrong", [{"least_support": 1.1}, {"least_answer": -0.1}, {"most_pairs": 0}])
def test_settings_out_of_bounds_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CitationSettings(**wrong)  # type: ignore[arg-type]  # the wrong value is the test


WORDS = "tank holds litres weighs 62 1.8 kg every two months duo exhibition opens petrol 63 never"
answers = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=8).map(" ".join)


@given(answers, st.sampled_from(["", " [1]", " [2]", " [1][2]", " [9]"]))
def test_without_a_verifier_every_ticked_word_is_in_the_source_in_its_order(sentence: str, marker: str) -> None:
    for found in cited(sentence + marker + ".").citations:
        if found.verified:
            held = iter(read(found.quote))
            assert all(any(token.same(other) for other in held) for token in read(found.sentence))


@settings(max_examples=300)
@example("[1\n\n[")
@example("[[1")
@example("1]\n[1]")
@given(st.text(alphabet="ab 1.[]【】,-\n", max_size=80))
def test_every_marker_left_in_the_text_has_its_citation(text: str) -> None:
    result = cited(text)
    left = set(take_markers(result.text)[1])
    assert left == {each.marker for each in result.citations}
    assert left <= {1, 2}


@given(answers)
def test_quotes_stand_in_the_source_word_for_word(sentence: str) -> None:
    for found in cited(f"{sentence} [1][2]", verifier=Believing()).citations:
        source = MANUAL if found.marker == 1 else LETTER
        assert found.quote in " ".join(source.text.split())


def test_a_thing_in_a_picture_is_recognised_where_it_stands() -> None:
    seen = (Line(text="person", box=(0.1, 0.1, 0.3, 0.9)), Line(text="red car", box=(0.5, 0.5, 0.9, 0.8)))
    photo = replace(chunk("person, red car", file="street.jpg", kind="image"), regions=seen, box=(0.0, 0.0, 1.0, 1.0))
    (car,) = cited("red car [1]", "What stands there?", photo, verifier=Believing()).citations
    assert car.recognised and car.state == "unchecked" and car.boxes == ((0.5, 0.5, 0.9, 0.8),)
    whole = replace(photo, text="person, lighthouse")
    (rest,) = cited("lighthouse [1]", "What stands there?", whole).citations
    assert rest.boxes == ((0.0, 0.0, 1.0, 1.0),)


@pytest.mark.parametrize(("lines", "expected"), [(3, ["quoted"]), (4, ["unchecked"])])
def test_a_sentence_runs_over_three_lines_at_most(lines: int, expected: list[str]) -> None:
    parts = ("The tank of the", "machine in the hall", "holds water for", "two weeks of watering")
    assert states(cited(f"{' '.join(parts[:lines])} [1].", "", chunk("\n".join(parts), boxed=True))) == expected


def test_a_verifier_reads_two_words_and_not_one() -> None:
    verifier = Believing()
    cited("Leaking [1].", "", chunk("The tank holds water."), verifier=verifier)
    assert verifier.asked == []
    cited("Tank leaks [1].", "", chunk("The tank holds water."), verifier=verifier)
    assert [claim.strip() for claim, _ in verifier.asked] == ["Tank leaks."]


@pytest.mark.parametrize(
    ("claim", "has_to_do"),
    [
        ("Dort steht ein alter tank", True),  # a word of four letters
        ("Er sah its Auto dort", False),  # one of three may be any language's
        ("its gas is off", True),  # short words, but most of them
        ("its gas war leider abgestellt", False),
    ],
)
def test_what_is_not_borne_out_is_shown_with_evidence_that_has_to_do_with_it(claim: str, has_to_do: bool) -> None:
    result = cited(f"{claim} [1].", "", chunk("Its gas is on. Its tank is red."))
    assert result.supported is has_to_do and not ticked(result)
