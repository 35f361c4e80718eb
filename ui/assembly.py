"""The parts of a workbench that answer: retrieval, model and checks put together from its settings."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol

from indexing.records import Chunk
from indexing.store.protocol import Filter
from llava_model.kits import shipped_weights
from rag.retrieve import SearchRequest

if TYPE_CHECKING:
    from PIL import Image

    from aggregation.overview import Overview
    from extraction.extractor import Extractor
    from indexing.objects.kinds import Thing
    from indexing.pipeline import FileEntry
    from llava_model.kits import Kit
    from llava_model.serving.engine import Engine
    from rag.answer import Answerer
    from rag.prompt import Write
    from rag.retrieve import Retrieval, Retriever
    from rag.settings import RagSettings
    from ui.settings import Settings

_MOST_CHUNKS = 30  # of one long document, in which a field is looked for


class Parts(Protocol):
    """What a workbench has that answers are made of; the models are loaded when they are asked for."""

    kit: "Kit"
    settings: "Settings"

    @property
    def rag(self) -> "RagSettings":
        """How questions are answered."""
        ...

    @property
    def retriever(self) -> "Retriever":
        """Search over the store."""
        ...

    @property
    def engine(self) -> "Engine":
        """The kit's language model."""
        ...

    @property
    def answerer(self) -> "Answerer":
        """What `build_answerer` made."""
        ...

    @property
    def extractor(self) -> "Extractor":
        """What `build_extractor` made."""
        ...

    def search(self, request: SearchRequest) -> "Retrieval":
        """By words, by picture, or both."""
        ...

    def files(self) -> "Iterable[FileEntry]":
        """Every file."""
        ...

    def files_where(self, chosen: Filter) -> "Sequence[FileEntry]":
        """The files for which the conditions on paths and facts hold."""
        ...

    def chunks(self, path: str) -> Sequence[Chunk]:
        """Everything that was made of one file."""
        ...

    def picture(self, chunk: Chunk) -> "Image.Image | None":
        """The chunk's stored picture."""
        ...

    def things(self, picture: "Image.Image") -> "tuple[Thing, ...]":
        """What is seen in a picture that comes with a question."""
        ...


def build_answerer(bench: Parts) -> "Answerer":
    """Retrieval with the kit's model behind it, or with the server that the settings name."""
    from rag.answer import Answerer

    rag, kit = bench.rag, bench.kit
    if rag.generator is not None:
        from rag.generate import chat_model, token_counter
        from rag.langchain import write_with
        from rag.steps import Files, StepwiseAnswerer

        def paths() -> list[str]:
            return [entry.path for entry in bench.files() if entry.chunks]

        def extract(path: str, names: Sequence[str]) -> dict[str, str]:
            from extraction.fields import parse_fields

            extractor = bench.extractor
            (row, *_) = extractor.rows(path, bench.chunks(path), extractor.typed(parse_fields(", ".join(names))))
            return {name: f"{cell.written or 'absent'} ({cell.state})" for name, cell in row.cells.items()}

        writer = chat_model(rag.generator, max_new_tokens=rag.answer.max_new_tokens)
        return StepwiseAnswerer(
            bench.retriever,
            writer,
            overview=build_overview(bench, write_with(writer)),
            count_tokens=token_counter(rag.generator),
            context_tokens=rag.generator.context_tokens,
            sees_images=rag.generator.sees_images,
            model=rag.generator.model,
            load_image=bench.picture,
            things=bench.things,
            settings=rag,
            files=Files(paths=paths, extract=extract),
        )
    from rag.langchain import LlaveroChatModel, write_with

    engine, verifier = bench.engine, shipped_weights(kit.name).verifier
    if verifier is not None:
        from claims.verifier import load_verifier
    chat = LlaveroChatModel(engine=engine)
    return Answerer(
        bench.retriever,
        chat,
        count_tokens=engine.count_tokens,
        context_tokens=engine.context_tokens,
        sees_images=engine.sees_images,
        model=engine.name,
        load_image=bench.picture,
        things=bench.things,
        settings=rag,
        overview=build_overview(bench, write_with(chat)),
        next_words=engine.next_words if rag.answer.asks_model else None,
        chances=engine.chances if rag.answer.asks_model else None,
        verifier=load_verifier(kit.path("text"), verifier) if verifier is not None else None,
    )


def build_overview(bench: Parts, write: "Write") -> "Overview | None":
    """What answers questions about all files; None for kits without the weights that recognise these. `write` is how
    the model is asked."""
    weights = shipped_weights(bench.kit.name).whole_collection
    if weights is None:
        return None
    from aggregation.collection import Collection
    from aggregation.overview import Overview
    from aggregation.plan import plan_of
    from aggregation.scope import QuestionScope

    scope = QuestionScope(weights)
    settings = bench.settings.collection

    def likelihood(question: str) -> float:
        (vector_D,) = bench.retriever.embedder.embed_questions([question])
        return scope.probability(vector_D)

    @cache
    def collection() -> Collection:  # its extractor needs the answerer, which is being made
        return Collection(
            bench.retriever, bench.extractor, files=bench.files_where, chunks=bench.chunks, settings=settings
        )

    return Overview(
        collection,
        likelihood=likelihood,
        plan=lambda question: plan_of(question, write),
        most_shown=settings.most_shown,
    )


def build_extractor(bench: Parts) -> "Extractor":
    """The same model as a reader of fields."""
    from extraction.extractor import Extractor, FieldReader
    from extraction.settings import ExtractSettings
    from rag.langchain import LlaveroChatModel, write_with

    answerer, generator = bench.answerer, bench.rag.generator
    engine = answerer.chat.engine if isinstance(answerer.chat, LlaveroChatModel) else None
    if engine is None and generator is not None:
        from rag.generate import token_counter

        count, context = token_counter(generator), generator.context_tokens
    else:
        assert engine is not None  # the answerer has one or the other
        count, context = engine.count_tokens, engine.context_tokens
    reader = FieldReader(
        write=write_with(answerer.chat),
        count_tokens=count,
        context_tokens=context,
        next_words=engine.next_words if engine else None,
        capable=engine is None,
    )
    settings = ExtractSettings() if engine else ExtractSettings(document_tokens=context)

    def find(words: str, path: str) -> list[Chunk]:
        request = SearchRequest(text=words, k=_MOST_CHUNKS, filter=Filter(where=(("path", path),)))
        return [hit.chunk for hit in bench.search(request).hits]

    return Extractor(reader, find, settings)
