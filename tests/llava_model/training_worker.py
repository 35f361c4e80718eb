"""One process of a run over several; forked by `forking.Forks`."""

import os
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from conftest import make_tiny_foreign, make_tiny_tokenizer
from training_world import World, a_manifest

from llava_model.data.batches import BatchLoader
from llava_model.training.loop import RunSettings, train
from llava_model.training.stages import INSTRUCT, Lora
from llava_model.training.trainable import set_trainable

for name in (
    "accelerate",
    "peft",
    "transformers.models.llama.modeling_llama",
    "transformers.models.llava.modeling_llava",
):
    import_module(name)  # seconds of imports, once


def run(mode: str, into: str, to: str) -> None:
    """Train the tiny world; all processes leave the checkpoint of one."""
    folder, out = Path(into), Path(to)
    from accelerate import Accelerator
    from accelerate.utils import FullyShardedDataParallelPlugin

    torch.set_num_threads(1)
    plugin = None
    if mode == "fsdp":
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=["LlamaDecoderLayer"],
            reshard_after_forward=True,
            cpu_ram_efficient_loading=False,
        )
    accelerator = Accelerator(cpu=True, fsdp_plugin=plugin)
    lora = Lora(rank=2, alpha=4) if mode == "ddp" else None
    stage = replace(INSTRUCT, learning_rate=1e-3, batch=5, epochs=1, lora=lora)
    world = World(folder, make_tiny_foreign, make_tiny_tokenizer("chatml"))
    model = world.model()
    set_trainable(model, stage, seed=0)
    samples = world.mixture()
    loader = BatchLoader(
        samples, world.encoder(), samples_per_step=stage.batch, layout="packed", pass_tokens=90, pad_id=0, seed=0,
        load_pictures=world.load_pictures,
        process=accelerator.process_index, processes=accelerator.num_processes,
    )  # fmt: skip
    stop_after = int(os.environ.get("STOP_AFTER", "0")) or None
    train(
        model, loader, stage, RunSettings(out=out, most_steps=stop_after), a_manifest(), accelerator=accelerator,
    )  # fmt: skip
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # who leaves first takes the store along
        torch.distributed.destroy_process_group()
