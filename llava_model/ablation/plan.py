"""What an ablation is made of, read from a TOML file, and the table of its results beside the paper's.

preset = "pocket-cpu"                 # the stage's numbers; [tune] changes some
start = "runs/align"                  # what every variant starts from; or [align], which makes it first

[data]
train = ["scenes/train.jsonl"]        # types told by `kind`, or by the id's end as `llavero model generate` writes it
held_out = { conversation = ["a.json"], detail = ["b.json"], complex = ["c.json"] }     # or by a file for each type
images = "scenes"

Paths are relative to the folder the command is run in.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from llava_model.benchmarks.asking import Forced
from llava_model.benchmarks.compare import TableRow, published
from llava_model.benchmarks.figures import Likeness, Score
from llava_model.errors import AblationPlanError
from llava_model.model.config import LlavaConfig

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


ResponseType = Literal["conversation", "detail", "complex"]
TYPES: tuple[ResponseType, ...] = get_args(ResponseType)

_Section = TypeVar("_Section", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One row of the paper's table: which share of each response type is trained on."""

    name: str
    title: str
    shares: Mapping[ResponseType, float]


VARIANTS = (
    Variant(name="full", title="full data", shares={"conversation": 1.0, "detail": 1.0, "complex": 1.0}),
    Variant(name="detail-complex", title="detail + complex", shares={"detail": 1.0, "complex": 1.0}),
    Variant(
        name="conversation-5-10",
        title="conversation + 5 % detail + 10 % complex",
        shares={"conversation": 1.0, "detail": 0.05, "complex": 0.1},
    ),
    Variant(name="conversation", title="conversation", shares={"conversation": 1.0}),
    Variant(name="none", title="no instruction tuning", shares={}),
)

Files = Mapping[ResponseType, tuple[Path, ...]] | tuple[Path, ...]
"""Files by response type, or files whose samples name their type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Where the samples lie."""

    train: Files
    held_out: Files
    images: Path
    """The folder that all samples' pictures are relative to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageNumbers:
    """A stage's numbers where they differ from its preset; None keeps the preset's."""

    epochs: float | None = None
    batch: int | None = None
    rate: float | None = None
    steps: int | None = None
    """[tune]: every variant takes so many steps, however small its mixture. [align]: stop after so many."""
    pass_tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Align:
    """The ALIGN stage, which runs first where no checkpoint is named."""

    data: tuple[Path, ...]
    numbers: StageNumbers = field(default_factory=StageNumbers)
    projector: str = "mlp2x_gelu"
    pooled_grid: int | None = None
    warm_start: bool = False

    def config(self) -> LlavaConfig:
        """The configuration of the model that ALIGN begins with. Raises ValueError for an unknown kind of projector."""
        return LlavaConfig.from_json({"projector": self.projector, "pooled_grid": self.pooled_grid})


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationPlan:
    """How the held-out questions are asked."""

    questions: int = 30
    """Of each type, spread evenly over the file; 30 is the paper's number. 0: all."""
    max_new_tokens: int = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgePlan:
    """The text model that scores answers as the paper does. Nothing is sent anywhere without one."""

    endpoint: str = ""
    model: str = ""
    repeat: int = 1
    swap: bool = False
    parallel: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A whole plan, checked."""

    data: Data
    start: Path | None
    align: Align | None
    kit: str = "pocket"
    language: Path | None = None
    vision: Path | None = None
    preset: str = "pocket-cpu"
    template: str = "auto"
    dtype: str = "auto"
    features: Path | None = None
    seed: int = 0
    tune: StageNumbers = field(default_factory=StageNumbers)
    evaluate: EvaluationPlan = field(default_factory=EvaluationPlan)
    judge: JudgePlan | None = None

    def training_settings(self) -> dict[str, Any]:
        """Everything that changes the results, as plain values: all but judge and cache."""
        values: dict[str, Any] = _plain(asdict(self))
        return {name: value for name, value in values.items() if name not in ("judge", "features")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One variant's figures. `review` is None unless a judge was named."""

    variant: Variant
    samples: int
    steps: int
    likeness: Mapping[ResponseType, Likeness]
    overall: Likeness
    forced: Mapping[ResponseType, Forced]
    review: Score | None = None

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "variant": self.variant.name,
            "title": self.variant.title,
            "samples": self.samples,
            "steps": self.steps,
            "likeness": {kind: one.to_json() for kind, one in self.likeness.items()},
            "overall": self.overall.to_json(),
            "forced": {kind: one.to_json() for kind, one in self.forced.items()},
            "review": self.review.document() if self.review else None,
        }


def read_plan(path: Path) -> Plan:
    """Read and check a plan. Raises AblationPlanError with the key that is wrong, OSError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AblationPlanError(path, f"is no TOML: {error}") from None
    data, align, judge = values.pop("data", None), values.pop("align", None), values.pop("judge", None)
    if not isinstance(data, dict):
        raise AblationPlanError(path, "has no [data]")
    start = values.pop("start", None)
    if bool(start) == bool(align):
        raise AblationPlanError(path, "needs one of start = 'CHECKPOINT' and [align]: what all variants start from")
    sections: dict[str, Any] = {
        "tune": _section(path, "tune", StageNumbers, values.pop("tune", {})),
        "evaluate": _section(path, "evaluate", EvaluationPlan, values.pop("evaluate", {})),
        "judge": _section(path, "judge", JudgePlan, judge) if judge is not None else None,
        "align": _align(path, align) if align else None,
        "start": Path(start) if start else None,
        "data": _data(path, data),
    }
    for name in ("language", "vision", "features"):
        if name in values:
            values[name] = Path(values[name])
    return _section(path, "", Plan, {**values, **sections})


def _data(path: Path, values: Mapping[str, Any]) -> Data:
    unknown = set(values) - {"train", "held_out", "images"}
    if unknown:
        raise AblationPlanError(path, f"has unknown keys in [data]: {', '.join(sorted(unknown))}")
    found = {name: _files(path, name, values.get(name)) for name in ("train", "held_out")}
    first = next(iter(_all(found["train"])))
    return Data(train=found["train"], held_out=found["held_out"], images=Path(values.get("images", first.parent)))


def _files(path: Path, name: str, value: object) -> Files:
    if isinstance(value, dict):
        if set(value) != set(TYPES):
            raise AblationPlanError(path, f"must name files of {', '.join(TYPES)} in data.{name}")
        return {kind: _paths(path, f"data.{name}.{kind}", value[kind]) for kind in TYPES}
    return _paths(path, f"data.{name}", value)


def _paths(path: Path, name: str, value: object) -> tuple[Path, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise AblationPlanError(path, f"must name at least one file in {name}")
    return tuple(Path(one) for one in listed)


def _all(files: Files) -> Sequence[Path]:
    return [one for paths in files.values() for one in paths] if isinstance(files, Mapping) else files


def _align(path: Path, values: Mapping[str, Any]) -> Align:
    numbers = {one.name for one in fields(StageNumbers)}
    own = {name: value for name, value in values.items() if name not in numbers}
    own["data"] = _paths(path, "align.data", values.get("data"))
    own["numbers"] = _section(path, "align", StageNumbers, {n: v for n, v in values.items() if n in numbers})
    align = _section(path, "align", Align, own)
    try:
        align.config()
    except ValueError as error:
        raise AblationPlanError(path, f"cannot be used in [align]: {error}") from None
    return align


def _section(path: Path, name: str, kind: type[_Section], values: Mapping[str, Any]) -> _Section:
    known = {one.name for one in fields(kind)}
    if unknown := set(values) - known:
        where = f" in [{name}]" if name else ""
        raise AblationPlanError(path, f"has unknown keys{where}: {', '.join(sorted(unknown))}")
    return kind(**values)


def _plain(value: Any) -> Any:
    """For JSON: paths as text, tuples as lists."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


PAPER = "the paper's: score relative to text-only GPT-4's answers, judged by GPT-4, LLaVA-13B"
JUDGED = "ours: score relative to the reference answers, judged by {judge}"
OFFLINE = "ours: word F1 with the reference answers (SQuAD's), NOT the paper's measure; compare down a column only"
_COLUMNS = ("conv", "detail", "complex", "overall")
_SHORT = {"conversation": "conv", "detail": "detail", "complex": "complex"}


def paper_row(title: str) -> TableRow:
    """The published row of a variant."""
    return next(row for row in published("llava-bench-coco") if row.model == f"LLaVA, {title}")


def main_table(results: "Sequence[Result]", judge: str = "") -> list[list[str]]:
    """A header and a row for each variant: the paper's four figures, then our four."""
    head = ["data", *(f"paper {name}" for name in _COLUMNS), *(f"our {name}" for name in _COLUMNS), "95 % of overall"]
    rows = [head]
    by_name = {one.variant.name: one for one in results}
    for variant in VARIANTS:
        paper = paper_row(variant.title).values
        own = _ours(by_name[variant.name], judged=bool(judge)) if variant.name in by_name else ["", "", "", "", ""]
        rows.append([variant.title, *(f"{paper[name]:.1f}" for name in _COLUMNS), *own])
    return rows


def more_table(results: "Sequence[Result]") -> list[list[str]]:
    """A second table: what each variant was trained on, and how likely it finds held-out answers (`asking.forced`)."""
    head = [
        "data",
        "samples",
        "steps",
        "exact conv",
        "95 % of exact",
        *(f"perplexity {_SHORT[kind]}" for kind in TYPES),
    ]
    return [
        head,
        *(
            [
                one.variant.title,
                f"{one.samples:,}",
                f"{one.steps:,}",
                f"{one.forced['conversation'].exact:.1f}",
                _span(one.forced["conversation"].interval),
                *(f"{one.forced[kind].perplexity:.2f}" for kind in TYPES),
            ]
            for one in results
        ),
    ]


def _ours(result: "Result", *, judged: bool) -> list[str]:
    if judged:
        review = result.review
        if review is None:
            return ["", "", "", "", ""]
        categories: Mapping[str, float | None] = review.values["categories"]
        cells = [_cell(categories.get(kind)) for kind in TYPES]
        return [*cells, _cell(review.values["overall"]), _span(review.interval)]
    overall = result.overall
    return [*(f"{result.likeness[kind].f1:.1f}" for kind in TYPES), f"{overall.f1:.1f}", _span(overall.interval)]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"
