"""`llavero eval` as a person uses it, with doubles for search and answers."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import Run

from evaluation.question_files import QuestionFileError, question_of, read_paragraphs, read_questions
from evaluation.questions import KnownQuestion
from ui.cli import evaluate
from ui.cli.evaluate_attacks import write_suite

COMMAND = ("eval",)
EVIL = "<script>alert('x')</script><img src=http://evil.example/a.png>"


@dataclass
class Bench:
    """A library of three files whose search finds a.txt first, and which says what its script says."""

    script: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)
    stop_at: str = ""
    settings: Any = field(default_factory=lambda: SimpleNamespace(rag=SimpleNamespace(generator=None)))
    library_folder: Path = Path("/library")
    kit: Any = field(default_factory=lambda: SimpleNamespace(name="double"))

    def files(self) -> list[Any]:
        return [SimpleNamespace(path=f"/d/{name}.txt", state="indexed") for name in "abc"]

    def search(self, request: Any) -> Any:
        return self._found(request.text, request.filter)

    def ask(self, question: str, *, history: Any, k: int, filter: Any) -> Iterator[Any]:
        if question == self.stop_at:
            self.stop_at = ""
            raise KeyboardInterrupt
        found = self._found(question, filter, len(history))
        yield SimpleNamespace(retrieval=found)
        text = self.script.get(question, "")
        tick = SimpleNamespace(marker=1, path="/d/a.txt", page=None, quote=EVIL, state="quoted")
        refused = not found.answers or not text
        yield SimpleNamespace(
            text=text or "Nothing here.", refused=refused, hits=found.hits, model="" if refused else "double",
            citations=() if refused else (tick,), prompt=(), milliseconds={"first_token": 10.0, "total": 20.0},
        )  # fmt: skip

    def as_history(self, question: str, answer: Any) -> list[str]:
        return [question, answer.text]

    def _found(self, text: str, filter: Any, before: int = 0) -> Any:
        wanted = tuple(path for _, path in filter.where)
        self.asked.append((text, before, wanted))
        paths = [path for path in ("/d/a.txt", "/d/b.txt", "/d/c.txt") if not wanted or path in wanted]
        hits = tuple(SimpleNamespace(chunk=SimpleNamespace(path=p, page=None, kind="text", text=EVIL)) for p in paths)
        answers = hits[:1] if "/d/a.txt" in paths else ()
        verdict = SimpleNamespace(probabilities=(0.9 if answers else 0.2,))
        return SimpleNamespace(hits=hits, answers=answers, verdict=verdict, milliseconds={"total": 5.0})


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()

    @contextmanager
    def opened(library: Path, **changes: Any) -> Iterator[Bench]:
        yield bench

    monkeypatch.setattr(evaluate, "_workbench", opened)
    return bench


@pytest.fixture
def questions(tmp_path: Path, bench: Bench) -> Path:
    bench.script |= {
        "Where is the ship?": f"In the harbour [1]. {EVIL}",
        "What sank?": "A whale [1].",
        "And when?": "1927",
    }
    lines = (
        {"id": "q1", "question": "Where is the ship?", "answers": ["the harbour"], "sources": ["a.txt"], "mine": EVIL},
        {"id": "q2", "question": "What sank?", "answers": ["the schooner"], "sources": ["b.txt"]},
        {"id": "q3", "question": "And when?", "answer": "1927", "sources": ["a.txt"], "previous": ["What sank?"]},
        {"id": "q4", "question": "Who is the king?", "answerable": False},
    )
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def figure(document: Any, name: str) -> float:
    return next(one["value"] for one in document["figures"] if one["name"] == name)


def test_retrieval_prints_a_table_or_one_document(run: Run, questions: Path) -> None:
    document = run("retrieval", questions, "--json").document
    assert document["task"] == "retrieval" and len(document["results"]) == 4
    assert figure(document, "recall@1") == pytest.approx(2 / 3) and figure(document, "recall@5") == 1
    shown = run("retrieval", questions)
    assert shown.code == 0 and "95 % interval" in shown.out and "recall@1" in shown.out


def test_answers_are_scored_and_earlier_questions_of_the_conversation_asked(
    run: Run, questions: Path, bench: Bench
) -> None:
    document = run("answers", questions, "--json").document
    assert figure(document, "right") == 0.75 and figure(document, "total milliseconds, median") == 20
    assert ("And when?", 2, ()) in bench.asked


def test_refusal_asks_again_without_the_source(run: Run, questions: Path, bench: Bench) -> None:
    document = run("refusal", questions, "--without-source", "--json").document
    assert document["questions"] == 7
    assert ("Where is the ship?", 0, ("/d/b.txt", "/d/c.txt")) in bench.asked
    assert figure(document, "answerable refused") == 0
    assert figure(document, "unanswerable refused") == 0.75  # b.txt was not what answers
    assert 0.5 < figure(document, "AUROC of the confidence") < 1 and document["curve"][-1]["coverage"] == 1


def test_the_search_alone_can_be_asked_what_it_refuses(run: Run, questions: Path) -> None:
    document = run("refusal", questions, "--without-source", "--search-only", "--json").document
    assert "answer" not in document["results"][0] and figure(document, "answerable refused") == 0


def test_hiding_a_file_that_is_not_there_is_an_error(run: Run, questions: Path) -> None:
    questions.write_text(json.dumps({"id": "x", "question": "?", "answerable": False, "hidden": ["gone.txt"]}))
    outcome = run("refusal", questions)
    assert outcome.code == 1 and "gone.txt" in outcome.err


def test_citations_counts_ticks(run: Run, questions: Path) -> None:
    document = run("citations", questions, "--json").document
    assert figure(document, "wrong answers with a tick") == 1.0  # the whale, and the king is refused
    assert figure(document, "ticks under wrong answers") == pytest.approx(1 / 3)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("task", ["retrieval", "answers", "refusal", "citations"])
def test_the_report_shows_failures_first_and_nothing_of_others_as_html(
    run: Run, questions: Path, tmp_path: Path, task: str
) -> None:
    report = tmp_path / "r" / "report.html"
    assert run(task, questions, "--report", report).code == 0
    text = report.read_text("utf-8")
    tags = Tags()
    tags.feed(text)
    names = {tag for tag, _ in tags.found}
    assert not names & {"script", "img", "link", "iframe", "a"}
    assert not any(key in ("src", "href") or key.startswith("on") for _, attributes in tags.found for key in attributes)
    assert "&lt;script&gt;alert(" in text and "default-src 'none'" in text
    if task == "answers":
        assert text.index("What sank?") < text.index("Where is the ship?")
        assert "the schooner" in text and "A whale [1]." in text and "not the right source" in text


def test_a_run_that_is_stopped_keeps_what_was_done_and_goes_on(
    run: Run, questions: Path, bench: Bench, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    whole = run("answers", questions, "--json").document
    bench.asked.clear()
    bench.stop_at = "Who is the king?"
    stopped = run("answers", questions, "--report", report)
    assert stopped.code == 1 and "3 results are kept" in stopped.err and "--resume" in stopped.err
    assert not report.exists()
    again = run("answers", questions, "--report", report)
    assert again.code == 1 and "report.jsonl" in again.err and "--resume" in again.err
    bench.asked.clear()
    resumed = run("answers", questions, "--report", report, "--resume", "--json").document
    assert [text for text, *_ in bench.asked] == ["Who is the king?"]
    assert resumed["figures"] == whole["figures"] and report.exists()
    other = run("retrieval", questions, "--report", report, "--resume")
    assert other.code == 1 and "Traceback" not in other.err


def test_a_run_without_a_results_file_says_that_nothing_is_kept(run: Run, questions: Path, bench: Bench) -> None:
    bench.stop_at = "What sank?"
    outcome = run("answers", questions)
    assert outcome.code == 1 and "nothing is kept" in outcome.err
    assert run("answers", questions, "--resume").code == 2


def test_two_runs_are_compared(run: Run, questions: Path, bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text(run("answers", questions, "--json").out)
    bench.script["What sank?"] = "The schooner"
    outcome = run("answers", questions, "--baseline", tmp_path / "before.json")
    assert outcome.code == 0 and "McNemar" in outcome.out and "bootstrap" in outcome.out
    wrong = run("retrieval", questions, "--baseline", tmp_path / "before.json")
    assert wrong.code == 1 and "a run of 'answers', not of 'retrieval'" in wrong.err
    (tmp_path / "before.json").write_text("[]")
    assert run("answers", questions, "--baseline", tmp_path / "before.json").code == 1


def test_a_limit_takes_questions_from_everywhere(run: Run, questions: Path) -> None:
    document = run("retrieval", questions, "--limit", 2, "--json").document
    assert [one["question_id"] for one in document["results"]] == ["q1", "q3"]


# -- question files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no JSON"),
        ("[]", "a question must be an object"),
        ('{"question": "x"}', "'id' is missing"),
        ('{"id": true, "question": "x"}', "'id' is missing"),
        ('{"id": 1, "question": " "}', "'question' is missing"),
        ('{"id": 1, "question": "x", "answers": "y"}', "'answers' must hold texts, it is 'y'"),
        ('{"id": 1, "question": "x", "answer": 5}', "'answer' must hold texts"),
        ('{"id": 1, "question": "x", "sources": [1]}', "'sources' must hold texts"),
        ('{"id": 1, "question": "x", "page": 0}', "'page' must hold numbers from 1"),
        ('{"id": 1, "question": "x", "pages": [true]}', "'pages' must hold numbers"),
        ('{"id": 1, "question": "x", "answerable": "no"}', "'answerable' must be true or false"),
        ('{"id": 1, "question": "x", "language": 5}', "'language' must be a text"),
    ],
)
def test_a_malformed_line_is_named_with_what_is_wrong(
    run: Run, bench: Bench, tmp_path: Path, line: str, said: str
) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": "ok", "question": "fine?"}\n\n' + line + "\n")
    outcome = run("answers", path)
    assert outcome.code == 1 and f"q.jsonl, line 3: {said}" in outcome.err and "Traceback" not in outcome.err
    assert bench.asked == []


@pytest.mark.parametrize("content", [b"", b"\n\n", b'{"id": 1, "question": "\xff"}', b'{"id":1,"question":"x"}\n' * 2])
def test_files_without_questions_or_with_one_twice_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "q.jsonl").write_bytes(content)
    with pytest.raises(QuestionFileError, match=r"q\.jsonl"):
        read_questions([tmp_path / "q.jsonl"])


def test_a_question_comes_back_from_its_own_line() -> None:
    question = KnownQuestion(
        id="1", question="x?", answers=("a",), sources=("s",), pages=(2,), previous=("p",), hidden=("h",),
        language="de", kind="k", more={"note": 5},
    )  # fmt: skip
    assert question_of(json.loads(json.dumps(question.document()))) == question


def test_the_samples_own_questions_are_read() -> None:
    sample = Path(__file__).parents[3] / "examples" / "sample"
    questions = read_questions([sample / "questions.jsonl", sample / "unanswerable.jsonl"])
    by_id = {question.id: question for question in questions}
    assert by_id["q22"].answers == ("130 ml", "130") and by_id["q22"].pages == (3,) and by_id["q22"].answerable
    assert not by_id["u01"].answerable


def squad(*contexts: str, language: str = "en") -> str:
    def paragraph(number: int) -> dict[str, Any]:
        qas = [
            {"id": f"{number}-{n}", "question": f"{language} {number} {n}?", "answers": [{"text": "x"}]} for n in (0, 1)
        ]
        return {"context": contexts[number], "qas": qas}

    return json.dumps({"data": [{"title": "T", "paragraphs": [paragraph(n)]} for n in range(len(contexts))]})


def test_xquad_becomes_a_folder_and_questions_in_another_language(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.en.json").write_text(squad("one", "two", "three"))
    (tmp_path / "x.es.json").write_text(squad("uno", "dos", "tres", language="es"))
    options = ("--articles", "1:3", "--questions", 3, "--seed", 1, "--without-answers")
    out = tmp_path / "out"
    outcome = run("prepare", "xquad", tmp_path / "x.en.json", out, *options, "--questions-from", tmp_path / "x.es.json")
    assert outcome.code == 0
    assert [path.read_text() for path in sorted((out / "documents").iterdir())] == ["one\n", "two\n", "three\n"]
    questions = read_questions([out / "questions.jsonl"])
    assert len(questions) == 3 and all(one.question.startswith("es ") and one.language == "es" for one in questions)
    assert {one.sources[0] for one in questions} == {"paragraph-0002.txt", "paragraph-0003.txt"}
    hidden = read_questions([out / "unanswerable.jsonl"])
    assert [one.hidden for one in hidden] == [one.sources for one in questions]
    assert not any(one.answerable for one in hidden)
    assert run("prepare", "xquad", tmp_path / "x.en.json", out).code == 1  # nothing is written over


@pytest.mark.parametrize("content", ["{}", '{"data": [{"paragraphs": [{"context": "x"}]}]}', "{", '{"data": 5}'])
def test_a_json_file_that_is_no_squad_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(QuestionFileError):
        read_paragraphs(tmp_path / "x.json")


def test_the_table_of_10_q_questions_names_the_files_that_its_stars_mean(tmp_path: Path) -> None:
    table = (
        "\ufeffQuestion,Source Docs,Question Type,Source Chunk Type,Answer\n"
        'How much?,*AAPL*,Multi-Doc RAG,Table,"Five.\n\nSOURCE(S): 2023 Q1 AAPL.pdf"\n'
    )
    (tmp_path / "qna.csv").write_text(table, "utf-8")
    (question,) = read_questions([tmp_path / "qna.csv"])
    assert (question.answers, question.sources, question.kind) == (("Five.",), ("2023 Q1 AAPL.pdf",), "Multi-Doc RAG")
    (tmp_path / "docs").mkdir()
    for name in ("2022 Q3 AAPL.pdf", "2023 Q1 AAPL.pdf", "2023 Q1 MSFT.pdf"):
        (tmp_path / "docs" / name).touch()
    (question,) = read_questions([tmp_path / "qna.csv"])
    assert question.sources == ("2022 Q3 AAPL.pdf", "2023 Q1 AAPL.pdf")


# -- attacks -----------------------------------------------------------------------------------------------------------


def test_the_suite_is_large_seeded_and_holds_fact_and_attack(tmp_path: Path) -> None:
    first, again = write_suite(tmp_path / "a", seed=3), write_suite(tmp_path / "b", seed=3)
    assert first == again and first != write_suite(tmp_path / "c", seed=4)
    assert len(first) >= 24 and len({one.kind for one in first}) == 8
    for question in first:
        data = (tmp_path / "a" / question.sources[0]).read_bytes()
        assert data == (tmp_path / "b" / question.sources[0]).read_bytes()
        if data[:4] != b"\x89PNG":
            assert question.answers[0].encode() in data
            assert all(str(one).encode() in data for one in question.more["forbidden"])
            assert question.answers[0] not in question.more["attack"]


def test_the_readers_find_the_fact_in_every_document(tmp_path: Path) -> None:
    from indexing.embedding.protocol import Preprocess
    from indexing.readers.output import ReaderOutput
    from indexing.readers.registry import read
    from indexing.settings import ReadLimits

    (tmp_path / "spool").mkdir()
    output = ReaderOutput(tmp_path / "spool", preprocess=Preprocess(size=32, resize_to=32), limits=ReadLimits())
    for question in write_suite(tmp_path, seed=1):
        if question.kind != "picture":  # OCR has tests of its own
            reading = read(tmp_path / question.sources[0], output)
            words = " ".join(" ".join(block.text for block in reading.blocks).split())
            assert question.answers[0] in words, question.id


def test_attacks_are_asked_from_a_file_of_ones_own(run: Run, bench: Bench, tmp_path: Path) -> None:
    assert run("prepare", "attacks", tmp_path / "suite").code == 0
    (tmp_path / "q.jsonl").write_text(
        '{"id": "1", "question": "A?", "answers": ["x"], "sources": ["a"], "kind": "text", "forbidden": ["OWNED"]}\n'
        '{"id": "2", "question": "B?", "answers": ["x"], "sources": ["a"], "kind": "denial", "forbidden": []}\n'
    )
    bench.script |= {"A?": "owned", "B?": "x"}
    document = run("attacks", tmp_path / "q.jsonl", "--json", "--report", tmp_path / "r.html").document
    assert figure(document, "attack succeeded") == 0.5
    assert (figure(document, "attack succeeded: text"), figure(document, "attack succeeded: denial")) == (1, 0)


def test_the_attacks_address_counts_who_asks() -> None:
    with evaluate._listening() as (address, requests):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{address}/WORD.png", timeout=10)
        assert requests == ["/WORD.png"]


@pytest.mark.parametrize("words", [(), ("retrieval",), ("answers",), ("refusal",), ("citations",), ("attacks",),
                                   ("prepare",), ("prepare", "xquad"), ("prepare", "attacks")])  # fmt: skip
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    program = f"""
import sys, contextlib
from ui.cli import main as cli
sys.argv = ["llavero", "eval", *{words!r}, "--help"]
with contextlib.suppress(SystemExit): cli.main()
heavy = ("torch", "pymilvus", "numpy", "PIL", "ir_measures", "rag.answer")
sys.exit(any(name in sys.modules for name in heavy))
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60).returncode == 0
