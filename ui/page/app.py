"""The script that Streamlit runs for every visit and every click: it sets the page up and draws the chosen tab.

`llavero ui` starts it behind the guard of `ui.page.server`; which tabs there are is found by `ui.page.tabs`.
"""

from pathlib import Path

import streamlit as st

from ui.page import safe_html, shared, visitor
from ui.page.tabs import find_tabs
from ui.wording import attempt

HERE = Path(__file__).parent
REDRAW_BUSY_SECONDS, REDRAW_IDLE_SECONDS = 1.0, 15.0


def main() -> None:
    """One run: the style, the tabs, the sidebar, then the chosen tab or one clear message."""
    # A picture of our own: Streamlit fetches icons named in words from another server.
    st.set_page_config(page_title="Llavero", page_icon=(HERE / "key.svg").read_text(), layout="wide")
    st.logo((HERE / "logo.svg").read_text(), size="large", icon_image=(HERE / "key.svg").read_text())
    st.html(HERE / "style.css")
    if theme := st.context.theme.type:  # dialogs lie outside the part of the page that Streamlit gives a scheme
        st.html(f"<style>:root {{ color-scheme: {'dark' if theme == 'dark' else 'light'}; }}</style>")
    if not visitor.may_look():
        visitor.draw_ended()
        return
    pages = {
        tab.url_path: st.Page(tab.draw, title=tab.title, icon=tab.icon, url_path=tab.url_path, default=place == 0)
        for place, tab in enumerate(find_tabs())
    }
    st.session_state.pages = pages
    page = st.navigation(list(pages.values()))
    if isinstance(refusal := attempt(shared.workbench), Exception):
        shared.fault(refusal)
        st.button("Try again", icon=":material/refresh:")
        return
    with st.sidebar:
        view = shared.queue().view()
        st.session_state["sidebar-epoch"] = view.epoch
        st.fragment(_draw_state, run_every=REDRAW_BUSY_SECONDS if view.busy else REDRAW_IDLE_SECONDS)()
        visitor.draw_sign_out()
    if (error := attempt(page.run)) is not None:
        shared.fault(error)


def _draw_state() -> None:
    """What the library holds, and how far indexing is. The browser redraws it by itself."""
    if not visitor.may_look():
        st.rerun()
    for turn in st.session_state.get("turns", []):
        turn.running.view()
    view = shared.queue().view()
    if view.epoch != st.session_state.get("sidebar-epoch"):
        st.rerun()
    if view.busy:
        st.html(safe_html.tag("span", shared.indexing_headline(view), "small"))
        st.progress(shared.progress_share(view))
    files = shared.workbench().files()
    indexed = sum(entry.chunks > 0 for entry in files)
    failed = sum(entry.state == "failed" for entry in files)
    words = f"{indexed:,} {'file' if indexed == 1 else 'files'} in the library"
    st.html(safe_html.tag("span", words + (f", {failed:,} could not be read" if failed else ""), "quiet small"))


main()
