"""Benchmarks asked of a model: prompts as published, answers written once, by one writer at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from llava_model.benchmarks import score, task
from llava_model.benchmarks.asking import Task, answer_all, evenly
from llava_model.benchmarks.records import AnswerLog
from llava_model.benchmarks.scienceqa import samples
from llava_model.data.samples import to_record
from llava_model.errors import (
    AnswersInUseError,
    AnswersMismatchError,
    ContextOverflowError,
    UnscorableError,
)
from llava_model.serving.engine import Turn


class Parrot:
    """Gives the same answer to everything, and remembers what it was asked."""

    def __init__(self, says: str = "yes", *, fails_on: str = "\0", stops_after: int = 10_000) -> None:
        self.name, self.says, self.fails_on, self.stops_after = "parrot", says, fails_on, stops_after
        self.asked: list[str] = []
        self.saw: list[int] = []

    def stream(
        self, turns: Sequence[Turn], *, max_new_tokens: int = 1, temperature: float = 1.0
    ) -> Generator[str, None, None]:
        assert temperature == 0.0 and max_new_tokens > 0
        if self.fails_on in turns[0].text:
            raise ContextOverflowError(needed=9, available=1)
        if len(self.asked) == self.stops_after:
            raise KeyboardInterrupt
        self.asked.append(turns[0].text)
        self.saw.append(len(turns[0].images))
        yield from self.says


def a_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path)


@pytest.fixture
def easy(tmp_path: Path) -> Path:
    folder = tmp_path / "data/test"
    questions = [["is it red?", "yes", 0], ["is it blue?", "no", 0], ["which colour?", "red", 1], ["any?", "yes", 1]]
    for number in (0, 1):
        a_picture(folder / f"images/{number}.png")
    (folder / "questions.json").write_text(json.dumps(questions))
    return tmp_path


def test_easy_vqa_is_asked_from_the_packages_own_folder(easy: Path, tmp_path: Path) -> None:
    model = Parrot()
    result = answer_all(task("easy-vqa", easy), model, tmp_path / "a.jsonl", settings={})
    assert result.headline == 50.0 and result.n == 4 and result.problems == []
    assert model.asked == ["is it red?", "is it blue?", "which colour?", "any?"] and model.saw == [1, 1, 1, 1]


def test_the_answers_file_scores_the_same_by_itself(easy: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    result = answer_all(task("easy-vqa", easy), Parrot(), out, settings={})
    assert score("easy-vqa", out, easy).values == result.values


def test_a_stopped_run_goes_on_and_asks_nothing_twice(easy: Path, tmp_path: Path) -> None:
    out, first, second = tmp_path / "a.jsonl", Parrot(stops_after=2), Parrot()
    with pytest.raises(KeyboardInterrupt):
        answer_all(task("easy-vqa", easy), first, out, settings={})
    out.write_bytes(out.read_bytes() + b'{"question_id": "2", "te')  # as a kill in the middle of a line leaves it
    result = answer_all(task("easy-vqa", easy), second, out, settings={})
    assert first.asked + second.asked == ["is it red?", "is it blue?", "which colour?", "any?"]
    assert result.problems == [] and len(out.read_text().splitlines()) == 4


def test_a_limit_is_spread_over_the_whole_and_scored_over_what_was_asked(easy: Path, tmp_path: Path) -> None:
    result = answer_all(task("easy-vqa", easy, 2), Parrot(), tmp_path / "a.jsonl", settings={})
    assert result.n == 2 and result.headline == 50.0 and result.problems == []
    assert evenly(list("abcdef"), 3) == ["a", "c", "e"]


def test_one_question_that_cannot_be_answered_is_named_and_the_run_goes_on(easy: Path, tmp_path: Path) -> None:
    (easy / "data/test/images/1.png").write_bytes(b"no picture")
    result = answer_all(task("easy-vqa", easy), Parrot(fails_on="blue"), tmp_path / "a.jsonl", settings={})
    named = [problem.ids for problem in result.problems if problem.kind == "unreadable"]
    assert named == [("1",), ("2",), ("3",)]
    assert next(p.ids for p in result.problems if p.kind == "missing") == ("1", "2", "3")


def test_another_models_answers_are_not_mixed_in(easy: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    answer_all(task("easy-vqa", easy, 1), Parrot(), out, settings={"projector": "one"})
    with pytest.raises(AnswersMismatchError, match="projector one, this run has two"):
        answer_all(task("easy-vqa", easy), Parrot(), out, settings={"projector": "two"})


def test_answers_to_another_prompt_are_not_taken_for_answers_to_this_one(easy: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    answer_all(task("easy-vqa", easy, 1), Parrot(), out, settings={})
    (easy / "data/test/questions.json").write_text(json.dumps([["is it green?", "no", 0]]))
    with pytest.raises(AnswersMismatchError, match=r"is it green\?"):
        answer_all(task("easy-vqa", easy), Parrot(), out, settings={})


def test_a_second_run_on_the_same_file_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    program = (
        "import sys; from pathlib import Path; from llava_model.benchmarks.records import AnswerLog\n"
        f"with AnswerLog(Path({str(out)!r}), {{}}): print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        with pytest.raises(AnswersInUseError, match=f"process {other.pid}"), AnswerLog(out, {}):
            pass
        other.communicate(b"")
    with AnswerLog(out, {}) as ledger:
        ledger.append({"question_id": 1})


def test_a_file_that_this_command_did_not_begin_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("mine\n")
    with pytest.raises(UnscorableError, match=r"run\.json"), AnswerLog(out, {}):
        pass
    assert out.read_text() == "mine\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_whole_lines_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "a.jsonl"
    with AnswerLog(out, {}) as ledger:
        ledger.append({"question_id": 1, "text": "kept"})
        assert ledger._log._file is not None
        real = ledger._log._file

        class Full:
            def seek(self, *where: int) -> int:
                return real.seek(*where)

            def write(self, content: bytes) -> int:
                return os.write(real.fileno(), content[:7])

            def flush(self) -> None:
                raise OSError(28, "No space left on device")

            def fileno(self) -> int:
                return real.fileno()

        monkeypatch.setattr(ledger._log, "_file", Full())
        with pytest.raises(OSError, match="No space"):
            ledger.append({"question_id": 2, "text": "lost"})
        monkeypatch.setattr(ledger._log, "_file", real)
        assert set(ledger.records) == {"1"}
    assert [json.loads(line)["question_id"] for line in out.read_text().splitlines()] == [1]


def asked_of(made: Task) -> list[tuple[str, str, list[str]]]:
    return [(ask.name, ask.prompt, ["/".join(p.parts[-2:]) for p in ask.images]) for ask in made.asks]


def test_pope_is_asked_in_llavas_words_and_scored_by_setting(tmp_path: Path) -> None:
    for setting, label in (("random", "yes"), ("popular", "no")):
        line = {"question_id": 1, "image": "p.jpg", "text": "Is there a dog in the image?", "label": label}
        (tmp_path / f"coco_pope_{setting}.json").write_text(json.dumps(line) + "\n")
    a_picture(tmp_path / "val2014/p.jpg")
    made = task("pope", tmp_path)
    prompt = "Is there a dog in the image?\nAnswer the question using a single word or phrase."
    assert asked_of(made) == [("popular:1", prompt, ["val2014/p.jpg"]), ("random:1", prompt, ["val2014/p.jpg"])]
    result = answer_all(made, Parrot("Yes"), tmp_path / "out" / "a.jsonl", settings={})
    assert result.values["settings"]["random"]["accuracy"] == 100.0
    assert result.values["settings"]["popular"]["accuracy"] == 0.0
    assert score("pope", tmp_path / "out" / "a.jsonl", tmp_path).values == result.values


def test_mme_is_asked_from_its_release_folder_with_llavas_words(tmp_path: Path) -> None:
    a_picture(tmp_path / "count/0001.png")
    lines = ["Are there two dogs? Please answer yes or no.\tYes", "Are there three dogs? Please answer yes or no.\tNo"]
    (tmp_path / "count/0001.txt").write_text("\n".join(lines) + "\n")
    a_picture(tmp_path / "posters/images/a.jpg")
    (tmp_path / "posters/questions_answers_YN").mkdir()
    (tmp_path / "posters/questions_answers_YN/a.txt").write_text("Is it A?\tYes\nIs it B?\tNo\n")
    made = task("mme", tmp_path)
    tail = "\nAnswer the question using a single word or phrase."
    assert [prompt for _, prompt, _ in asked_of(made)] == [
        f"Are there two dogs?{tail}", f"Are there three dogs?{tail}", f"Is it A?{tail}", f"Is it B?{tail}",
    ]  # fmt: skip
    result = answer_all(made, Parrot("Yes"), tmp_path / "out" / "a.jsonl", settings={})
    assert result.values["tasks"] == {"count": 50.0, "posters": 50.0} and result.values["perception"] == 100.0
    assert score("mme", tmp_path / "out" / "a.jsonl", tmp_path).values == result.values


def test_scienceqa_is_asked_with_context_choices_and_the_letter_instruction(tmp_path: Path) -> None:
    one: dict[str, Any] = {
        "question": "Which?", "choices": ["a cat", "a dog"], "answer": 1, "hint": "Look.", "image": "image.png",
        "subject": "natural science", "grade": "grade2", "split": "test",
    }  # fmt: skip
    problems = {"4": one, "5": {**one, "hint": "", "image": None}}
    (tmp_path / "problems.json").write_text(json.dumps(problems))
    a_picture(tmp_path / "images/test/4/image.png")
    end = "Which?\nA. a cat\nB. a dog\nAnswer with the option's letter from the given choices directly."
    made = task("scienceqa", tmp_path)
    assert asked_of(made) == [("4", f"Context: Look.\n{end}", ["4/image.png"]), ("5", end, [])]
    result = answer_all(made, Parrot("B"), tmp_path / "out" / "a.jsonl", settings={})
    assert result.values["columns"]["AVG"] == 100.0 and result.values["columns"]["SOC"] is None


def test_scienceqa_is_asked_for_the_reasoning_first_and_its_samples_teach_that(tmp_path: Path) -> None:
    one: dict[str, Any] = {
        "question": "Which?", "choices": ["a cat", "a dog"], "answer": 1, "hint": "", "image": "image.png",
        "lecture": "Look  closely.", "solution": "It barks.",
        "subject": "natural science", "grade": "grade2", "split": "test",
    }  # fmt: skip
    problems = {"4": one, "5": {**one, "hint": "A text.", "image": None, "lecture": "", "solution": ""}}
    (tmp_path / "problems.json").write_text(json.dumps(problems))
    a_picture(tmp_path / "images/test/4/image.png")
    made = task("scienceqa", tmp_path, reasoning=True)
    options = "Options: (A) a cat (B) a dog"
    prompts = [f"Which?\nContext: N/A\n{options}", f"Which?\nContext: A text.\n{options}"]
    assert asked_of(made) == [("4", prompts[0], ["4/image.png"]), ("5", prompts[1], [])]
    assert all(ask.max_new_tokens == 1024 for ask in made.asks)
    replies = []
    for sample, prompt in zip(samples(tmp_path, "test"), prompts, strict=True):
        asked, replied = to_record(sample, root=tmp_path)["messages"]
        assert asked["content"].removeprefix("<image>\n") == prompt
        replies.append(replied["content"])
    assert replies == ["Look closely. It barks. The answer is B.", "The answer is B."]
    result = answer_all(made, Parrot(replies[0]), tmp_path / "out" / "a.jsonl", settings={})
    assert result.values["columns"]["AVG"] == 100.0


def test_llava_bench_gives_answers_and_says_that_a_judge_must_score_them(tmp_path: Path) -> None:
    line = {"question_id": 0, "image": "001.jpg", "text": "What is it?", "category": "conv"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(line) + "\n")
    a_picture(tmp_path / "images/001.jpg")
    result = answer_all(task("llava-bench", tmp_path), Parrot("a"), tmp_path / "out" / "a.jsonl", settings={})
    assert result.headline is None and "judge" in result.notes[0]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png"])
def test_a_data_file_cannot_name_pictures_outside_its_folder(tmp_path: Path, name: str) -> None:
    line = {"question_id": 1, "image": name, "text": "?", "label": "yes"}
    (tmp_path / "coco_pope_random.json").write_text(json.dumps(line) + "\n")
    with pytest.raises(UnscorableError, match="outside"):
        task("pope", tmp_path)
