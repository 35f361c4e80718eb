"""The questions that the GROUND stage is scored on, each with its evidence: made-up documents of a seed that no
training used, the sample collection through its real retrieval, scanned receipts as Llavero's own OCR reads them."""

import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from indexing.records import Chunk, Hit
from rag.retrieve import SearchRequest
from recipes.pocket.documents.questions import plan, question
from recipes.pocket.same_answer import holds
from recipes.pocket.terms import content_terms, is_date, terms
from training_data.grounded import as_hits

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "examples" / "sample"
SYNTHETIC_SEED = 9_000_001

Order = Callable[[str, Sequence[Chunk]], list[Chunk]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One question with its evidence. Nothing accepted: it must be refused."""

    id: str
    group: str
    question: str
    hits: tuple[Hit, ...]
    accepted: tuple[str, ...] = ()
    right: frozenset[str] = frozenset()  # paths of the files that answer
    earlier: str = ""
    part: str = ""  # of the group, counted by itself too: company, date, total; photo, text


def synthetic(limit: int) -> Iterator[Case]:
    """Held-out documents: questions answered and refused as the training data has them."""
    for number in range(limit):
        planned = plan(random.Random(f"{SYNTHETIC_SEED}-{number}"))
        drawn = (question(planned, random.Random(f"{SYNTHETIC_SEED}-{number}-{attempt}")) for attempt in range(1000))
        known, chunks = next(found for found in drawn if found is not None)
        hits = as_hits(chunks)
        paths = frozenset(hit.chunk.path for hit in hits if hit.chunk.id in known.evidence)
        yield Case(
            id=f"synthetic-{number:04}",
            group="synthetic" if known.evidence else "synthetic, taken away",
            question=known.question,
            earlier=known.earlier,
            hits=hits,
            accepted=known.values[:1],
            right=paths,
        )


def sample(bench: Any) -> Iterator[Case]:
    """The sample collection's questions, with and without the files that answer them."""
    for each in _json_lines(SAMPLE / "questions.jsonl"):
        found = bench.search(SearchRequest(text=each["question"], k=8)).evidence
        right = frozenset(str(SAMPLE / "collection" / source) for source in each["sources"])
        rest = tuple(hit for hit in found if hit.chunk.path not in right)
        asked = Case(
            id=each["id"],
            group="sample",
            part="photo" if each["kind"] == "photo" else "text",
            question=each["question"],
            hits=tuple(found),
            accepted=(each["answer"], *each["accept"]),
            right=right,
        )
        yield asked
        gone = f"{each['id']}-gone"
        yield replace(asked, id=gone, group="sample, taken away", hits=rest, accepted=(), right=frozenset())
    for each in _json_lines(SAMPLE / "unanswerable.jsonl"):
        found = bench.search(SearchRequest(text=each["question"], k=8)).evidence
        yield Case(id=each["id"], group="sample, unanswerable", question=each["question"], hits=tuple(found))


_RECEIPT_QUESTIONS = {
    "company": (
        "Which company issued the receipt of {date} over {total}?",
        "Who issued the receipt dated {date} with the total {total}?",
        "From which company is the receipt of {date} over {total}?",
    ),
    "date": (
        "What is the date of the receipt from {company} over {total}?",
        "When was the receipt from {company} over {total} issued?",
        "What is the date on the {company} receipt over {total}?",
    ),
    "total": (
        "What is the total on the receipt from {company} of {date}?",
        "How much was paid in total on the {company} receipt of {date}?",
        "What is the total amount of the receipt from {company} dated {date}?",
    ),
}


def receipts(
    texts: Mapping[str, Sequence[Chunk]], labels: Mapping[str, Mapping[str, str]], *, order: Order
) -> Iterator[Case]:
    """`texts`: the text chunks of each receipt by its name; `labels`: what people read on it. The right receipt and
    the two others stand in the order that `order` gives them."""
    names = sorted(texts)
    for number, name in enumerate(names):
        draw = random.Random(f"receipts-{name}")
        label = labels[name]
        foreign = [other for other in names if labels[other]["company"] != label["company"]]
        others = [chunk for other in draw.sample(foreign, 2) for chunk in texts[other]]
        for field, questions in _RECEIPT_QUESTIONS.items():
            question = questions[number % len(questions)].format_map(label)
            ranked = order(question, [*others, *texts[name]])
            for group, found in (
                ("receipts", ranked),
                ("receipts, gone", [chunk for chunk in ranked if chunk in others]),
                (
                    "receipts, cut",
                    [chunk if chunk in others else without_answer(chunk, label[field]) for chunk in ranked],
                ),
            ):
                yield Case(
                    id=f"{name}-{field}{group.removeprefix('receipts').replace(', ', '-')}",
                    group=group,
                    part=field,
                    question=question,
                    hits=as_hits(found),
                    accepted=(label[field],) if group == "receipts" else (),
                    right=frozenset(chunk.path for chunk in texts[name]) if group == "receipts" else frozenset(),
                )


def without_answer(chunk: Chunk, value: str) -> Chunk:
    """The chunk without its lines that say the value: written the same, the same date or number in another writing,
    or, for words, most of them (OCR misreads some)."""
    wanted, named = set(terms(value)), set(content_terms(value))
    wordy = sum(map(str.isalpha, value)) > 4 and not any(is_date(term) for term in wanted)

    def says(row: str) -> bool:
        held = set(terms(row))
        most = wordy and 10 * len(named & held) >= 6 * len(named)
        return holds(row, value) or wanted <= held or bool(named and most)

    return replace(
        chunk,
        text="\n".join(row for row in chunk.text.split("\n") if not says(row)),
        lines=tuple(line for line in chunk.lines if not says(line.text)),
    )


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines() if row.strip()]


def opened(folder: Path, sources: Sequence[Path]) -> Any:
    """The workbench of a library that holds `sources`; it is indexed now if it is not there yet."""
    from ui.settings import Settings
    from ui.workbench import Workbench

    bench = Workbench.open(Settings.load(folder), create=True)
    if not bench.files():
        sys.stderr.write(f"Indexing {len(sources)} files and folders into {folder} …\n")
        bench.index(sources)
    return bench


def by_search(bench: Any) -> Order:
    """Chunks in the order in which the library's own search ranks them; what it does not find comes last."""

    def order(question: str, chunks: Sequence[Chunk]) -> list[Chunk]:
        hits = bench.search(SearchRequest(text=question, k=100)).hits
        places = {hit.chunk.id: place for place, hit in enumerate(hits)}
        return sorted(chunks, key=lambda chunk: places.get(chunk.id, len(places)))

    return order


def receipt_texts(bench: Any, folder: Path) -> tuple[dict[str, list[Chunk]], dict[str, dict[str, str]]]:
    """The text chunks of each receipt that OCR found words in, and everybody's labels."""
    texts: dict[str, list[Chunk]] = {}
    labels: dict[str, dict[str, str]] = {}
    for entry in bench.files():
        path = Path(entry.path)
        found = [chunk for chunk in bench.chunks(entry.path) if chunk.kind == "text"]
        label = json.loads((folder / f"{path.stem}.json").read_text(encoding="utf-8")) if found else {}
        if all(label.get(field) for field in _RECEIPT_QUESTIONS):
            texts[path.stem], labels[path.stem] = found, label
    return texts, labels
