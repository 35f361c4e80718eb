"""Replies to questions with numbered evidence: values, markers and refusals, each counted by itself."""

import json
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from llava_model.benchmarks import score, task
from llava_model.benchmarks.asking import answer_all
from llava_model.errors import UnscorableError
from llava_model.serving.engine import Turn

SYSTEM = "Answer from the evidence."


def sample(name: str, reply: str, *answers: str) -> dict[str, object]:
    turns = [("system", SYSTEM), ("user", f"[1] a\n[2] b\n\nQuestion: {name}?"), ("assistant", reply)]
    return {"id": name, "messages": [{"role": r, "content": t} for r, t in turns], "answers": list(answers)}


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    path = tmp_path / "held_out.jsonl"
    samples = [
        sample("total", "It is RM 31.00 [2].", "RM 31.00"),
        sample("clerk", "Amina [1].", "Amina"),
        sample("date", "It is 5 March [1].", "5 March"),
        sample("gone", "Not in the evidence."),
        sample("away", "Not in the evidence."),
    ]
    path.write_text("\n".join(json.dumps(one) for one in samples))
    return path


def replies(path: Path, **said: str) -> Path:
    path.write_text("\n".join(json.dumps({"question_id": name, "text": text}) for name, text in said.items()))
    return path


def test_values_markers_and_refusals_are_counted_apart(held_out: Path, tmp_path: Path) -> None:
    said = replies(
        tmp_path / "a.jsonl",
        total="The total is rm 31.00 [2].",
        clerk="The clerk is Amina [2].",
        date="Not in the evidence.",
        gone="Not in the evidence",
        away="It is 5 March [1].",
    )
    found = score("ground", said, held_out)
    values = {name: found.values[name] for name in ("right", "value", "marker", "refused", "refused_wrongly")}
    assert values == pytest.approx(
        {"right": 60.0, "value": 200 / 3, "marker": 100 / 3, "refused": 50.0, "refused_wrongly": 100 / 3}
    )
    assert (found.n, found.values["answerable"], found.values["unanswerable"]) == (5, 3, 2)
    assert found.headline == 60.0 and found.interval is not None and found.problems == []


@pytest.mark.parametrize(
    ("reply", "value", "marker"),
    [
        ("RM 31.00 [2]", 100.0, 100.0),
        ("RM 31.005 [2]", 0.0, 100.0),  # as whole words
        ("RM 31.00 [1][2]", 100.0, 0.0),  # one marker too many
        ("RM 31.00", 100.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_a_value_is_whole_words_and_a_marker_names_no_other_evidence(
    tmp_path: Path, reply: str, value: float, marker: float
) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps(sample("total", "It is RM 31.00 [2].", "RM 31.00")))
    found = score("ground", replies(tmp_path / "a.jsonl", total=reply), path)
    assert (found.values["value"], found.values["marker"]) == (value, marker)
    assert found.values["refused"] is None  # nobody was asked what is not there


def test_missing_and_strange_replies_are_named(held_out: Path, tmp_path: Path) -> None:
    found = score("ground", replies(tmp_path / "a.jsonl", total="RM 31.00 [2]", other="x"), held_out)
    assert {problem.kind for problem in found.problems} == {"missing", "extra"} and found.headline == 20.0
    with pytest.raises(UnscorableError, match="none of the 5"):
        score("ground", replies(tmp_path / "b.jsonl", other="x"), held_out)


class Listener:
    """Remembers the turns it was sent."""

    name = "listener"

    def __init__(self) -> None:
        self.heard: list[list[Turn]] = []

    def stream(
        self, turns: Sequence[Turn], *, max_new_tokens: int = 1, temperature: float = 1.0
    ) -> Generator[str, None, None]:
        self.heard.append(list(turns))
        yield "RM 31.00 [2]"


def test_a_model_gets_the_very_turns_of_the_sample(held_out: Path, tmp_path: Path) -> None:
    model = Listener()
    answer_all(task("ground", held_out, 1), model, tmp_path / "a.jsonl", settings={})
    ((system, user),) = model.heard
    assert (system.role, system.text) == ("system", SYSTEM) and user.role == "user"
    assert user.text == "[1] a\n[2] b\n\nQuestion: total?"


def test_the_last_question_of_a_conversation_is_asked_behind_the_turns_before_it(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    turns = [("user", "<image>\nWhat is it?"), ("assistant", "A bill."), ("user", "Whose?"), ("assistant", "Lowe's.")]
    record = {"id": "a", "images": ["a.png"], "messages": [{"role": r, "content": t} for r, t in turns]}
    lines = [record, {**record, "id": "b", "independent": True}]
    (tmp_path / "s.jsonl").write_text("\n".join(json.dumps(one) for one in lines))
    model = Listener()
    answer_all(task("vqa", tmp_path / "s.jsonl"), model, tmp_path / "out.jsonl", settings={})
    asked, alone = model.heard
    assert [turn.text for turn in asked] == ["What is it?", "A bill.", "Whose?"]
    assert [len(turn.images) for turn in asked] == [1, 0, 0]
    assert [(turn.text, len(turn.images)) for turn in alone] == [("Whose?", 1)]
