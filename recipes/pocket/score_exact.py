"""Exact answers of a trained checkpoint on samples with one short answer each, many at a time.

    python recipes/pocket/score_exact.py build/pocket-data/easy_vqa/test_single.jsonl --checkpoint build/runs/instruct

A greedy answer equals the wanted one exactly when, given the wanted answer's beginning, the likeliest next token is the
wanted one at every place, the end mark included. So one pass over question and answer together tells it, without
writing a token: the same verdict as generation, ten times as fast. `--check N` also writes N answers and compares.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch

from llava_model.checkpoints.manifest import latest
from llava_model.checkpoints.parts import choose_dtype, load_language, load_trained
from llava_model.data.batches import collate, plan
from llava_model.data.features import FeatureCache
from llava_model.data.sample_file import SampleFile
from llava_model.data.samples import SampleEncoder
from llava_model.kits import find
from llava_model.model.composition import LlavaModel, Projector
from llava_model.model.config import LlavaConfig
from llava_model.model.towers import load_tower
from llava_model.text.tokenize import PromptEncoder, image_token_id, load_tokenizer
from llava_model.training.report import answer_samples


def load(checkpoint: Path | None, dtype: torch.dtype) -> LlavaModel:
    """A checkpoint of ours, or the untrained composition with a random projector of seed 0."""
    kit = find("pocket")
    language, vision = kit.path("language"), kit.path("vision")
    if checkpoint is not None:
        model = load_trained(latest(checkpoint) or checkpoint, language=language, vision=vision, dtype=dtype)
    else:
        torch.manual_seed(0)
        config = LlavaConfig(pooled_grid=2)
        tower, text = load_tower(vision, config), load_language(language, dtype=dtype)
        width = int(text.get_input_embeddings().weight.shape[1])
        projector = Projector(config.projector, vision_width=tower.width, text_width=width)
        image = image_token_id(load_tokenizer(language))
        model = LlavaModel(language=text, image_token_id=image, tower=tower, projector=projector, config=config)
    model.language.set_attn_implementation("eager")
    return model.eval()


@torch.no_grad()
def verdicts(model: LlavaModel, encoder: PromptEncoder, samples: list[object], cache: FeatureCache) -> list[bool]:
    """For each sample whether its greedy answer is the wanted one."""
    examples = [SampleEncoder(encoder, max_tokens=1024).encode(sample) for sample in samples]
    right = [False] * len(examples)
    (groups,) = plan([len(e.ids) for e in examples], layout="padded", max_tokens=3000, processes=1)
    for group in groups:
        batch = collate([examples[each] for each in group], layout="padded", pad_id=0)
        features = cache.features(batch.images) if batch.images else None
        output = model(batch.ids_BT, features_NPV=features, position_ids_BT=batch.positions_BT)
        guessed_BT = output.logits_BKL[:, :-1].argmax(-1) == batch.ids_BT[:, 1:]
        # what stands behind the end mark is the template's and nobody asks for it
        for row, each in enumerate(group):
            wanted = [t - 1 for t in range(1, len(examples[each].ids)) if examples[each].learned[t]]
            right[each] = bool(guessed_BT[row, wanted].all())
    return right


def wilson(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share."""
    z, share = 1.96, right / count
    middle, spread = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def main() -> None:
    """Print one JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("samples", type=Path)
    arguments.add_argument(
        "--checkpoint", type=Path, help="a run or a checkpoint; without it the untrained composition"
    )
    arguments.add_argument("--limit", type=int)
    arguments.add_argument("--check", type=int, default=0)
    arguments.add_argument("--features", type=Path, default=Path("build/features"))
    chosen = arguments.parse_args()
    model = load(chosen.checkpoint, choose_dtype("auto", torch.device("cpu")))
    assert model.tower is not None
    encoder = PromptEncoder(load_tokenizer(find("pocket").path("language")), tokens_per_image=model.tokens_per_image)
    file = SampleFile.open(chosen.samples)
    step = max(1, len(file) // chosen.limit) if chosen.limit else 1
    samples = [file[position] for position in range(0, len(file), step)][: chosen.limit]
    cache = FeatureCache(chosen.features, model.tower)
    cache.fill([image for sample in samples for image in sample.images])
    started = time.perf_counter()
    right = verdicts(model, encoder, list(samples), cache)
    low, high = wilson(sum(right), len(right))
    written = [each.answer == each.wanted for each in answer_samples(model, encoder, samples[: chosen.check])]
    print(
        json.dumps(
            {
                "samples": str(chosen.samples.name),
                "n": len(right),
                "exact": round(sum(right) / len(right), 4),
                "interval": [round(low, 4), round(high, 4)],
                "written_agree": sum(a == b for a, b in zip(written, right, strict=False)) if written else None,
                "seconds": round(time.perf_counter() - started, 1),
                "wrong": [sample.id for sample, good in zip(samples, right, strict=True) if not good][:20],
            }
        )
    )


if __name__ == "__main__":
    main()
