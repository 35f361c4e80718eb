"""Indexing photographs end to end, against the bare embedding and against a plain loop.

    python benchmarks/index_photos.py                       # pocket kit and open_clip ViT-B-32, 500 photographs
    python benchmarks/index_photos.py --models pocket --count 200 --rounds 5

Four ways through the same photographs, taken in turns, round after round, medians reported:

    bare   the network's pass alone, as torch runs it: pixels already decoded and cropped in memory, batches of 32 one
           after the other, the same threads, the C library's own habits with memory (in a process of its own)
    parallel  the same passes as `index` runs them: side by side, and freed memory stays with the process
    index  `indexing.pipeline.index` into an empty library, from the first folder to the last row: walking, hashing,
           reading in worker processes, the look for text, thumbnails, labels, words, Milvus Lite, the ledger
    plain  what one would write first: open, crop, embed one, insert one

`index / bare` is the share of the model's own speed that is left; `index / parallel` that of what Llavero makes of it.
Photographs are cut, turned and tinted from those
of the sample collection (or drawn, where there are none), 640×480 to 1600×1200, the same for everyone.
OMP_WAIT_POLICY is PASSIVE unless it is set: threads that wait by spinning take the readers' cores.
Peak memory is proportional set size over this process and its children, looked at ten times a second.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from indexing.embed_and_write import ParallelBatches
from indexing.embedding.protocol import Embedder, Pixels
from indexing.library import Library
from indexing.pipeline import index
from indexing.records import Chunk
from indexing.settings import IndexingSettings
from indexing.store import MilvusStore, Row
from llava_model.kits import find

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
SAMPLE = Path(__file__).parent.parent / "examples" / "sample" / "collection" / "photos"
SIZES = [(640, 480), (800, 600), (1024, 768), (1200, 1600), (1280, 960), (1600, 1200)]
BATCH = 32


def make_photographs(folder: Path, count: int, sizes: Sequence[tuple[int, int]] = SIZES) -> None:
    """`count` different JPEGs of quality 85, of these sizes in turn."""
    originals = [Image.open(each).convert("RGB") for each in sorted(SAMPLE.rglob("*.jpg"))]
    for number in range(count):
        draw = random.Random(number)
        size = sizes[number % len(sizes)]
        original = draw.choice(originals) if originals else _drawn(draw)
        part = draw.uniform(0.5, 1.0)
        width, height = (round(side * part) for side in original.size)
        left, top = draw.randint(0, original.width - width), draw.randint(0, original.height - height)
        photo = original.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
        photo = ImageOps.mirror(photo) if draw.random() < 0.5 else photo
        photo = ImageEnhance.Color(photo).enhance(draw.uniform(0.5, 1.5))
        photo = ImageEnhance.Brightness(photo).enhance(draw.uniform(0.7, 1.3))
        grain = Image.effect_noise(size, 12).convert("RGB")  # enlarged pictures are smoother than a camera's
        Image.blend(photo, grain, 0.05).save(folder / f"IMG_{number:04d}.jpg", quality=85)


def _drawn(draw: random.Random) -> Image.Image:
    photo = Image.effect_noise((800, 600), 60).convert("RGB").filter(ImageFilter.GaussianBlur(3))
    pen = ImageDraw.Draw(photo)
    for _ in range(12):
        x, y, reach = draw.randint(0, 700), draw.randint(0, 500), draw.randint(30, 250)
        colour = (draw.randint(0, 255), draw.randint(0, 255), draw.randint(0, 255))
        draw.choice([pen.ellipse, pen.rectangle])((x, y, x + reach, y + reach), fill=colour)
    return photo


def make_embedder(model: str, device: str) -> Embedder:
    """`pocket`, or an open_clip model's name with random weights."""
    kit = find("pocket")
    if model == "pocket":
        from indexing.embedding.pocket import PocketEmbedder

        return PocketEmbedder(kit.path("vision"), kit.path("text"), device=device)
    from indexing.embedding.open_clip import OpenClipEmbedder

    return OpenClipEmbedder(model, None, text=kit.path("text"), device=device)


def bare(embedder: Embedder, pixels_NHWC: Pixels) -> float:
    """Seconds for the model alone."""
    started = time.perf_counter()
    for start in range(0, len(pixels_NHWC), BATCH):
        embedder.embed_images(pixels_NHWC[start : start + BATCH])
    return time.perf_counter() - started


class BareProcess:
    """A process that embeds as torch comes: without parallel batches, and without what `keep_freed_memory` sets."""

    def __init__(self, model: str, device: str, pixels_NHWC: Pixels, work: Path) -> None:
        np.save(work / "pixels.npy", pixels_NHWC)
        spawn = multiprocessing.get_context("spawn")
        self._here, there = spawn.Pipe()
        arguments = (model, device, work / "pixels.npy", there)
        self._process = spawn.Process(target=_serve_bare, args=arguments, daemon=True)
        self._process.start()
        self._here.recv()

    def seconds(self) -> float:
        """Of one pass over everything."""
        self._here.send("go")
        return float(self._here.recv())

    def close(self) -> None:
        """Let it end."""
        self._here.send("end")
        self._process.join()


def _serve_bare(model: str, device: str, pixels: Path, pipe: Any) -> None:
    from indexing.embedding import open_clip, pocket

    pocket.keep_freed_memory = open_clip.keep_freed_memory = lambda: None
    embedder, pixels_NHWC = make_embedder(model, device), np.load(pixels)
    bare(embedder, pixels_NHWC[: 2 * BATCH])  # warm
    pipe.send("ready")
    while pipe.recv() == "go":
        pipe.send(bare(embedder, pixels_NHWC))


def in_parallel(embedder: Embedder, pixels_NHWC: Pixels) -> float:
    """Seconds for the model alone, as `index` asks it."""
    batches = ParallelBatches(embedder)
    started = time.perf_counter()
    for each in [batches.submit(pixels_NHWC[start : start + BATCH]) for start in range(0, len(pixels_NHWC), BATCH)]:
        each.result()
    seconds = time.perf_counter() - started
    batches.close()
    return seconds


def whole(embedder: Embedder, photographs: Path, folder: Path, expected: int) -> float:
    """Seconds of `index` on an empty library."""
    with _library(embedder, folder) as (library, store):
        started = time.perf_counter()
        report = index(
            [photographs],
            library=library,
            store=store,
            embedder=embedder,
            settings=IndexingSettings(picture_batch=BATCH),
        )
        seconds = time.perf_counter() - started
        assert (report.added, report.failed) == (expected, 0), report
    return seconds


def plain(embedder: Embedder, photographs: Path, folder: Path) -> float:
    """Seconds of the loop without batches, workers or a ledger."""
    with _library(embedder, folder) as (_, store):
        started = time.perf_counter()
        for path in sorted(photographs.iterdir()):
            with Image.open(path) as image:
                pixels = embedder.preprocess.crop(image.convert("RGB"))
            vector = embedder.embed_images(pixels[None]).vectors_BD[0]
            chunk = Chunk(content_hash=path.name, path=str(path), kind="image", ordinal=0, title=path.stem)
            store.upsert([Row(chunk=chunk, clip=vector)])
        store.ready()
        return time.perf_counter() - started


@contextmanager
def _library(embedder: Embedder, folder: Path) -> Iterator[tuple[Library, MilvusStore]]:
    shutil.rmtree(folder, ignore_errors=True)
    library = Library.open(folder, kit="benchmark", embedder_name=embedder.name, create=True)
    store = MilvusStore.open(
        library.milvus,
        clip_dimensions=embedder.clip_dimensions,
        text_dimensions=embedder.text_dimensions,
    )
    try:
        yield library, store
    finally:
        store.close()
        library.close()


@contextmanager
def peak_memory(found: list[float]) -> Iterator[None]:
    """Appends the peak in megabytes."""
    done, peak = threading.Event(), 0.0
    here = psutil.Process()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            total = 0
            for process in (here, *here.children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            peak = max(peak, total / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        found.append(round(peak))


def decoded(embedder: Embedder, photographs: Path) -> Pixels:
    """All photographs as the model takes them."""
    squares = []
    for path in sorted(photographs.iterdir()):
        with Image.open(path) as image:
            squares.append(embedder.preprocess.crop(image.convert("RGB")))
    return np.stack(squares)


def measure(model: str, photographs: Path, work: Path, *, rounds: int, device: str) -> dict[str, object]:
    """All rounds of one model."""
    embedder = make_embedder(model, device)
    count = len(list(photographs.iterdir()))
    memory: list[float] = []
    with peak_memory(memory):  # before anything that only this benchmark keeps
        whole(embedder, photographs, work / "library", count)
    pixels_NHWC = decoded(embedder, photographs)
    ways: dict[str, Callable[[], float]] = {
        "bare": lambda: alone.seconds(),
        "parallel": lambda: in_parallel(embedder, pixels_NHWC),
        "index": lambda: whole(embedder, photographs, work / "library", count),
        "plain": lambda: plain(embedder, photographs, work / "library"),
    }
    bare(embedder, pixels_NHWC[: 2 * BATCH])  # warm
    alone = BareProcess(model, device, pixels_NHWC, work)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    loads: list[float] = []
    for _ in range(rounds):
        loads.append(round(os.getloadavg()[0], 1))
        for name, way in ways.items():
            seconds[name].append(way())
    alone.close()
    rates = {name: count / statistics.median(each) for name, each in seconds.items()}
    shares = {
        name: [b / i for b, i in zip(seconds[name], seconds["index"], strict=True)] for name in ("bare", "parallel")
    }
    return {
        "model": embedder.name,
        "photographs": count,
        "per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "index_over_bare": round(statistics.median(shares["bare"]), 3),
        "index_over_bare_each_round": [round(share, 3) for share in shares["bare"]],
        "index_over_parallel": round(statistics.median(shares["parallel"]), 3),
        "index_over_plain": round(rates["index"] / rates["plain"], 2),
        "peak_megabytes": memory[0],
        "load_before_each_round": loads,
    }


def main() -> None:
    """Print a table, then the same as one JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--models", nargs="+", default=["pocket", "ViT-B-32"])
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--size", help="all photographs of one size, such as 640x480 (COCO's), instead of a mixture")
    arguments.add_argument("--photographs", type=Path, help="keep and reuse the photographs in this folder")
    chosen = arguments.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        photographs = chosen.photographs or Path(folder) / "photographs"
        if not photographs.exists():
            photographs.mkdir(parents=True)
            sizes = [tuple(map(int, chosen.size.split("x")))] if chosen.size else SIZES
            make_photographs(photographs, chosen.count, sizes)
        for model in chosen.models:
            result = measure(model, photographs, Path(folder), rounds=chosen.rounds, device=chosen.device)
            results.append(result)
            print(f"{result['model']}: {result['photographs']} photographs, median of {chosen.rounds} rounds")
            for name, rate in result["per_second"].items():
                print(f"  {name:6} {rate:8.1f} a second")
            over = ", ".join(f"index / {name} {result[f'index_over_{name}']}" for name in ("bare", "parallel", "plain"))
            print(f"  {over}")
            print(f"  peak memory {result['peak_megabytes']} MB, load {result['load_before_each_round']}")
    print(json.dumps({"cores": os.cpu_count(), "device": chosen.device, "results": results}))


if __name__ == "__main__":
    main()
