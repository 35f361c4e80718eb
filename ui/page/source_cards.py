"""Sources as cards: a picture with the cited region marked, where it comes from, what it says.

A card is one button; it opens the source large, with everything known about it and the original file.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import streamlit as st

from claims.passages import as_plain_rows
from indexing.addresses import is_address
from indexing.confidence import doubtful
from indexing.records import Box, Channel, Chunk, Hit, Line
from ui import wording
from ui.cli.terminal import STATE_WORDS, shorten, weakest
from ui.page import draw, safe_html
from ui.places import folder_of, local_file, missing_words
from ui.uploads import safe_name
from ui.wording import expected_faults

if TYPE_CHECKING:
    from PIL import Image

    from claims.citations import Citation
    from rag.events import Answer
    from ui.cli.terminal import CitationState
    from ui.workbench import Workbench

_logger = logging.getLogger(__name__)
_CARD_ROWS = 4
"""Rows of a table on its card; the opened source shows all."""
KIND_WORDS = {"image": "picture", "page": "page", "text": "text", "table": "table", "figure": "figure"}
_MOST_NEAR = 20
_MOST_DOUBTS = 5
CHANNEL_WORDS: dict[Channel, str] = {
    "clip": "what the picture shows",
    "text": "what the words mean",
    "bm25": "the words themselves",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One card: a hit, and if the answer cites it, how."""

    hit: Hit
    number: int | None = None  # its marker in the answer
    boxes: tuple[Box, ...] = ()
    quote: str = ""
    state: "CitationState | None" = None  # how far the source bears the answer out; None: not cited

    @property
    def chunk(self) -> Chunk:
        """What was found."""
        return self.hit.chunk


def from_hit(hit: Hit) -> Source:
    """The card of a hit that no answer cites. Its own region is marked."""
    chunk = hit.chunk
    lines = tuple(line.box for line in chunk.lines if line.box is not None)
    if chunk.kind in ("image", "page"):
        return Source(hit=hit)  # the whole file was found, so there is no region to mark
    return Source(hit=hit, boxes=lines or ((chunk.box,) if chunk.box else ()))


def of_answer(answer: "Answer") -> tuple[list[Source], list[Source]]:
    """The sources an answer cites, one for each marker, and the other things that were found for it.

    Where several sentences carry one marker, its source shows all their quotes and regions.
    """
    by_id = {hit.chunk.id: hit for hit in answer.hits}
    by_marker: dict[int, list[Citation]] = {}
    for citation in answer.citations:
        by_marker.setdefault(citation.marker, []).append(citation)
    cited = [
        Source(
            hit=by_id[citations[0].chunk_id],
            number=marker,
            boxes=tuple(dict.fromkeys(box for citation in citations for box in citation.boxes)),
            quote=" … ".join(dict.fromkeys(citation.quote for citation in citations if citation.quote)),
            state=weakest(citations),
        )
        for marker, citations in sorted(by_marker.items())
        if citations[0].chunk_id in by_id
    ]
    shown = {source.chunk.id for source in cited}
    return cited, [from_hit(hit) for hit in answer.hits if hit.chunk.id not in shown]


def show(bench: "Workbench", sources: Sequence[Source], *, key: str) -> None:
    """The cards side by side, as many as the width allows."""
    with st.container(horizontal=True, key=f"gallery-{key}"):
        for place, source in enumerate(sources):
            with st.container(key=f"card-{key}-{place}"):
                _picture(bench, source)
                st.html(_words(source))
                what = f"source {source.number}" if source.number else f"find {place + 1}"
                if st.button(f"Open {what}", key=f"open-{key}-{place}", width="stretch"):
                    open_source(bench, source)


def place_words(chunk: Chunk) -> str:
    """`page 3 · table`."""
    where = f"page {chunk.page} · " if chunk.page else ""
    return where + KIND_WORDS[chunk.kind]


def _picture(bench: "Workbench", source: Source) -> None:
    alt = f"{wording.shown(Path(source.chunk.path).name)}, {place_words(source.chunk)}"
    content = card_jpeg(bench, source.chunk, source.chunk.id, source.boxes)
    if content is not None:
        st.image(draw.data_url(content), width="stretch", alt=alt)
    elif source.chunk.kind == "table":
        st.html(safe_html.passage(source.chunk.text, "leaf", cited=source.quote, most_rows=_CARD_ROWS))
    else:
        st.html(safe_html.tag("div", shorten(as_plain_rows(source.quote or source.chunk.text), 260), "leaf"))


def _words(source: Source) -> str:
    """The card's text. Our own words come first, because a file's name and a quote can imitate them."""
    head = [safe_html.badge(source.number)] if source.number else []
    head += [_seal(source.state)] if source.state is not None else []
    parts = [safe_html.wrap("div", head, "head")] if head else []
    parts += [
        safe_html.file_name(Path(source.chunk.path).name, "one-line"),
        safe_html.tag("div", place_words(source.chunk), "place"),
    ]
    if near := source.hit.near:
        others = "1 other" if len(near) == 1 else f"{len(near):,} others"
        parts.append(safe_html.tag("div", f"nearly the same as {others}", "place"))
    if source.quote:
        parts.append(safe_html.tag("div", f"“{shorten(as_plain_rows(source.quote), 220)}”", "quote"))
    return safe_html.wrap("div", parts, "card")


def _seal(state: "CitationState") -> str:
    return safe_html.tag("span", STATE_WORDS[state], "seal no" if state in ("recognised", "unchecked") else "seal yes")


@st.cache_data(show_spinner=False, max_entries=512)
def card_jpeg(_bench: "Workbench", _chunk: Chunk, chunk_id: str, boxes: tuple[Box, ...]) -> bytes | None:
    """The card's picture, drawn once; None where the source has no picture (plain text, spreadsheets)."""
    if _chunk.kind == "figure":
        image, boxes = picture(_bench, _chunk), ()  # a figure's own pixels; its box counts on its page
    else:
        image = picture(_bench, _chunk)
    return None if image is None else draw.jpeg(draw.card(image, boxes))


def picture(bench: "Workbench", chunk: Chunk) -> "Image.Image | None":
    """The chunk's picture; None without one, or when the kept file is damaged."""
    try:
        return bench.picture(chunk)
    except expected_faults():
        _logger.warning("the kept picture %s cannot be read", chunk.image)
        return None


def large_picture(bench: "Workbench", chunk: Chunk) -> "Image.Image | None":
    """The chunk in its context: the photograph's own file, the page around a figure, else the page that was kept."""
    if chunk.kind == "image" and chunk.page is None and (photo := _unchanged_photo(chunk)) is not None:
        return photo
    if chunk.kind == "figure" and chunk.page is not None and chunk.image:
        page = PurePosixPath(chunk.image).with_name(f"page-{chunk.page:04d}.jpg")
        return picture(bench, replace(chunk, image=str(page)))
    return picture(bench, chunk)


def _unchanged_photo(chunk: Chunk) -> "Image.Image | None":
    """The file itself, if it is still the one that was indexed; the library keeps only a small copy of photographs."""
    from llava_model.images import open_picture

    if is_address(chunk.path):
        return None
    try:
        content = Path(chunk.path).read_bytes()
        return open_picture(content) if hashlib.sha256(content).hexdigest() == chunk.content_hash else None
    except expected_faults():
        return None


@st.dialog("Source", width="large", icon=":material/find_in_page:")
def open_source(bench: "Workbench", source: Source) -> None:
    """The source large: page with the region marked, the quote, why it was found, the original file."""
    chunk = source.chunk
    image = large_picture(bench, chunk)
    if image is not None:
        left, right = st.columns([3, 2], gap="medium")
        shown = draw.data_url(draw.jpeg(draw.marked(image, source.boxes)))
        left.image(shown, width="stretch", alt="The source with its region marked")
    else:
        right = st.container()
    with right:
        _draw_details(source)


def _draw_details(source: Source) -> None:
    chunk = source.chunk
    st.html(_facts(source))
    if source.quote:
        st.html(_seal(source.state or "unchecked") + safe_html.tag("div", as_plain_rows(source.quote), "quotation"))
    if source.state == "unchecked":
        doubt = "Not every word and number of the answer's sentence stands here. Read the source yourself."
        st.html(safe_html.tag("p", doubt, "quiet small"))
    if chunk.text:
        st.html(
            safe_html.tag("div", "The passage", "section")
            + safe_html.passage(chunk.text, "passage", cited=source.quote)
        )
    if unsure := doubtful(chunk.lines):
        st.html(_doubts(unsure))
    if source.hit.channels:
        with st.expander("Why this was found", icon=":material/conversion_path:"):
            st.html(_ranks(source.hit))
    if original := local_file(chunk.path):
        download_button(original, key=f"download-{chunk.id}")
    else:
        st.html(safe_html.tag("p", missing_words(chunk.path), "quiet small"))


def _doubts(lines: Sequence[Line]) -> str:
    """Lines that OCR is not sure of, the worst first."""
    worst = sorted(lines, key=lambda line: line.confidence or 0.0)[:_MOST_DOUBTS]
    items = [safe_html.tag("li", f"{line.confidence:.2f}  {shorten(line.text, 80)}") for line in worst]
    counted = "one line" if len(lines) == 1 else f"{len(lines)} lines"
    head = safe_html.tag("p", f"OCR is not sure of {counted}: compare with the picture.", "quiet small")
    return head + safe_html.wrap("ul", items, "quiet small")


def _facts(source: Source) -> str:
    chunk = source.chunk
    rows = [("File", wording.shown(Path(chunk.path).name)), ("Place", place_words(chunk))]
    rows += [("Title", chunk.title)] if chunk.title and chunk.title != Path(chunk.path).stem else []
    rows += [("Heading", chunk.heading)] if chunk.heading else []
    rows.append(("Folder", wording.shown(folder_of(chunk.path))))
    rows += [("Nearly the same", wording.shown(path)) for path in source.hit.near[:_MOST_NEAR]]
    return safe_html.wrap(
        "dl", [safe_html.tag("dt", name) + safe_html.tag("dd", value) for name, value in rows], "facts"
    )


def _ranks(hit: Hit) -> str:
    head = safe_html.wrap("tr", [safe_html.tag("th", name) for name in ("Compared by", "Rank", "Score")])
    rows = [
        safe_html.wrap(
            "tr",
            [
                safe_html.tag("td", f"{CHANNEL_WORDS[channel]} ({channel})"),
                safe_html.tag("td", str(rank.rank)),
                safe_html.tag("td", f"{rank.score:.3f}"),
            ],
        )
        for channel, rank in hit.channels.items()
    ]
    return safe_html.wrap("table", [head, *rows], "ranks") + safe_html.tag(
        "p", f"together {hit.score:.4f}", "quiet small"
    )


def from_chunk(chunk: Chunk) -> Source:
    """The card of a chunk that nobody searched for, for the Library tab."""
    return from_hit(Hit(chunk=chunk, score=0.0, channels={}))


def download_button(path: Path, *, key: str) -> None:
    """The original file, read when the button is pressed; always as a download, never shown by the browser."""
    st.download_button(
        "Download the original",
        data=path.read_bytes,
        file_name=safe_name(path.name),
        mime="application/octet-stream",
        icon=":material/download:",
        on_click="ignore",
        key=key,
    )
