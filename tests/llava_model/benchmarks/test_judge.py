"""A judge on a scripted server of this machine: what it is sent, how it is read, and what is kept."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from writing_server import running

from llava_model.benchmarks import judge as ensemble
from llava_model.benchmarks import scienceqa
from llava_model.benchmarks.judge import Case, JudgeSettings, JudgeTally, fill, judge, read_cases, read_rubric
from llava_model.benchmarks.llava_bench import score
from llava_model.chat_client import JUDGE, ChatServer
from llava_model.errors import AnswersMismatchError, JudgeError, UnscorableError

Reply = Callable[[list[dict[str, str]], int], str | int]


class Server:
    """Answers with a text, or with an HTTP status."""

    def __init__(self, reply: Reply) -> None:
        self.reply, self.url = reply, ""
        self.asked: list[list[dict[str, str]]] = []
        self.lock = threading.Lock()


@contextmanager
def serving(reply: Reply) -> Iterator[Server]:
    server = Server(reply)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.asked.append(body["messages"])
                number = len(server.asked)
            said = server.reply(body["messages"], number)
            status = said if isinstance(said, int) else 200
            content = json.dumps({"choices": [{"message": {"content": said}}]}).encode() if status == 200 else b"no"
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{server.url}/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *parts: Any) -> None:
            pass

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server.url:
        yield server


def endpoint(server: Server, **changes: Any) -> ChatServer:
    return ChatServer(url=server.url, model="judge", role=JUDGE, first_wait_seconds=0.01, **changes)


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    questions = [{"question_id": n, "text": f"Q{n}?", "category": "conv", "image": f"{n}.jpg"} for n in range(4)]
    first = [{"question_id": n, "text": f"reference {n}", "answer_id": f"r{n}"} for n in range(4)]
    second = [{"question_id": n, "text": f"ours {n}", "answer_id": f"o{n}"} for n in range(4)]
    contexts = [{"image": f"{n}.jpg", "caption": [f"a thing {n}"]} for n in range(4)]
    found, problems = read_cases(
        written(tmp_path / "q.jsonl", questions), written(tmp_path / "r.jsonl", first),
        written(tmp_path / "a.jsonl", second), written(tmp_path / "c.jsonl", contexts),
    )  # fmt: skip
    assert problems == []
    return found


def settings(**changes: Any) -> JudgeSettings:
    return JudgeSettings(rubric=read_rubric(), **changes)


def test_reviews_are_written_as_llava_writes_them_and_score(cases: list[Case], tmp_path: Path) -> None:
    with serving(lambda messages, number: "8 6\nbecause") as server:
        tally = judge(cases, endpoint(server), tmp_path / "out.jsonl", settings())
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(record["question_id"] for record in records) == [0, 1, 2, 3]
    assert records[0].keys() >= {"id", "question_id", "answer1_id", "answer2_id", "category", "content", "tuple"}
    assert score(tmp_path / "out.jsonl").values["overall"] == 75.0
    assert tally.judged == 4 and not tally.repaired and not tally.failed


def test_the_judge_is_told_picture_question_and_both_answers(cases: list[Case], tmp_path: Path) -> None:
    with serving(lambda messages, number: "8 6") as server:
        judge(cases[:1], endpoint(server), tmp_path / "out.jsonl", settings())
    prompt = server.asked[0][0]["content"]
    assert prompt.index("a thing 0") < prompt.index("Q0?") < prompt.index("reference 0") < prompt.index("ours 0")


def test_an_answer_that_holds_a_place_of_the_rubric_is_not_filled_again(cases: list[Case]) -> None:
    forged = Case(
        name="1", category="conv", question="Q", context="", first={"text": "I say {second}"}, second={"text": "ours"}
    )
    assert "I say {second}" in fill(read_rubric(), forged, swapped=False)


def test_stray_words_are_repaired_prose_is_asked_again_and_hopeless_reviews_are_kept_as_failed(
    cases: list[Case], tmp_path: Path
) -> None:
    def reply(messages: list[dict[str, str]], number: int) -> str:
        asked = messages[0]["content"]
        if "Q0?" in asked:
            return "Assistant 1: 8, Assistant 2: 4"
        if "Q1?" in asked:
            return "Both are lovely." if len(messages) == 1 else "8 4"
        return "I refuse." if "Q2?" in asked else "8 4"

    with serving(reply) as server:
        tally = judge(cases, endpoint(server), tmp_path / "out.jsonl", settings(attempts=2))
    assert tally.repaired == ["0"] and sorted(tally.asked_again) == ["1", "2"] and tally.failed == ["2"]
    result = score(tmp_path / "out.jsonl")
    assert result.problems[0].ids == ("2",)
    assert result.values["readings"]["strict"]["overall"] == 50.0


def test_swapped_orders_are_turned_back_and_averaged(cases: list[Case], tmp_path: Path) -> None:
    with serving(lambda messages, number: "9 3") as server:  # a judge that loves whatever comes first
        judge(cases, endpoint(server), tmp_path / "out.jsonl", settings(swap=True))
    assert len(server.asked) == 8
    assert score(tmp_path / "out.jsonl").values["overall"] == 100.0


def test_repeats_give_mean_and_spread(cases: list[Case], tmp_path: Path) -> None:
    with serving(lambda messages, number: f"8 {4 if number <= 4 else 6}") as server:
        judge(cases, endpoint(server), tmp_path / "m.jsonl", settings(repeat=2, parallel=1))
    (tmp_path / "only").mkdir()
    for file in tmp_path.glob("m-eval*.jsonl"):
        file.rename(tmp_path / "only" / file.name)
    values = score(tmp_path / "only").values
    assert values["overall"] == 62.5 and values["runs"]["m"]["spread"] == 17.7


def test_a_run_that_lost_its_server_goes_on_without_judging_twice(cases: list[Case], tmp_path: Path) -> None:
    def dies(messages: list[dict[str, str]], number: int) -> str | int:
        return "8 4" if number <= 2 else 503

    with serving(dies) as server, pytest.raises(JudgeError, match="HTTP 503"):
        judge(cases, endpoint(server, tries=2), tmp_path / "out.jsonl", settings(parallel=1))
    with serving(lambda messages, number: "8 4") as server:
        tally = judge(cases, endpoint(server), tmp_path / "out.jsonl", settings(parallel=1))
    assert tally.kept == 2 and tally.judged == 2 and len(server.asked) == 2
    assert score(tmp_path / "out.jsonl").n == 4


def test_reviews_of_other_answers_are_not_kept(cases: list[Case], tmp_path: Path) -> None:
    with serving(lambda messages, number: "8 4") as server:
        judge(cases, endpoint(server), tmp_path / "out.jsonl", settings())
        others = [
            Case(
                name=c.name, category="conv", question=c.question, context="", first=c.first, second={"answer_id": "x"}
            )
            for c in cases
        ]
        with pytest.raises(AnswersMismatchError):
            judge(others, endpoint(server), tmp_path / "out.jsonl", settings())


def test_load_and_server_faults_are_tried_again_and_refusals_are_not(cases: list[Case]) -> None:
    with serving(lambda messages, number: 429 if number < 3 else "8 4") as server:
        assert endpoint(server).ask([{"role": "user", "content": "?"}]) == "8 4"
    with serving(lambda messages, number: 401) as server, pytest.raises(JudgeError, match="HTTP 401"):
        endpoint(server).ask([{"role": "user", "content": "?"}])
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed() -> None:
    with serving(lambda messages, number: 302) as server, pytest.raises(JudgeError, match="HTTP 302"):
        endpoint(server).ask([{"role": "user", "content": "?"}])
    assert len(server.asked) == 1


def test_a_proxy_in_the_environment_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda messages, number: "proxy") as proxy, serving(lambda messages, number: "judge") as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert endpoint(server).ask([{"role": "user", "content": "?"}]) == "judge"
    assert proxy.asked == []


@pytest.mark.parametrize(("url", "model"), [("", "m"), ("http://h/v1", "")])
def test_without_endpoint_or_model_it_says_what_to_set(url: str, model: str) -> None:
    with pytest.raises(JudgeError, match=r"--endpoint|--model") as raised:
        ChatServer(url=url, model=model, role=JUDGE)
    assert "http://127.0.0.1:8000/v1" in raised.value.__notes__[0]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:8000", "http://u:p@h/v1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(JudgeError):
        ChatServer(url=url, model="m", role=JUDGE)


def test_missing_and_extra_answers_are_named_before_judging(tmp_path: Path) -> None:
    questions = written(tmp_path / "q.jsonl", [{"question_id": n, "text": "?", "context": "c"} for n in range(3)])
    first = written(tmp_path / "r.jsonl", [{"question_id": n, "text": "r"} for n in range(3)])
    second = written(tmp_path / "a.jsonl", [{"question_id": n, "text": "a"} for n in (0, 2, 9)])
    cases, problems = read_cases(questions, first, second)
    assert [case.name for case in cases] == ["0", "2"]
    assert {problem.kind: problem.ids for problem in problems} == {"missing": ("1",), "extra": ("9",)}


def test_a_rubric_without_a_place_for_an_answer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rubric.txt").write_text("{context} {question} {first}")
    with pytest.raises(UnscorableError, match=r"\{second\}"):
        read_rubric(tmp_path / "rubric.txt")


def test_judging_one_case_needs_no_file(cases: list[Case]) -> None:
    from llava_model.benchmarks.judge import judge_one

    tally = JudgeTally()
    with serving(lambda messages, number: "7 7") as server:
        assert judge_one(cases[0], endpoint(server), settings(), tally)["tuple"] == [7.0, 7.0]


@pytest.fixture
def two_models(tmp_path: Path) -> tuple[Path, Path, Path]:
    one = {"question": "Which?", "choices": ["a", "b", "c"], "hint": "", "image": None, "split": "test"}
    problems = {str(n): {**one, "answer": 1, "subject": "natural science", "grade": "grade1"} for n in range(1, 5)}
    (tmp_path / "problems.json").write_text(json.dumps(problems))
    said = {"1": "The answer is B.", "2": "Cannot say.", "3": "The answer is A.", "4": "The answer is B."}
    stored = {"acc": 0, "results": dict.fromkeys(said, 0), "outputs": said}  # 2 was a guess
    (tmp_path / "text.json").write_text(json.dumps(stored))
    ours = [{"question_id": n, "text": t} for n, t in (("1", "A"), ("2", "B"), ("3", "B"), ("4", "B"))]
    return tmp_path / "text.json", written(tmp_path / "ours.jsonl", ours), tmp_path / "problems.json"


def test_the_complement_takes_ours_where_the_text_model_says_nothing(two_models: tuple[Path, Path, Path]) -> None:
    text_model, ours, problems = two_models
    options, differing, found = ensemble.combine(text_model, ours, problems)
    assert options == {"1": 1, "2": 1, "3": 0, "4": 1} and found == []
    assert differing == {"1": (1, 0), "3": (0, 1)}


def test_the_text_model_decides_where_both_differ_and_is_asked_once(
    two_models: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    text_model, ours, problems = two_models
    with serving(lambda messages, number: "So … The answer is B.") as server:
        for _ in range(2):
            options, found = ensemble.arbitrate(
                text_model, ours, problems, endpoint(server), tmp_path / "decisions.jsonl"
            )
    assert options == {"1": 1, "2": 1, "3": 1, "4": 1} and found == [] and len(server.asked) == 2
    assert "Solver 1: The answer is A." in server.asked[1][0]["content"]
    result = tmp_path / "result.json"
    result.write_text(json.dumps(ensemble.result_file(options, problems)))
    assert scienceqa.score(result, problems).values["columns"]["AVG"] == 100.0
