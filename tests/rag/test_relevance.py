from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rag_doubles import RELEVANCE, WordEmbedder, chunk

from indexing.records import ChannelRank, Hit
from rag.relevance import CrossEncoder, LateInteraction, judge
from rag.settings import RelevanceSettings

score = st.floats(0, 1)


def found(text: str, cosine: float, *, share: float = 0.0, looks: float | None = None, **more) -> Hit:
    channels = {"text": ChannelRank(rank=1, score=cosine), "bm25": ChannelRank(rank=1, score=share)}
    if looks is not None:
        channels = {"clip": ChannelRank(rank=1, score=looks)}
    return Hit(chunk=chunk(text, **more), score=1.0, channels=channels)


def probabilities(question: str, hits: list[Hit], *, read: bool = True) -> list[float]:
    reranker = LateInteraction(WordEmbedder()) if read else None
    judged = judge(question, hits, reranker=reranker, most_read=4, settings=RELEVANCE)
    return [next(each.probability for each in judged if each.hit is hit) for hit in hits]


@given(score, score, score, score)
def test_more_evidence_never_makes_a_hit_less_likely(cosine, share, more_cosine, more_share) -> None:
    less = found("a", min(cosine, more_cosine), share=min(share, more_share), file="a")
    more = found("a", max(cosine, more_cosine), share=max(share, more_share), file="b")
    first, second = probabilities("a question", [less, more], read=False)
    assert 0 <= first <= second <= 1


def test_a_chunk_that_holds_the_question_may_answer_and_a_far_one_surely_does_not() -> None:
    hits = [found("The family ticket costs 22 euros.", 0.5), found("Knots for beginners", 0.0, file="k.txt")]
    near, far = probabilities("What does a family ticket cost?", hits)
    assert near > RELEVANCE.threshold > far


def test_hits_come_in_the_order_of_their_probabilities() -> None:
    hits = [found(text, 0.3, file=text) for text in ("a boat", "the family ticket", "the family ticket costs 22 euros")]
    judged = judge(
        "what the family ticket costs", hits, reranker=LateInteraction(WordEmbedder()), most_read=4, settings=RELEVANCE
    )
    assert [each.hit.chunk.text for each in judged] == [hits[2].chunk.text, hits[1].chunk.text, hits[0].chunk.text]


def test_what_was_not_read_stands_behind_what_was() -> None:
    hits = [found(f"ticket {number}", 0.9 - number / 100, share=0.9, file=f"{number}") for number in range(8)]
    judged = judge("trombone", hits, reranker=LateInteraction(WordEmbedder()), most_read=3, settings=RELEVANCE)
    assert {each.hit.chunk.path for each in judged[:3]} == {f"/library/{number}" for number in range(3)}
    assert max(each.probability for each in judged[3:]) <= min(each.probability for each in judged[:3])


def test_a_picture_is_relevant_by_its_looks_alone() -> None:
    near, far = (found("", 0.0, looks=looks, kind="image", file=f"{looks}.jpg") for looks in (0.6, 0.0))
    assert probabilities("a koala", [near, far])[0] > RELEVANCE.threshold > probabilities("a koala", [near, far])[1]


def test_a_picture_told_in_the_words_of_the_question_stands_before_one_that_looks_a_little_more_like_it() -> None:
    told = found("2 cars\nmosque", 0.2, share=0.74, kind="image", file="told.jpg")
    alike = found("jigsaw puzzle", 0.2, looks=0.08, kind="image", file="alike.jpg")
    words = replace(RELEVANCE, looks=RelevanceSettings().looks)
    judged = judge("a car", [alike, told], reranker=None, most_read=0, settings=words)
    assert [each.hit.chunk.path for each in judged] == ["/library/told.jpg", "/library/alike.jpg"]


def test_a_page_with_words_is_not_judged_by_its_looks() -> None:
    page = found("The water circuit", 0.0, looks=0.9, kind="page", file="m.pdf", page=2)
    assert probabilities("a koala", [page], read=False)[0] < RELEVANCE.threshold


@pytest.mark.parametrize("read", [True, False])
def test_a_whole_page_never_stands_before_its_own_passage(read: bool) -> None:
    words = "The family ticket costs 22 euros."
    page = found(words, 0.0, looks=0.1, kind="page", file="p.pdf", page=1)
    passage = found(words, 0.5, file="p.pdf", page=1)
    at, before = probabilities("What does a family ticket cost?", [page, passage], read=read)
    assert at < RELEVANCE.threshold < before


def test_what_the_text_channel_has_not_found_is_at_most_as_similar_as_what_it_has() -> None:
    near, far = found("alpha", 0.6, share=0.3, file="a"), found("beta", 0.4, share=0.3, file="b")
    unseen = Hit(chunk=chunk("gamma", file="c"), score=1.0, channels={"bm25": ChannelRank(rank=1, score=0.3)})
    first, second, third = probabilities("a question", [near, far, unseen], read=False)
    assert first > second == third


def test_vectors_of_a_chunk_are_made_once() -> None:
    class Counting(WordEmbedder):
        made: ClassVar[int] = 0

        def embed_passage_tokens(self, texts):
            Counting.made += len(texts)
            return super().embed_passage_tokens(texts)

    reranker = LateInteraction(Counting())
    chunks = [chunk("the family ticket", file="a"), chunk("one harbour", file="b")]
    first = reranker.scores("family ticket", chunks)
    assert reranker.scores("family ticket", chunks) == first
    assert Counting.made == 2
    assert first[0] > first[1]


def test_a_chunk_or_a_question_without_words_scores_nothing() -> None:
    class Wordless(WordEmbedder):
        def embed_question_tokens(self, texts):
            return [np.empty((0, 64), np.float32)] * len(texts)

    assert LateInteraction(Wordless()).scores("?", [chunk("words")]) == [0.0]


def test_a_cross_encoder_gives_its_own_probabilities(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ticket", "boat"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", model_max_length=32).save_pretrained(
        tmp_path
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=1
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    scores = CrossEncoder(tmp_path, device="cpu").scores("ticket", [chunk("ticket"), chunk("boat boat boat", file="b")])
    assert len(scores) == 2 and scores[0] != scores[1] and all(0 < each < 1 for each in scores)


def test_the_first_rows_of_a_long_table_are_read_and_the_last_512_chunks_remembered() -> None:
    class Counting(WordEmbedder):
        made: ClassVar[list[str]] = []

        def embed_passage_tokens(self, texts):
            Counting.made += texts
            return super().embed_passage_tokens(texts)

    reranker = LateInteraction(Counting())
    first = chunk("word " * 2000, file="long")
    reranker.scores("word", [first])
    assert [len(text) for text in Counting.made] == [4000]
    for number in range(512):
        reranker.scores("word", [chunk(f"{number}", file=f"{number}")])
    reranker.scores("word", [chunk("0", file="0")])
    assert len(Counting.made) == 513
    reranker.scores("word", [first])
    assert len(Counting.made) == 514


def test_what_is_beyond_all_doubt_is_no_error() -> None:
    settings = replace(RELEVANCE, seen=(-1000.0, 0.0, 0.0))
    (rated,) = judge("word", [found("word", 0.5)], reranker=None, most_read=0, settings=settings)
    assert rated.probability == 0.0
    settings = replace(RELEVANCE, seen=(-650.0, 0.0, 0.0))
    (rated,) = judge("word", [found("word", 0.5)], reranker=None, most_read=0, settings=settings)
    assert 0.0 < rated.probability < 1e-250
