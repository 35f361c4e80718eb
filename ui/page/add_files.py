"""Add files: what the browser sends is kept in the library's own folder and indexed in the background."""

from pathlib import Path

import streamlit as st

from ui import wording
from ui.cli import terminal
from ui.jobs import JobView, QueueView
from ui.launch import MAX_UPLOAD_MEGABYTES
from ui.page import safe_html, shared, visitor
from ui.page.tabs import Tab
from ui.uploads import FOLDER, UploadRefusedError, save

REDRAW_SECONDS = 1.0
SHOWN_FINISHED = 5


def draw_page() -> None:
    """The whole page; called on every run."""
    bench = shared.workbench()
    shared.lead("Add files", "Pictures, PDFs, scans, office files, mail, web pages and notes.")
    turn = st.session_state.setdefault("upload-turn", 0)
    files = st.file_uploader(
        "Files",
        accept_multiple_files=True,
        max_upload_size=MAX_UPLOAD_MEGABYTES,
        label_visibility="collapsed",
        key=f"uploaded-{turn}",  # a new key makes a new, empty uploader
    )
    st.button(
        "Add to the library",
        type="primary",
        icon=":material/library_add:",
        disabled=not files,  # a large file takes a while to arrive, and nobody should press before that
        on_click=_take_chosen,
        args=(turn, bench.library_folder),
    )
    for error in st.session_state.get("upload-refused", ()):
        if isinstance(error, UploadRefusedError):
            shared.notice(str(error), tone="warn")
        else:
            shared.fault(error)
    view = shared.queue().view()
    st.session_state["upload-epoch"] = view.epoch
    st.fragment(_draw_queue, run_every=REDRAW_SECONDS if view.busy else None)()
    shared.fine_print(
        f"Uploads are kept in {bench.library_folder / FOLDER}. "
        "A whole folder is easier from a terminal, with this page closed: llavero index FOLDER"
    )


def _take_chosen(turn: int, library: Path) -> None:
    files = [(file.name, file.getvalue()) for file in st.session_state.get(f"uploaded-{turn}") or ()]
    st.session_state["upload-refused"] = take(files, library)
    st.session_state["upload-turn"] = turn + 1


def take(files: list[tuple[str, bytes]], library: Path) -> list[Exception]:
    """Save what can be saved and queue it → the errors of the other files."""
    saved: list[Path] = []
    refused: list[Exception] = []
    for name, content in files:
        try:
            saved.append(save(library, name, content, max_bytes=MAX_UPLOAD_MEGABYTES * 1_000_000))
        except (UploadRefusedError, OSError) as error:
            refused.append(error)
    if saved:
        with visitor.acting("add", files=len(saved)):
            shared.queue().submit(saved, owner=shared.session_name())
    return refused


def _draw_queue() -> None:
    jobs = shared.queue()
    view = jobs.view()
    if view.epoch != st.session_state.get("upload-epoch"):
        st.rerun()  # a job began or ended: counts elsewhere on the page change too
    if view.running is not None:
        _draw_running(view)
    for place, job in enumerate(view.waiting, start=1):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(safe_html.tag("span", f"Waiting, number {place}: {_names(job)}", "quiet"))
            _cancel_button(job, "Take back")
    for job in view.finished[:SHOWN_FINISHED]:
        _draw_finished(job)


def _draw_running(view: QueueView) -> None:
    job = view.running
    assert job is not None
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            whose = "" if job.owner == shared.session_name() else " (started by somebody else)"
            st.html(safe_html.tag("strong", shared.indexing_headline(view) + whose), width="content")
            if job.state == "running":
                _cancel_button(job, "Stop")
        st.progress(shared.progress_share(view))
        if job.progress is not None:
            shared.fine_print(shared.pace(job.progress))


def _cancel_button(job: JobView, words: str) -> None:
    st.button(
        words,
        icon=":material/stop_circle:",
        type="tertiary",
        key=f"cancel-{job.number}",
        on_click=shared.queue().cancel,
        args=(job.number,),
    )


def _draw_finished(job: JobView) -> None:
    if job.state == "failed":
        shared.notice(*job.problem, tone="bad")
    elif job.report is None:
        shared.notice(f"Taken back before it began: {_names(job)}")
    else:
        report = job.report
        new = report.added + report.updated
        headline = "Stopped. " if job.state == "stopped" else ""
        headline += f"{new} {'file' if new == 1 else 'files'} added" if new else "Nothing new"
        details = [f"{report.unchanged} were there already"] if report.unchanged else []
        details += [f"{wording.shown(Path(failure.path).name)}: {failure.reason}" for failure in report.failures]
        details += [
            f"{wording.shown(Path(entry.path).name)}, read in part: {note}"
            for entry in report.read_in_part
            for note in entry.notes
            if note.unread
        ]
        made = "1 passage or picture" if report.chunks == 1 else f"{report.chunks:,} passages and pictures"
        took = f"{made} in {terminal.duration(report.seconds)}"
        shared.notice(
            headline, *details, took if new else "", tone="warn" if report.failures or report.read_in_part else ""
        )


def _names(job: JobView) -> str:
    more = len(job.names) - 3
    return ", ".join(map(wording.shown, job.names[:3])) + (f" and {more} more" if more > 0 else "")


TAB = Tab(title="Add files", icon=":material/upload_file:", url_path="add", order=40, draw=draw_page)
