import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rag_doubles import chunk, hit

from indexing.records import Chunk
from rag.citations import Citation, cite, source_line, support, take_markers
from rag.passages import passages
from rag.prompt import Evidence
from rag.settings import AnswerSettings
from rag.terms import content_terms, is_number, near, numbers

MANUAL = chunk(
    "The Zefira Duo\nIts tank holds 1.8 litres.\nIt weighs 62 kg.\nDescale it every two months.",
    file="manual.pdf", page=3, boxed=True, title="Zefira Duo manual",
)  # fmt: skip
LETTER = chunk("The exhibition opens on 2 May 2024.\nHelen Marsh, Director", file="letter.pdf", page=1, boxed=True)


def evidence(*chunks: Chunk) -> list[Evidence]:
    return [
        Evidence(marker=i, hit=hit(each), shown=passages(each), left_out=0) for i, each in enumerate(chunks, start=1)
    ]


def cited(text: str, question: str = "", *chunks: Chunk):
    return cite(text, evidence(*(chunks or (MANUAL, LETTER))), question=question, settings=AnswerSettings())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("It holds 1.8 litres [1].", [1]),
        ("a [1][2] b", [1, 2]),
        ("a [1, 2]", [1, 2]),
        ("a [1-3]", [1, 2, 3]),
        ("a［1］", [1]),
        ("a【2】", [2]),
        ("a [Evidence 2]", [2]),
        ("a [evidence 1; 2]", [1, 2]),
        ("cut short [1", [1]),
        ("at [18:25] for [5,300] or [1.8]", []),
        ("an [open bracket] and [sic]", []),
    ],
)
def test_markers_are_read_in_every_writing(text: str, named: list[int]) -> None:
    plain, numbers_named = take_markers(text)
    assert numbers_named == named
    assert take_markers(plain)[1] == []


def test_a_true_sentence_points_at_the_lines_that_say_it() -> None:
    (found,) = cited("The tank holds 1.8 litres [1].").citations
    assert (found.path, found.page, found.marker) == ("/library/manual.pdf", 3, 1)
    assert found.quote == "Its tank holds 1.8 litres."
    assert found.boxes == (MANUAL.lines[1].box,)
    assert found.verified and found.attributed_by == "model"


def test_a_wrong_number_is_not_verified() -> None:
    result = cited("The tank holds 2.8 litres [1].")
    assert not any(each.verified for each in result.citations)


def test_a_word_that_no_line_holds_is_not_verified() -> None:
    (found,) = cited("The tank holds 1.8 litres of petrol [1].").citations
    assert not found.verified


def test_a_denial_of_what_the_source_says_is_not_verified() -> None:
    assert not any(each.verified for each in cited("The tank does not hold 1.8 litres [1].").citations)


def test_words_of_the_title_may_be_used_in_a_verified_sentence() -> None:
    (found,) = cited("The Zefira Duo weighs 62 kg [1].").citations
    assert found.verified


def test_a_marker_without_evidence_is_dropped_and_reported() -> None:
    result = cited("The tank holds 1.8 litres [7].")
    assert "[7]" not in result.text and any("[7]" in note for note in result.notes)
    assert [each.marker for each in result.citations] == [1]


def test_a_sentence_without_a_marker_gets_that_of_the_one_evidence_that_holds_it() -> None:
    result = cited("The exhibition opens on 2 May 2024.")
    assert result.text == "The exhibition opens on 2 May 2024 [2]."
    assert result.citations[0].attributed_by == "llavero" and result.citations[0].verified


def test_a_wrong_marker_is_changed_and_reported() -> None:
    result = cited("The exhibition opens on 2 May 2024 [1].", "When does the exhibition open?")
    assert result.text == "The exhibition opens on 2 May 2024 [2]."
    assert result.citations[0].attributed_by == "llavero" and any("changed" in note for note in result.notes)


def test_two_evidences_that_say_the_same_leave_an_unmarked_sentence_unmarked() -> None:
    copy = chunk("The exhibition opens on 2 May 2024.", file="copy.pdf", page=1)
    result = cited("The exhibition opens on 2 May 2024.", "", LETTER, copy)
    assert result.citations == ()


def test_an_invented_answer_is_shown_without_sources() -> None:
    result = cited("The president of France is François Maréchal [1].", "Who is the president of France?")
    assert result.citations == () and not result.supported and "[" not in result.text


def test_repeating_the_question_proves_nothing() -> None:
    result = cited("The Zefira Duo is a Zefira Duo [1].", "What is the Zefira Duo?")
    assert result.citations == () and not result.supported


def test_repeating_a_question_that_asks_whether_is_an_answer() -> None:
    (found,) = cited("Yes, it weighs 62 kg [1].", "Does it weigh 62 kg?").citations
    assert found.support > 0


def test_markers_come_out_in_one_writing_before_the_full_stop() -> None:
    result = cited("The tank holds 1.8 litres. 【1】 It opens on 2 May 2024 [Evidence 2].")
    assert result.text == "The tank holds 1.8 litres [1]. It opens on 2 May 2024 [2]."


def test_naming_the_picture_that_shows_it_is_verified() -> None:
    photo = chunk("giant panda", file="far-shores-04.webp", kind="image")
    for sentence in (
        "The picture far-shores-04.webp shows a giant panda [1].",
        "Far-shores-04 is a photo of a giant panda.",
    ):
        (found,) = cited(sentence, "Which photo shows a giant panda?", photo).citations
        assert found.verified, sentence
    assert cited("Far-shores-04 shows 5 pandas [1].", "", photo).citations == ()


def test_a_chunk_without_lines_is_cited_by_its_own_box() -> None:
    figure = Chunk(
        content_hash="f",
        path="/f.pdf",
        kind="figure",
        ordinal=0,
        page=2,
        box=(0.1, 0.2, 0.3, 0.4),
        text="The water circuit",
    )
    (found,) = cited("It is the water circuit [1].", "", figure).citations
    assert found.boxes == ((0.1, 0.2, 0.3, 0.4),)


def test_the_source_line_is_what_the_source_says_about_the_question() -> None:
    line = source_line(evidence(MANUAL), question="How heavy is the Zefira Duo?")
    assert line is not None and line.quote == "It weighs 62 kg." and line.attributed_by == "llavero"
    assert source_line([], question="anything") is None


WORDS = "tank holds litres weighs 62 1.8 kg every two months duo exhibition opens petrol 63 never"
answers = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=8).map(" ".join)


@given(answers, st.sampled_from(["", " [1]", " [2]", " [1][2]", " [9]"]))
def test_verified_means_every_content_word_and_number_is_in_the_source(sentence: str, marker: str) -> None:
    for found in cited(sentence + marker + ".").citations:
        if not found.verified:
            continue
        held = set(content_terms(found.quote))
        named = set(content_terms("Zefira Duo manual" if found.marker == 1 else ""))
        assert numbers(found.sentence) <= held
        assert all(t in held or t in named or near(t, held) for t in content_terms(found.sentence) if not is_number(t))


@settings(max_examples=300)
@example("[1\n\n[")
@example("[[1")
@given(st.text(alphabet="ab 1.[]【】,-\n", max_size=80))
def test_every_marker_left_in_the_text_has_its_citation(text: str) -> None:
    result = cited(text)
    left = set(take_markers(result.text)[1])
    assert left == {each.marker for each in result.citations}
    assert left <= {1, 2}


@given(answers)
def test_quotes_stand_in_the_source_word_for_word(sentence: str) -> None:
    found: Citation
    for found in cited(sentence).citations:
        source = MANUAL if found.marker == 1 else LETTER
        assert all(part in source.text for part in found.quote.split(" … "))


@given(answers)
def test_support_is_a_share(sentence: str) -> None:
    found = support(sentence, MANUAL)
    assert 0 <= found.share <= 1 and 0 <= found.new_share <= 1 and len(found.quote) <= 3


def test_a_files_short_name_is_not_cut_out_of_words_and_numbers() -> None:
    receipt = chunk("Total RM 31.00", file="1.jpg", kind="text")
    (found,) = cited("The total is RM 31.00 [1].", "", receipt).citations
    assert found.verified
