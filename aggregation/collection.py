"""Questions about the whole collection: the plan of one (`aggregation.plan`), carried out over the files.

    files that the filter and facts allow → that hold the words → that are, or show, what is meant → fields → computed

What is exact is counted exactly: files, facts, words. Whether a document is an invoice is for the model to say, and
what stands in it is read as `llavero extract` reads it, each value with its place. Pictures are those in which the
things were recognised or which search holds for likely. The result says how many files were looked at and by what; at
most `CollectionSettings.most_documents` are shown to the model for one question.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

from aggregation.plan import WHOLE_NAMES, Kind, QuestionPlan, Requirement
from aggregation.results import FoundFile, PlanResult, computed
from aggregation.settings import CollectionSettings
from claims.passages import passages
from extraction.cells import Cell
from extraction.extractor import Extractor
from extraction.fields import Field
from indexing.ledger import FileEntry
from indexing.records import Chunk
from indexing.records import Kind as ChunkKind
from indexing.store.bm25 import words as words_of
from indexing.store.protocol import Filter
from rag.errors import RagError
from rag.events import Looking
from rag.fuse import fuse
from rag.relevance import RatedHit, judge
from rag.retrieve import Retriever

_MOST_ROWS_FOUND = 10_000  # of the store, for the words of one question
_ON_PATHS = (*WHOLE_NAMES, "name")


class CannotCarryOutError(RagError):
    """The plan asks for what no file here has, such as a folder that there is not."""


class Collection:
    """Carries plans out over one library."""

    def __init__(
        self,
        retriever: Retriever,
        extractor: Extractor,
        *,
        files: Callable[[Filter], Sequence[FileEntry]],
        chunks: Callable[[str], Sequence[Chunk]],
        settings: CollectionSettings,
    ) -> None:
        """`files`: those for which a filter holds; `chunks`: what was made of a file, by its path."""
        self._retriever, self._extractor, self._settings = retriever, extractor, settings
        self._files, self._chunks = files, chunks
        self._known: dict[tuple[str, str], bool | Cell] = {}
        self._lock = threading.Lock()

    def carry_out(self, plan: QuestionPlan, filter: Filter) -> Iterator[Looking | PlanResult]:
        """Ends with the result. Raises CannotCarryOutError and what the store raises."""
        files = self._candidates(plan, filter)
        found, looked_at = self._with_words(plan, files), len(files)
        if plan.kind == "pictures":
            found = self._showing(plan.which, found)
        elif plan.which or plan.read:
            likeliest, found = self._likeliest(plan, found), []
            looked_at = len(likeliest)
            for number, each in enumerate(likeliest):
                yield Looking(done=number, of=looked_at)
                found += self._looked_into(plan, each)
        result = computed(plan, found, len(files), looked_at)
        most = self._settings.most_shown
        shown = [self._with_chunk(each, plan.kind) for each in result.found[:most]]
        there = [each for each in shown if each.chunk is not None]  # others have gone in the meantime
        yield replace(result, found=(*there, *result.found[most:]))

    # -- which files -------------------------------------------------------------------------------------------------

    def _candidates(self, plan: QuestionPlan, filter: Filter) -> list[FileEntry]:
        """One entry for each content, by path, that the filter, its kind and the facts let through."""
        entries = [entry for entry in self._files(filter) if entry.content]
        if plan.kind == "pictures":
            entries = [entry for entry in entries if entry.kind == "picture"]
        elif plan.kind == "documents":  # a scan is a picture with passages beside itself
            entries = [entry for entry in entries if entry.kind == "document" or entry.chunks > 1]
        for each in (each for each in plan.requirements if each.type is None):
            holding = [entry for entry in entries if each.holds(_told(entry, each))]
            if not holding and each.name in _ON_PATHS:
                raise CannotCarryOutError(f"no file has the {each.name} '{each.value}'")
            if not holding and not any(each.name in entry.facts for entry in entries):
                raise CannotCarryOutError(f"no file says its {each.name}")
            entries = holding
        first = {entry.content: entry for entry in sorted(entries, key=lambda entry: entry.path, reverse=True)}
        return sorted(first.values(), key=lambda entry: entry.path)

    def _with_words(self, plan: QuestionPlan, files: Sequence[FileEntry]) -> list[FoundFile]:
        """The files that hold all the words in one passage of their text, or with `without` those that do not."""
        if not plan.words:
            return [FoundFile(path=entry.path, content=entry.content) for entry in files]
        wanted, holding = set(words_of(plan.words)), dict[str, Chunk]()
        only = frozenset(entry.content for entry in files)
        rows = self._retriever.store.search_words(plan.words, limit=_MOST_ROWS_FOUND, filter=Filter(only=only))
        if len(rows) >= _MOST_ROWS_FOUND or not wanted:
            raise CannotCarryOutError("the words stand in too many passages to count their files exactly")
        for chunk, _ in rows:
            if wanted.issubset(words_of(chunk.searchable_text)):
                holding.setdefault(chunk.content_hash, chunk)
        if plan.without:
            return [
                FoundFile(path=entry.path, content=entry.content) for entry in files if entry.content not in holding
            ]
        return [
            FoundFile(path=entry.path, content=entry.content, chunk=held, quote=_holding(held, wanted), exact=True)
            for entry in files
            if (held := holding.get(entry.content)) is not None
        ]

    def _showing(self, which: str, found: Sequence[FoundFile]) -> list[FoundFile]:
        """The pictures in which this was recognised, or which search holds for likely."""
        if not which:
            return list(found)
        wanted, showing = set(words_of(which)), dict[str, Chunk]()
        for each in self._rated(which, found, kinds=("image",)):
            chunk = each.hit.chunk
            told = bool(wanted) and wanted.issubset(words_of(chunk.text))
            if told or each.probability >= self._settings.least_likely:
                showing.setdefault(chunk.content_hash, chunk)
        return [
            replace(each, chunk=seen, quote=seen.text.partition("\n")[0])
            for each in found
            if (seen := showing.get(each.content)) is not None
        ]

    def _likeliest(self, plan: QuestionPlan, found: Sequence[FoundFile]) -> list[FoundFile]:
        """Those that the model is to see: where they are too many, what search finds for the plan's words."""
        if len(found) <= self._settings.most_documents:
            return list(found)
        words = " ".join(part for part in (plan.which, *(each.name for each in plan.read)) if part)
        best: dict[str, float] = {}
        for each in self._rated(words, found, kinds=("text", "table")):
            best.setdefault(each.hit.chunk.content_hash, each.probability)
        ranked = sorted(found, key=lambda each: (-best.get(each.content, 0.0), each.path))
        return ranked[: self._settings.most_documents]

    def _rated(self, words: str, found: Sequence[FoundFile], *, kinds: tuple[ChunkKind, ...]) -> list[RatedHit]:
        """Chunks of these files, likeliest first, over every channel and without a limit but the store's."""
        only = Filter(kinds=kinds, only=frozenset(each.content for each in found))
        settings = self._retriever.settings
        rankings = self._retriever.rankings(words, limit=_MOST_ROWS_FOUND, filter=only)
        hits = fuse(rankings, constant=settings.retrieval.rank_constant)
        return judge(words, hits, reranker=None, most_read=0, settings=settings.relevance)

    def _with_chunk(self, each: FoundFile, kind: Kind) -> FoundFile:
        """With the chunk that stands for the file: its words, in reading order, or its picture."""
        liked = ("image",) if kind == "pictures" else ("text", "table")
        chunks = self._chunks(each.path) if each.chunk is None else ()
        first = min(chunks, key=lambda chunk: (chunk.kind not in liked, chunk.page or 0, chunk.ordinal), default=None)
        return replace(each, chunk=each.chunk or first)

    # -- what stands in them ------------------------------------------------------------------------------------------

    def _looked_into(self, plan: QuestionPlan, each: FoundFile) -> list[FoundFile]:
        """The file with its cells, where it is what is meant and the conditions hold."""
        chunks = self._chunks(each.path)
        if plan.which and not self._fits(each, chunks, plan.which):
            return []
        cells = self._cells(each, chunks, plan.read)
        for wanted in (one for one in plan.requirements if one.type is not None):
            cell = cells[wanted.name]
            if cell.readings or not wanted.holds([cell.value]):
                return []
        return [replace(each, cells=cells)]

    def _fits(self, each: FoundFile, chunks: Sequence[Chunk], which: str) -> bool:
        key = each.content, f"which {which}"
        known = self._known.get(key)
        if known is None:
            known = self._extractor.fits(PurePath(each.path).name, chunks, which)
            self._remember(key, known)
        return known is True

    def _cells(self, each: FoundFile, chunks: Sequence[Chunk], fields: Sequence[Field]) -> dict[str, Cell]:
        keys = {field.name: (each.content, f"field {field.name} {field.type}") for field in fields}
        known = {name: self._known.get(key) for name, key in keys.items()}
        cells = {name: cell for name, cell in known.items() if isinstance(cell, Cell)}
        missing = [field for field in fields if field.name not in cells]
        if missing:
            (row, *_) = self._extractor.rows(each.path, chunks, self._extractor.typed(missing))
            for field in missing:
                cells[field.name] = row.cells.get(field.name, Cell())
                self._remember(keys[field.name], cells[field.name])
        return cells

    def _remember(self, key: tuple[str, str], value: "bool | Cell") -> None:
        """A second question about the same files need not read them again."""
        with self._lock:
            self._known[key] = value
            while len(self._known) > self._settings.most_remembered:
                del self._known[next(iter(self._known))]


def _told(entry: FileEntry, wanted: Requirement) -> list[str]:
    path = PurePath(entry.path)
    if wanted.name == "folder":
        return [parent.name for parent in path.parents]
    if wanted.name == "extension":
        return [path.suffix.removeprefix(".").lower()]
    return [path.name] if wanted.name == "name" else list(entry.facts.get(wanted.name, ()))


def _holding(chunk: Chunk, wanted: set[str]) -> str:
    """The passage that holds most of the words."""
    quotes = [each.quote for each in passages(chunk)]
    return max(quotes, key=lambda quote: len(wanted & set(words_of(quote))), default="")
