"""The page. `llavero ui` runs it, behind the guard of `ui.page.server`."""

from pathlib import Path

import streamlit as st

from ui.page import add_files as page_upload
from ui.page import chat as page_chat
from ui.page import library as page_library
from ui.page import safe_html as plain
from ui.page import search as page_search
from ui.page import shared

HERE = Path(__file__).parent
REDRAW_BUSY_SECONDS, REDRAW_IDLE_SECONDS = 1.0, 15.0


def main() -> None:
    """One run: look, pages, what the sidebar says, then the chosen page or one clear message."""
    # A picture of our own: Streamlit fetches icons named in words from another server.
    st.set_page_config(page_title="Llavero", page_icon=(HERE / "key.svg").read_text(), layout="wide")
    st.logo((HERE / "logo.svg").read_text(), size="large", icon_image=(HERE / "key.svg").read_text())
    st.html(HERE / "style.css")
    if theme := st.context.theme.type:  # dialogs lie outside the part of the page that Streamlit gives a scheme
        st.html(f"<style>:root {{ color-scheme: {'dark' if theme == 'dark' else 'light'}; }}</style>")
    pages = {
        "chat": st.Page(page_chat.draw_page, title="Chat", icon=":material/forum:", url_path="chat", default=True),
        "search": st.Page(page_search.draw_page, title="Search", icon=":material/search:", url_path="search"),
        "library": st.Page(page_library.draw_page, title="Library", icon=":material/folder_open:", url_path="library"),
        "upload": st.Page(page_upload.draw_page, title="Add files", icon=":material/upload_file:", url_path="add"),
    }
    st.session_state.pages = pages
    page = st.navigation(list(pages.values()))
    try:
        shared.workbench()
    except Exception as error:  # noqa: BLE001  # every refusal is one message on a page that stays usable
        shared.fault(error)
        st.button("Try again", icon=":material/refresh:")
        return
    with st.sidebar:
        view = shared.queue().view()
        st.session_state["sidebar-epoch"] = view.epoch
        st.fragment(_draw_state, run_every=REDRAW_BUSY_SECONDS if view.busy else REDRAW_IDLE_SECONDS)()
    try:
        page.run()
    except Exception as error:  # noqa: BLE001  # as above
        shared.fault(error)


def _draw_state() -> None:
    """What the library holds, and how far indexing is; redrawn by itself, which also shows that somebody is here."""
    for turn in st.session_state.get("turns", []):
        turn.running.view()
    view = shared.queue().view()
    if view.epoch != st.session_state.get("sidebar-epoch"):
        st.rerun()
    if view.busy:
        st.html(plain.tag("span", shared.indexing_headline(view), "small"))
        st.progress(shared.progress_share(view))
    files = shared.workbench().files()
    indexed = sum(entry.chunks > 0 for entry in files)
    failed = sum(entry.state == "failed" for entry in files)
    words = f"{indexed:,} {'file' if indexed == 1 else 'files'} in the library"
    st.html(plain.tag("span", words + (f", {failed:,} could not be read" if failed else ""), "quiet small"))


main()
