"""Text→image retrieval with the pocket kit's embedder, with and without a joint space, through the product's own code.

    python recipes/pocket/score_joint_space.py --data build/pocket-data --joint-space joint_space.safetensors

Held-out clip art (400 titles and as many pictures), Tux Paint's stamps (538; the question is the description as it
stands), and the sample collection's questions about pictures. Intervals: 95 %, bootstrap over questions.

Legend: N questions and as many pictures, question n meaning picture n.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from indexing.embedding.pocket import PocketEmbedder
from recipes.pocket.samples import caption_of, read_records

log = logging.getLogger(__name__)

SAMPLE = Path(__file__).parents[2] / "examples" / "sample"
_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
_DRAWS = 10_000


def text_to_image(embedder: PocketEmbedder, file: Path) -> npt.NDArray[np.int64]:
    """(N,): for each caption of a JSONL file the rank of its picture, 1 the best. Equal captions count as one thing."""
    records = read_records(file)
    captions = [caption_of(record) for record in records]
    pictures_ND = embed(embedder, [file.parent / str(record["images"][0]) for record in records])
    return ranks(embedder.embed_image_queries(captions) @ pictures_ND.T, captions)


def ranks(similarity_NN: npt.NDArray[np.float32], captions: Sequence[str]) -> npt.NDArray[np.int64]:
    """Rank of the best picture whose caption is the question's own."""
    words = np.array([caption.casefold() for caption in captions])
    same_NN = words[:, None] == words[None, :]
    best_N = np.where(same_NN, similarity_NN, -np.inf).max(1)
    better_N: npt.NDArray[np.int64] = ((similarity_NN > best_N[:, None]) & ~same_NN).sum(1) + 1
    return better_N


def recall(ranks_N: npt.NDArray[np.int64], k: int) -> dict[str, float]:
    """Share of questions whose picture is among the first k, with its interval."""
    hits_N = ranks_N <= k
    draws = np.random.default_rng(0).integers(len(hits_N), size=(_DRAWS, len(hits_N)))
    low, high = np.percentile(hits_N[draws].mean(1), [2.5, 97.5])
    return {"score": round(float(hits_N.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def embed(embedder: PocketEmbedder, files: Sequence[Path]) -> npt.NDArray[np.float32]:
    """Unit vectors of picture files."""
    vectors = []
    for start in range(0, len(files), 64):
        pixels = [embedder.preprocess.crop(_opened(file)) for file in files[start : start + 64]]
        vectors.append(embedder.embed_images(np.stack(pixels)).vectors_BD)
    return np.concatenate(vectors)


def sample_collection(embedder: PocketEmbedder) -> dict[str, Any]:
    """Ranks of the right photograph or drawing among all pictures of the sample collection."""
    files = sorted(file for file in (SAMPLE / "collection").rglob("*") if file.suffix.lower() in _PICTURES)
    names = [file.relative_to(SAMPLE / "collection").as_posix() for file in files]
    lines = (SAMPLE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [q for q in map(json.loads, lines) if q["kind"] == "photo" and set(q["sources"]) <= set(names)]
    similarity = embedder.embed_image_queries([q["question"] for q in questions]) @ embed(embedder, files).T
    order = np.argsort(-similarity, axis=1)
    found = [min(names_at(order[n], names, q["sources"])) for n, q in enumerate(questions)]
    return {"pictures": len(files), "ranks": {q["id"]: rank for q, rank in zip(questions, found, strict=True)}}


def names_at(order: Sequence[int], names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Places, from 1, at which the wanted names stand."""
    return [place for place, index in enumerate(order, 1) if names[index] in wanted]


def _opened(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")


def score(data: Path, joint_space: Path | None) -> dict[str, Any]:
    """All scores of one embedder."""
    from llava_model.kits import find

    kit = find("pocket")
    embedder = PocketEmbedder(kit.path("vision"), kit.path("text"), joint_space=joint_space, device="cpu")
    scores: dict[str, Any] = {"embedder": embedder.name}
    for name, file in {"held-out clip art": "clipart/held_out.jsonl", "stamps": "stamps/test.jsonl"}.items():
        ranks_N = text_to_image(embedder, data / file)
        scores[name] = {f"R@{k}": recall(ranks_N, k) for k in (1, 5, 10)} | {"n": len(ranks_N)}
    return scores | {"sample collection": sample_collection(embedder)}


def main() -> int:
    """The command: one JSON document on stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("build/pocket-data"))
    parser.add_argument("--joint-space", type=Path, default=None, help="scored beside the space without one")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    spaces = [None] if chosen.joint_space is None else [None, chosen.joint_space]
    print(json.dumps([score(chosen.data, space) for space in spaces], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
