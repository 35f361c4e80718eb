"""The loop: what learns, exact resume, clean stops, and transformers' Trainer as the oracle."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_world import World, a_manifest

from llava_model.data.batches import BatchLoader
from llava_model.errors import BadSampleError, CheckpointWriteError, TrainingStoppedError
from llava_model.model.composition import LlavaModel, input_embeddings
from llava_model.training.loop import RunSettings, train
from llava_model.training.report import TrainReport, read_lines
from llava_model.training.stages import ALIGN, INSTRUCT, PRESETS, Lora, Stage, rate_share, stage_of, total_steps
from llava_model.training.trainable import fit_projector, set_trainable

SMALL = replace(INSTRUCT, learning_rate=1e-2, batch=4, epochs=2, lora=Lora(rank=2, alpha=4, dropout=0.1))


@pytest.fixture
def world(tmp_path: Path, make_foreign: Callable[..., Any], make_tokenizer: Callable[[str], Any]) -> World:
    (tmp_path / "data").mkdir()
    return World(tmp_path / "data", make_foreign, make_tokenizer("chatml"))


def run(world: World, out: Path, stage: Stage, model: LlavaModel | None = None, **options: Any) -> TrainReport:
    settings = {"checkpoint_every": 3, "keep": 99, **options.pop("settings", {})}
    model = model or world.model()
    set_trainable(model, stage, seed=0)
    samples = options.pop("samples", None) or world.mixture()
    loader = BatchLoader(
        samples, world.encoder(), samples_per_step=stage.batch, layout=options.pop("layout", "padded"),
        pass_tokens=120, pad_id=0, seed=0, load_pictures=world.load_pictures, skip_bad=options.pop("skip_bad", False),
    )  # fmt: skip
    return train(
        model,
        loader,
        stage,
        RunSettings(out=out, **settings),
        a_manifest(),
        **options,
    )


def weights_in(folder: Path) -> dict[str, torch.Tensor]:
    found = {}
    for path in sorted(folder.rglob("*.safetensors")):
        found |= {f"{path.parent.name}/{name}": tensor for name, tensor in load_file(path).items()}
    return found


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def copy_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_after_align_only_the_projector_has_changed(world: World, tmp_path: Path) -> None:
    model = world.model()
    before = copy_of(model)
    run(world, tmp_path / "run", replace(ALIGN, batch=4), model)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith("projector.")}


def test_after_instruct_the_tower_has_not_changed_and_the_rest_has(world: World, tmp_path: Path) -> None:
    model = world.model()
    before = copy_of(model)
    run(world, tmp_path / "run", replace(INSTRUCT, batch=4, learning_rate=1e-2), model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("tower."), name


@pytest.mark.parametrize("layout", ["padded", "packed"])
@pytest.mark.parametrize("cut", [1, 3, 4, 7])
def test_a_run_that_was_stopped_and_goes_on_ends_bitwise_where_the_undisturbed_one_does(
    world: World, tmp_path: Path, layout: str, cut: int
) -> None:
    whole = run(world, tmp_path / "whole", SMALL, layout=layout)
    part = run(world, tmp_path / "part", SMALL, layout=layout, settings={"most_steps": cut})
    assert (part.finished, part.steps) == (False, cut)
    rest = run(world, tmp_path / "part", SMALL, layout=layout)
    assert rest.finished and rest.steps == whole.steps
    assert same(weights_in(whole.checkpoint), weights_in(rest.checkpoint))
    states = [torch.load(each.checkpoint / "state" / "trainer.pt", weights_only=True) for each in (whole, rest)]
    first, second = (each["optimizer"]["state"] for each in states)
    assert all(torch.equal(first[name]["exp_avg_sq"], second[name]["exp_avg_sq"]) for name in first)
    losses = [[line["loss"] for line in read_lines(tmp_path / name / "metrics.jsonl")] for name in ("whole", "part")]
    assert losses[0] == losses[1]


def test_a_half_written_checkpoint_is_passed_over(world: World, tmp_path: Path) -> None:
    whole = run(world, tmp_path / "whole", SMALL)
    run(world, tmp_path / "part", SMALL, settings={"most_steps": 6})
    torn = tmp_path / "part" / "checkpoint-000006" / "state" / "trainer.pt"
    torn.write_bytes(torn.read_bytes()[:-100])
    rest = run(world, tmp_path / "part", SMALL)
    assert same(weights_in(whole.checkpoint), weights_in(rest.checkpoint))


def test_a_wish_to_stop_ends_after_the_step_with_a_checkpoint(world: World, tmp_path: Path) -> None:
    asked: list[int] = []
    report = run(
        world, tmp_path / "run", SMALL, on_step=lambda m: asked.append(m.step), should_stop=lambda: len(asked) >= 1
    )
    assert not report.finished and report.steps == 2 and report.checkpoint.name == "checkpoint-000002"


def test_a_loss_that_is_no_number_stops_with_the_samples_and_keeps_the_last_checkpoint(
    world: World, tmp_path: Path
) -> None:
    run(world, tmp_path / "run", SMALL, settings={"most_steps": 3})
    model = world.model()
    assert model.projector is not None
    original = model.projector.forward
    model.projector.forward = lambda features: original(features) * math.nan  # a broken layer
    with pytest.raises(TrainingStoppedError, match=r"step 4 .* samples s\d"):
        run(world, tmp_path / "run", SMALL, model)
    assert (tmp_path / "run" / "checkpoint-000003" / "manifest.json").is_file()


def test_a_sample_that_cannot_be_used_stops_the_run_or_is_left_out_and_named(world: World, tmp_path: Path) -> None:
    path = world.folder / "samples.jsonl"
    bad = {"id": "torn", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]}
    path.write_text(path.read_text() + "\n" + json.dumps(bad), encoding="utf-8")
    with pytest.raises(BadSampleError, match="torn"):
        run(world, tmp_path / "run", SMALL)
    report = run(world, tmp_path / "other", SMALL, skip_bad=True)
    assert report.finished and len(report.left_out) == 2 and all("torn" in reason for reason in report.left_out)


def test_a_full_disk_ends_the_run_and_keeps_the_last_good_checkpoint(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(world, tmp_path / "run", SMALL, settings={"most_steps": 3})

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("llava_model.training.trainable.torch.save", full)
    with pytest.raises(CheckpointWriteError, match="No space left"):
        run(world, tmp_path / "run", SMALL)
    assert [each.name for each in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-000003"]


def test_twenty_steps_have_the_losses_of_transformers_trainer(world: World, tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    # with pictures in every batch: without, transformers leaves the projector out of that step, here its gradient is 0
    lines = (world.folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    seen = [line for line in lines if json.loads(line)["images"]] * 2
    (world.folder / "samples.jsonl").write_text("\n".join(seen), encoding="utf-8")
    stage = replace(INSTRUCT, batch=2, epochs=3, learning_rate=1e-3, max_gradient=1.0)
    model = world.model()
    ours: list[float] = []
    run(world, tmp_path / "run", stage, model, on_step=lambda m: ours.append(m.loss), settings={"most_steps": 20})

    mixture, encoder = world.mixture(), world.encoder()
    examples = [
        encoder.encode(mixture[pair], epoch=epoch) for epoch in range(3) for pair in mixture.epoch(seed=0, epoch=epoch)
    ]

    def collated(chosen: list[Any]) -> dict[str, torch.Tensor]:
        longest = max(len(example.ids) for example in chosen)
        batch = {
            "input_ids": torch.tensor([list(e.ids) + [0] * (longest - len(e.ids)) for e in chosen]),
            "attention_mask": torch.tensor([[1] * len(e.ids) + [0] * (longest - len(e.ids)) for e in chosen]),
            "labels": torch.tensor(
                [
                    [t if flag else -100 for t, flag in zip(e.ids, e.learned, strict=True)]
                    + [-100] * (longest - len(e.ids))
                    for e in chosen
                ]
            ),
        }
        images = [image for example in chosen for image in example.images]
        return batch | ({"pixel_values": world.pixels(images)} if images else {})

    class InOrder(Trainer):
        theirs: list[float]

        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(examples)

        def training_step(self, *arguments: Any, **options: Any) -> torch.Tensor:
            loss: torch.Tensor = super().training_step(*arguments, **options)
            self.theirs.append(float(loss))
            return loss

    foreign = world.foreign()
    foreign.model.vision_tower.requires_grad_(False)
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "hf"), per_device_train_batch_size=2, max_steps=20, learning_rate=1e-3,
        lr_scheduler_type="cosine", warmup_steps=1, weight_decay=0.0, max_grad_norm=1.0, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True, remove_unused_columns=False, seed=0, optim="adamw_torch",
    )  # fmt: skip
    trainer = InOrder(foreign, arguments, train_dataset=examples, data_collator=collated)
    trainer.theirs = []
    total = total_steps(mixture.length(), stage)
    trainer.create_optimizer()
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
        trainer.optimizer, lambda step: rate_share(step, total, stage)
    )
    trainer.train()
    assert len(ours) == len(trainer.theirs) == 20
    assert ours == pytest.approx(trainer.theirs, abs=2e-5)
    assert abs(ours[0] - trainer.theirs[0]) < 1e-6


def test_the_schedule_is_the_one_transformers_has(world: World) -> None:
    from transformers import get_cosine_schedule_with_warmup

    stage, total = replace(INSTRUCT, warm_up=0.03), 400
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(
        optimizer, num_warmup_steps=math.ceil(0.03 * total), num_training_steps=total
    )
    for step in range(total):
        assert rate_share(step, total, stage) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_presets_have_the_published_numbers() -> None:
    def told(stage: Stage) -> tuple[float, int, float]:
        return stage.learning_rate, stage.batch, stage.epochs

    assert [told(stage) for stage in PRESETS["llava-v1"]] == [(2e-3, 128, 1), (2e-5, 32, 3)]
    assert [told(stage) for stage in PRESETS["llava-1.5"]] == [(1e-3, 256, 1), (2e-5, 128, 1)]
    assert told(stage_of("scienceqa", "task")) == (2e-5, 128, 12)
    lora = stage_of("llava-1.5-lora", "instruct")
    assert (lora.learning_rate, lora.projector_rate) == (2e-4, 2e-5)
    assert lora.lora is not None and (lora.lora.rank, lora.lora.alpha) == (128, 256)
    for stages in PRESETS.values():
        for stage in stages:
            assert stage.source and Stage.from_json(json.loads(json.dumps(stage.to_json()))) == stage


def test_a_warm_start_puts_pictures_near_the_words_of_their_captions(world: World) -> None:
    model, before = world.model(), world.model()
    samples = [s for pair in world.mixture().epoch(seed=0, epoch=0) if len((s := world.mixture()[pair]).images) == 1]

    def features(images: Any) -> torch.Tensor:
        return model.image_features(world.pixels(images))

    explained = fit_projector(model, world.tokenizer, samples, features, ridge=1e-9)
    table = input_embeddings(model.language).weight

    def miss(which: LlavaModel) -> float:
        assert which.projector is not None
        total = 0.0
        for sample in samples:
            words = str(sample.messages[1].parts[0])
            target = table[torch.tensor(world.tokenizer.encode(f" {words}", add_special_tokens=False))].mean(0)
            total += float((which.projector(features(sample.images)) - target).square().mean().detach())
        return total

    assert 0.0 < explained <= 1.0 and miss(model) < 0.5 * miss(before)
    assert torch.equal(model.projector.layers[0].weight, before.projector.layers[0].weight)
