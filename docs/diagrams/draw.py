"""Draw the three diagrams of docs/ARCHITECTURE.md as SVG; with --check, fail when a file is not what this draws.

Each picture brings its own background and follows the reader's light or dark setting, so that it reads on any page.
All numbers are pixels of a canvas 1,000 wide; y grows downwards.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent
WIDTH, HEIGHT_OF_BOX, LINE = 1000, 58, 16
STYLE = """
svg { --paper: #ffffff; --ink: #17212b; --soft: #51606e; --box: #e3f2f0; --edge: #2a7d76;
  --store: #fdf1d8; --rim: #a8761a;
  --zone: #f4f6f8; --border: #b9c3cc; font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { svg { --paper: #1b2129; --ink: #edf2f6; --soft: #aebac5; --box: #1d4643;
  --edge: #67bdb4; --store: #4a3a16; --rim: #dcab55; --zone: #242c36; --border: #4c5965; } }
.paper { fill: var(--paper) } .zone { fill: var(--zone); stroke: var(--border); stroke-dasharray: 5 4 }
.box { fill: var(--box); stroke: var(--edge) } .store { fill: var(--store); stroke: var(--rim) }
.title { fill: var(--ink); font-size: 14px; font-weight: 600; text-anchor: middle }
.text { fill: var(--ink); font-size: 12px; text-anchor: middle }
.head { fill: var(--soft); font-size: 13px; font-weight: 600 } .label { fill: var(--soft); font-size: 12px }
.arrow { fill: none; stroke: var(--soft); stroke-width: 1.6; marker-end: url(#tip) } .tip { fill: var(--soft) }
"""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A step, or with `kind="store"` something that lasts. `lines` stand below the title."""

    x: int
    y: int
    title: str
    lines: tuple[str, ...] = ()
    width: int = 170
    height: int = HEIGHT_OF_BOX
    kind: str = "box"

    def side(self, name: str) -> tuple[float, float]:
        """The middle of a side: left, right, top or bottom."""
        middle_x, middle_y = self.x + self.width / 2, self.y + self.height / 2
        return {
            "left": (self.x, middle_y),
            "right": (self.x + self.width, middle_y),
            "top": (middle_x, self.y),
            "bottom": (middle_x, self.y + self.height),
        }[name]

    def drawn(self) -> str:
        """As SVG."""
        x, top = self.x + self.width / 2, self.y + self.height / 2 - LINE * len(self.lines) / 2
        parts = [
            f'<rect class="{self.kind}" x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="7"/>',
            f'<text class="title" x="{x:g}" y="{top + 5:g}">{escape(self.title)}</text>',
        ]
        for number, line in enumerate(self.lines, start=1):
            parts.append(f'<text class="text" x="{x:g}" y="{top + 5 + LINE * number:g}">{escape(line)}</text>')
        return "\n".join(parts)


@dataclass(frozen=True, kw_only=True)
class Zone:
    """What runs in one process or thread, or belongs together otherwise."""

    x: int
    y: int
    width: int
    height: int
    title: str
    title_below: bool = False

    def drawn(self) -> str:
        """As SVG."""
        line = self.y + (self.height - 9 if self.title_below else 20)
        return (
            f'<rect class="zone" x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="10"/>\n'
            f'<text class="head" x="{self.x + 12}" y="{line}">{escape(self.title)}</text>'
        )


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """From one box's side to another's, over the points `via`. `at` is where the label stands."""

    start: str
    end: str
    via: tuple[tuple[float, float], ...] = ()
    label: str = ""
    at: tuple[float, float] = (0, 0)

    def drawn(self, boxes: Mapping[str, Box]) -> str:
        """As SVG; ends are written `name.side`."""
        ends = [boxes[name].side(side) for name, side in (end.split(".") for end in (self.start, self.end))]
        points = " ".join(f"{x:g},{y:g}" for x, y in (ends[0], *self.via, ends[1]))
        label = f'\n<text class="label" x="{self.at[0]:g}" y="{self.at[1]:g}">{escape(self.label)}</text>'
        return f'<polyline class="arrow" points="{points}"/>' + (label if self.label else "")


def picture(height: int, says: str, zones: Sequence[Zone], boxes: Mapping[str, Box], arrows: Sequence[Arrow]) -> str:
    """The whole SVG; `says` is what a screen reader reads."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(says)}</title>\n<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="12"/>',
        *(zone.drawn() for zone in zones),
        *(arrow.drawn(boxes) for arrow in arrows),
        *(box.drawn() for box in boxes.values()),
        "</svg>\n",
    ]
    return "\n".join(parts)


def indexing() -> str:
    """Files → rows, with its processes and threads."""
    zones = [
        Zone(x=20, y=135, width=225, height=350, title="thread: prefetch", title_below=True),
        Zone(x=265, y=20, width=470, height=180, title="worker processes, one file each: no network, no programs"),
        Zone(x=265, y=235, width=470, height=250, title="the caller's thread", title_below=True),
        Zone(x=500, y=365, width=225, height=90, title="threads: 1 to 4", title_below=True),
    ]
    boxes = {
        "files": Box(x=47, y=45, title="files", lines=("folders and pictures",), kind="store"),
        "walk": Box(x=37, y=160, title="walk", lines=("indexing/discover.py",), width=190),
        "known": Box(x=37, y=255, title="known already?", lines=("ledger asked, bytes hashed",), width=190),
        "pool": Box(
            x=37,
            y=370,
            title="hand out and watch",
            lines=("time, memory, answers", "indexing/workers/process.py"),
            width=190,
            height=76,
        ),
        "sniff": Box(x=285, y=56, title="what is it?", lines=("readers/registry.py",), height=66),
        "reader": Box(
            x=500,
            y=50,
            title="read",
            lines=("words, boxes, page images,", "OCR where there is text"),
            width=215,
            height=78,
        ),
        "scratch": Box(
            x=500, y=144, title="scratch folder", lines=("page images, pixels",), width=215, height=46, kind="store"
        ),
        "chunk": Box(x=285, y=265, title="cut into chunks", lines=("indexing/chunking.py",), width=195),
        "batch": Box(x=285, y=373, title="batches across files", lines=("indexing/embed_and_write.py",), width=195),
        "embed": Box(x=512, y=373, title="embed", lines=("embed_and_write.py",), width=200),
        "write": Box(x=512, y=265, title="write", lines=("rows, pictures, then the ledger",), width=200),
        "milvus": Box(
            x=785,
            y=190,
            title="Milvus",
            lines=("first: one row a chunk,", "clip, text, bm25"),
            width=190,
            height=80,
            kind="store",
        ),
        "pages": Box(
            x=785, y=300, title="pages/ and thumbs/", lines=("then: pictures to show",), width=190, kind="store"
        ),
        "ledger": Box(
            x=785, y=388, title="ledger.sqlite", lines=("last: the file is indexed",), width=190, kind="store"
        ),
    }
    arrows = [
        Arrow(start="files.bottom", end="walk.top"),
        Arrow(start="walk.bottom", end="known.top"),
        Arrow(start="known.bottom", end="pool.top", label="new or changed", at=(140, 345)),
        Arrow(start="pool.right", end="sniff.left", via=((255, 408), (255, 89))),
        Arrow(start="sniff.right", end="reader.left"),
        Arrow(start="reader.bottom", end="scratch.top"),
        Arrow(
            start="scratch.left",
            end="chunk.top",
            via=((382, 167),),
            label="readings, through a bounded queue",
            at=(394, 222),
        ),
        Arrow(start="chunk.bottom", end="batch.top"),
        Arrow(start="batch.right", end="embed.left"),
        Arrow(start="embed.top", end="write.bottom"),
        Arrow(start="write.right", end="milvus.left", via=((755, 294), (755, 230))),
        Arrow(start="write.right", end="pages.left", via=((755, 294), (755, 329))),
        Arrow(start="write.right", end="ledger.left", via=((755, 294), (755, 417))),
    ]
    says = "Files become rows: prefetch thread, worker processes, caller's thread, embedding threads"
    return picture(505, says, zones, boxes, arrows)


def answering() -> str:
    """Question → answer."""
    zones = [
        Zone(x=20, y=20, width=740, height=210, title="search: rag/retrieve.py"),
        Zone(x=20, y=255, width=960, height=210, title="answer: rag/answer.py"),
    ]
    boxes = {
        "question": Box(x=40, y=55, title="question", lines=("earlier turns resolved",), width=150, kind="store"),
        "vectors": Box(x=40, y=150, title="vectors", lines=("the library's embedder",), width=150),
        "milvus": Box(
            x=240,
            y=90,
            title="Milvus",
            lines=("clip, text, bm25:", "each by itself"),
            width=140,
            height=80,
            kind="store",
        ),
        "fuse": Box(x=425, y=55, title="fuse by rank", lines=("rag/fuse.py",), width=135),
        "rerank": Box(x=425, y=150, title="rerank", lines=("rag/fuse.py",), width=135),
        "relevance": Box(x=590, y=150, title="is it here at all?", lines=("rag/relevance.py",), width=155),
        "refused": Box(x=800, y=150, title="refusal", lines=("says why; no model asked",), width=180, kind="store"),
        "passages": Box(x=590, y=290, title="passages", lines=("claims/passages.py",), width=155),
        "prompt": Box(x=405, y=290, title="prompt", lines=("numbered evidence",), width=160),
        "model": Box(
            x=150,
            y=284,
            title="model",
            lines=("llava_model/serving/engine.py", "or a server by address"),
            width=215,
            height=70,
        ),
        "citations": Box(x=150, y=390, title="check every marker", lines=("claims/citations.py",), width=215),
        "answer": Box(
            x=450,
            y=390,
            title="answer",
            lines=("text, citations: file, page, lines, quoted or not",),
            width=320,
            kind="store",
        ),
        "faces": Box(x=830, y=390, title="ui", lines=("terminal, page",), width=130, kind="store"),
    }
    arrows = [
        Arrow(start="question.bottom", end="vectors.top"),
        Arrow(start="vectors.right", end="milvus.left", via=((215, 179), (215, 130))),
        Arrow(start="question.right", end="milvus.left", via=((215, 84), (215, 130)), label="words", at=(198, 76)),
        Arrow(start="milvus.right", end="fuse.left", via=((402, 130), (402, 84))),
        Arrow(start="fuse.bottom", end="rerank.top"),
        Arrow(start="rerank.right", end="relevance.left"),
        Arrow(start="relevance.right", end="refused.left", label="no", at=(770, 171)),
        Arrow(start="relevance.bottom", end="passages.top", label="yes", at=(676, 247)),
        Arrow(start="passages.left", end="prompt.right"),
        Arrow(start="prompt.left", end="model.right"),
        Arrow(start="model.bottom", end="citations.top", label="tokens as they come", at=(268, 377)),
        Arrow(start="citations.right", end="answer.left"),
        Arrow(start="answer.right", end="faces.left"),
    ]
    says = "A question becomes an answer: search, fusion, relevance, prompt, model, citations"
    return picture(485, says, zones, boxes, arrows)


def training() -> str:
    """Sample → weights."""
    zones = [
        Zone(x=20, y=20, width=960, height=200, title="thread: prepares two steps ahead (llava_model/data/batches.py)"),
        Zone(
            x=20,
            y=262,
            width=960,
            height=225,
            title="the training process; accelerate runs several (DDP, FSDP2)",
            title_below=True,
        ),
    ]
    boxes = {
        "files": Box(x=40, y=55, title="sample files", lines=("LLaVA's JSON, or one a line",), width=190, kind="store"),
        "read": Box(x=285, y=55, title="read by position", lines=("llava_model/data/sample_file.py",), width=225),
        "encode": Box(x=555, y=55, title="tokenise once", lines=("data/samples.py",), width=165),
        "pack": Box(x=770, y=55, title="pad or pack into rows", lines=("data/batches.py",), width=195),
        "pictures": Box(x=40, y=145, title="pictures", lines=("found by their bytes' hash",), width=190, kind="store"),
        "cache": Box(
            x=285, y=145, title="feature cache", lines=("llava_model/data/features.py",), width=225, kind="store"
        ),
        "tower": Box(x=35, y=290, title="vision tower: frozen", lines=("llava_model/model/towers.py",), width=200),
        "projector": Box(x=322, y=290, title="projector", lines=("model/composition.py",), width=150),
        "language": Box(
            x=520,
            y=283,
            title="language model",
            lines=("whole, LoRA, or frozen with", "its common beginning kept"),
            width=200,
            height=72,
        ),
        "loss": Box(
            x=770, y=283, title="loss", lines=("at answer tokens only", "training/loss.py"), width=195, height=72
        ),
        "step": Box(x=770, y=398, title="optimiser step", lines=("training/loop.py",), width=195),
        "checkpoint": Box(
            x=455,
            y=398,
            title="checkpoint-NNNNNN/",
            lines=("weights, state; manifest written last",),
            width=265,
            kind="store",
        ),
        "report": Box(
            x=150,
            y=398,
            title="metrics.jsonl, report.html",
            lines=("curves, answers before and after",),
            width=255,
            kind="store",
        ),
    }
    arrows = [
        Arrow(start="files.right", end="read.left"),
        Arrow(start="read.right", end="encode.left"),
        Arrow(start="encode.right", end="pack.left"),
        Arrow(start="pictures.bottom", end="tower.top", label="pixels, once", at=(143, 245)),
        Arrow(start="tower.right", end="cache.left", via=((260, 319), (260, 174))),
        Arrow(start="cache.bottom", end="projector.top", label="features", at=(405, 245)),
        Arrow(
            start="pack.bottom",
            end="language.top",
            via=((867, 240), (620, 240)),
            label="token ids, labels",
            at=(640, 235),
        ),
        Arrow(start="projector.right", end="language.left"),
        Arrow(start="language.right", end="loss.left"),
        Arrow(start="loss.bottom", end="step.top"),
        Arrow(start="step.left", end="checkpoint.right"),
        Arrow(start="checkpoint.left", end="report.right"),
    ]
    says = "A sample becomes weights: batches prepared by a thread, frozen tower cached, loss at answers"
    return picture(507, says, zones, boxes, arrows)


DIAGRAMS = {"indexing.svg": indexing, "answering.svg": answering, "training.svg": training}


def main() -> None:
    """Write the files, or compare them."""
    for name, draw in DIAGRAMS.items():
        path = FOLDER / name
        if "--check" not in sys.argv:
            path.write_text(draw(), encoding="utf-8")
        elif path.read_text(encoding="utf-8") != draw():
            sys.exit(f"{path} is not what docs/diagrams/draw.py draws; run it again")


if __name__ == "__main__":
    main()
