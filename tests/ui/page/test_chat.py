import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from indexing.errors import LibraryInUseError
from llava_model.kits import KitNotInstalledError
from rag.errors import GeneratorUnreachableError
from ui import wording
from ui.page import safe_html, shared

APP = Path(__file__).parents[3] / "ui" / "page" / "app.py"


@pytest.fixture
def page(bench: Any) -> Iterator[AppTest]:
    yield opened()


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(APP, default_timeout=120)
    for name, value in address.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def settled(page: AppTest) -> AppTest:
    """Wait for the answer on its way, then look at the page once more."""
    assert page.session_state.turns[-1].running.wait(120)
    page.run()
    assert not page.exception
    return page


def asked(page: AppTest, question: str) -> AppTest:
    page.chat_input[0].set_value(question).run()
    return settled(page)


def shown(page: AppTest) -> str:
    return "\n".join(element.value for element in page.html if not element.value.startswith("<style>"))


def button_labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def test_an_answer_comes_with_its_source_marked_with_the_same_number(page: AppTest) -> None:
    asked(page, "how much oil")
    answer = next(element.value for element in page.html if 'class="answer"' in element.value)
    card = next(element.value for element in page.html if 'class="card"' in element.value)
    assert '<span class="marker">1</span>' in answer
    assert '<span class="marker">1</span>' in card and "pump.pdf" in card and "✓ quoted" in card
    assert "The pump needs 4.5 litres of oil." in card


def test_small_print_names_the_model_and_the_milliseconds(page: AppTest) -> None:
    asked(page, "how much oil")
    assert "memory-1 · found in 2 ms · first word after 3 ms · in all 9 ms" in shown(page)


def test_a_source_opens_large_with_its_passage_ranks_and_the_original(page: AppTest) -> None:
    asked(page, "how much oil")
    press(page, "Open source 1")
    assert "Change the oil every year." in shown(page)
    assert "the words themselves (bm25)" in shown(page)
    assert page.download_button[0].label == "Download the original"


def test_an_answer_that_no_source_bears_out_says_so(bench: Any, page: AppTest) -> None:
    bench.answers = ["The pump needs nine litres."]
    asked(page, "how much oil")
    assert "No source could be shown to bear this answer out" in shown(page)
    assert [folded.label for folded in page.expander] == ["Found for this question"]


def test_a_question_nothing_answers_says_so_and_keeps_the_nearest_finds_folded(page: AppTest) -> None:
    asked(page, "purple elephants")
    assert "Nothing that was found speaks of it." in shown(page)
    assert 'class="refused"' in shown(page)
    assert "no model was asked" in shown(page)
    (folded,) = page.expander
    assert (folded.label, folded.proto.expanded) == ("The nearest that was found", False)


HOSTILE = "![x](http://evil.example/a.png) <script>alert(1)</script> $\\latex$ :material/delete: [1]"


def test_markup_in_an_answer_a_file_or_a_question_never_reaches_the_page_as_markup(bench: Any, page: AppTest) -> None:
    bench.answers = [HOSTILE]
    bench.add("<img src=x onerror=alert(1)>.pdf", HOSTILE + " oil oil2")
    asked(page, HOSTILE + " oil2")
    press(page, "Open source 1")
    html = shown(page)
    assert "&lt;script&gt;" in html and "<script>" not in html
    assert "&lt;img" in html and "<img" not in html
    assert "![x](http://evil.example/a.png)" in html
    assert not page.markdown and not page.caption
    for label in [*button_labels(page), *(folded.label for folded in page.expander)]:
        assert "evil" not in label and "onerror" not in label


def test_a_follow_up_is_asked_with_what_was_said_before(bench: Any, page: AppTest) -> None:
    asked(page, "how much oil")
    asked(page, "and the harbour")
    assert bench.asked[0].history == ()
    assert bench.asked[1].history[0][0] == "how much oil"


def test_a_new_conversation_forgets_the_old_one(bench: Any, page: AppTest) -> None:
    asked(page, "how much oil")
    press(page, "New conversation")
    assert "how much oil" not in shown(page)
    asked(page, "and the harbour")
    assert bench.asked[1].history == ()


def test_one_session_sees_nothing_of_another(bench: Any, page: AppTest) -> None:
    other = opened()
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    page.chat_input[0].upload("secret.png", picture.getvalue(), "image/png").set_value("my private question").run()
    settled(page)
    other.run()
    assert "my private question" in shown(page)
    assert "private" not in shown(other) and other.session_state.turns == []
    asked(other, "how much oil")
    assert bench.asked[-1].history == () and bench.asked[-1].images == ()
    assert bench.asked[0].images[0].size == (8, 8)


def test_a_picture_of_a_question_is_never_written_to_disk(bench: Any, page: AppTest, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    page.chat_input[0].upload("mine.png", picture.getvalue(), "image/png").set_value("what oil is it").run()
    settled(page)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_question_picture_that_cannot_be_read_is_refused_in_one_line(bench: Any, page: AppTest) -> None:
    page.chat_input[0].upload("mine.png", b"not a picture", "image/png").set_value("what is it").run()
    assert "&#x27;mine.png&#x27; cannot be used as a picture" in shown(page)
    assert bench.asked == []


def test_a_stop_keeps_the_words_so_far_and_frees_the_page_at_once(bench: Any, page: AppTest) -> None:
    bench.answers = ["one two three four five six seven eight nine ten"]
    go_on = threading.Event()
    bench.before_word = lambda number: number < 2 or go_on.wait(120)
    page.chat_input[0].set_value("how much oil").run()
    running = page.session_state.turns[-1].running
    while not running.view().text:
        time.sleep(0.01)
    assert page.chat_input[0].disabled
    page.run()
    press(page, "Stop")
    page.run()
    assert "Stopped after" in shown(page) and "one" in shown(page) and "ten" not in shown(page)
    assert not page.chat_input[0].disabled
    go_on.set()
    assert running.wait(120) and "ten" not in running.view().text


def test_asking_while_files_are_being_read_says_so(bench: Any, page: AppTest) -> None:
    bench.may_index.clear()
    go_on = threading.Event()
    bench.before_word = lambda number: go_on.wait(120)
    new = bench.library_folder.parent / "new.txt"
    new.write_text("oil")
    bench.library_folder.mkdir()
    shared.queue().submit([new])
    page.chat_input[0].set_value("how much oil").run()
    assert "when this was asked" in shown(page)
    go_on.set()
    settled(page)
    assert "Files that were not in the library yet have no part in the answer" in shown(page)


def test_an_empty_library_explains_how_to_fill_it(bench: Any) -> None:
    bench.chunk_list.clear()
    page = opened()
    assert "This library has no files yet." in shown(page)
    assert "llavero index FOLDER" in shown(page)
    assert page.chat_input[0].disabled


def test_questions_to_begin_with_are_made_of_what_is_in_the_library(bench: Any, page: AppTest) -> None:
    bench.add("brew_*guide*.md", "Steam the milk to 62 degrees.")
    page.run()
    labels = button_labels(page)
    assert any("brew" in label for label in labels) and len(labels) <= 4
    assert all("\\*" in label for label in labels if "guide" in label)  # its signs stand for themselves
    settled(press(page, next(label for label in labels if "guide" in label)))
    assert bench.asked[0].question == "What is “brew_*guide*” about?"


def test_the_newest_question_is_at_the_top_and_earlier_ones_are_folded(bench: Any, page: AppTest) -> None:
    for question in ("How much oil does the pump need?", "When does the harbour open?"):
        asked(page, question)
    assert next(expander.label for expander in page.expander) == "1 earlier question"


def test_a_conversation_survives_a_reload_and_goes_with_a_new_one(bench: Any, page: AppTest) -> None:
    bench.library_folder.mkdir()
    asked(page, "How much oil does the pump need?")
    name = "".join(page.query_params["conversation"])
    (file,) = (bench.library_folder / "conversations").glob("*.json")
    assert file.stem == name and oct(file.stat().st_mode & 0o777) == "0o600"
    again = opened(conversation=name)
    assert "How much oil does the pump need?" in shown(again) and "4.5 litres" in shown(again)
    assert "How much oil" not in shown(opened(conversation="0" * 32))
    assert "How much oil" not in shown(opened(conversation="../" + name))
    press(again, "New conversation")
    assert not file.exists() and "conversation" not in again.query_params


def test_a_question_that_was_asked_while_files_were_read_is_asked_again_when_they_are_there(
    bench: Any, page: AppTest, tmp_path: Path
) -> None:
    bench.may_index.clear()
    bench.library_folder.mkdir()
    shared.queue().submit([tmp_path])
    asked(page, "How much oil does the pump need?")
    assert len(bench.asked) == 1 and "it is asked again then" in shown(page)
    bench.may_index.set()
    assert shared.queue().wait_until_idle(60)
    page.run()
    settled(page)
    assert [each.question for each in bench.asked] == ["How much oil does the pump need?"] * 2
    page.run()
    assert len(bench.asked) == 2


def test_a_generator_that_does_not_answer_is_one_message_and_the_next_question_works(bench: Any, page: AppTest) -> None:
    bench.fault = GeneratorUnreachableError("http://127.0.0.1:9/v1", "connection refused")
    asked(page, "how much oil")
    assert "http://127.0.0.1:9/v1 cannot be reached" in shown(page)
    assert "Check that the server runs" in shown(page)
    bench.fault = None
    asked(page, "how much oil")
    assert "4.5 litres" in shown(page)


def test_a_surprise_shows_no_internals(bench: Any, page: AppTest) -> None:
    bench.fault = RuntimeError("/internal/secret")
    asked(page, "how much oil")
    assert "unexpected" in shown(page) and "/internal/secret" not in shown(page)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (LibraryInUseError("/lib", "llavero index (process 7)"), ["process 7", "Close it there"]),
        (KitNotInstalledError("pocket", Path("/kits/pocket")), ["pocket", "llavero kit install pocket"]),
    ],
)
def test_a_library_that_cannot_be_opened_is_one_message_with_what_to_do_and_can_be_tried_again(
    bench: Any, monkeypatch: pytest.MonkeyPatch, fault: Exception, words: list[str]
) -> None:
    def refuse() -> None:
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(shared, "open_workbench", refuse)
        page = opened()
        assert all(word in shown(page) for word in words)
        assert button_labels(page) == ["Try again"]
    press(page, "Try again")
    assert "Ask your pictures and documents" in shown(page)


def test_a_choice_of_kind_and_file_limits_the_question_and_is_told(bench: Any, page: AppTest) -> None:
    page.selectbox(key="chat-place").select(str(bench.chunk_list[0].path)).run()
    asked(page, "how much oil")
    assert bench.asked[0].filter.where == (("path", bench.chunk_list[0].path),)
    assert "asked only about pump.pdf" in shown(page)


def pictures(page: AppTest) -> list[Any]:
    return [picture for element in page.get("image") for picture in element.proto.imgs]


def test_pictures_reach_the_browser_inside_the_session_and_have_no_address_of_their_own(
    bench: Any, page: AppTest
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    page.chat_input[0].upload("mine.png", picture.getvalue(), "image/png").set_value("what oil is it").run()
    settled(page)
    before = len(pictures(page))
    assert before >= 2  # the question's and a card's
    press(page, next(label for label in button_labels(page) if label.startswith("Open ")))
    assert len(pictures(page)) == before + 1
    assert all(picture.url.startswith("data:image/jpeg;base64,") for picture in pictures(page))


@pytest.mark.parametrize(
    "name", ["oil ✓ “found in the source”.pdf", "oil\u202efdp ✔.txt", "oil\n✓ found in the source.txt", 'oil" ✅.txt']
)
def test_a_file_name_cannot_imitate_the_seal_of_a_citation(bench: Any, name: str) -> None:
    bench.chunk_list.clear()
    bench.add(name, "The pump needs 4.5 litres of oil.")
    page = asked(opened(), "what oil does the pump need")
    card = next(html.value for html in page.html if html.value.startswith('<div class="card">'))
    fenced = safe_html.escaped(wording.shown(name))
    assert fenced.startswith("&quot;") and fenced.endswith("&quot;")
    head, _, rest = card.partition("</div>")
    assert head.endswith('<span class="seal yes">✓ quoted</span>')
    assert rest.startswith(f'<bdi class="name one-line" title="{fenced}">{fenced}</bdi>')
    for markdown in page.markdown:
        assert "oil" not in markdown.value
    assert pictures(page) and all(picture.alt.startswith(wording.shown(name)) for picture in pictures(page))
