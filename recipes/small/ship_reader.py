"""A trained checkpoint → the reader's adapter inside the package.

    python -m recipes.small.ship_reader build/reader

Two files, bfloat16 like the language model that they adapt, without a path of the machine they were trained on. The
card beside them is written by hand: it says what was reached.
"""

import argparse
from pathlib import Path

import torch

from llava_model.checkpoints.manifest import latest
from llava_model.checkpoints.parts import ADAPTER
from llava_model.kits import __file__ as trained_file
from recipes.pocket.ship import ship_adapter

KIT = Path(str(trained_file)).parent / "weights" / "small"
BASE = "Qwen2.5-Coder-1.5B-Instruct"


def main() -> None:
    """Copy the adapter of a checkpoint, or of a run's latest one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run's folder, one of its checkpoints, or the adapter's own folder")
    parser.add_argument("--out", type=Path, default=KIT, help="the kit's folder of weights")
    arguments = parser.parse_args()
    checkpoint = latest(arguments.run) or arguments.run
    source = checkpoint / ADAPTER if (checkpoint / ADAPTER).is_dir() else checkpoint
    target = arguments.out / ADAPTER
    ship_adapter(source, target, base=BASE, dtype=torch.bfloat16)
    print(f"{target}: {sum(each.stat().st_size for each in target.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
