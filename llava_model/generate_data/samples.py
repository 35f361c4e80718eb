"""Exchanges → records in LLaVA's JSON, `llavero model validate`-clean, or the reason why not.

    {"id": "33-conversation", "image": "33.jpg", "conversations": [
        {"from": "human", "value": "<image>\\nHow many dogs are there?"}, {"from": "gpt", "value": "Two."}, …]}

Of the kind "reading" a record also says which regions answer which turn (`evidence`), and which turns cannot be
answered (`unanswerable`); LLaVA's code ignores both.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llava_model.config import IMAGE_TOKEN
from llava_model.data.schema import parse_sample
from llava_model.errors import BadSampleError
from llava_model.generate_data.context import Box, Item, written_box
from llava_model.generate_data.formats import Exchange
from llava_model.generate_data.prompts import Prompts
from llava_model.generate_data.quality import Judge, Reason
from llava_model.generate_data.tasks import Outcome, Task, draw

REFUSAL = "This cannot be seen in the picture."


@dataclass(kw_only=True, slots=True)
class Drops:
    """What the filter took away: whole samples by reason, and exchanges of samples that were kept."""

    samples: dict[Reason, list[str]] = field(default_factory=dict)
    exchanges: Counter[Reason] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleMaker:
    """Makes one run's records; call it in the order of the tasks, since the first of two alike is kept."""

    prompts: Prompts
    judge: Judge
    seed: int = 0
    refusal: str = REFUSAL
    """What is taught as the answer to a question that the picture does not answer."""
    drops: Drops = field(default_factory=Drops)
    _seen: dict[tuple[str, ...], str] = field(default_factory=dict)

    def make(self, task: Task, outcome: Outcome) -> dict[str, Any] | None:
        """The record; None where nothing is left of it, which is counted in `drops`."""
        judged = self.judge.judge(task.kind, task.item, self._asked(task, outcome.exchanges))
        if not judged.kept:
            self._drop(judged.dropped[0] if judged.dropped else "empty", task)
            return None
        record = self._record(task, judged.kept)
        words = tuple(_plain(turn["value"]) for turn in record["conversations"] if turn["from"] == "gpt")
        if self._seen.setdefault(words, task.name) != task.name and task.kind in ("detail", "complex", "conversation"):
            self._drop("duplicate", task)
            return None
        try:
            parse_sample(record, root=Path("pictures"), position=0)
        except BadSampleError:
            self._drop("invalid", task)
            return None
        self.drops.exchanges.update(judged.dropped)
        return record

    def _drop(self, reason: Reason, task: Task) -> None:
        self.drops.samples.setdefault(reason, []).append(task.name)

    def _asked(self, task: Task, exchanges: Sequence[Exchange]) -> list[Exchange]:
        """Descriptions get their question from the list."""
        questions = self.prompts.questions.get(task.kind)
        if questions is None:
            return list(exchanges)
        question = questions[draw(task, self.seed, "question") % len(questions)]
        return [Exchange(question=question, answer=one.answer) for one in exchanges]

    def _record(self, task: Task, kept: Sequence[Exchange]) -> dict[str, Any]:
        turns: list[dict[str, str]] = []
        more: dict[str, list[Any]] = {"evidence": [], "unanswerable": []}
        shown = False
        for exchange in kept:
            answer = self.refusal if task.kind == "reading" and exchange.is_unanswerable else exchange.answer
            turns += [{"from": "human", "value": exchange.question}, {"from": "gpt", "value": answer}]
            if task.kind == "reading":
                evidence = _evidence(task.item, exchange, len(turns) - 1)
                more["unanswerable" if exchange.is_unanswerable else "evidence"] += [evidence]
                if not shown and evidence["boxes"]:
                    turns += self._where(task, evidence["boxes"])
                    shown = True
        before = draw(task, self.seed, "place") % 2
        first = turns[0]["value"]
        turns[0]["value"] = f"{IMAGE_TOKEN}\n{first}" if before else f"{first}\n{IMAGE_TOKEN}"
        extra: Mapping[str, Any] = more if task.kind == "reading" else {}
        return {"id": task.name, "image": task.item.image, "conversations": turns, **extra}

    def _where(self, task: Task, boxes: Sequence[Box]) -> list[dict[str, str]]:
        """The follow-up that teaches to point at the answer."""
        questions = self.prompts.questions["where"]
        question = questions[draw(task, self.seed, "where") % len(questions)]
        return [{"from": "human", "value": question}, {"from": "gpt", "value": written_box(_around(boxes))}]


def _evidence(item: Item, exchange: Exchange, turn: int) -> dict[str, Any]:
    """`turn` counts the conversation's turns from 0; it is the answer's."""
    if exchange.is_unanswerable:
        return {"turn": turn, "boxes": [], "lines": []}
    lines = [item.lines[number - 1] for number in exchange.lines]
    return {
        "turn": turn,
        "boxes": [list(line.box) for line in lines if line.box is not None],
        "lines": [line.text for line in lines],
    }


def _around(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
