"""Library: every file with its state, what could not be read and why, a file's pages and chunks, removal."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from ui import wording
from ui.cli import terminal
from ui.page import draw, safe_html, shared, source_cards, visitor
from ui.page.source_cards import KIND_WORDS
from ui.page.tabs import Tab
from ui.places import folder_of, local_file
from ui.uploads import is_upload
from ui.wording import attempt

if TYPE_CHECKING:
    from indexing.pipeline import FileEntry
    from indexing.records import Kind
    from ui.workbench import Stats, Workbench

STATES = {
    "all": "All",
    "indexed": "Indexed",
    "in part": "Read in part",
    "failed": "Could not be read",
    "pending": "To be written again",
}
SHOWN_CHUNKS = 48
SHOWN_THUMBS = 200
_THUMB_SIDE = 72
_NO_PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # one clear pixel
SHOWN_FAILURES = 50
_MOST_NEAR = 20


def draw_page() -> None:
    """The whole page; called on every run."""
    bench = shared.workbench()
    shared.lead("Library", str(bench.library_folder))
    files = sorted(bench.files(), key=lambda entry: entry.path.lower())
    st.html(_numbers(bench.stats(), files))
    if done := st.session_state.pop("library-done", ""):
        shared.notice(done)
    if (failed := st.session_state.pop("library-fault", None)) is not None:
        shared.fault(failed)
    if not files:
        shared.notice("This library has no files yet.", "Add some on the page “Add files”, or: llavero index FOLDER")
        return
    shown = _narrow(files)
    chosen = _table(bench, shown)
    if chosen is not None:
        _draw_file(bench, chosen)
    else:
        shared.fine_print("Mark a file in the table to see its pages and passages, or to remove it.")
    _draw_failures(shown)


def _numbers(stats: "Stats", files: "Sequence[FileEntry]") -> str:
    """The counts, from the store itself, and the space taken on disk."""
    failed = sum(entry.state == "failed" for entry in files)
    numbers = [(f"{stats.files:,}", "files"), (f"{stats.chunks:,}", "passages and pictures")]
    numbers += [(terminal.size(stats.size_bytes), "on disk")]
    numbers += [(f"{failed:,}", "could not be read")] if failed else []
    boxes = [safe_html.wrap("div", [safe_html.tag("b", value), safe_html.tag("span", name)]) for value, name in numbers]
    kinds = " · ".join(_counted(count, kind) for kind, count in stats.kinds.items() if count)
    return safe_html.wrap("div", boxes, "numbers") + safe_html.tag("p", kinds, "quiet small kinds")


def _counted(count: int, kind: "Kind") -> str:
    words = "text passage" if kind == "text" else KIND_WORDS[kind]
    return f"{count:,} {words}{'' if count == 1 else 's'}"


def _narrow(files: "Sequence[FileEntry]") -> "list[FileEntry]":
    states = set(map(_state, files))
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    words = left.text_input("Find a file", placeholder="part of a name or folder", key="library-words")
    state = right.segmented_control(
        "State",
        [state for state in STATES if state == "all" or state in states],
        format_func=STATES.__getitem__,
        default="all",
        key="library-state",
    )
    return [
        entry
        for entry in files
        if (state in (None, "all") or _state(entry) == state) and words.strip().lower() in entry.path.lower()
    ]


def _state(entry: "FileEntry") -> str:
    return "in part" if entry.state == "indexed" and entry.read_in_part else entry.state


def _table(bench: "Workbench", files: "Sequence[FileEntry]") -> "FileEntry | None":
    """Draw the files as a table → the file whose row is selected. The browser treats cells as plain text."""
    if not files:
        shared.notice("No file fits.", "Change the words or the state above.")
        return None
    paths = [Path(entry.path) for entry in files]
    columns: dict[str, list[Any]] = {
        "": [_thumb(bench, entry) if place < SHOWN_THUMBS else _NO_PICTURE for place, entry in enumerate(files)],
        "File": [wording.shown(path.name) for path in paths],
        "State": [STATES.get(_state(entry), entry.state) for entry in files],
        "Kind": [entry.kind for entry in files],
        "Chunks": [entry.chunks for entry in files],
        "Size": [terminal.size(entry.size_bytes) for entry in files],
        "Notes": ["; ".join(entry.notes) for entry in files],
        "Indexed": [_moment(entry.indexed_at) for entry in files],
        "Folder": [wording.shown(folder_of(entry.path)) for entry in files],
    }
    text = st.column_config.TextColumn
    event: Any = st.dataframe(
        columns,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        height=min(318, 35 * (len(files) + 1) + 2),
        column_config={
            "": st.column_config.ImageColumn(width="small"),
            "File": text(width="medium"),
            "Notes": text(width="medium"),
            "Folder": text(width="medium"),
        },
        key="library-table",
    )
    rows = event.selection.rows
    return files[rows[0]] if rows and rows[0] < len(files) else None


def _thumb(bench: "Workbench", entry: "FileEntry") -> str:
    """A small picture of the file, or of its first page, inside its own address."""
    file = bench.thumbnail(entry.content)
    return _small(bench, str(file)) if file else _NO_PICTURE


@st.cache_data(max_entries=2000, show_spinner=False)
def _small(_bench: "Workbench", file: str) -> str:
    """A content's picture never changes, and its path names the content."""
    image = attempt(lambda: _bench.open_picture(Path(file)))
    if isinstance(image, Exception):
        return _NO_PICTURE
    image.thumbnail((_THUMB_SIDE, _THUMB_SIDE))
    return draw.data_url(draw.jpeg(image))


def _moment(iso: str) -> datetime.datetime | None:
    """The ledger's time in the local time zone."""
    return datetime.datetime.fromisoformat(iso).astimezone().replace(tzinfo=None, microsecond=0) if iso else None


def _draw_file(bench: "Workbench", entry: "FileEntry") -> None:
    path = Path(entry.path)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.html(safe_html.wrap("strong", [safe_html.file_name(path.name)]), width="content")
            with st.container(horizontal=True, width="content"):
                if original := local_file(entry.path):
                    source_cards.download_button(original, key="library-download")
                busy = shared.queue().view().busy
                hint = "Files are being read; removing has to wait until that is done." if busy else None
                if st.button("Remove …", icon=":material/delete:", key="library-remove", disabled=busy, help=hint):
                    confirm_removal(bench, entry)
        if entry.state == "failed":
            kept = "What is shown below is its last version that could be read." if entry.chunks else ""
            shared.notice("This file could not be read.", entry.reason, kept, tone="warn")
        if entry.facts:
            shared.fine_print(" · ".join(f"{key}: {', '.join(values)}" for key, values in sorted(entry.facts.items())))
        for near in entry.near[:_MOST_NEAR]:
            shared.fine_print(f"also: {wording.shown(near)} (nearly the same)")
        for note in entry.notes:
            shared.fine_print(note)
        chunks = bench.chunks(entry.path)
        if not chunks and entry.state != "failed":
            st.html(safe_html.tag("p", "Nothing of this file is in the store.", "quiet"))
        source_cards.show(bench, [source_cards.from_chunk(chunk) for chunk in chunks[:SHOWN_CHUNKS]], key="library")
        if len(chunks) > SHOWN_CHUNKS:
            shared.fine_print(f"The first {SHOWN_CHUNKS} of {len(chunks):,}.")


@st.dialog("Remove from the library?", icon=":material/delete:")
def confirm_removal(bench: "Workbench", entry: "FileEntry") -> None:
    """Asks once more, and says what happens to the file itself."""
    path = local_file(entry.path)
    uploaded = path if path and is_upload(bench.library_folder, path) else None
    st.html(safe_html.wrap("p", [safe_html.file_name(Path(entry.path).name)], "words"))
    what = f"Its {entry.chunks} passages and pictures can no longer be found. "
    what += "The uploaded copy is deleted too." if uploaded else "The file itself stays where it is."
    st.html(safe_html.tag("p", what, "quiet"))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it", key="keep"):
            st.rerun()
        removal = (bench, entry.path, uploaded)
        if st.button("Remove", type="primary", key="remove-now", on_click=_remove, args=removal):
            st.rerun()


def _remove(bench: "Workbench", place: str, uploaded: Path | None) -> None:
    """Remove the file, and its uploaded copy, before the page is drawn again; the page then says how it went."""

    def remove() -> str:
        bench.remove(place)
        if uploaded is not None:
            uploaded.unlink(missing_ok=True)
        return f"{wording.shown(Path(place).name)} is no longer in the library."

    with visitor.acting("remove"):
        outcome = attempt(remove)
    st.session_state["library-fault" if isinstance(outcome, Exception) else "library-done"] = outcome


def _draw_failures(files: "Sequence[FileEntry]") -> None:
    failed = [entry for entry in files if entry.state == "failed"]
    if not failed:
        return
    st.html(safe_html.tag("p", f"Could not be read ({len(failed):,})", "section"))
    items = [
        safe_html.wrap(
            "li",
            [safe_html.wrap("b", [safe_html.file_name(Path(entry.path).name)]), safe_html.tag("span", entry.reason)],
        )
        for entry in failed[:SHOWN_FAILURES]
    ]
    st.html(safe_html.wrap("ul", items, "failures"))


TAB = Tab(title="Library", icon=":material/folder_open:", url_path="library", order=30, draw=draw_page)
