"""An ablation from its plan to its figures. Everything lies in one folder, and the same command continues in it.

<out>/plan.json               what it was begun with; another plan needs another folder
<out>/data/                   the mixtures, the held-out samples by type, questions and reference answers
<out>/align/                  the stage before, where the plan has one
<out>/<variant>/run/          checkpoints, metrics and report of its training
<out>/<variant>/trained.json  written when its training has ended
<out>/<variant>/answers.jsonl, result.json, reviews.jsonl
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llava_model.ablation.mixtures import HeldOutQuestion, Sorted, check_apart, cut_shares, questions_of, sort_samples
from llava_model.ablation.plan import TYPES, VARIANTS, Align, Plan, ResponseType, Result, StageNumbers, Variant
from llava_model.benchmarks.asking import AnsweringModel, AnsweringProgress, Ask, Forced, Task, answer_all, forced
from llava_model.benchmarks.figures import Likeness, Score, likeness
from llava_model.checkpoints.manifest import latest, read_manifest
from llava_model.checkpoints.parts import ADAPTER, LANGUAGE, PROJECTOR_FILE, load_trained
from llava_model.data.batches import steps_per_epoch
from llava_model.data.features import FillProgress
from llava_model.data.sample_file import SampleFile
from llava_model.errors import AnswersInUseError, CheckpointMismatchError, TrainingDataError
from llava_model.training.loop import RunSettings
from llava_model.training.report import StepMetrics, TrainReport
from llava_model.training.run import DataFile, StageRun, run_stage
from llava_model.training.stages import Stage, StageName, stage_of, with_overrides


@dataclass(frozen=True, kw_only=True, slots=True)
class Bases:
    """The folders of the language model and of the vision tower that every variant is made of."""

    language: Path
    vision: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """Callbacks for progress, and for stopping. `on_step` and `on_answer` also get the title of the part."""

    announce: Callable[[str], None] = lambda words: None
    on_step: Callable[[str, StepMetrics], None] = lambda title, metrics: None
    on_fill: Callable[[FillProgress], None] = lambda progress: None
    on_answer: Callable[[str, AnsweringProgress], None] = lambda title, progress: None
    on_review: Callable[[int, int], None] = lambda done, total: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationReport:
    """The results so far; `finished` when every variant has its figures."""

    results: tuple[Result, ...]
    finished: bool
    left_out: Mapping[str, int]


class _StopRequestedError(Exception):
    """The user wants to continue later. This is no fault, and it never leaves this module."""


def ablate(plan: Plan, out: Path, bases: Bases, watch: Watch = Watch()) -> AblationReport:
    """Train and score what `out` does not hold yet. Raises this package's errors; what is done stays."""
    run = _Ablation(plan, out, bases, watch)
    results: list[Result] = []
    with _alone(out):
        try:
            run.prepare()
            for variant in VARIANTS:
                results.append(run.result(variant))
        except _StopRequestedError:
            return AblationReport(results=tuple(results), finished=False, left_out=run.left_out)
        _write(out / "results.json", {"results": [one.document() for one in results]})
    return AblationReport(results=tuple(results), finished=True, left_out=run.left_out)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Lock the folder: two runs in it would overwrite each other's training. Raises AnswersInUseError."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnswersInUseError(out, "another run") from None
        yield


class _Ablation:
    def __init__(self, plan: Plan, out: Path, bases: Bases, watch: Watch) -> None:
        self.plan, self.out, self.bases, self.watch = plan, out, bases, watch
        self.start = plan.start or out / "align"
        self.features = plan.features or out / "features"
        self.left_out: Mapping[str, int] = {}
        self.mixtures: Mapping[str, list[Path]] = {}
        self.questions: list[HeldOutQuestion] = []

    # -- what all variants share ---------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Sort the samples, check that nothing held out is trained on, and make the checkpoint to start from."""
        data, folder = self.plan.data, self.out / "data"
        train = sort_samples(data.train, folder / "train", images=data.images)
        self.held_out = sort_samples(data.held_out, folder / "held_out", images=data.images)
        self._claim(train)
        check_apart(train, self.held_out, images=data.images)
        self.left_out = {name: train.left_out.get(name, 0) + self.held_out.left_out.get(name, 0)
                         for name in {*train.left_out, *self.held_out.left_out}}  # fmt: skip
        self.mixtures = cut_shares(train, folder / "train", seed=self.plan.seed)
        self.questions = questions_of(self.held_out, images=data.images, most=self.plan.evaluate.questions)
        self._write_questions(folder)
        counts = ", ".join(f"{train.counts[kind]:,} {kind}" for kind in TYPES)
        self.watch.announce(f"training samples: {counts}; {len(self.questions)} held-out questions")
        if self.plan.align is not None:
            self._train_align(self.plan.align)
        if not (_in(self.start) / PROJECTOR_FILE).is_file():
            raise CheckpointMismatchError(f"start '{self.start}'", found="no projector", wanted="a checkpoint of ALIGN")

    def _claim(self, train: Sorted) -> None:
        """Keep the folder for this plan. Raises CheckpointMismatchError where it was begun with another."""
        own = {
            **self.plan.training_settings(),
            "fingerprints": [*train.fingerprints, *self.held_out.fingerprints],
            "bases": {name: str(path) for name, path in asdict(self.bases).items()},
        }
        path = self.out / "plan.json"
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            for name, wanted in own.items():
                if before.get(name) != wanted:
                    error = CheckpointMismatchError(
                        f"ablation '{self.out}' ({name})", found=before.get(name), wanted=wanted
                    )
                    error.add_note(
                        "Give this ablation a folder of its own with --out, or the settings it was begun with."
                    )
                    raise error
        else:
            _write(path, own)

    def _train_align(self, align: Align) -> None:
        stage = self._stage("align", align.numbers)
        run = StageRun(
            stage=stage,
            data=tuple(DataFile(path=path, image_root=self.plan.data.images) for path in align.data),
            config=align.config(),
            warm_start=align.warm_start,
            **self._common(self.out / "align", align.numbers, most_steps=align.numbers.steps),
        )
        self._trained("align", run, self.out / "align.json")

    def _write_questions(self, folder: Path) -> None:
        """Write questions and references as LLaVA-Bench does, for the judge and for a person."""
        asked = [
            {"question_id": q.name, "text": q.prompt, "category": q.type, "context": q.context,
             "image": q.images[0].name if q.images else ""}
            for q in self.questions
        ]  # fmt: skip
        _write_lines(folder / "questions.jsonl", asked)
        _write_lines(
            folder / "references.jsonl", [{"question_id": q.name, "text": q.reference} for q in self.questions]
        )

    # -- one variant ---------------------------------------------------------------------------------------------------

    def result(self, variant: Variant) -> Result:
        """Train, ask, score, and judge, each only where it is not done."""
        folder = self.out / variant.name
        file = folder / "result.json"
        if not file.is_file():
            told = self._trained_variant(variant, folder)
            checkpoint = _in(folder / "run" if variant.shares else self.start)
            self.watch.announce(f"{variant.title}: answering {len(self.questions)} questions")
            answers = self._answers(variant, checkpoint, folder)
            figures = {
                "samples": told["samples"],
                "steps": told["steps"],
                "likeness": {kind: self._likeness(answers, kind).to_json() for kind in TYPES},
                "overall": self._likeness(answers, None).to_json(),
                "forced": self._forced(checkpoint),
            }
            _write(file, figures)
        return self._read(variant, file)

    def _trained_variant(self, variant: Variant, folder: Path) -> dict[str, Any]:
        if not variant.shares:
            return {"samples": 0, "steps": 0}
        paths = self.mixtures[variant.name]
        samples = sum(len(SampleFile.open(path)) for path in paths)
        stage = self._stage("instruct", self.plan.tune)
        if self.plan.tune.steps is not None:  # half a step less, because the number of steps is rounded up
            stage = replace(stage, epochs=(self.plan.tune.steps - 0.5) / steps_per_epoch(samples, stage.batch))
        run = StageRun(
            stage=stage,
            data=tuple(DataFile(path=path, image_root=self.plan.data.images) for path in paths),
            start=self.start,
            **self._common(folder / "run", self.plan.tune),
        )
        return self._trained(variant.title, run, folder / "trained.json", samples=samples)

    def _stage(self, name: StageName, numbers: StageNumbers) -> Stage:
        stage = stage_of(self.plan.preset, name)
        return with_overrides(stage, epochs=numbers.epochs, batch=numbers.batch, learning_rate=numbers.rate)

    def _common(self, out: Path, numbers: StageNumbers, most_steps: int | None = None) -> dict[str, Any]:
        import torch

        from llava_model.checkpoints.parts import choose_device, choose_dtype

        autocast = choose_dtype(self.plan.dtype, choose_device("auto")) == torch.bfloat16
        settings = RunSettings(
            out=out,
            tokenizer=self.bases.language,
            seed=self.plan.seed,
            autocast=autocast,
            checkpoint_every=100,
            keep=1,
            most_steps=most_steps,
        )
        return {
            "language": self.bases.language,
            "vision": self.bases.vision,
            "settings": settings,
            "template": self.plan.template,
            "pass_tokens": numbers.pass_tokens,
            "feature_cache": self.features,
        }

    def _trained(self, title: str, run: StageRun, proof: Path, *, samples: int = 0) -> dict[str, Any]:
        """Train, unless `proof` says that it was done."""
        if proof.is_file():
            return dict(json.loads(proof.read_text(encoding="utf-8")))
        self.watch.announce(f"{title}: training")
        report: TrainReport = run_stage(
            run,
            announce=self.watch.announce,
            on_step=lambda metrics: self.watch.on_step(title, metrics),
            on_fill=self.watch.on_fill,
            should_stop=self.watch.should_stop,
        )
        if not report.finished and report.steps != run.settings.most_steps:
            raise _StopRequestedError
        told = {"samples": samples, "steps": report.steps, "loss": report.loss, "checkpoint": report.checkpoint.name}
        _write(proof, told)
        return told

    def _answers(self, variant: Variant, checkpoint: Path, folder: Path) -> dict[str, str]:
        asks = [
            Ask(name=q.name, prompt=q.prompt, images=q.images, max_new_tokens=self.plan.evaluate.max_new_tokens)
            for q in self.questions
        ]
        kept: dict[str, str] = {}

        def keep(answers: Mapping[str, str]) -> Score:
            kept.update(answers)
            return Score(benchmark="ablation", values={}, headline=None, n=len(answers))

        def show(progress: AnsweringProgress) -> None:
            self.watch.on_answer(variant.title, progress)
            if self.watch.should_stop():
                raise _StopRequestedError

        task = Task(benchmark="ablation", asks=asks, score=keep)
        model = self._engine(checkpoint, variant.name)
        settings = {"variant": variant.name, "weights": _digest(checkpoint)}
        scored = answer_all(task, model, folder / "answers.jsonl", settings=settings, on_progress=show)
        if scored.problems:
            first = scored.problems[0]
            raise TrainingDataError(f"{variant.title}: {first.message} ({', '.join(first.ids[:8])})")
        return kept

    def _engine(self, checkpoint: Path, name: str) -> AnsweringModel:
        from llava_model.serving.engine import Engine

        own, adapter = checkpoint / LANGUAGE, checkpoint / ADAPTER
        return Engine.load(
            own if own.is_dir() else self.bases.language,
            vision=self.bases.vision,
            projector=checkpoint / PROJECTOR_FILE,
            adapter=adapter if adapter.is_dir() else None,
            template=self.plan.template,
            name=name,
        )

    def _likeness(self, answers: Mapping[str, str], kind: ResponseType | None) -> Likeness:
        return likeness({q.name: q.reference for q in self.questions if kind in (None, q.type)}, answers)

    def _forced(self, checkpoint: Path) -> dict[ResponseType, Any]:
        """`asking.forced` over all held-out samples, not only over those that were asked."""
        import torch

        from llava_model.data.features import FeatureCache
        from llava_model.data.samples import SampleEncoder
        from llava_model.text.tokenize import PromptEncoder, load_tokenizer

        model = load_trained(
            checkpoint, language=self.bases.language, vision=self.bases.vision, dtype=torch.float32
        ).eval()
        assert model.tower is not None, "a checkpoint to start from has a projector"
        tokenizer = load_tokenizer(self.bases.language)
        prompts = PromptEncoder(tokenizer, self.plan.template, tokens_per_image=model.tokens_per_image)
        encoder = SampleEncoder(prompts, max_tokens=self._stage("instruct", self.plan.tune).max_tokens)
        files = {kind: SampleFile.open(self.held_out.files[kind], image_root=self.plan.data.images) for kind in TYPES}
        cache = FeatureCache(self.features, model.tower)
        cache.fill([image for file in files.values() for sample in file for image in sample.images])
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
        return {
            kind: forced(model, encoder, list(file), features=cache.features, pad_id=int(pad)).to_json()
            for kind, file in files.items()
        }

    def _read(self, variant: Variant, file: Path) -> Result:
        told = json.loads(file.read_text(encoding="utf-8"))
        return Result(
            variant=variant,
            samples=told["samples"],
            steps=told["steps"],
            likeness={kind: _likeness_of(told["likeness"][kind]) for kind in TYPES},
            overall=_likeness_of(told["overall"]),
            forced={kind: Forced.from_json(told["forced"][kind]) for kind in TYPES},
            review=self._review(variant) if self.plan.judge else None,
        )

    def _review(self, variant: Variant) -> Score:
        """The judge's scores, relative to those of the reference answers, as the paper has them."""
        from llava_model.benchmarks import llava_bench
        from llava_model.benchmarks.judge import JudgeSettings, judge, read_cases, read_rubric, review_paths
        from llava_model.chat_client import JUDGE, ChatServer

        chosen = self.plan.judge
        assert chosen is not None, "asked by the caller"
        data, folder = self.out / "data", self.out / variant.name
        questions = data / "questions.jsonl"
        cases, _ = read_cases(questions, data / "references.jsonl", folder / "answers.jsonl")
        settings = JudgeSettings(rubric=read_rubric(), swap=chosen.swap, repeat=chosen.repeat, parallel=chosen.parallel)
        server = ChatServer(url=chosen.endpoint, model=chosen.model, role=JUDGE)
        self.watch.announce(f"{variant.title}: judged by {chosen.model}")
        judge(cases, server, folder / "reviews.jsonl", settings, on_progress=self.watch.on_review)
        return llava_bench.score_files(review_paths(folder / "reviews.jsonl", chosen.repeat), questions)


def _in(folder: Path) -> Path:
    """The folder itself, or the latest checkpoint of a run."""
    return latest(folder) or folder


def _digest(checkpoint: Path) -> str:
    """A digest of the checkpoint's parts, without the state for resuming."""
    files = read_manifest(checkpoint, verify=False).files
    parts = sorted((name, str(one["sha256"])) for name, one in files.items() if not name.startswith("state/"))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _likeness_of(values: Mapping[str, Any]) -> Likeness:
    low_high = values["interval"]
    interval = (float(low_high[0]), float(low_high[1])) if low_high else None
    return Likeness(f1=values["f1"], exact=values["exact"], n=values["n"], interval=interval)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
