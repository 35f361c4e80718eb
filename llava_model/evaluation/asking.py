"""A benchmark's questions → a model's answers, each written once.

{"question_id": "coco_pope_random:1", "prompt": "Is there …", "text": "No", "answer_id": "…", "model_id": "…"}
"""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from llava_model.errors import AnswersMismatchError, LlavaError, UnscorableError
from llava_model.evaluation.ledger import AnswerLog
from llava_model.evaluation.score import Score, id_problem

if TYPE_CHECKING:
    from llava_model.serving.engine import Turn

_Thing = TypeVar("_Thing")
Said = tuple[Literal["system", "user", "assistant"], str]
"""The role and the words of one turn."""
ONE_WORD = "\nAnswer the question using a single word or phrase."
"""LLaVA-1.5's response format for short answers (its `docs/Evaluation.md`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One question as the model gets it; its pictures stand before the words."""

    name: str
    prompt: str
    images: tuple[Path, ...]
    max_new_tokens: int
    before: tuple[Said, ...] = ()
    """Turns before the question; pictures then stand in the first turn of the user's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A benchmark ready to be asked. `score` gets the answers by question id, missing ones left out."""

    benchmark: str
    asks: Sequence[Ask]
    score: Callable[[Mapping[str, str]], Score]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweringProgress:
    """How far a run is; `answered` counts those of earlier runs too."""

    answered: int
    asks: int
    new: int


class AnsweringModel(Protocol):
    """What a model needs to be asked; the serving engine has it."""

    name: str

    def stream(
        self, turns: "Sequence[Turn]", *, max_new_tokens: int = ..., temperature: float = ...
    ) -> Generator[str, None, None]:
        """The reply, piece by piece."""
        ...


def answer_all(
    task: Task,
    model: AnsweringModel,
    out: Path,
    *,
    settings: Mapping[str, Any],
    on_progress: Callable[[AnsweringProgress], None] = lambda progress: None,
) -> Score:
    """Ask what has no answer in `out` yet, greedily, and score. What the model cannot answer is named in the score."""
    failures: dict[str, str] = {}
    asked = {ask.name: ask for ask in task.asks}
    with AnswerLog(out, {"benchmark": task.benchmark, **settings}) as ledger:
        _check_prompts(ledger, asked)
        todo = [ask for ask in task.asks if ask.name not in ledger.records]
        for number, ask in enumerate(todo):
            on_progress(
                AnsweringProgress(answered=len(task.asks) - len(todo) + number, asks=len(task.asks), new=number)
            )
            try:
                text = answer(model, ask)
            except LlavaError as error:  # a broken picture or a prompt that is too long costs one answer, not the run
                failures[ask.name] = str(error)
                continue
            ledger.append(_record(ask, text, model.name))
        answers = {name: str(one.get("text", "")) for name, one in ledger.records.items() if name in asked}
    on_progress(AnsweringProgress(answered=len(answers), asks=len(task.asks), new=len(todo) - len(failures)))
    result = task.score(answers)
    problems = [
        problem
        for name, reason in failures.items()
        for problem in id_problem("unreadable", [name], f"no answer: {reason}")
    ]
    return Score(
        benchmark=result.benchmark,
        values=result.values,
        headline=result.headline,
        n=result.n,
        interval=result.interval,
        notes=result.notes,
        problems=[*problems, *result.problems],
    )


def answer(model: AnsweringModel, ask: Ask) -> str:
    """One greedy reply."""
    from llava_model.images import open_picture
    from llava_model.serving.engine import Turn

    images = tuple(open_picture(path) for path in ask.images)
    said: tuple[Said, ...] = (*ask.before, ("user", ask.prompt))
    first = next(place for place, (role, _) in enumerate(said) if role == "user")
    turns = [
        Turn(role=role, text=text, images=images if place == first else ()) for place, (role, text) in enumerate(said)
    ]
    with closing(model.stream(turns, max_new_tokens=ask.max_new_tokens, temperature=0.0)) as stream:
        return "".join(stream).strip()


def picture_in(folder: Path, name: str) -> Path:
    """A picture that a data file names; never one outside the folder. Raises UnscorableError."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UnscorableError(folder, f"belongs to a file that names the picture '{name}', outside the folder")
    return folder / path


def evenly(things: Sequence[_Thing], limit: int | None) -> list[_Thing]:
    """`limit` of them, spread over the whole, the same ones every time."""
    if limit is None or limit >= len(things):
        return list(things)
    return [things[number * len(things) // limit] for number in range(limit)]


def _check_prompts(ledger: AnswerLog, asked: Mapping[str, Ask]) -> None:
    """Answers to other prompts under the same ids would be scored as answers to these."""
    for name, record in ledger.records.items():
        if name in asked and record.get("prompt") != asked[name].prompt:
            prompts = {"found": repr(record.get("prompt")), "wanted": repr(asked[name].prompt)}
            raise AnswersMismatchError(ledger.path, f"as the prompt of '{name}'", **prompts)


def _record(ask: Ask, text: str, model: str) -> dict[str, Any]:
    digest = hashlib.sha256(f"{ask.name}\0{model}\0{text}".encode()).hexdigest()[:22]
    return {
        "question_id": ask.name,
        "prompt": ask.prompt,
        "text": text,
        "answer_id": digest,
        "model_id": model,
        "metadata": {},
    }
