"""A trained checkpoint → the small weights that lie inside the package.

    python recipes/pocket/ship.py build/runs/ground

Half precision, no path of the machine they were trained on, nothing but what serving needs. The card beside them
(`README.md`) is written by hand: it says what was reached.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from llava_model.checkpoints.manifest import latest, read_manifest
from llava_model.kits import __file__ as trained_file

KIT = Path(str(trained_file)).parent / "weights" / "pocket"
BASE = "SmolLM2-135M-Instruct"


def main() -> None:
    """Copy the latest checkpoint of a run."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("--out", type=Path, default=KIT)
    chosen = arguments.parse_args()
    checkpoint = latest(chosen.run) or chosen.run
    manifest = read_manifest(checkpoint)
    halve(checkpoint / "projector.safetensors", chosen.out / "projector.safetensors")
    if (checkpoint / "adapter").is_dir():
        ship_adapter(checkpoint / "adapter", chosen.out / "adapter", base=BASE)
    (chosen.out / "run.json").write_text(
        json.dumps(
            {
                "stage": manifest.stage,
                "step": manifest.step,
                "seed": manifest.seed,
                "config": manifest.config,
                "base": manifest.base,
                "data_fingerprint": manifest.data_fingerprint,
                "git_hash": manifest.git_hash,
            },
            indent=1,
        ),
        encoding="utf-8",
    )
    total = sum(path.stat().st_size for path in chosen.out.rglob("*") if path.is_file())
    print(f"{chosen.out}: {total / 1e6:.1f} MB")


def ship_adapter(source: Path, target: Path, *, base: str, dtype: torch.dtype = torch.float16) -> None:
    """An adapter's two files, its settings with the name of the language model instead of a folder."""
    halve(source / "adapter_model.safetensors", target / "adapter_model.safetensors", dtype)
    settings = json.loads((source / "adapter_config.json").read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = base
    (target / "adapter_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def halve(source: Path, target: Path, dtype: torch.dtype = torch.float16) -> None:
    """The same tensors in half precision, with the same header; the file appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with safe_open(source, framework="pt") as file:
        header = file.metadata()
    weights = {name: tensor.to(dtype).contiguous() for name, tensor in load_file(source).items()}
    unfinished = target.with_suffix(".part")
    save_file(weights, unfinished, metadata=header)
    shutil.move(unfinished, target)


if __name__ == "__main__":
    main()
