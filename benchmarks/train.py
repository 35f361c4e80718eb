"""Training speed against transformers.Trainer: same weights, same samples, same threads, in one run.

    python benchmarks/train.py                          # pocket kit on this CPU: ALIGN and INSTRUCT, 5 rounds
    python benchmarks/train.py --shape 7b --device cuda # LLaVA-1.5-7B's shape with random weights, one big GPU
    python benchmarks/train.py --shape 7b --layers 2    # its widths and pictures, two layers: what a CPU can bear
    python benchmarks/train.py --shape 7b --count-only  # no step is run: how many operations either side needs

Ways, taken in turns, round after round, medians reported:

    trainer  transformers.Trainer on padded batches as they come: the tower in every step, logits everywhere
    cold     Llavero with an empty feature cache: filling it is part of the time
    warm     Llavero with the features of an earlier epoch or run
    compiled warm, with --compile: the layers are compiled before the clock starts, and what that takes is told
    other    warm, in the layout that is not the default on this device (packed on a CPU, padded on a GPU)

With the ratios stands how many operations the trainer needs for each of ours. What a ratio is above that comes from
better use of the machine: compiled layers, less memory traffic, no pictures decoded in the step.

A round is the same optimiser steps over the same samples. Samples are drawn from a seed: captions of 5 to 25 words
under an instruction (ALIGN), conversations of one to five turns with answers of 3 to 60 words (INSTRUCT), as long and
as uneven as LLaVA's.
"""

import argparse
import copy
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from PIL import Image

from llava_model.checkpoints.parts import load_language
from llava_model.data.batches import BatchLoader, Mixture
from llava_model.data.features import FeatureCache
from llava_model.data.sample_file import SampleFile
from llava_model.data.samples import SampleEncoder
from llava_model.images import ImagePreprocess, open_picture
from llava_model.kits import find
from llava_model.model.composition import LlavaModel, Projector, input_embeddings, set_attention
from llava_model.model.config import LlavaConfig
from llava_model.model.towers import TransformersTower, load_tower
from llava_model.text.tokenize import PromptEncoder, image_token_id, load_tokenizer
from llava_model.training.loop import compile_layers, flops
from llava_model.training.loss import FrozenPrefix, loss_sum
from llava_model.training.report import peak_flops
from llava_model.training.stages import Stage, stage_of
from llava_model.training.trainable import optimiser, set_trainable, trainable_parameters

WORDS = ["a", "small", "red", "boat", "lies", "at", "the", "old", "pier", "while", "two", "people", "in", "yellow"]


def make_samples(folder: Path, stage: str, count: int) -> None:
    """Pictures of 480×360 and a file of samples."""
    chance = random.Random(7)
    lines = []
    for number in range(count):
        picture = Image.effect_noise((48, 36), 90).convert("RGB").resize((480, 360), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.jpg", quality=85)
        turns = 1 if stage == "align" else chance.randint(1, 5)
        longest = 25 if stage == "align" else 60
        messages = []
        for turn in range(turns):
            question = " ".join(chance.choices(WORDS, k=chance.randint(4, 14)))
            answer = " ".join(chance.choices(WORDS, k=chance.randint(5 if stage == "align" else 3, longest)))
            messages += [
                {"role": "user", "content": ("<image>\n" if turn == 0 else "") + question},
                {"role": "assistant", "content": answer},
            ]
        lines.append(json.dumps({"id": str(number), "images": [f"{number}.jpg"], "messages": messages}))
    (folder / "samples.jsonl").write_text("\n".join(lines), encoding="utf-8")


class Bench:
    """One stage on one device."""

    def __init__(self, chosen: argparse.Namespace, stage: str, folder: Path) -> None:
        self.device, self.shape, self.folder = torch.device(chosen.device), chosen.shape, folder
        self.layers: int = chosen.layers
        self.autocast = chosen.dtype == "bfloat16"
        published = stage_of("pocket" if self.shape == "pocket" else "llava-1.5-lora", stage)
        lora = published.lora and replace(published.lora, dropout=0.0)
        self.stage: Stage = replace(published, batch=chosen.batch, epochs=1, caption_prompt=None, lora=lora)
        self.tokenizer = load_tokenizer(find("pocket").path("language"))
        make_samples(folder, stage, chosen.count)
        self.mixture = Mixture([(SampleFile.open(folder / "samples.jsonl"), 1.0)])
        self.steps = -(-chosen.count // chosen.batch)
        self.compiling: list[float] = []
        self.operations = 0.0  # of an epoch, ours with warm features
        self.trainers_operations = 0.0

    def model(self) -> LlavaModel:
        """The same weights every time."""
        torch.manual_seed(0)
        if self.shape == "pocket":
            return _pocket().to(self.device)
        return _seven_billion(self.tokenizer, self.device, self.layers).to(self.device)

    def ours(self, layout: Any, *, warm: bool, compiled: bool = False) -> tuple[float, float]:
        """Seconds of the steps, and the last loss."""
        model = self.model()
        if self.device.type == "cpu":
            set_attention(model.language, "eager")  # as stage_run does
        set_trainable(model, self.stage)
        self.count(model)
        model.train()
        cache_folder = self.folder / "features"
        if not warm:
            shutil.rmtree(cache_folder, ignore_errors=True)
        assert model.tower is not None
        images = [self.folder / f"{number}.jpg" for number in range(len(self.mixture.files[0]))]
        if warm:
            FeatureCache(cache_folder, model.tower).fill(images)
        if compiled:
            compile_layers(model.language)
            start = copy.deepcopy(model.state_dict())
            began = time.perf_counter()
            self._epoch(model, FeatureCache(cache_folder, model.tower), layout)
            self.compiling.append(time.perf_counter() - began)
            model.load_state_dict(start)
        started = time.perf_counter()
        cache = FeatureCache(cache_folder, model.tower)
        cache.fill(images)
        loss = self._epoch(model, cache, layout)
        return time.perf_counter() - started, loss

    def count(self, model: LlavaModel) -> None:
        """Floating-point operations of an epoch: ours, of real tokens and supervised logits; the trainer's, of padded
        tokens, all logits and the tower. The prompts' common beginning counts in every row, though ours may skip it."""
        assert model.tower is not None
        encoder = SampleEncoder(self._encoder(model), max_tokens=2048)
        examples = [encoder.encode(self.mixture[pair]) for pair in self.mixture.epoch(seed=0, epoch=0)]
        a_token, a_target = flops(model, self.stage)
        shape: Any = model.language.config
        an_attention = 3 * 4 * shape.hidden_size * shape.num_hidden_layers  # products of two tokens, forward and back
        lengths = [len(example.ids) for example in examples]
        batches = [lengths[at : at + self.stage.batch] for at in range(0, len(lengths), self.stage.batch)]
        padded = [max(batch) for batch in batches for _ in batch]
        tower = 2 * sum(each.numel() for each in model.tower.parameters()) * model.tower.grid**2 * len(examples)
        targets = sum(sum(each.learned) for each in examples)
        squares, padded_squares = (sum(length**2 for length in each) for each in (lengths, padded))
        self.operations = a_token * sum(lengths) + a_target * targets + an_attention * squares
        self.trainers_operations = (a_token + a_target) * sum(padded) + an_attention * padded_squares + tower

    def _epoch(self, model: LlavaModel, cache: FeatureCache, layout: Any) -> float:
        """All steps → the last one's loss."""
        prefix, found = FrozenPrefix(model), optimiser(trainable_parameters(model), self.stage, fused=True)
        loader = BatchLoader(
            self.mixture, SampleEncoder(self._encoder(model), max_tokens=2048), samples_per_step=self.stage.batch,
            layout=layout, pass_tokens=1024 if self.device.type == "cpu" else 8192, pad_id=0, seed=0,
            load_pictures=cache.load,
        )  # fmt: skip
        loss = 0.0
        for batches in loader.steps(0, self.steps):
            loss = 0.0
            for batch in (each.to(self.device) for each in batches.passes):
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                    part = loss_sum(model, batch, model.features_of(batch.pictures), prefix=prefix)
                (part / batches.targets).backward()
                loss += float(part.detach()) / batches.targets
            torch.nn.utils.clip_grad_norm_([p for g in found.param_groups for p in g["params"]], 1.0)
            for group in found.param_groups:
                group["lr"] = 1e-5
            found.step()
            found.zero_grad()
        return loss

    def trainer(self) -> tuple[float, float]:
        """The same through transformers.Trainer."""
        from transformers import Trainer, TrainingArguments

        model = self.model()
        set_trainable(model, self.stage)
        encoder = SampleEncoder(self._encoder(model), max_tokens=2048)
        order = self.mixture.epoch(seed=0, epoch=0)
        samples = [self.mixture[pair] for pair in order]
        assert model.tower is not None
        arguments = TrainingArguments(
            output_dir=str(self.folder / "hf"), per_device_train_batch_size=self.stage.batch, num_train_epochs=1,
            learning_rate=1e-5, lr_scheduler_type="constant", weight_decay=0.0, max_grad_norm=1.0, report_to=[],
            use_cpu=self.device.type == "cpu", save_strategy="no", disable_tqdm=True, remove_unused_columns=False,
            optim="adamw_torch_fused", bf16=self.autocast, logging_steps=1, logging_strategy="steps",
            label_names=["labels"], dataloader_num_workers=0 if self.device.type == "cpu" else 8,
        )  # fmt: skip
        peer = Trainer(
            _Plain(model),
            arguments,
            train_dataset=samples,
            data_collator=_Padded(encoder, model.tower.preprocess),
        )
        peer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(samples)  # the same order
        started = time.perf_counter()
        peer.train()
        seconds = time.perf_counter() - started
        return seconds, [entry["loss"] for entry in peer.state.log_history if "loss" in entry][-1]

    def _encoder(self, model: LlavaModel) -> PromptEncoder:
        return PromptEncoder(self.tokenizer, tokens_per_image=model.tokens_per_image)


class _Plain(torch.nn.Module):
    """What everybody writes: pixels in, all logits, the mean over the batch's labels."""

    def __init__(self, model: LlavaModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, pixel_values: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        logits_BTL = self.model(input_ids, pixels_NCHW=pixel_values, attention_mask=attention_mask).logits_BKL
        loss = torch.nn.functional.cross_entropy(
            logits_BTL[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100
        )
        return {"loss": loss}


class _Padded:
    def __init__(self, encoder: SampleEncoder, preprocess: ImagePreprocess) -> None:
        self._encoder, self._preprocess = encoder, preprocess

    def __call__(self, samples: list[Any]) -> dict[str, torch.Tensor]:
        examples = [self._encoder.encode(sample) for sample in samples]
        longest = max(len(example.ids) for example in examples)
        rows = {"input_ids": 0, "attention_mask": 0, "labels": -100}
        made: dict[str, list[list[int]]] = {name: [] for name in rows}
        for example in examples:
            empty = longest - len(example.ids)
            made["input_ids"].append([*example.ids, *[0] * empty])
            made["attention_mask"].append([1] * len(example.ids) + [0] * empty)
            labels = [t if learned else -100 for t, learned in zip(example.ids, example.learned, strict=True)]
            made["labels"].append(labels + [-100] * empty)
        images = [open_picture(image) for example in examples for image in example.images]
        return {name: torch.tensor(row) for name, row in made.items()} | {
            "pixel_values": self._preprocess.pixels(images)
        }


def _pocket() -> LlavaModel:
    kit, config = find("pocket"), LlavaConfig(pooled_grid=4)
    tower = load_tower(kit.path("vision"), config)
    dtype = torch.bfloat16 if DTYPE == "bfloat16" else torch.float32
    language = load_language(kit.path("language"), dtype=dtype)
    width = int(input_embeddings(language).weight.shape[1])
    return LlavaModel(
        language=language,
        image_token_id=image_token_id(load_tokenizer(kit.path("language"))),
        tower=tower,
        projector=Projector("mlp2x_gelu", vision_width=tower.width, text_width=width),
        config=config,
    )


def _seven_billion(tokenizer: Any, device: torch.device, layers: int) -> LlavaModel:
    """LLaVA-1.5-7B: CLIP ViT-L/14-336, two-layer projector, Vicuna's shape; SmolLM2's words. `layers` of 32."""
    from transformers import AutoModelForCausalLM, CLIPVisionConfig, CLIPVisionModel, LlamaConfig

    config = LlavaConfig()
    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14, projection_dim=768,
    )  # fmt: skip
    text = LlamaConfig(
        hidden_size=4096, intermediate_size=11008, num_hidden_layers=layers, num_attention_heads=32, vocab_size=49_160,
        max_position_embeddings=4096,
    )  # fmt: skip
    with device:
        tower = CLIPVisionModel(vision).to(torch.bfloat16)
        language = AutoModelForCausalLM.from_config(text, dtype=torch.bfloat16)
    return LlavaModel(
        language=language,
        image_token_id=image_token_id(tokenizer),
        tower=TransformersTower(tower, preprocess=ImagePreprocess(size=336), config=config),
        projector=Projector("mlp2x_gelu", vision_width=1024, text_width=4096),
        config=config,
    )


DTYPE = "float32"


def measure(chosen: argparse.Namespace, stage: str) -> dict[str, Any]:
    """All rounds of one stage."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(chosen, stage, Path(folder))
        if chosen.count_only:
            return _counted(bench, stage)
        default, other = ("padded", "packed") if bench.device.type == "cpu" else ("packed", "padded")
        ways: dict[str, Callable[[], tuple[float, float]]] = {
            "trainer": bench.trainer,
            "cold": lambda: bench.ours(default, warm=False),
            "warm": lambda: bench.ours(default, warm=True),
            "compiled": lambda: bench.ours(default, warm=True, compiled=True),
            "other": lambda: bench.ours(other, warm=True),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        losses: dict[str, float] = {}
        loads = []
        for _ in range(chosen.rounds):
            loads.append(round(os.getloadavg()[0], 1))
            for name, way in ways.items():
                took, losses[name] = way()
                seconds[name].append(took)
                print(
                    f"  {stage} {name}: {chosen.count / took:.2f} samples/s, last loss {losses[name]:.6f}",
                    file=sys.stderr,
                )
    rates = {name: chosen.count / statistics.median(each) for name, each in seconds.items()}
    ratios = {
        name: round(statistics.median(t / o for t, o in zip(seconds["trainer"], each, strict=True)), 2)
        for name, each in seconds.items()
    }
    peak = peak_flops(bench.device)
    utilisation = {
        name: round(bench.operations / statistics.median(each) / peak, 3) for name, each in seconds.items() if peak
    }
    return {
        "stage": stage,
        "operations": round(bench.trainers_operations / bench.operations, 2),
        "utilisation": utilisation,  # MFU: of the GPU's peak, where that is known
        "samples_per_second": {name: round(rate, 2) for name, rate in rates.items()},
        "over_trainer": ratios,
        "last_losses": {name: round(loss, 6) for name, loss in losses.items()},
        "seconds_of_the_first_compiled_epoch": round(max(bench.compiling), 1),
        "load_before_each_round": loads,
    }


def _counted(bench: Bench, stage: str) -> dict[str, Any]:
    bench.device = torch.device("meta")  # shapes without numbers
    bench.count(bench.model())
    return {
        "stage": stage,
        "operations": round(bench.trainers_operations / bench.operations, 2),
        "teraflops_a_sample": round(bench.operations / len(bench.mixture.files[0]) / 1e12, 3),
        "samples_per_second": {},
    }


def main() -> None:
    """Print a table, then everything as one JSON line."""
    global DTYPE
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--stages", nargs="+", default=["align", "instruct"], choices=["align", "instruct"])
    arguments.add_argument("--shape", default="pocket", choices=["pocket", "7b"])
    arguments.add_argument("--layers", type=int, default=32, help="of the 7b shape's language model")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of both sides")
    arguments.add_argument("--count", type=int, default=64, help="samples in a round")
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--count-only", action="store_true", help="count operations, run nothing")
    chosen = arguments.parse_args()
    DTYPE = chosen.dtype
    results = [measure(chosen, stage) for stage in chosen.stages]
    for result in results:
        print(
            f"{result['stage']}: {chosen.count} samples a round, batch {chosen.batch}, {chosen.dtype}, "
            + ("counted, not run" if chosen.count_only else f"median of {chosen.rounds}")
        )
        print(f"  operations: the trainer needs {result['operations']:.2f} for each of ours")
        for name, rate in result["samples_per_second"].items():
            mfu = f"  MFU {result['utilisation'][name]:.0%}" if result["utilisation"] else ""
            print(f"  {name:8} {rate:8.2f} samples a second  {result['over_trainer'][name]:.2f} × trainer{mfu}")
    print(
        json.dumps(
            {"device": chosen.device, "shape": chosen.shape, "threads": torch.get_num_threads(), "results": results}
        )
    )


if __name__ == "__main__":
    main()
