"""Small pictures with captions and boxes, and a run of their own for the tests that kill it."""

import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from llava_model.chat_client import WRITER, ChatServer
from llava_model.synthesis.generate import GenerationReport, GenerationSettings, generate
from llava_model.synthesis.prompts import load_prompts
from llava_model.synthesis.runner import Patience
from llava_model.synthesis.sources import read_coco

QUICK = Patience(tries=4, first_wait_seconds=0.01, longest_wait_seconds=2.0)


def coco(folder: Path, pictures: int = 6, **changes: Any) -> tuple[Path, Path]:
    """Files in COCO's format over `pictures` pictures with ids 1, 2, …; each has two captions, a dog and two balls."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    listed, captions, boxes = [], [], []
    for number in range(1, pictures + 1):
        Image.new("RGB", (100, 50), (number % 256, 0, 0)).save(images / f"{number}.png")
        listed.append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 50})
        captions.append({"image_id": number, "caption": f"A dog and two balls on the lawn, take {number}."})
        captions.append({"image_id": number, "caption": "The dog is on the grass."})
        boxes.append({"image_id": number, "bbox": [10, 5, 20, 40], "category_id": 18, "iscrowd": 0})
        boxes += [{"image_id": number, "bbox": [x, 40, 5, 5], "category_id": 37, "iscrowd": 0} for x in (50, 70)]
    first = folder / "captions.json"
    first.write_text(json.dumps({"images": listed, "annotations": [*captions, *changes.get("captions", [])]}))
    second = folder / "instances.json"
    names = [{"id": 18, "name": "dog"}, {"id": 37, "name": "sports ball"}]
    second.write_text(json.dumps({"annotations": [*boxes, *changes.get("boxes", [])], "categories": names}))
    return first, second


def run(folder: Path, url: str, out: Path, **changes: Any) -> GenerationReport:
    """One run over the files in `folder`."""
    source = read_coco(folder / "captions.json", folder / "instances.json", folder / "images")
    timeout = changes.pop("timeout_seconds", 10.0)
    settings = GenerationSettings(**{"concurrency": 4, "patience": QUICK, **changes})
    writer = ChatServer(url=url, model="writer", role=WRITER, timeout_seconds=timeout)
    return generate(source, writer, out, load_prompts(), settings)


def records(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "train.json").read_text("utf-8"))
    return found


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
