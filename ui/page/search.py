"""Search: by words, by a picture, or by both. The hits are a gallery.

`choose_scope` is used by the chat too: it asks for the kinds, the folder or file, and the facts that a search or a
question is limited to.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from indexing.facts import FactCondition, FactsError, parted
from indexing.records import KINDS, Kind
from ui import wording
from ui.page import safe_html, shared, source_cards, visitor
from ui.page.source_cards import KIND_WORDS
from ui.page.tabs import Tab
from ui.places import folder_of
from ui.uploads import MAX_PICTURE_MEGABYTES, PICTURE_TYPES, UploadRefusedError, question_picture
from ui.wording import attempt

if TYPE_CHECKING:
    from indexing.pipeline import FileEntry
    from indexing.store.protocol import Filter
    from rag.retrieve import Retrieval

COUNTS = (8, 16, 32, 64)
EVERYWHERE = "Everywhere"
MOST_CHOICES = 200
_EXACT = ("latitude", "longitude", "taken", "date", "confidence")
_PLURALS = {"image": "Pictures", "page": "Pages", "text": "Text", "table": "Tables", "figure": "Figures"}


def draw_page() -> None:
    """The whole page; called on every run."""
    bench = shared.workbench()
    shared.lead("Search", "By words, by a picture, or by both.")
    files = bench.files()
    if not any(entry.chunks for entry in files):
        shared.notice("This library has no files yet.", "Add some on the page “Add files”.")
        return
    words = st.text_input(
        "Words",
        placeholder="a red bicycle, invoice of March, torque table …",
        label_visibility="collapsed",
        key="search-words",
    ).strip()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Search", type="primary", icon=":material/search:")
        picture: Any = st.session_state.get("search-picture")
        with st.popover("Your picture" if picture else "By a picture", icon=":material/image_search:"):
            picture = st.file_uploader(
                "A picture to look for", type=PICTURE_TYPES, max_upload_size=MAX_PICTURE_MEGABYTES, key="search-picture"
            )
        chosen = choose_scope(files, key="search")
        count = st.selectbox(
            "How many",
            COUNTS,
            format_func="{} finds".format,
            width=130,
            label_visibility="collapsed",
            key="search-count",
        )
        apart = (
            st.checkbox("Each copy", help="Show pictures that are nearly the same each by itself.", key="search-apart")
            if any(entry.near for entry in files)
            else False
        )
    wanted = (words, picture.file_id if picture else None, count, chosen, apart)
    if (words or picture) and st.session_state.get("search-wanted") != wanted:
        st.session_state.pop("search-found", None)
        st.session_state["search-found"] = _found(words, picture, count, chosen, apart)
        st.session_state["search-wanted"] = wanted
    if words or picture:
        _draw_hits(_asked(words, picture), st.session_state["search-found"])


def _found(words: str, picture: Any, count: int, chosen: "Filter", apart: bool) -> "Retrieval | Exception":
    from rag.retrieve import SearchRequest

    def search() -> "Retrieval":
        image = question_picture(picture.name, picture.getvalue()) if picture else None
        return shared.workbench().search(SearchRequest(text=words, image=image, k=count, filter=chosen, apart=apart))

    with visitor.acting("search", pictures=1 if picture else 0):
        return attempt(search)


def _asked(words: str, picture: Any) -> str:
    return " and ".join([*([f"“{words}”"] if words else []), *(["your picture"] if picture else [])])


def _draw_hits(asked: str, found: "Retrieval | Exception") -> None:
    if isinstance(found, UploadRefusedError):
        shared.notice(str(found), tone="warn")
        return
    if isinstance(found, Exception):
        shared.fault(found)
        return
    likely = list(found.answers)
    others = [hit for hit in found.hits if hit not in likely]
    if not found.hits:
        shared.notice(f"Nothing found for {asked}.", "Try other words, or look everywhere instead of in one place.")
    elif not likely:
        shared.notice(f"Nothing here really fits {asked}.", "What comes nearest is shown below.")
    total = found.milliseconds.get("total", sum(found.milliseconds.values()))
    counted = f"{len(likely)} {'find' if len(likely) == 1 else 'finds'} for"
    words = f"{counted if likely else 'The nearest to'} {asked}"
    if found.hits:
        st.html(safe_html.tag("p", f"{words} · {total:,.0f} ms", "section"))
        source_cards.show(shared.workbench(), [source_cards.from_hit(hit) for hit in likely or others], key="found")
    if likely and others:
        with st.expander(f"Less likely ({len(others)})"):
            source_cards.show(shared.workbench(), [source_cards.from_hit(hit) for hit in others], key="less")
    for note in found.notes:
        shared.fine_print(note)


# -- where to look -----------------------------------------------------------------------------------------------------


def choose_scope(files: "Sequence[FileEntry]", *, key: str) -> "Filter":
    """Draw a popover in which kinds and places are chosen → the choice, which its button shows too."""
    from indexing.store.protocol import Filter

    kinds: list[Kind] = [kind for kind in KINDS if kind in (st.session_state.get(f"{key}-kinds") or ())]
    place: str = st.session_state.get(f"{key}-place") or EVERYWHERE
    written: list[str] = st.session_state.get(f"{key}-facts") or []
    said = fact_choices(files)
    offered = places(files)
    with st.popover(_button_words(kinds, place, written), icon=":material/tune:", key=f"{key}-popover"):
        st.pills(
            "Only these kinds",
            KINDS,
            selection_mode="multi",
            format_func=_PLURALS.__getitem__,
            key=f"{key}-kinds",
        )
        st.selectbox(
            "Only in this folder or file", [EVERYWHERE, *offered], format_func=wording.shown, key=f"{key}-place"
        )
        if said:
            st.multiselect(
                "Only files with all of these facts",
                said,
                accept_new_options=True,
                format_func=wording.shown,
                placeholder="Choose, or type year>=2019, client!=ACME, near=41.38,2.17,5km",
                key=f"{key}-facts",
            )
    return Filter(kinds=tuple(kinds), where=_where(place, offered), facts=_facts(written, files) if said else ())


def fact_choices(files: "Sequence[FileEntry]") -> list[str]:
    """`client=ACME` for each fact that files share, the most frequent first; what is exact (a place, a moment) is
    typed, and not chosen."""
    counts = Counter(
        f"{key}={value}"
        for entry in files
        if entry.chunks
        for key, values in entry.facts.items()
        if key not in _EXACT
        for value in values
    )
    return [written for written, _ in sorted(counts.most_common(MOST_CHOICES), key=lambda pair: (-pair[1], pair[0]))]


def _facts(written: "Sequence[str]", files: "Sequence[FileEntry]") -> "tuple[FactCondition, ...]":
    """What can be understood of it; the rest is told."""
    known = {key for entry in files for key in entry.facts}
    facts: list[FactCondition] = []
    for each in written:
        try:
            key, operator, value = parted(each)
            condition = FactCondition(key=key, operator=operator, value=value)
        except FactsError as error:
            shared.notice(str(error), "This condition was left out.", tone="warn")
            continue
        if known.issuperset(condition.keys):
            facts.append(condition)
        else:
            shared.notice(f"No file here has '{key}'.", "This condition was left out.", tone="warn")
    return tuple(facts)


def places(files: "Sequence[FileEntry]") -> list[str]:
    """The folders that hold indexed files, then the files themselves."""
    paths = sorted({entry.path for entry in files if entry.chunks})
    folders = sorted({folder_of(path).rstrip("/") + "/" for path in paths})
    return [*folders, *paths]


def scope_words(chosen: "Filter") -> str:
    """`tables in manual.pdf`; empty when nothing is limited."""
    kinds = ", ".join(f"{KIND_WORDS[kind]}s" if kind != "text" else "text" for kind in chosen.kinds)
    place = ", ".join(wording.shown(Path(value).name or value) for _, value in chosen.where)
    places = f"{kinds} in {place}" if kinds and place else kinds or place
    facts = ", ".join(wording.shown(f"{each.key}{each.operator}{each.value}") for each in chosen.facts)
    return f"{places} with {facts}".strip() if facts else places


def _where(place: str, offered: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if place == EVERYWHERE or place not in offered:
        return ()
    return (("folder", place.rstrip("/") or "/"),) if place.endswith("/") else (("path", place),)


def _button_words(kinds: Sequence[Kind], place: str, facts: Sequence[str]) -> str:
    """Words of ours only: a button's label is Markdown, so a file's name must not be in it."""
    parts = [", ".join(_PLURALS[kind] for kind in kinds)] if kinds else []
    parts += ["one folder" if place.endswith("/") else "one file"] if place != EVERYWHERE else []
    parts += ["one fact" if len(facts) == 1 else f"{len(facts)} facts"] if facts else []
    return " · ".join(parts) or "Everything"


TAB = Tab(title="Search", icon=":material/search:", url_path="search", order=20, draw=draw_page)
