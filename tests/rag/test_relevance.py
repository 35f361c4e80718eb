import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rag_doubles import MemoryStore, WordEmbedder, chunk, rows

from indexing.records import ChannelRank, Hit
from rag.fuse import coverage, rarity, rerank
from rag.question import named
from rag.relevance import HitEvidence, Level, judge, measure, probability, weigh
from rag.settings import RelevanceSettings

SETTINGS = RelevanceSettings()
BACKGROUND = {"text": Level(middle=0.25, spread=0.05), "clip": Level(middle=0.2, spread=0.05)}
share = st.floats(0, 1)
deviations = st.floats(0, 20)


def found(text: str, cosine: float, *, looks: float | None = None, **more) -> Hit:
    channels = {"text": ChannelRank(rank=1, score=cosine)}
    if looks is not None:
        channels["clip"] = ChannelRank(rank=1, score=looks)
    return Hit(chunk=chunk(text, **more), score=1.0, channels=channels)


@given(share, deviations, deviations, share, deviations, deviations)
def test_more_evidence_never_makes_a_hit_less_likely(c, w, k, dc, dw, dk) -> None:
    less = HitEvidence(coverage=c, words=w, looks=k)
    more = HitEvidence(coverage=c + dc, words=w + dw, looks=k + dk)
    assert probability(more, SETTINGS) >= probability(less, SETTINGS)


def test_a_chunk_that_holds_the_question_is_relevant_and_a_far_one_is_not() -> None:
    hits = [found("The family ticket costs 22 euros.", 0.5), found("Knots for beginners", 0.2, file="k.txt")]
    verdict = judge("What does a family ticket cost?", hits, BACKGROUND, SETTINGS)
    assert [p >= verdict.threshold for p in verdict.probabilities] == [True, False]
    assert verdict.reason == ""


def test_words_that_nobody_has_are_named_in_the_refusal() -> None:
    verdict = judge(
        "How loud is the trombone?", [found("The family ticket costs 22 euros.", 0.2)], BACKGROUND, SETTINGS
    )
    assert "trombone" in verdict.missing and "trombone" in verdict.reason


def test_nothing_found_is_said_as_such() -> None:
    assert "nothing at all" in judge("anything at large", [], BACKGROUND, SETTINGS).reason


def test_a_picture_is_relevant_by_its_looks_alone() -> None:
    near, far = (found("", 0.2, looks=score, kind="image") for score in (0.6, 0.22))
    verdict = judge("a koala", [near, far], BACKGROUND, SETTINGS)
    assert verdict.probabilities[0] > verdict.threshold > verdict.probabilities[1]


def test_what_a_network_calls_a_picture_counts_beside_its_looks_but_less_than_looks_alone() -> None:
    alone, labelled = (
        probability(HitEvidence(coverage=0, words=0, looks=6, labelled=given), SETTINGS) for given in (False, True)
    )
    both = probability(HitEvidence(coverage=0, words=8, looks=6, labelled=True), SETTINGS)
    assert labelled < SETTINGS.threshold < both
    assert labelled < alone


def test_only_a_picture_with_words_of_its_own_counts_as_labelled() -> None:
    hits = [found("cat", 0.6, looks=0.3, kind="image"), found("", 0.2, looks=0.3, kind="image"), found("cat", 0.6)]
    assert [evidence.labelled for evidence in weigh(["cat"], hits, BACKGROUND)] == [True, False, False]


def test_the_words_of_a_page_speak_for_its_picture() -> None:
    page = Hit(chunk=chunk(file="m.pdf", kind="page", page=2), score=1.0, channels={})
    words = found("The water circuit of the Zefira", 0.6, file="m.pdf", page=2)
    verdict = judge("water circuit of the Zefira", [page, words], BACKGROUND, SETTINGS)
    assert verdict.probabilities[0] == verdict.probabilities[1]


def test_a_picture_without_words_asks_for_likeness_and_every_hit_answers() -> None:
    assert judge("", [found("x", 0.1)], {}, SETTINGS).probabilities == (1.0,)


def test_the_background_is_what_the_library_says_to_strangers() -> None:
    embedder = WordEmbedder()
    store = MemoryStore(rows(chunk("brass sextant in case four"), chunk("a lighthouse", file="l.png", kind="image")))
    levels = measure(store, embedder)
    assert set(levels) == {"clip", "text"}
    own = float(np.dot(*(embedder.embed_questions(["brass sextant in case four"])[0],) * 2))
    assert levels["text"].above(own) > 3
    assert levels["text"].above(levels["text"].middle) == 0


def test_an_empty_library_has_no_background() -> None:
    assert measure(MemoryStore([]), WordEmbedder()) == {}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.01, 5)), st.frozensets(st.sampled_from("abcdefgh")))
def test_coverage_is_a_share_and_grows_with_what_is_held(weights, held) -> None:
    covered = coverage(weights, held)
    assert 0 <= covered <= 1 + 1e-9
    assert coverage(weights, held | {"a"}) >= covered


def test_rare_words_weigh_more() -> None:
    chunks = [chunk("ticket family", file="a"), chunk("ticket", file="b"), chunk("ticket bus", file="c")]
    weights = rarity(["ticket", "family"], chunks)
    assert weights["family"] > weights["ticket"] > 0


def test_the_right_date_in_another_writing_comes_first() -> None:
    same = [found(f"UNIHAKKA INTERNATIONAL\n{day} MAR 2018", 0.5, file=f"{day}.jpg") for day in (5, 18, 24)]
    best = rerank("UNIHAKKA INTERNATIONAL 18/03/2018", same, share=0.5)[0]
    assert "18 MAR" in best.chunk.text


def test_other_names_of_an_attribute_count() -> None:
    heavy = [found("Zefira Duo: Weight 62 kg", 0.5), found("Zefira Duo: Colour red", 0.5, file="b")]
    for question in ("How heavy is the Zefira Duo?", "What does the Zefira Duo weigh?"):
        assert "Weight" in rerank(question, heavy, share=0.5)[0].chunk.text
        assert judge(question, heavy, BACKGROUND, SETTINGS).reason == ""


def test_without_a_share_the_order_stays() -> None:
    hits = [found("b", 0.1, file="b"), found("a question", 0.1, file="a")]
    assert rerank("a question", hits, share=0.0) == hits


def test_what_speaks_of_nothing_that_the_question_names_is_no_answer() -> None:
    penguin = found("king penguin", 0.55, looks=0.5, kind="image")
    verdict = judge("Who is the king of Norway?", [penguin], BACKGROUND, SETTINGS)
    assert verdict.probabilities[0] < verdict.threshold
    assert "Norway" in verdict.reason
    assert judge("Who is the king of penguins?", [penguin], BACKGROUND, SETTINGS).reason == ""


def test_a_name_may_stand_elsewhere_in_the_same_file() -> None:
    head, line = found("Zefira Duo, owner's manual", 0.3, file="m.pdf"), found("Weight 62 kg", 0.5, file="m.pdf")
    other = found("Weight 62 kg", 0.5, file="other.pdf")
    strange = [each.strange for each in weigh(["heavy"], [head, line, other], BACKGROUND, ["zefira", "duo"])]
    assert strange == [0.0, 0.0, 1.0]


def test_a_picture_without_words_may_show_what_a_name_stands_for() -> None:
    (evidence,) = weigh(["eiffel"], [found("", 0.2, looks=0.6, kind="image")], BACKGROUND, ["eiffel"])
    assert evidence.strange == 0.0


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Who is the king of Norway?", ("norway",)),
        ("How much did Noor Haddad's firm pay in March, on a Monday?", ("noor", "haddad")),
        ("Norway's king is who?", ()),  # a capital that begins a sentence says nothing
        ("WHAT DOES A TICKET TO PARIS COST?", ()),
        ("Was kostet die Familienkarte im Museum?", ()),  # other languages write other capitals
        ("UNIHAKKA INTERNATIONAL 18/03/2018", ()),
        ("", ()),
    ],
)
def test_names_are_read_where_capitals_mean_something(question: str, names: tuple[str, ...]) -> None:
    assert named(question) == names
