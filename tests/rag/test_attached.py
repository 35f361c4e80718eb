from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw, ImageFont
from rag_doubles import RELEVANCE, MemoryStore, ScriptedEngine, WordEmbedder, chunk, rows

from indexing.embedding.protocol import ImageEmbedding, Label, Pixels
from indexing.objects.kinds import Thing
from indexing.records import Line
from rag.answer import Answerer
from rag.attached import NAME, recognised
from rag.events import Answer
from rag.langchain import LlaveroChatModel
from rag.retrieve import Retriever
from rag.settings import PromptSettings, RagSettings


class LabellingEmbedder(WordEmbedder):
    """Sees a cake in everything red, and is not sure of the rest."""

    def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
        sure = (
            Label(text="cake", probability=0.7),
            Label(text="candle", probability=0.2),
            Label(text="hat", probability=0.02),
        )
        labels: Sequence[tuple[Label, ...]] = [sure if pixels[0, 0, 0] > 200 else () for pixels in pixels_BHWC]
        return ImageEmbedding(vectors_BD=super().embed_images(pixels_BHWC).vectors_BD, labels=tuple(labels))


def test_an_attached_picture_is_what_the_recogniser_is_sure_of() -> None:
    hit = recognised(Image.new("RGB", (20, 10), "red"), LabellingEmbedder())
    assert hit is not None and hit.chunk.text == "cake, candle" and hit.chunk.path == NAME
    assert recognised(Image.new("RGB", (20, 10), "black"), LabellingEmbedder()) is None


def test_words_in_it_are_read(tmp_path) -> None:
    page = Image.new("RGB", (900, 500), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=40)
    for place, line in enumerate(("Harbour office", "Mooring fee for March", "Total 482.50 euros", "Paid in cash")):
        draw.text((40, 40 + 100 * place), line, fill="black", font=font)
    hit = recognised(page, LabellingEmbedder())
    assert hit is not None and "482.50" in hit.chunk.text


@pytest.mark.parametrize("sees_images", [False, True])
def test_a_question_with_a_picture_is_about_that_picture_first(sees_images: bool) -> None:
    embedder = LabellingEmbedder()
    engine = ScriptedEngine("A cake [1].", sees_images=sees_images)
    stored = rows(chunk("The rent is 482 euros.", file="lease.pdf"))
    asking = Answerer(
        Retriever(MemoryStore(stored), embedder, RagSettings(relevance=RELEVANCE)),
        LlaveroChatModel(engine=engine),
        count_tokens=engine.count_tokens,
        context_tokens=2000,
        sees_images=sees_images,
        load_image=lambda of: None,
        settings=RagSettings(relevance=RELEVANCE, prompt=PromptSettings(instructions="tiny", max_passages=4)),
    )
    *_, answer = asking.ask("What do you see?", images=[Image.new("RGB", (20, 10), "red")])
    assert isinstance(answer, Answer) and answer.text.startswith("A cake")
    assert answer.hits[0].chunk.path == NAME
    (citation,) = answer.citations
    assert citation.path == NAME and citation.recognised


def test_things_in_an_attached_picture_are_counted_and_keep_their_places() -> None:
    people = tuple(Thing(kind="person", score=0.8, box=(x, 0.1, x + 0.2, 0.9)) for x in (0.1, 0.6))
    hit = recognised(Image.new("RGB", (20, 10), "red"), LabellingEmbedder(), lambda picture: people)
    assert hit is not None and hit.chunk.text == "2 people\ncake, candle"
    assert [region.box for region in hit.chunk.regions] == [thing.box for thing in people]


def test_of_many_labels_the_five_surest_are_told_and_of_a_long_page_forty_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Sure(WordEmbedder):
        def embed_images(self, pixels_BHWC: Pixels) -> ImageEmbedding:
            labels = tuple(
                Label(text=f"thing{i}", probability=p) for i, p in enumerate((0.3, 0.3, 0.2, 0.15, 0.09, 0.3))
            )
            return ImageEmbedding(vectors_BD=super().embed_images(pixels_BHWC).vectors_BD, labels=(labels,))

    read = SimpleNamespace(lines=[Line(text=f"line {number}") for number in range(50)])
    monkeypatch.setattr("indexing.readers.image.words_in", lambda picture: (picture, read))
    hit = recognised(Image.new("RGB", (20, 10), "red"), Sure())
    assert hit is not None
    told, *lines = hit.chunk.text.splitlines()
    assert told == "thing0, thing1, thing2, thing3" and lines == [f"line {number}" for number in range(40)]
