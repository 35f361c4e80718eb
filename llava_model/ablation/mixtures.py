"""Samples sorted by response type: one training file each, the fixed small shares, and the held-out questions.

A sample says what it is by `kind` (or `type`, `category`), or by the end of its id, as `llavero model generate` does:

    {"id": "33-detail", …}   {"id": "7", "kind": "complex", …}   {"id": "9", "category": "llava_bench_conv", …}
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llava_model.ablation.plan import TYPES, VARIANTS, Files, ResponseType
from llava_model.data.sample_file import SampleFile
from llava_model.data.samples import Sample, single_questions
from llava_model.errors import TrainingDataError

_WORDS: Mapping[str, ResponseType] = {
    "conversation": "conversation",
    "conv": "conversation",
    "detail": "detail",
    "complex": "complex",
    "complex_reasoning": "complex",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutQuestion:
    """A held-out question with its reference answer. `context`: what the picture shows, in words, for a judge."""

    name: str
    type: ResponseType
    prompt: str
    images: tuple[Path, ...]
    reference: str
    context: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """Files by type. `left_out` counts samples of other kinds (`reading`, `brief`, …)."""

    files: Mapping[ResponseType, Path]
    counts: Mapping[ResponseType, int]
    fingerprints: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


def sort_samples(files: Files, folder: Path, *, images: Path) -> Sorted:
    """Write `folder/<type>.jsonl` for every type. Raises TrainingDataError (a type without samples), BadSampleError."""
    folder.mkdir(parents=True, exist_ok=True)
    opened = {
        kind: [SampleFile.open(path, image_root=images) for path in paths]
        for kind, paths in (files.items() if isinstance(files, Mapping) else [(None, files)])
    }
    counts: Counter[ResponseType] = Counter()
    left_out: Counter[str] = Counter()
    partial = {kind: folder / f".{kind}.partial" for kind in TYPES}
    out = {kind: path.open("w", encoding="utf-8") for kind, path in partial.items()}
    try:
        for kind, record in _records(opened):
            found = kind or type_of(record)
            if found is None:
                left_out[_called(record)] += 1
                continue
            counts[found] += 1
            out[found].write(json.dumps(record, ensure_ascii=False) + "\n")
    finally:
        for file in out.values():
            file.close()
    if missing := [kind for kind in TYPES if not counts[kind]]:
        named = ", ".join(str(file.path) for group in opened.values() for file in group)
        raise TrainingDataError(f"no sample of the type {' and none of '.join(missing)} in {named}")
    final = {kind: partial[kind].replace(folder / f"{kind}.jsonl") for kind in TYPES}
    prints = tuple(file.fingerprint for group in opened.values() for file in group)
    return Sorted(files=final, counts=dict(counts), fingerprints=prints, left_out=dict(left_out))


def cut_shares(train: Sorted, folder: Path, *, seed: int) -> dict[str, list[Path]]:
    """The training files of every variant; a share below 1 is a fixed draw, the same samples in every epoch."""
    mixtures: dict[str, list[Path]] = {}
    for variant in VARIANTS:
        mixtures[variant.name] = [
            train.files[kind]
            if share == 1
            else _share(train.files[kind], folder / f"{kind}-{share:g}.jsonl", share, seed)
            for kind, share in variant.shares.items()
        ]
    return mixtures


def questions_of(held_out: Sorted, *, images: Path, most: int) -> list[HeldOutQuestion]:
    """`most` questions of each type (0: all), spread evenly over the file.

    From a conversation its first question is taken, as in LLaVA-Bench; from independent turns every question.
    """
    chosen: list[HeldOutQuestion] = []
    for kind in TYPES:
        found = list(_questions(SampleFile.open(held_out.files[kind], image_root=images), kind))
        count = min(len(found), most or len(found))
        chosen += [found[number * len(found) // count] for number in range(count)]
    twice = [name for name, count in Counter(one.name for one in chosen).items() if count > 1]
    if twice:
        raise TrainingDataError(f"held-out samples of one type share an id: {', '.join(twice[:8])}")
    return chosen


def check_apart(train: Sorted, held_out: Sorted, *, images: Path) -> None:
    """Make sure that no held-out picture is trained on. Raises TrainingDataError."""
    seen = {
        image for kind in TYPES for one in SampleFile.open(train.files[kind], image_root=images) for image in one.images
    }
    both = [
        one.id
        for kind in TYPES
        for one in SampleFile.open(held_out.files[kind], image_root=images)
        if seen & set(one.images)
    ]
    if both:
        problem = TrainingDataError(
            f"{len(both)} held-out samples have a picture that is trained on: {', '.join(both[:8])}"
        )
        problem.add_note("Split by picture, so that no held-out picture stands in the training files.")
        raise problem


def type_of(record: Any) -> ResponseType | None:
    """The response type that a sample names; None for other kinds."""
    if not isinstance(record, Mapping):
        return None
    said = next((record[name] for name in ("kind", "type", "category") if isinstance(record.get(name), str)), None)
    if said is not None:
        return _WORDS.get(said.removeprefix("llava_bench_"))
    return next((kind for kind in TYPES if str(record.get("id", "")).endswith((f"-{kind}", f"_{kind}"))), None)


def _records(opened: Mapping[ResponseType | None, Sequence[SampleFile]]) -> Iterator[tuple[ResponseType | None, Any]]:
    """Every record, known to be a usable sample."""
    for kind, files in opened.items():
        for file in files:
            for position in range(len(file)):
                file[position]
                yield kind, file.record(position)


def _called(record: Mapping[str, Any]) -> str:
    said = next((record[name] for name in ("kind", "type", "category") if isinstance(record.get(name), str)), None)
    return said or str(record.get("id", "")).rpartition("-")[2] or "nameless"


def _share(file: Path, target: Path, share: float, seed: int) -> Path:
    lines = file.read_text(encoding="utf-8").splitlines()
    count = max(1, round(share * len(lines)))
    places = sorted(random.Random(f"{seed} {target.name}").sample(range(len(lines)), count))
    target.write_text("".join(f"{lines[place]}\n" for place in places), encoding="utf-8")
    return target


def _questions(file: SampleFile, kind: ResponseType) -> Iterator[HeldOutQuestion]:
    for position in range(len(file)):
        record, sample = file.record(position), file[position]
        context = next((record[name] for name in ("context", "caption") if isinstance(record.get(name), str)), "")
        alone = single_questions(sample) if sample.independent else [sample]
        for number, one in enumerate(alone, 1):
            asked, answer = _first_exchange(one)
            name = sample.id if sample.id.endswith(kind) else f"{sample.id}-{kind}"
            yield HeldOutQuestion(
                name=f"{name}-{number}" if sample.independent else name,
                type=kind,
                prompt=asked,
                images=one.images,
                reference=answer,
                context=context,
            )


def _first_exchange(sample: Sample) -> tuple[str, str]:
    spoken = [message for message in sample.messages if message.role != "system"]
    asked, answer = ("".join(p for p in m.parts if isinstance(p, str)).strip() for m in spoken[:2])
    return asked, answer
