"""The kit `small`: GROUND samples of prose, invented documents, fields and judgements → train and validation.

    python -m recipes.small.make_reading --questions questions.jsonl --passages passages.jsonl --model FOLDER --out DATA

`reading_samples` makes prompts of questions about passages (`write_questions`) and about invented documents
(`reading_tasks`), `reading_fields` those that read fields. A document is in one part with all its questions, and no
passage of it stands in a prompt of the other part; what comes of one invented document is in one part too.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from llava_model.data.samples import Sample, to_record
from llava_model.text.templates import Message
from rag.prompt import REFUSAL, CountTokens
from recipes.small.reading_fields import Dialogue, extraction
from recipes.small.reading_neighbours import Neighbours
from recipes.small.reading_samples import judged_case, judged_prose, of_case, of_prose
from recipes.small.reading_tasks import Case, cases

_VALIDATION = 0.03
_BATCH = 250
_BESIDE = 3  # questions written one after the other are about one passage, or one document

Passage = Mapping[str, str]
Record = dict[str, Any]


def is_held_out(document: str) -> bool:
    """Whether a document, or an invented one by its number, is for validation: the same in every run."""
    return int(sha256(document.encode()).hexdigest()[:8], 16) < _VALIDATION * 16**8


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What one file of samples is made of, everything with its number among all."""

    name: str
    passages: Sequence[Passage]
    asked: Sequence[tuple[int, Passage]]
    invented: Sequence[tuple[int, Case]]
    fields: Sequence[tuple[int, Dialogue]]


def parted(
    passages: Sequence[Passage], asked: Sequence[Passage], invented: Sequence[Case], fields: Sequence[Dialogue]
) -> tuple[Part, Part]:
    """→ train and validation: passages and their questions by document, the others by number."""

    def part(name: str, held_out: bool) -> Part:
        return Part(
            name=name,
            passages=[each for each in passages if is_held_out(each["document"]) == held_out],
            asked=[(at, each) for at, each in enumerate(asked) if is_held_out(each["document"]) == held_out],
            invented=[(at, each) for at, each in enumerate(invented) if is_held_out(f"case {at}") == held_out],
            fields=[(at, each) for at, each in enumerate(fields) if is_held_out(f"fields {at}") == held_out],
        )

    return part("train", False), part("validation", True)


def judgements(part: Part) -> Iterator[Sample]:
    """For every question that lends itself to it: whether one sentence answers it."""
    questions = [each for _, each in part.asked]
    for place, (number, each) in enumerate(part.asked):
        yield from judged_prose(number, each, questions[max(0, place - _BESIDE) : place + _BESIDE + 1])
    for number, case in part.invented:
        yield from judged_case(number, case)


def records(part: Part, model: Path, *, judged: int, seed: int, processes: int) -> list[Record]:
    """All samples of a part in a drawn order; of the judgements `judged`."""
    jobs = [part.asked[at : at + _BATCH] for at in range(0, len(part.asked), _BATCH)]
    sheets = [part.invented[at : at + _BATCH] for at in range(0, len(part.invented), _BATCH)]
    made: list[Record] = []
    with ProcessPoolExecutor(processes, initializer=_begin, initargs=(part.passages, str(model))) as pool:
        for some in (*pool.map(_of_prose, jobs), *pool.map(_of_cases, sheets)):
            made += some
    drawn = list(judgements(part))
    random.Random(seed).shuffle(drawn)
    made += [to_record(sample, root=Path()) for sample in drawn[:judged]]
    for number, dialogue in part.fields:
        messages = tuple(Message.of(role, text) for role, text in dialogue.turns)
        made.append(to_record(Sample(id=f"fields-{number:05}", messages=messages), root=Path()))
    random.Random(seed).shuffle(made)
    return made


# -- in a process of its own -----------------------------------------------------------------------------------------

_neighbours: Neighbours
_model: str


def _begin(passages: Sequence[Passage], model: str) -> None:
    global _neighbours, _model
    _neighbours, _model = Neighbours(passages), model


def _of_prose(asked: Sequence[tuple[int, Passage]]) -> list[Record]:
    count = token_counter(_model)
    made = [sample for number, each in asked for sample in of_prose(number, each, _neighbours, count)]
    return [to_record(sample, root=Path()) for sample in made]


def _of_cases(invented: Sequence[tuple[int, Case]]) -> list[Record]:
    made = [sample for number, case in invented for sample in of_case(number, case, token_counter(_model))]
    return [to_record(sample, root=Path()) for sample in made]


@cache
def token_counter(model: str) -> CountTokens:
    """How many tokens a dialogue takes in the prompts of a language model."""
    from llava_model.text.tokenize import PromptEncoder, load_tokenizer

    encoder = PromptEncoder(load_tokenizer(Path(model)))
    return lambda turns: len(encoder.encode([Message.of(turn.role, turn.text) for turn in turns], open_reply=False).ids)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, help="what write_questions wrote; none: invented documents alone")
    parser.add_argument("--passages", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model, for its tokenizer")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=6000)
    parser.add_argument("--fields", type=int, default=2600)
    parser.add_argument("--judged", type=int, default=3500, help="most judgements of one part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    passages, asked = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path else []
        for path in (arguments.passages, arguments.questions)
    )
    invented = list(cases(arguments.seed, arguments.cases))
    fields = list(extraction(arguments.seed, arguments.fields))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for part in parted(passages, asked, invented, fields):
        made = records(
            part, arguments.model, judged=arguments.judged, seed=arguments.seed, processes=arguments.processes
        )
        with (arguments.out / f"{part.name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in made)
        kinds = Counter(str(record["id"]).split("-")[0] for record in made)
        refused = sum(record["messages"][-1]["content"] == REFUSAL for record in made)
        sys.stdout.write(f"{part.name}: {len(made)} samples, {dict(kinds)}; {refused} refused\n")


if __name__ == "__main__":
    main()
