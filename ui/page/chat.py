"""Chat: a question, the answer as it is written, and its sources.

What was asked lives in this session (`st.session_state.turns`) and, once it is answered, in a file of the library that
only the page's address names (`ui.page.conversations`); a picture given with a question is never written to disk.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from indexing.store.protocol import EVERYTHING
from ui import wording
from ui.page import conversations, draw, safe_html, search, shared, source_cards, visitor
from ui.page.answering import AnswerView, KeptAnswer, RunningAnswer
from ui.page.suggestions import starting_questions
from ui.page.tabs import Tab
from ui.uploads import MAX_PICTURE_MEGABYTES, PICTURE_TYPES, UploadRefusedError, question_picture
from ui.wording import attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from indexing.ledger import FileEntry
    from indexing.store.protocol import Filter
    from rag.events import Answer
    from ui.workbench import Workbench

REDRAW_SECONDS = 0.15
MAX_QUESTION_CHARACTERS = 4000
ASSISTANT_ICON, USER_ICON = ":material/vpn_key:", ":material/person:"
SHOWN_PICTURE_WIDTH = 180
_ADDRESS = "conversation"  # its name in the page's address
REMEMBERED_TURNS = 4  # how many earlier exchanges a follow-up question is understood with


@dataclass(kw_only=True)
class ChatTurn:
    """One question of this session with its answer on the way."""

    question: str
    picture: "Image.Image | None"
    scope_words: str
    running: RunningAnswer | KeptAnswer
    asked_during: str = ""  # how far indexing was when it was asked; "" when nothing was being read
    filter: "Filter | None" = None
    asked_again: bool = False


def draw_page() -> None:
    """The whole page; called on every run."""
    bench = shared.workbench()
    turns = _turns(bench)
    files = bench.files()
    has_files = any(entry.chunks for entry in files)
    if not turns:
        _draw_welcome(bench, files)
    else:
        _draw_header()
    _draw_turns(bench, turns)
    _keep(bench, turns)
    with st.bottom:
        chosen = search.choose_scope(files, key="chat")
        waiting = bool(turns) and not turns[-1].running.view().finished
        asked = st.chat_input(
            "Ask about your pictures and documents" if has_files else "Add files first, then ask about them",
            max_chars=MAX_QUESTION_CHARACTERS,
            max_upload_size=MAX_PICTURE_MEGABYTES,
            accept_file=True,
            file_type=PICTURE_TYPES,
            disabled=waiting or not has_files,
            key="question",
        )
    example = st.session_state.pop("example", None)
    if example is not None:
        _ask(bench, turns, example, None, chosen)
    elif asked is not None:
        _submit(bench, turns, asked, chosen)
    elif turns and not waiting:
        _ask_again(bench, turns)


def _draw_turns(bench: "Workbench", turns: "Sequence[ChatTurn]") -> None:
    """The newest question stands at the top, where it is seen without scrolling; earlier ones are folded above it."""
    if not turns:
        return
    *earlier, newest = turns
    if earlier:
        label = "1 earlier question" if len(earlier) == 1 else f"{len(earlier)} earlier questions"
        with st.expander(label, icon=":material/history:"):
            for number, turn in enumerate(earlier):
                _draw_turn(bench, turn, number=number, newest=False)
    _draw_turn(bench, newest, number=len(earlier), newest=True)


def _turns(bench: "Workbench") -> list[ChatTurn]:
    """This session's; of a new one those that its address names."""
    if "turns" not in st.session_state:
        kept = conversations.load(bench.library_folder, st.query_params.get(_ADDRESS, ""))
        st.session_state.turns = [
            ChatTurn(
                question=turn.question, picture=None, scope_words=turn.scope_words, running=KeptAnswer(turn.answer)
            )
            for turn in kept
        ]
        st.session_state.kept = len(kept)
    turns: list[ChatTurn] = st.session_state.turns
    return turns


def _keep(bench: "Workbench", turns: "Sequence[ChatTurn]") -> None:
    """Write the conversation when an answer is new in it."""
    answered = [(turn, answer) for turn in turns if (answer := turn.running.view().answer) is not None]
    if len(answered) == st.session_state.get("kept", 0):
        return
    st.session_state.kept = len(answered)
    name = st.query_params.get(_ADDRESS, "")
    if not name:
        name = st.query_params[_ADDRESS] = conversations.new_id()
    told = [
        conversations.KeptTurn(question=turn.question, scope_words=turn.scope_words, answer=answer)
        for turn, answer in answered
    ]
    if isinstance(fault := attempt(lambda: conversations.keep(bench.library_folder, name, told)), Exception):
        shared.fault(fault)


def _ask_again(bench: "Workbench", turns: list[ChatTurn]) -> None:
    """The newest question once more, if files were being read when it was asked and are there now."""
    last = turns[-1]
    if not last.asked_during or last.asked_again or shared.queue().view().busy:
        return
    last.asked_again = True
    _ask(bench, turns, last.question, last.picture, last.filter or EVERYTHING)


def _draw_welcome(bench: "Workbench", files: "Sequence[FileEntry]") -> None:
    shared.lead("Ask your pictures and documents", "Every answer shows where it comes from, so that you can check it.")
    if not any(entry.chunks for entry in files):
        if shared.queue().view().busy:
            shared.notice("The first files are being read.", "You can ask as soon as they are in the library.")
        else:
            shared.notice(
                "This library has no files yet.",
                "Add some on the page “Add files”, or in a terminal: llavero index FOLDER",
            )
        st.page_link(st.session_state.pages["add"], label="Add files", icon=":material/upload_file:")
        return
    questions = starting_questions(bench, files)
    if questions:
        st.html(safe_html.tag("p", "For example", "section"))
    for place, question in enumerate(questions):
        label = safe_html.plain_in_markdown(question)
        st.button(label, key=f"example-{place}", type="secondary", on_click=_take_example, args=(question,))


def _take_example(question: str) -> None:
    st.session_state.example = question


def _draw_header() -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("New conversation", icon=":material/edit_square:", type="tertiary", on_click=_forget)


def _forget() -> None:
    for turn in st.session_state.get("turns", []):
        turn.running.stop()
    conversations.forget(shared.workbench().library_folder, st.query_params.get(_ADDRESS, ""))
    st.query_params.pop(_ADDRESS, None)
    st.session_state.turns, st.session_state.kept = [], 0


def _submit(bench: "Workbench", turns: list[ChatTurn], asked: Any, chosen: "Filter") -> None:
    picture = None
    if asked.files:
        try:
            picture = question_picture(asked.files[0].name, asked.files[0].getvalue())
        except UploadRefusedError as error:
            shared.notice(str(error), "The question was not asked.", tone="warn")
            return
    text = asked.text.strip()
    if text or picture is not None:
        _ask(bench, turns, text, picture, chosen)


def _ask(
    bench: "Workbench", turns: list[ChatTurn], question: str, picture: "Image.Image | None", chosen: "Filter"
) -> None:
    history: list[Any] = []
    for turn in turns[-REMEMBERED_TURNS:]:
        if (earlier := turn.running.view().answer) is not None:
            history += bench.as_history(turn.question, earlier)
    images = (picture,) if picture is not None else ()
    words = question or "What does this picture show?"
    with visitor.acting("ask", pictures=len(images)):
        running = RunningAnswer(lambda: bench.ask(words, images=images, history=tuple(history), filter=chosen))
    during = shared.indexing_headline(shared.queue().view())
    turns.append(
        ChatTurn(
            question=words,
            picture=picture,
            scope_words=search.scope_words(chosen),
            running=running,
            asked_during=during,
            filter=chosen,
        )
    )
    st.rerun()


def _draw_turn(bench: "Workbench", turn: ChatTurn, *, number: int, newest: bool) -> None:
    with st.chat_message("user", avatar=USER_ICON):
        st.html(safe_html.paragraphs(turn.question))
        if turn.picture is not None:
            st.image(_small(turn.picture), width=SHOWN_PICTURE_WIDTH, alt="The picture given with the question")
        if turn.scope_words:
            st.html(safe_html.tag("span", f"asked only about {turn.scope_words}", "quiet small"))
    with st.chat_message("assistant", avatar=ASSISTANT_ICON):
        view = turn.running.view()
        if turn.asked_during:
            consequence = "Files that were not in the library yet have no part in the answer; it is asked again then."
            shared.notice(f"{turn.asked_during} when this was asked.", consequence, tone="warn")
        if view.finished:
            _draw_finished(bench, view, number=number, newest=newest)
        else:
            st.fragment(_draw_running, run_every=REDRAW_SECONDS)(turn, number)


def _small(picture: "Image.Image") -> str:
    """A data URL of the picture at twice the width that it is shown with, for screens with many pixels."""
    copy = picture.copy()
    copy.thumbnail((2 * SHOWN_PICTURE_WIDTH, 8 * SHOWN_PICTURE_WIDTH))
    return draw.data_url(draw.jpeg(copy))


def _draw_running(turn: ChatTurn, number: int) -> None:
    """Drawn again and again while the model writes, without running the rest of the page."""
    view = turn.running.view()
    if view.finished:
        st.rerun()
    st.html(safe_html.answer(view.text or " ", look="unfinished"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(safe_html.tag("span", _progress_words(view), "quiet small"), width="content")
        stop = turn.running.stop
        st.button("Stop", icon=":material/stop_circle:", type="tertiary", key=f"stop-{number}", on_click=stop)


def _progress_words(view: AnswerView) -> str:
    if view.retrieval is None:
        doing = "Looking in the library"
    elif view.looked is not None and not view.text:
        doing = f"Looked into {view.looked.done} of {view.looked.of} files"
    elif not view.text:
        read = list(dict.fromkeys(wording.shown(Path(hit.chunk.path).name) for hit in view.retrieval.hits))
        doing = f"Reading {', '.join(read[:3])}{' …' if len(read) > 3 else ''}"
    else:
        doing = "Writing"
    return f"{doing} · {view.seconds:.0f} s"


def _draw_finished(bench: "Workbench", view: AnswerView, *, number: int, newest: bool) -> None:
    if view.answer is not None:
        _draw_answer(bench, view.answer, number=number, newest=newest)
        return
    if view.text:
        st.html(safe_html.answer(view.text))
    if view.problem:
        shared.notice(*view.problem, tone="bad")
    elif view.stopped:
        st.html(safe_html.tag("span", f"Stopped after {view.seconds:.1f} s.", "quiet small"))
    if view.retrieval is not None and view.retrieval.hits:
        with st.expander("What was found for it"):
            source_cards.show(
                bench, [source_cards.from_hit(hit) for hit in view.retrieval.hits], key=f"stopped-{number}"
            )


def _draw_answer(bench: "Workbench", answer: "Answer", *, number: int, newest: bool) -> None:
    cited, others = source_cards.of_answer(answer)
    if answer.refused:
        _draw_refusal(bench, answer, others, number=number)
    else:
        borne_out = answer.table is not None or any(source.state in ("quoted", "supported") for source in cited)
        markers = {source.number for source in cited if source.number}
        st.html(safe_html.answer(answer.text, markers, look="" if borne_out else "doubtful"))
        if not borne_out:
            _draw_doubt()
        if answer.table is not None:
            st.html(safe_html.table(answer.table.columns, answer.table.rows, answer.table.markers))
        _draw_cited(bench, cited, number=number, newest=newest)
        if others:
            with st.expander("Also found" if cited else "Found for this question", expanded=newest and not cited):
                source_cards.show(bench, others, key=f"others-{number}")
    st.html(safe_html.folded(_small_print(answer), answer.notes))


def _draw_doubt() -> None:
    """Nothing was shown to bear the answer out: say so."""
    shared.notice("No source could be shown to bear this answer out. Check it before you use it.", tone="warn")


def _draw_cited(bench: "Workbench", cited: list[source_cards.Source], *, number: int, newest: bool) -> None:
    """The sources of the newest answer are open, those of earlier answers are folded."""
    label = "Source" if len(cited) == 1 else "Sources"
    if cited and newest:
        st.html(safe_html.tag("p", label, "section"))
        source_cards.show(bench, cited, key=f"cited-{number}")
    elif cited:
        with st.expander(f"{label} ({len(cited)})"):
            source_cards.show(bench, cited, key=f"cited-{number}")


def _draw_refusal(bench: "Workbench", answer: "Answer", others: list[source_cards.Source], *, number: int) -> None:
    st.html(safe_html.wrap("div", [safe_html.tag("strong", answer.text)], "refused"))
    if others:
        with st.expander("The nearest that was found", icon=":material/troubleshoot:"):
            source_cards.show(bench, others, key=f"misses-{number}")


def _small_print(answer: "Answer") -> str:
    spent = answer.milliseconds
    words = {"retrieve": "found in", "first_token": "first word after", "total": "in all"}
    if not answer.model:
        return f"searched in {spent['retrieve']:,.0f} ms; no model was asked"
    return " · ".join([answer.model, *(f"{words[name]} {spent[name]:,.0f} ms" for name in words if name in spent)])


TAB = Tab(title="Chat", icon=":material/forum:", url_path="chat", order=10, draw=draw_page)
