"""A benchmark's questions → a model's answers, each written once.

{"question_id": "coco_pope_random:1", "prompt": "Is there …", "text": "No", "answer_id": "…", "model_id": "…"}

answer_all   asks what has no answer yet, and scores
forced       how likely a model finds the reference answers: nothing is generated
Weights      which weights are asked: a kit's, with trained parts in place of its own
"""

import hashlib
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from llava_model.benchmarks.figures import Score, id_problem, wilson
from llava_model.benchmarks.records import AnswerLog
from llava_model.errors import AnswersMismatchError, LlavaError, MissingFileError, UnscorableError

if TYPE_CHECKING:
    import torch

    from llava_model.data.batches import Batch
    from llava_model.data.samples import Sample, SampleEncoder
    from llava_model.model.composition import LlavaModel
    from llava_model.serving.engine import Engine, Turn


_Thing = TypeVar("_Thing")
Said = tuple[Literal["system", "user", "assistant"], str]
"""The role and the words of one turn."""
ONE_WORD = "\nAnswer the question using a single word or phrase."
"""LLaVA-1.5's response format for short answers (its `docs/Evaluation.md`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One question as the model gets it; its pictures come before the words."""

    name: str
    prompt: str
    images: tuple[Path, ...]
    max_new_tokens: int
    before: tuple[Said, ...] = ()
    """Turns before the question; pictures then belong to the user's first turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A benchmark ready to be asked. `score` gets the answers by question id, missing ones left out."""

    benchmark: str
    asks: Sequence[Ask]
    score: Callable[[Mapping[str, str]], Score]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweringProgress:
    """How far a run is. `answered` also counts the answers of earlier runs."""

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
    """`limit` things, spread evenly over all of them; the same ones every time."""
    if limit is None or limit >= len(things):
        return list(things)
    return [things[number * len(things) // limit] for number in range(limit)]


def _check_prompts(ledger: AnswerLog, asked: Mapping[str, Ask]) -> None:
    """Refuse answers to other prompts under the same ids: they would be scored as answers to these."""
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


_PASS_TOKENS = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Forced:
    """How likely a model finds `n` reference answers, in one pass over questions and answers.

    perplexity   exp of the mean cross-entropy of the answers' tokens. It depends on the tokenizer: compare models of
                 one language model only
    exact        per cent of answers that the model would write to the letter, greedily, with its 95 % interval. Given
                 an answer's beginning, the likeliest next token is the reference's at every place: the same verdict as
                 writing it out, ten times as fast. It says something for short answers only
    """

    perplexity: float
    exact: float
    n: int
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "interval": list(self.interval)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Forced":
        """The inverse of `to_json`."""
        low, high = values["interval"]
        return cls(**{**values, "interval": (low, high)})


def forced(
    model: "LlavaModel",
    encoder: "SampleEncoder",
    samples: "Sequence[Sample]",
    *,
    features: "Callable[[Sequence[Path]], torch.Tensor]",
    pad_id: int,
) -> Forced:
    """Measure all samples; independent turns count as single questions. `features` gives features_NPV of pictures."""
    import torch

    from llava_model.data.batches import collate, plan
    from llava_model.data.samples import single_questions

    alone = [one for sample in samples for one in (single_questions(sample) if sample.independent else [sample])]
    examples = [encoder.encode(one) for one in alone]
    (passes,) = plan([len(one.ids) for one in examples], layout="padded", max_tokens=_PASS_TOKENS, processes=1)
    device = next(model.language.parameters()).device
    summed, targets, right = 0.0, 0, 0
    with torch.no_grad():
        for group in passes:
            batch = collate([examples[each] for each in group], layout="padded", pad_id=pad_id).to(device)
            loss, correct = _one_pass(model, batch, features)
            summed, targets, right = summed + loss, targets + batch.targets, right + correct
    return Forced(
        perplexity=math.exp(summed / max(1, targets)),
        exact=100 * right / max(1, len(examples)),
        n=len(examples),
        interval=wilson(right, len(examples)) or (0.0, 100.0),
    )


def _one_pass(
    model: "LlavaModel", batch: "Batch", features: "Callable[[Sequence[Path]], torch.Tensor]"
) -> tuple[float, int]:
    """The summed cross-entropy of the answers' tokens, and how many answers the model would write to the letter."""
    from torch.nn.functional import cross_entropy

    output = model(
        batch.ids_BT,
        features_NPV=features(batch.images).to(batch.ids_BT.device) if batch.images else None,
        position_ids_BT=batch.positions_BT,
    )
    logits_BTL, wanted_BT, learned_BT = (
        output.logits_BKL[:, :-1].float(), batch.ids_BT[:, 1:], batch.targets_BT[:, 1:]
    )  # fmt: skip
    loss = float(cross_entropy(logits_BTL[learned_BT], wanted_BT[learned_BT], reduction="sum"))
    return loss, int(((logits_BTL.argmax(-1) == wanted_BT) | ~learned_BT).all(dim=1).sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The model that is asked, as folders. `vision` and `projector` go together; without them it reads words only."""

    name: str
    language: Path
    vision: Path | None
    projector: Path | None
    adapter: Path | None
    template: str

    @classmethod
    def of(
        cls,
        kit: str,
        *,
        language: Path | None,
        vision: Path | None,
        projector: Path | None,
        adapter: Path | None,
        template: str,
        sees: bool,
    ) -> "Weights":
        """The named parts, and the kit's for those that are not named. Raises KitError, MissingFileError.

        `sees`: the questions have pictures, so a projector is used (and the kit's vision tower with it) if the kit has
        one. A language model that is named without a vision tower may be a whole LLaVA checkpoint.
        """
        from llava_model.kits import find, shipped_weights

        for path, what in ((language, "language model"), (vision, "vision tower"), (projector, "projector")):
            _check(path, what)
        _check(adapter, "adapter")
        found = None if language is not None and (vision is not None or projector is None) else find(kit)
        if language is None:
            assert found is not None
            language = found.path("llava" if found.has("llava") else "language")
            shipped = shipped_weights(kit)
            if projector is None and adapter is None:  # both come from one training; neither fits a part of the user's
                projector, adapter = shipped.projector if sees else None, shipped.adapter
        if projector is not None and vision is None:
            vision = (found or find(kit)).path("vision")
        name = "-".join(part.name for part in (language, projector, adapter) if part is not None)
        return cls(
            name=f"{kit}-{name}" if found else name,
            language=language,
            vision=vision,
            projector=projector,
            adapter=adapter,
            template=template,
        )

    def load(self, device: str) -> "Engine":
        """The model, ready to answer."""
        from llava_model.serving.engine import Engine

        return Engine.load(
            self.language,
            vision=self.vision,
            projector=self.projector,
            adapter=self.adapter,
            template=self.template,
            device=device,
            name=self.name,
        )

    def settings(self) -> dict[str, Any]:
        """Everything that changes this model's answers. It changes when a file of weights is written again."""
        parts = {"language": self.language, "vision": self.vision, "projector": self.projector, "adapter": self.adapter}
        return {name: _state(path) for name, path in parts.items()} | {"template": self.template}


def parts_in(checkpoint: Path) -> tuple[Path | None, Path | None, Path | None]:
    """Language model, projector and adapter of a training run's last checkpoint, each where it has one.

    Raises IncompleteCheckpointError.
    """
    from llava_model.checkpoints.manifest import latest, read_manifest
    from llava_model.checkpoints.parts import ADAPTER, LANGUAGE, PROJECTOR_FILE, parts_of

    folder = latest(checkpoint) or checkpoint
    held = parts_of(read_manifest(folder))

    def part(name: str) -> Path | None:
        return folder / name if name in held else None

    return part(LANGUAGE), part(PROJECTOR_FILE), part(ADAPTER)


def _check(path: Path | None, what: str) -> None:
    if path is not None and not path.exists():
        raise MissingFileError(path, what)


def _state(folder: Path | None) -> str | None:
    """The path of a folder or file, with a digest of its files' names, sizes and times."""
    if folder is None:
        return None
    files = [folder] if folder.is_file() else sorted(file for file in folder.rglob("*") if file.is_file())
    facts = [f"{f.relative_to(folder)} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
    return f"{folder.resolve()} {digest}"
