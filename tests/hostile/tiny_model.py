"""A LLaVA with random weights that `llavero serve` can serve within seconds: `python tiny_model.py FOLDER`."""

import subprocess
import sys
from pathlib import Path

from traps import HERE

_TESTS_OF_THE_MODEL = HERE.parent / "llava_model"


def make(folder: Path) -> None:
    """In a process of its own: this one never loads torch."""
    subprocess.run([sys.executable, HERE / "tiny_model.py", folder], check=True, capture_output=True)


def _save(folder: Path) -> None:
    sys.path.insert(0, str(_TESTS_OF_THE_MODEL))
    from conftest import CHATML, make_tiny_foreign, make_tiny_tokenizer

    from llava_model.checkpoints.hf import from_hf_model, save_hf
    from llava_model.images import ImagePreprocess
    from llava_model.text.tokenize import image_token_id

    tokenizer = make_tiny_tokenizer("chatml")
    tokenizer.chat_template = CHATML
    foreign = make_tiny_foreign(vocabulary=len(tokenizer), image_token=image_token_id(tokenizer))
    save_hf(from_hf_model(foreign, ImagePreprocess(size=28)), folder, tokenizer)


if __name__ == "__main__":
    _save(Path(sys.argv[1]))
