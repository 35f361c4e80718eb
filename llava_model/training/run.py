"""Run a stage from files to a checkpoint: open data and weights, fill the feature cache, train, write the report.

base (kit) + start (checkpoint of the stage before) + files of samples ─► out/checkpoint-NNNNNN, metrics, report
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from llava_model.checkpoints.manifest import Manifest, base_of, git_hash, latest, read_manifest
from llava_model.checkpoints.parts import (
    ADAPTER,
    LANGUAGE,
    PROJECTOR_FILE,
    load_language,
    load_projector,
    load_quantized,
    merge_adapter,
)
from llava_model.data.batches import BatchLoader, Layout, LoadPictures, Mixture, no_pictures
from llava_model.data.feature_store import FeatureType
from llava_model.data.features import FeatureCache, FillProgress
from llava_model.data.sample_file import SampleFile
from llava_model.data.samples import Sample, SampleEncoder
from llava_model.errors import CheckpointMismatchError, TrainingDataError
from llava_model.images import open_picture
from llava_model.kits import is_shipped, shipped_config
from llava_model.model.composition import LlavaModel, Pictures, Pixels, Projector, input_embeddings, set_attention
from llava_model.model.config import LlavaConfig
from llava_model.model.towers import VisionTower, load_tower
from llava_model.text.tokenize import PromptEncoder, image_token_id, load_tokenizer
from llava_model.training.loop import RunSettings, train
from llava_model.training.report import HeldOutAnswer, OnStep, TrainReport, answer_samples, write_report
from llava_model.training.stages import Stage
from llava_model.training.trainable import describe, fit_projector, set_trainable

_ANSWERS_BEFORE = "shown-before.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """One file of a mixture."""

    path: Path
    weight: float = 1.0
    image_root: Path | None = None
    """The folder of its pictures; by default the file's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRun:
    """A stage, its data, the weights it starts from, and how it is run."""

    stage: Stage
    data: tuple[DataFile, ...]
    language: Path
    """The folder of the base's language model, as transformers saves it."""
    vision: Path | None = None
    """The folder of the base's vision tower; None trains on words alone."""
    start: Path | None = None
    """Where projector and adapter come from: a checkpoint of an earlier stage, a run's folder (its latest checkpoint
    is taken), or weights that ship with a kit (`kits.shipped_weights`). None begins with a new projector."""
    config: LlavaConfig = field(default_factory=LlavaConfig)
    """For a new projector. A checkpoint to start from brings its own."""
    settings: RunSettings
    warm_start: bool = False
    """Fit a new projector to the captions in closed form before the first step (`fit_projector`)."""
    template: str = "auto"
    layout: Layout | None = None
    """None: packed on a GPU, padded on a CPU, where packing is slower (docs/LOG.md)."""
    pass_tokens: int | None = None
    """Tokens in one pass; None: 1024 on a CPU, 8192 on a GPU."""
    feature_cache: Path | None = None
    """The folder of the frozen tower's features; None runs the tower in every pass."""
    feature_dtype: str = "float32"
    """float32, bfloat16 or int8 in the cache."""
    shown: Path | None = None
    """A file of held-out samples. The report shows the answers to some of them, before and after."""
    skip_bad: bool = False
    """Leave out samples that cannot be used, counted and named, instead of stopping."""


def run_stage(
    run: StageRun,
    *,
    accelerator: Any = None,
    on_step: OnStep = lambda metrics: None,
    on_fill: Callable[[FillProgress], None] = lambda progress: None,
    announce: Callable[[str], None] = lambda words: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainReport:
    """Run the stage, or resume it if `settings.out` holds checkpoints of the same run.

    `announce` gets lines for a person: what learns, and from how much data. Raises this package's errors.
    """
    device = _device(accelerator)
    mixture = Mixture([(SampleFile.open(f.path, image_root=f.image_root), f.weight) for f in run.data])
    manifest = _manifest(run, mixture)
    _check_same_run(run.settings.out, manifest)
    tokenizer = load_tokenizer(run.language)
    model, adapter = _compose(run, image_token_id(tokenizer), device)
    encoder = PromptEncoder(tokenizer, run.template, tokens_per_image=model.tokens_per_image)
    held_out = _held_out_samples(run.shown)
    before = _answers_before(run, model, encoder, held_out)
    set_trainable(model, run.stage, adapter=adapter, seed=run.settings.seed)
    load_pictures = _picture_source(run, model.tower, mixture, on_fill)
    if run.warm_start and run.start is None:
        explained = _fit_projector(model, tokenizer, mixture, load_pictures)
        announce(f"projector fitted to captions: {explained:.0%} of the variance of their words explained")
    announce(f"stage {run.stage.name}: {describe(model)}")
    announce(f"{mixture.length():,} samples an epoch from {len(run.data)} files, {run.stage.epochs:g} epochs")
    report = train(
        model,
        _batch_loader(run, mixture, encoder, load_pictures, device, accelerator),
        run.stage,
        run.settings,
        manifest,
        accelerator=accelerator,
        on_step=on_step,
        should_stop=should_stop,
    )
    if accelerator is None or accelerator.is_main_process:
        after = answer_samples(model, encoder, held_out) if held_out and report.finished else []
        write_report(run.settings.out, manifest, report, before=before, after=after)
    return report


def _batch_loader(
    run: StageRun,
    mixture: Mixture,
    encoder: PromptEncoder,
    load_pictures: LoadPictures,
    device: torch.device,
    accelerator: Any,
) -> BatchLoader:
    stage, seed, on_cpu = run.stage, run.settings.seed, device.type == "cpu"
    return BatchLoader(
        mixture,
        SampleEncoder(encoder, max_tokens=stage.max_tokens, caption_prompt=stage.caption_prompt, seed=seed),
        samples_per_step=stage.batch,
        layout=run.layout or ("padded" if on_cpu else "packed"),
        pass_tokens=run.pass_tokens or (1024 if on_cpu else 8192),
        pad_id=_pad_id(encoder.tokenizer),
        seed=seed,
        process=accelerator.process_index if accelerator else 0,
        processes=accelerator.num_processes if accelerator else 1,
        load_pictures=load_pictures,
        skip_bad=run.skip_bad,
    )


def _device(accelerator: Any) -> torch.device:
    if accelerator is not None:
        device: torch.device = accelerator.device
        return device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _compose(run: StageRun, image_token: int, device: torch.device) -> tuple[LlavaModel, Path | None]:
    """→ the model with what the earlier stage learned, and the adapter to continue with, if the stage has LoRA.

    An adapter of another shape than the stage's is merged into the language model.
    """
    dtype = torch.bfloat16 if run.settings.autocast else torch.float32
    start = _checkpoint_in(run.start) if run.start else None
    language_folder = _language_folder(run)
    adapter = start / ADAPTER if start and (start / ADAPTER).is_dir() else None
    if run.stage.lora and run.stage.lora.quantize == "nf4":
        language = load_quantized(language_folder, dtype=torch.bfloat16, device=device)
    else:
        language = load_language(language_folder, dtype=dtype)
    if device.type == "cpu":
        # fused attention's backward is slow on CPUs: 22 % of a step with 28 tokens a row, 4 % this way
        set_attention(language, "eager")
    if adapter and not (run.stage.lora and _same_shape(adapter, run.stage)):
        _refuse_to_lose(adapter, run.stage)
        language, adapter = merge_adapter(language, adapter), None
    torch.manual_seed(run.settings.seed)
    if run.vision is None:
        return LlavaModel(language=language, image_token_id=image_token).to(device), adapter
    projector, config = None, run.config
    if start and (start / PROJECTOR_FILE).is_file():
        projector, config = load_projector(start / PROJECTOR_FILE)
    tower = load_tower(run.vision, config)
    text_width = int(input_embeddings(language).weight.shape[1])
    projector = projector or Projector(config.projector, vision_width=tower.width, text_width=text_width)
    model = LlavaModel(
        language=language, image_token_id=image_token, tower=tower, projector=projector.float(), config=config
    )
    return model.to(device), adapter


def _checkpoint_in(folder: Path) -> Path:
    """The latest checkpoint of a run, or the folder itself. Raises IncompleteCheckpointError if that is none."""
    checkpoint = latest(folder) or folder
    if not is_shipped(checkpoint):
        read_manifest(checkpoint)
    return checkpoint


def _config_of(start: Path) -> Any:
    """The training configuration of the checkpoint to start from."""
    checkpoint = _checkpoint_in(start)
    return shipped_config(checkpoint) if is_shipped(checkpoint) else read_manifest(checkpoint, verify=False).config


def _language_folder(run: StageRun) -> Path:
    """The language model to train: the start's own if it was trained whole, else the base's."""
    own = _checkpoint_in(run.start) / LANGUAGE if run.start else None
    return own if own and own.is_dir() else run.language


def _refuse_to_lose(adapter: Path, stage: Stage) -> None:
    """Raise CheckpointMismatchError if the adapter is merged and the stage then does not save the language model."""
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
    """Raise CheckpointMismatchError if the folder holds checkpoints of a run with other settings."""
    checkpoint = latest(out)
    if checkpoint is None:
        return
    saved = read_manifest(checkpoint, verify=False)
    for name in ("config", "data_fingerprint", "seed", "base"):
        was, now = getattr(saved, name), getattr(manifest, name)
        if json.loads(json.dumps(was)) != json.loads(json.dumps(now)):
            error = CheckpointMismatchError(f"run '{out}' ({name})", found=was, wanted=now)
            error.add_note("Give this run a folder of its own with --out, or the settings of the one that is there.")
            raise error


def _picture_source(
    run: StageRun, tower: VisionTower | None, mixture: Mixture, on_fill: Callable[[FillProgress], None]
) -> LoadPictures:
    """How batches get their pictures: not at all, as pixels, or as features from a cache that is filled here."""
    if tower is None:
        return no_pictures
    if run.feature_cache is None:
        preprocess = tower.preprocess

        def load_pixels(images: Sequence[Path]) -> Pictures:
            return Pixels(preprocess.pixels([open_picture(image) for image in images]))

        return load_pixels
    dtype = cast(FeatureType, run.feature_dtype)  # FeatureCache refuses any other
    cache = FeatureCache(run.feature_cache, tower, dtype=dtype)
    report = cache.fill(_all_images(mixture), on_progress=on_fill)
    if report.failed and not run.skip_bad:
        first = report.failed[0]
        problem = TrainingDataError(
            f"{len(report.failed)} pictures cannot be read; first '{first.path}': {first.reason}"
        )
        problem.add_note("Look at the set with: llavero model validate. Or leave such samples out: --skip-bad")
        raise problem
    return cache.load


def _fit_projector(model: LlavaModel, tokenizer: Any, mixture: Mixture, load_pictures: LoadPictures) -> float:
    """`trainable.fit_projector` on all samples, with pixels or cached features."""

    def features_of(images: Sequence[Path]) -> torch.Tensor:
        return cast(torch.Tensor, model.features_of(load_pictures(images)))

    samples = (sample for file in mixture.files for sample in file)
    return fit_projector(model, tokenizer, samples, features_of)


def _all_images(mixture: Mixture) -> list[Path]:
    seen: dict[Path, None] = {}
    for file in mixture.files:
        for position in range(len(file)):
            seen.update(dict.fromkeys(file[position].images))
    return list(seen)


def _held_out_samples(path: Path | None, most: int = 12) -> list[Sample]:
    """At most so many samples, spread over the whole file."""
    if path is None:
        return []
    file = SampleFile.open(path)
    every = max(1, len(file) // most)
    return [file[position] for position in range(0, len(file), every)][:most]


def _answers_before(
    run: StageRun, model: LlavaModel, encoder: PromptEncoder, samples: Sequence[Sample]
) -> list[HeldOutAnswer]:
    """The model's answers before the stage. They are kept in a file, from which a resumed run reads them."""
    file = run.settings.out / _ANSWERS_BEFORE
    if not samples:
        return []
    if file.is_file():
        return [HeldOutAnswer(**values) for values in json.loads(file.read_text(encoding="utf-8"))]
    answers = answer_samples(model, encoder, samples)
    run.settings.out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([each.to_json() for each in answers], ensure_ascii=False), encoding="utf-8")
    return answers


def _pad_id(tokenizer: Any) -> int:
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0)
