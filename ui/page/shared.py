"""What all sessions of the page share: one workbench, one indexing queue. Everything else belongs to one session.

The library is named by `LLAVERO_LIBRARY`; `ui.launch` sets it together with the other variables read here.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import streamlit as st

from ui import wording
from ui.cli import terminal
from ui.page import safe_html
from ui.page.jobs import IndexingQueue, QueueView
from ui.wording import attempt, explained

if TYPE_CHECKING:
    from indexing.pipeline import IndexReport, Progress
    from ui.workbench import Workbench

_logger = logging.getLogger(__name__)
_opening = threading.Lock()


def open_workbench() -> "Workbench":
    """Open the library that this page was started for; its folder is made if it is new."""
    from ui.settings import Settings
    from ui.workbench import Workbench

    asked = {"generator_url": "LLAVERO_GENERATOR_URL", "generator_model": "LLAVERO_GENERATOR_MODEL"}
    changes: dict[str, Any] = {name: value for name, variable in asked.items() if (value := os.environ.get(variable))}
    settings = Settings.load(Path(os.environ.get("LLAVERO_LIBRARY", "library")), **changes)
    return Workbench.open(settings, create=True)


@st.cache_resource(show_spinner="Opening the library and its models …")
def workbench() -> "Workbench":
    """The one workbench of this process. After a failure the next visit tries again.

    Everything is loaded here, by one thread, so that no later question or search waits or builds anything.
    """
    with _opening:
        bench = open_workbench()
        atexit.register(bench.close)
        prepared = attempt(lambda: bench.answerer)
        if isinstance(prepared, Exception):  # search works without a generator; the first question says what is wrong
            _logger.error("the generator could not be prepared", exc_info=prepared)
    return bench


@st.cache_resource(show_spinner=False)
def queue() -> IndexingQueue:
    """The one indexing queue of this process, which works for every session."""
    bench = workbench()

    def run(
        paths: Sequence[Path], on_progress: "Callable[[Progress], None]", cancelled: Callable[[], bool]
    ) -> "IndexReport":
        return bench.index(list(paths), on_progress=on_progress, cancelled=cancelled)

    jobs = IndexingQueue(run)
    atexit.register(jobs.close)  # runs before the workbench closes: last in, first out
    return jobs


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
    """`2.0 files/s · 8 s left · scan.pdf`."""
    parts = [f"{progress.files_per_second:.1f} files/s"] if progress.files_per_second else []
    parts += [f"{terminal.duration(progress.seconds_left)} left"] if progress.seconds_left is not None else []
    return " · ".join([*parts, *([wording.shown(progress.current)] if progress.current else [])])


def progress_share(view: QueueView) -> float:
    """How much of the running job is done, 0..1."""
    progress = view.running.progress if view.running else None
    return min(1.0, progress.done / progress.found) if progress and progress.found else 0.0
