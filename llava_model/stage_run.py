"""A stage from files to a checkpoint: opens data and weights, fills the feature cache, trains, writes the report.

base (kit) + start (checkpoint of the stage before) + files of samples ─► out/checkpoint-NNNNNN, metrics, report
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from llava_model.batches import BatchLoader, Pictures, no_pictures
from llava_model.checkpoint import (
    ADAPTER,
    LANGUAGE,
    PROJECTOR_FILE,
    load_language,
    load_projector,
    load_quantized,
    merge_adapter,
)
from llava_model.config import LlavaConfig
from llava_model.data.encoding import SampleEncoder
from llava_model.data.features import FeatureCache, FillProgress
from llava_model.data.mixture import Mixture
from llava_model.data.packing import Layout
from llava_model.data.sample_file import SampleFile
from llava_model.data.schema import Sample
from llava_model.errors import CheckpointMismatchError, TrainingDataError
from llava_model.images import open_picture
from llava_model.kits.trained import is_shipped, shipped_config
from llava_model.manifest import Manifest, git_hash, latest, read_manifest
from llava_model.model import LlavaModel
from llava_model.projector import Projector
from llava_model.report import HeldOutAnswer, answer_samples, write_report
from llava_model.stages import Stage
from llava_model.tokenize import PromptEncoder, image_token_id, load_tokenizer
from llava_model.towers import VisionTower, load_tower
from llava_model.train import RunSettings, TrainReport, train
from llava_model.trainable import describe, set_trainable
from llava_model.warm_start import fit_projector
from llava_model.watching import OnStep

_SHOWN = "shown-before.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """One file of a mixture."""

    path: Path
    weight: float = 1.0
    image_root: Path | None = None
    """Where its pictures lie; by default beside the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRun:
    """Everything a stage's run is made of."""

    stage: Stage
    data: tuple[DataFile, ...]
    language: Path
    """The base's language model, as transformers saves it."""
    vision: Path | None = None
    """The base's vision tower; None trains on words alone."""
    start: Path | None = None
    """A checkpoint of an earlier stage, a run's folder (its latest), or weights that ship with a kit
    (`kits.trained`): projector and adapter are gone on from."""
    config: LlavaConfig = field(default_factory=LlavaConfig)
    """Of a new projector; a checkpoint to start from brings its own."""
    settings: RunSettings
    warm_start: bool = False
    """Fit a new projector to the captions in closed form before the first step (`warm_start`)."""
    template: str = "auto"
    layout: Layout | None = None
    """None: packed on a GPU, padded on a CPU, where packing loses (docs/LOG.md)."""
    pass_tokens: int | None = None
    """Tokens that go through at once; None: 1024 on a CPU, 8192 on a GPU."""
    feature_cache: Path | None = None
    """Where the frozen tower's features lie; None runs the tower in every pass."""
    feature_dtype: str = "float32"
    """float32, bfloat16 or int8 in the cache."""
    shown: Path | None = None
    """Held-out samples whose answers the report shows, before and after."""
    skip_bad: bool = False
    """Leave out samples that cannot be used instead of stopping; they are counted and named."""


def run_stage(
    run: StageRun,
    *,
    accelerator: Any = None,
    on_step: OnStep = lambda metrics: None,
    on_fill: Callable[[FillProgress], None] = lambda progress: None,
    announce: Callable[[str], None] = lambda words: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainReport:
    """Run the stage, or go on with it where `settings.out` holds checkpoints of the same run.

    `announce` gets lines for a person: what learns, how much data, where it goes on. Raises this package's errors.
    """
    device = _device(accelerator)
    mixture = Mixture([(SampleFile.open(f.path, image_root=f.image_root), f.weight) for f in run.data])
    manifest = _manifest(run, mixture)
    _check_same_run(run.settings.out, manifest)
    tokenizer = load_tokenizer(run.language)
    model, adapter = _compose(run, image_token_id(tokenizer), device)
    encoder = PromptEncoder(tokenizer, run.template, tokens_per_image=model.tokens_per_image)
    shown = _first(run.shown)
    before = _before(run, model, encoder, shown, adapter)
    set_trainable(model, run.stage, adapter=adapter, seed=run.settings.seed)
    pictures = _pictures(run, model.tower, mixture, on_fill)
    if run.warm_start and run.start is None:
        explained = fit_projector(model, tokenizer, _samples(mixture), _features(model, pictures))
        announce(f"projector fitted to captions: {explained:.0%} of the variance of their words explained")
    announce(f"stage {run.stage.name}: {describe(model)}")
    announce(f"{mixture.length():,} samples an epoch from {len(run.data)} files, {run.stage.epochs:g} epochs")
    feed = BatchLoader(
        mixture,
        SampleEncoder(
            encoder,
            max_tokens=run.stage.max_tokens,
            caption_prompt=run.stage.caption_prompt,
            seed=run.settings.seed,
        ),
        run.stage,
        layout=run.layout or ("padded" if device.type == "cpu" else "packed"),
        pass_tokens=run.pass_tokens or (1024 if device.type == "cpu" else 8192),
        pad_id=_pad_id(tokenizer),
        seed=run.settings.seed,
        process=accelerator.process_index if accelerator else 0,
        processes=accelerator.num_processes if accelerator else 1,
        pictures=pictures,
        skip_bad=run.skip_bad,
    )
    report = train(
        model,
        feed,
        run.stage,
        run.settings,
        manifest,
        samples_per_epoch=mixture.length(),
        accelerator=accelerator,
        on_step=on_step,
        should_stop=should_stop,
    )
    if accelerator is None or accelerator.is_main_process:
        after = answer_samples(model, encoder, shown) if shown and report.finished else []
        write_report(run.settings.out, manifest, report, before=before, after=after)
    return report


def _device(accelerator: Any) -> torch.device:
    if accelerator is not None:
        device: torch.device = accelerator.device
        return device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _compose(run: StageRun, image_token: int, device: torch.device) -> tuple[LlavaModel, Path | None]:
    """The model with what the stage before has learned, and the adapter to learn on with, where it is to be."""
    dtype = torch.bfloat16 if run.settings.autocast else torch.float32
    start = _checkpoint(run.start) if run.start else None
    language_folder = _language_folder(run)
    adapter = start / ADAPTER if start and (start / ADAPTER).is_dir() else None
    if run.stage.lora and run.stage.lora.quantize == "nf4":
        language = load_quantized(language_folder, dtype=torch.bfloat16, device=device)
    else:
        language = load_language(language_folder, dtype=dtype)
    if device.type == "cpu":
        # fused attention's backward is slow on CPUs: 22 % of a step with 28 tokens a row, 4 % this way
        language.set_attn_implementation("eager")  # type: ignore[operator]  # transformers'
    if adapter and not (run.stage.lora and _same_shape(adapter, run.stage)):
        _check_it_would_be_kept(adapter, run.stage)
        language, adapter = merge_adapter(language, adapter), None
    torch.manual_seed(run.settings.seed)
    if run.vision is None:
        return LlavaModel(language=language, image_token_id=image_token).to(device), adapter
    projector, config = None, run.config
    if start and (start / PROJECTOR_FILE).is_file():
        projector, config = load_projector(start / PROJECTOR_FILE)
    tower = load_tower(run.vision, config)
    width = language.get_input_embeddings().weight.shape[1]  # type: ignore[operator]  # transformers'
    projector = projector or Projector(config.projector, vision_width=tower.width, text_width=int(width))
    model = LlavaModel(
        language=language, image_token_id=image_token, tower=tower, projector=projector.float(), config=config
    )
    return model.to(device), adapter


def _checkpoint(folder: Path) -> Path:
    """The folder itself, or the latest checkpoint of a run. Raises IncompleteCheckpointError."""
    chosen = latest(folder) or folder
    if not is_shipped(chosen):
        read_manifest(chosen)
    return chosen


def _config_of(folder: Path) -> Any:
    """How the start was trained itself."""
    chosen = _checkpoint(folder)
    return shipped_config(chosen) if is_shipped(chosen) else read_manifest(chosen, verify=False).config


def _language_folder(run: StageRun) -> Path:
    """The language model that is trained on: the start's own, where it was trained whole."""
    own = _checkpoint(run.start) / LANGUAGE if run.start else None
    return own if own and own.is_dir() else run.language


def _check_it_would_be_kept(adapter: Path, stage: Stage) -> None:
    """A checkpoint holds what its stage learns: an adapter merged into anything else would be lost with the run."""
    if "language" in stage.trains and stage.lora is None:
        return
    wanted = f"LoRA of its rank and alpha, stage '{stage.name}' has {stage.lora or 'none'}"
    error = CheckpointMismatchError(
        f"adapter '{adapter}'", found="an adapter that this stage would lose", wanted=wanted
    )
    error.add_note("Merge it first: llavero model convert RUN --to merged OUT, then --start OUT")
    raise error


def _same_shape(adapter: Path, stage: Stage) -> bool:
    values = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    return stage.lora is not None and (values["r"], values["lora_alpha"]) == (stage.lora.rank, stage.lora.alpha)


def _manifest(run: StageRun, mixture: Mixture) -> Manifest:
    from llava_model.fingerprints import base_of

    config = {
        "stage": run.stage.to_json(),
        "data": [{"file": f.path.name, "weight": f.weight} for f in run.data],
        "start": _config_of(run.start) if run.start else None,
        "template": run.template,
        "warm_start": run.warm_start,
        "autocast": run.settings.autocast,
        "skip_bad": run.skip_bad,
    }
    return Manifest(
        stage=run.stage.name,
        step=0,
        seed=run.settings.seed,
        config=config,
        llava=run.config.to_json(),
        data_fingerprint=mixture.fingerprint,
        git_hash=git_hash(),
        base=base_of(language=_language_folder(run), vision=run.vision),
    )


def _check_same_run(out: Path, manifest: Manifest) -> None:
    """A folder with checkpoints of another run is not gone on with by mistake."""
    found = latest(out)
    if found is None:
        return
    before = read_manifest(found, verify=False)
    for name in ("config", "data_fingerprint", "seed", "base"):
        was, now = getattr(before, name), getattr(manifest, name)
        if json.loads(json.dumps(was)) != json.loads(json.dumps(now)):
            error = CheckpointMismatchError(f"run '{out}' ({name})", found=was, wanted=now)
            error.add_note("Give this run a folder of its own with --out, or the settings of the one that is there.")
            raise error


def _pictures(
    run: StageRun, tower: VisionTower | None, mixture: Mixture, on_fill: Callable[[FillProgress], None]
) -> Pictures:
    if tower is None:
        return no_pictures
    if run.feature_cache is None:
        preprocess = tower.preprocess

        def pixels(images: Sequence[Path]) -> torch.Tensor:
            return preprocess.pixels([open_picture(image) for image in images])

        return pixels
    cache = FeatureCache(run.feature_cache, tower, dtype=run.feature_dtype)  # type: ignore[arg-type]  # it checks
    report = cache.fill(_all_images(mixture), on_progress=on_fill)
    if report.failed and not run.skip_bad:
        first = report.failed[0]
        problem = TrainingDataError(
            f"{len(report.failed)} pictures cannot be read; first '{first.path}': {first.reason}"
        )
        problem.add_note("Look at the set with: llavero model validate. Or leave such samples out: --skip-bad")
        raise problem
    return cache.features


def _features(model: LlavaModel, pictures: Pictures) -> Pictures:
    """Features whether they come from a cache or the tower has to make them."""

    def made(images: Sequence[Path]) -> torch.Tensor:
        found = pictures(images)
        return model.image_features(found) if found.dim() == 4 else found

    return made


def _samples(mixture: Mixture) -> Iterator[Sample]:
    for file in mixture.files:
        yield from file


def _all_images(mixture: Mixture) -> list[Path]:
    seen: dict[Path, None] = {}
    for file in mixture.files:
        for position in range(len(file)):
            seen.update(dict.fromkeys(file[position].images))
    return list(seen)


def _first(path: Path | None, most: int = 12) -> list[Any]:
    if path is None:
        return []
    file = SampleFile.open(path)
    every = max(1, len(file) // most)
    return [file[position] for position in range(0, len(file), every)][:most]


def _before(
    run: StageRun, model: LlavaModel, encoder: PromptEncoder, shown: Sequence[Any], adapter: Path | None
) -> list[HeldOutAnswer]:
    """Answers of the model as it was; kept beside the checkpoints, for a run that goes on."""
    kept = run.settings.out / _SHOWN
    if not shown:
        return []
    if kept.is_file():
        return [HeldOutAnswer(**values) for values in json.loads(kept.read_text(encoding="utf-8"))]
    answers = answer_samples(model, encoder, shown)
    run.settings.out.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps([each.to_json() for each in answers], ensure_ascii=False), encoding="utf-8")
    return answers


def _pad_id(tokenizer: Any) -> int:
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0)


def with_epochs(stage: Stage, *, epochs: float | None, batch: int | None, rate: float | None) -> Stage:
    """The preset's stage with a user's own numbers."""
    changes: dict[str, Any] = {"epochs": epochs, "batch": batch, "learning_rate": rate}
    return replace(stage, **{name: value for name, value in changes.items() if value is not None})
