"""The tabs of the page. Each is a module of this package which says what it is at its end:

    TAB = Tab(title="Search", icon=":material/search:", url_path="search", order=20, draw=draw_page)

`app` shows every tab that it finds here, so a new one is one new file: docs/howto/add-a-page-tab.md. The modules are
found by their text, because the package also holds modules that no tab may import, such as the server's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

_PACKAGE = __name__.rpartition(".")[0]
_DECLARES_A_TAB = re.compile(r"^TAB = Tab\(", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tab:
    """What the page needs to know about a tab."""

    title: str
    """As the navigation shows it."""
    icon: str
    """One of the Material icons that come with Streamlit, such as `:material/search:`."""
    url_path: str
    """The last part of the tab's address; `st.session_state.pages` holds its page under this name."""
    order: int
    """Its place in the navigation. The tab with the lowest number opens first."""
    draw: Callable[[], None]
    """Draws the tab; called on every run of the page while the tab is the chosen one."""


def find_tabs() -> tuple[Tab, ...]:
    """All tabs, in their order."""
    return _tabs_in(tuple(import_module(_PACKAGE).__path__))


@cache  # the page runs anew for every click
def _tabs_in(folders: tuple[str, ...]) -> tuple[Tab, ...]:
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.py"))]
    declaring = [file.stem for file in files if _DECLARES_A_TAB.search(file.read_text("utf-8"))]
    tabs: list[Tab] = [import_module(f"{_PACKAGE}.{name}").TAB for name in declaring]
    return tuple(sorted(tabs, key=lambda tab: tab.order))
