"""Where to look: the kinds and the folder or file that a search or a question is limited to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from indexing.records import KINDS, Kind
from ui import names
from ui.page.source_cards import KIND_WORDS

if TYPE_CHECKING:
    from indexing.filters import Filter
    from indexing.pipeline import FileEntry

EVERYWHERE = "Everywhere"
_PLURALS = {"image": "Pictures", "page": "Pages", "text": "Text", "table": "Tables", "figure": "Figures"}


def choose(files: "Sequence[FileEntry]", *, key: str) -> "Filter":
    """A popover with the choice; what it says on its button is what is chosen."""
    from indexing.filters import Filter

    kinds: list[Kind] = [kind for kind in KINDS if kind in (st.session_state.get(f"{key}-kinds") or ())]
    place: str = st.session_state.get(f"{key}-place") or EVERYWHERE
    with st.popover(_button_words(kinds, place), icon=":material/tune:", key=f"{key}-popover"):
        st.pills(
            "Only these kinds",
            KINDS,
            selection_mode="multi",
            format_func=_PLURALS.__getitem__,
            key=f"{key}-kinds",
        )
        st.selectbox(
            "Only in this folder or file", [EVERYWHERE, *places(files)], format_func=names.shown, key=f"{key}-place"
        )
    return Filter(kinds=tuple(kinds), where=_where(place, files))


def places(files: "Sequence[FileEntry]") -> list[str]:
    """The folders that hold indexed files, then the files themselves."""
    paths = sorted({entry.path for entry in files if entry.chunks})
    folders = sorted({str(Path(path).parent).rstrip("/") + "/" for path in paths})
    return [*folders, *paths]


def words(chosen: "Filter") -> str:
    """`tables in manual.pdf`; empty when nothing is limited."""
    kinds = ", ".join(f"{KIND_WORDS[kind]}s" if kind != "text" else "text" for kind in chosen.kinds)
    place = ", ".join(names.shown(Path(value).name or value) for _, value in chosen.where)
    return f"{kinds} in {place}" if kinds and place else kinds or place


def _where(place: str, files: "Sequence[FileEntry]") -> tuple[tuple[str, str], ...]:
    if place == EVERYWHERE or place not in places(files):
        return ()
    return (("folder", place.rstrip("/") or "/"),) if place.endswith("/") else (("path", place),)


def _button_words(kinds: Sequence[Kind], place: str) -> str:
    """Ours alone: a button's label is Markdown, so the place's name stays out of it."""
    parts = [", ".join(_PLURALS[kind] for kind in kinds)] if kinds else []
    parts += ["one folder" if place.endswith("/") else "one file"] if place != EVERYWHERE else []
    return " · ".join(parts) or "Everything"
