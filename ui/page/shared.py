"""What all sessions of the page share: one workbench, one indexing queue. Everything else belongs to one session.

The library is named by `LLAVERO_LIBRARY`; `ui.launch` sets it together with the other variables read here.
"""

import atexit
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import streamlit as st

from ui import wording
from ui.api.libraries import OpenLibrary, load_behind
from ui.cli import terminal
from ui.jobs import IndexingQueue, QueueView
from ui.page import safe_html
from ui.wording import explained

if TYPE_CHECKING:
    from indexing.pipeline import Progress
    from ui.workbench import Workbench


def open_workbench() -> "Workbench":
    """Open the library that this page was started for; its folder is made if it is new."""
    from ui.settings import Settings
    from ui.workbench import Workbench

    asked = {"generator_url": "LLAVERO_GENERATOR_URL", "generator_model": "LLAVERO_GENERATOR_MODEL"}
    changes: dict[str, Any] = {name: value for name, variable in asked.items() if (value := os.environ.get(variable))}
    settings = Settings.load(Path(os.environ.get("LLAVERO_LIBRARY", "library")), **changes)
    return Workbench.open(settings, create=True, serves=True)


class _Opened:
    """The one open library of this process; opened by the server when it starts, else by the first visit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library: OpenLibrary | None = None
        self.on_open: Callable[[OpenLibrary], None] = load_behind

    def get(self) -> "OpenLibrary":
        """Open it, or what is open. After a failure the next visit tries again."""
        if self._library is not None:
            return self._library
        with self._lock:
            if self._library is None:
                bench = open_workbench()
                self._library = OpenLibrary(bench.library_folder.name, bench)
                self.on_open(self._library)
            return self._library

    @property
    def is_open(self) -> bool:
        """Whether a visit need not wait."""
        return self._library is not None

    def close(self) -> None:
        """End its jobs and close it."""
        with self._lock:
            library, self._library = self._library, None
        if library is not None:
            library.close()


opened = _Opened()
atexit.register(opened.close)


def workbench() -> "Workbench":
    """The one workbench of this process. Its models are loaded behind it; what needs one waits for that one."""
    if not opened.is_open:
        with st.spinner("Opening the library …"):
            return opened.get().service.bench
    return opened.get().service.bench


def queue() -> IndexingQueue:
    """The one indexing queue of this process, which works for every session."""
    return opened.get().jobs


def session_name() -> str:
    """A random name for this browser session, so that it recognises its own jobs."""
    if "session_name" not in st.session_state:
        st.session_state.session_name = uuid4().hex
    return str(st.session_state.session_name)


def lead(title: str, words: str) -> None:
    """Draw the title of a tab, and a sentence below it."""
    st.html(safe_html.wrap("div", [safe_html.tag("h1", title), safe_html.tag("p", words)], "lead"))


def fine_print(words: str) -> None:
    """Draw words in small print."""
    st.html(safe_html.tag("p", words, "quiet small"))


def notice(headline: str, *details: str, tone: str = "") -> None:
    """Draw one clear message. Headline and details may be text of others. Tone: "", "warn" or "bad"."""
    body = [safe_html.tag("strong", headline), *(safe_html.tag("p", detail) for detail in details if detail)]
    st.html(safe_html.wrap("div", body, f"notice {tone}".strip()))


def fault(error: Exception) -> None:
    """Draw an error as one message: what happened and what to do. The log gets the traceback of an unexpected one."""
    notice(*explained(error, "Something unexpected went wrong."), tone="bad")


def indexing_headline(view: QueueView) -> str:
    """`Indexing: 12 of 40 files`; empty when nothing runs or waits."""
    if view.running is None:
        return "Indexing: about to begin" if view.waiting else ""
    progress = view.running.progress
    if view.running.state == "stopping":
        return "Indexing: stopping"
    if progress is None:
        return "Indexing: starting"
    return f"Indexing: {progress.done:,} of {progress.found:,}{'' if progress.walked else '+'} files"


def pace(progress: "Progress") -> str:
    """`2.0 files/s · 8 s left · scan.pdf · page 412 of 3,000`, the page where the file is a long document."""
    parts = [f"{progress.files_per_second:.1f} files/s"] if progress.files_per_second else []
    parts += [f"{terminal.duration(progress.seconds_left)} left"] if progress.seconds_left is not None else []
    parts += [wording.shown(progress.current)] if progress.current else []
    return " · ".join([*parts, *([f"page {progress.pages_done:,} of {progress.pages:,}"] if progress.pages else [])])


def progress_share(view: QueueView) -> float:
    """How much of the running job is done, 0..1."""
    progress = view.running.progress if view.running else None
    return min(1.0, progress.done / progress.found) if progress and progress.found else 0.0
