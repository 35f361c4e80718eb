"""A store whose filters know every place of a file.

The store holds one row for a chunk, and the row names one path, although the same bytes may lie at several. The ledger
knows them all. So a filter on folder, name, path or extension is answered by both:

    the store's rows whose path matches, or whose content has another path that does   (contents are asked for by hash)
    → hits that show the path that matched

Nothing is stored for it: after a file was moved, removed or a run was killed, the ledger is right, and so is the
filter. A search without such a filter goes to the store as it is.

Facts (`indexing.facts`) are answered by the ledger alone. It says which contents have a path for which they and the
conditions on paths hold; the store searches among those.

Names that only differ in how accents are written (NFC and NFD, as Macs do) are the same.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from indexing.addresses import folders_of, is_address
from indexing.confidence import CONFIDENCE, mean_confidence, written
from indexing.discover import absolute
from indexing.errors import UnknownFieldError
from indexing.facts import FactCondition, Facts, all_hold
from indexing.ledger import FileEntry, Ledger
from indexing.records import Channel, Chunk
from indexing.store import Store
from indexing.store.protocol import (
    EVERYTHING,
    FIELDS,
    ON_PATHS,
    Filter,
    FilterValueError,
    Found,
    Row,
    StoreCounts,
    Vector,
)

_MOST_HASHES = 2_000
"""Contents that one search asks for; copies of a whole library take several searches."""
_MOST_NAMED = 50
_CANDIDATES, _MOST_CANDIDATES = 8, 1_000
"""So many times as many passages are looked at where a condition is on their confidence, and so many at most."""


class PlacedStore:
    """A `Store` in front of another one."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store, self._ledger = store, ledger
        self._last: tuple[Sequence[FileEntry], Filter, Search] | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Those of the store."""
        return self._store.channels

    def search_vector(self, channel: Channel, vector: Vector, *, limit: int, filter: Filter = EVERYTHING) -> Found:
        """As in the store, with every path of a file."""
        search, most = self._resolved(filter), _candidates(filter, limit)
        found = [self._store.search_vector(channel, vector, limit=most, filter=each) for each in search.filters]
        return _sure(search.joined(found, most), filter)[:limit]

    def search_words(self, query: str, *, limit: int, filter: Filter = EVERYTHING) -> Found:
        """As in the store, with every path of a file."""
        search, most = self._resolved(filter), _candidates(filter, limit)
        found = [self._store.search_words(query, limit=most, filter=each) for each in search.filters]
        return _sure(search.joined(found, most), filter)[:limit]

    def _resolved(self, chosen: Filter) -> "Search":
        """A question makes several searches; all files are looked through once for it."""
        if not chosen.facts:
            return resolved(chosen, self._ledger)
        entries = self._ledger.entries()  # the same tuple as long as nothing has changed
        last = self._last
        if last is None or last[0] is not entries or last[1] != chosen:
            self._last = last = entries, chosen, resolved(chosen, self._ledger)
        return last[2]

    def near(self, content_hash: str) -> dict[str, str]:
        """The contents that are nearly the same picture → the path of each."""
        found = {other: self._ledger.paths_of(other) for other in self._ledger.near().get(content_hash, ())}
        return {other: paths[0] for other, paths in found.items() if paths}

    def upsert(self, rows: Sequence[Row]) -> int:
        """As in the store."""
        return self._store.upsert(rows)

    def delete(self, ids: Sequence[str]) -> None:
        """As in the store."""
        self._store.delete(ids)

    def move(self, ids: Sequence[str], path: str) -> None:
        """As in the store."""
        self._store.move(ids, path)

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        """As in the store."""
        return self._store.get(ids)

    def ids(self) -> Iterator[tuple[str, str]]:
        """As in the store."""
        return self._store.ids()

    def count(self) -> int:
        """As in the store."""
        return self._store.count()

    def counts(self) -> StoreCounts:
        """As in the store."""
        return self._store.counts()

    def ready(self) -> None:
        """As in the store."""
        self._store.ready()

    def close(self) -> None:
        """As in the store."""
        self._store.close()


def _candidates(chosen: Filter, limit: int) -> int:
    """How many rows to ask for: of a file whose pages OCR read more and less surely, some will not do."""
    asks = any(each.key == CONFIDENCE for each in chosen.facts)
    return max(limit, min(_MOST_CANDIDATES, _CANDIDATES * limit)) if asks else limit


def _sure(found: Found, chosen: Filter) -> Found:
    """The passages that OCR read as surely as was asked. The ledger has found their files, by their pages."""
    holds = all_hold([each for each in chosen.facts if each.key == CONFIDENCE])
    return [(chunk, score) for chunk, score in found if holds(_confidence_of(chunk))]


def _confidence_of(chunk: Chunk) -> Facts:
    confidence = mean_confidence(chunk.lines)
    return {} if confidence is None else {CONFIDENCE: (written(confidence),)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What to ask the store for one filter of a person, and which path the hits of copies show."""

    filters: tuple[Filter, ...]
    places: Mapping[str, str]

    def joined(self, found: Sequence[Found], limit: int) -> Found:
        """The best of all answers."""
        hits = [hit for each in found for hit in each]
        if len(found) > 1:
            hits = sorted(hits, key=lambda hit: hit[1], reverse=True)[:limit]
        if not self.places:
            return hits
        return [(replace(chunk, path=self.places.get(chunk.content_hash, chunk.path)), score) for chunk, score in hits]


def resolved(chosen: Filter, ledger: Ledger) -> Search:
    """The filter in the spellings that the library has, and with the copies that match it."""
    if chosen.facts:
        return _by_facts(chosen, ledger)
    conditions = _Conditions.of(chosen)
    if conditions is None:
        return Search(filters=(_spelled(chosen, ledger),), places={})
    places: dict[str, str] = {}
    for content_hash, (shown, *others) in ledger.copies().items():
        if not conditions.match(shown):
            place = next(filter(conditions.match, others), None)
            places |= {} if place is None else {content_hash: place}
    hashes = list(places)
    first = replace(_spelled(chosen, ledger), contents=tuple(hashes[:_MOST_HASHES]))
    others_only = _without_paths(chosen)
    rest = [
        replace(others_only, contents=tuple(hashes[start : start + _MOST_HASHES]))
        for start in range(_MOST_HASHES, len(hashes), _MOST_HASHES)
    ]
    return Search(filters=(first, *rest), places=places)


def _without_paths(chosen: Filter) -> Filter:
    return replace(chosen, where=tuple(pair for pair in chosen.where if pair[0] not in ON_PATHS))


def _by_facts(chosen: Filter, ledger: Ledger) -> Search:
    paths: dict[str, list[str]] = {}
    for entry in files_where(_only_files(chosen), ledger):
        if entry.content:
            paths.setdefault(entry.content, []).append(entry.path)
    if not paths:
        return Search(filters=(), places={})
    copies = ledger.copies()
    places = {
        content: found[0] for content, found in paths.items() if content in copies and copies[content][0] not in found
    }
    rest = _spelled(replace(_without_paths(chosen), facts=(), only=frozenset(paths)), ledger)
    return Search(filters=(rest,), places=places)


def _only_files(chosen: Filter) -> Filter:
    return Filter(where=tuple(pair for pair in chosen.where if pair[0] in ON_PATHS), facts=chosen.facts)


def files_where(chosen: Filter, ledger: Ledger) -> list[FileEntry]:
    """The files for which the conditions on paths and facts hold, in order of path.

    Raises UnknownFieldError for a key that no file has, FilterValueError for a condition on parts of files.
    """
    for field, value in chosen.where:
        if field not in ON_PATHS:
            raise FilterValueError(field, value, "it narrows passages, not files")
    check_keys(chosen.facts, ledger)
    conditions, hold = _Conditions.of(chosen), all_hold(chosen.facts)
    return [
        entry
        for entry in ledger.entries()
        if hold(entry.facts) and (conditions is None or conditions.match(entry.path))
    ]


def check_keys(facts: Sequence[FactCondition], ledger: Ledger) -> None:
    """Raises UnknownFieldError, with the keys that there are, for a condition on one that no file has."""
    if not facts:
        return
    known = ledger.fact_keys()
    for condition in facts:
        if not known.issuperset(condition.keys):
            named = sorted(known)[:_MOST_NAMED]
            more = (f"and {len(known) - len(named)} more",) if len(known) > len(named) else ()
            raise UnknownFieldError(condition.key, (*FIELDS, *named, *more))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Conditions:
    """The filter's conditions on paths, in one normal form; values of one field are alternatives."""

    values: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, chosen: Filter) -> "_Conditions | None":
        """None for a filter without any."""
        values: dict[str, set[str]] = {}
        for field, value in chosen.where:
            if field in ON_PATHS:
                values.setdefault(field, set()).add(_normal(_as_column(field, value)))
        return cls(values={field: frozenset(each) for field, each in values.items()}) if values else None

    def match(self, path: str) -> bool:
        """Whether a file at the path may be found."""
        path = _normal(path)
        return all(not wanted.isdisjoint(_column(field, path)) for field, wanted in self.values.items())


def _column(field: str, path: str) -> set[str]:
    pure = PurePath(path)
    match field:
        case "folder":
            return set(folders_of(path) if is_address(path) else map(str, pure.parents))
        case "extension":
            return {pure.suffix.removeprefix(".").lower()}
        case _:
            return {pure.name if field == "name" else path}


def _as_column(field: str, value: str) -> str:
    if field in ("path", "folder"):
        return absolute(value)
    return value.removeprefix(".").lower() if field == "extension" else value


def _spelled(chosen: Filter, ledger: Ledger) -> Filter:
    """The same with each value as it is written in the library."""
    if all(value.isascii() for _, value in chosen.where):
        return chosen
    where = [(field, each) for field, value in chosen.where for each in _spellings(field, value, ledger)]
    return replace(chosen, where=tuple(dict.fromkeys(where)))


def _spellings(field: str, value: str, ledger: Ledger) -> list[str]:
    if value.isascii() or field in ("page", "kind"):
        return [value]
    if field in ("path", "folder"):
        return spellings(absolute(value), ledger) or [value]
    return [value, *(unicodedata.normalize(form, value) for form in ("NFC", "NFD"))]


def spellings(path: str, ledger: Ledger) -> list[str]:
    """How a file or folder is written in the ledger: accents can be written in two ways."""
    wanted, parts = _normal(path), path.count("/") + 1
    found: dict[str, None] = {}
    for entry in ledger.entries():
        if not entry.path.isascii():
            spelled = "/".join(entry.path.split("/", parts)[:parts])
            found |= {spelled: None} if _normal(spelled) == wanted else {}
    return list(found)


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
