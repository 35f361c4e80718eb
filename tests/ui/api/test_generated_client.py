"""A client made out of the OpenAPI document drives a real service through everything that it can do."""

import csv
import importlib
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_process import ROOT, ServiceProcess, llavero

from ui.api.access import KeyFile

OIL = b"The bilge pump needs 4.2 litres of oil every spring. The invoice of 3 May 2024 says 310.50 EUR.\n"
FERRY = b"The ferry to Lindholm leaves at 17:45 from quay three.\n"
QUESTION = "How many litres of oil does the bilge pump need?"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The generated package, imported."""
    folder = tmp_path_factory.mktemp("made")
    script = ROOT / "docs" / "make_client.py"
    subprocess.run([sys.executable, "-W", "ignore", script, folder / "made_client"], check=True, capture_output=True)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("made_client")
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def key(place: Path) -> str:
    return KeyFile(place / "keys.json").add("admin", "admin")


@pytest.fixture(scope="module")
def service(place: Path, key: str) -> Iterator[ServiceProcess]:
    running = ServiceProcess("--root", place / "libraries", "--keys", place / "keys.json")
    yield running
    assert running.end() == 0
    assert not any("Traceback" in line for line in running.said), "\n".join(running.said)


@pytest.fixture(scope="module")
def client(made: Any, service: ServiceProcess, key: str) -> Iterator[Any]:
    with made.Client(service.url, key) as client:
        client.make_library(made.models.LibraryBody(name="boats"))
        yield client


@pytest.fixture(scope="module")
def filled(made: Any, client: Any) -> Any:
    """A library with a file that came in parts and one that came by a form."""
    begun = client.begin_upload(
        "boats", made.models.UploadBody(name="pump.txt", size=len(OIL), facts={"client": ["ACME"]})
    )
    assert client.continue_upload("boats", begun.upload, OIL[:20], offset=0).offset == 20
    sent = client.continue_upload("boats", begun.upload, OIL[20:], offset=20)
    assert isinstance(sent.job, int)
    *_, last = client.job_events("boats", sent.job)
    assert (last.event, last.state, last.report.added) == ("job", "done", 1)
    form = client.upload_form("boats", [("ferry.txt", FERRY)], fields={"client": ["acme", "Beta"]})
    *_, last = client.job_events("boats", form.job)
    assert last.report.added == 1
    return client


def test_every_route_has_a_typed_method(made: Any) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", Path(made.__file__).parent],
        capture_output=True, text=True, check=False, cwd=Path(made.__file__).parents[1],
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    assert len([name for name in vars(made.Client) if not name.startswith("_")]) > 35


def test_it_searches_and_asks(made: Any, filled: Any) -> None:
    models = made.models
    assert {each.name for each in filled.list_libraries().libraries} == {"boats"}
    hits = filled.search("boats", models.QuestionBody(text="bilge pump")).hits
    assert hits[0].path.endswith("pump.txt") and hits[0].kind == "text"
    assert "4.2 litres" in filled.source("boats", hits[0].id).text
    assert filled.source_original("boats", hits[0].id) == OIL
    events = list(filled.ask_events("boats", models.AskBody(text=QUESTION)))
    assert [events[0].event, events[-1].event] == ["found", "answer"]
    whole = filled.ask("boats", models.AskBody(text=QUESTION))
    assert whole.answer == events[-1].answer and "4.2" in whole.answer and whole.citations[0].state


def test_it_sees_what_can_be_filtered_by_and_what_was_not_read(made: Any, filled: Any) -> None:
    facets = {each.key: each for each in filled.facets("boats").facets}
    values = sorted((each.value.casefold(), each.count) for each in facets["client"].values)
    assert values == [("acme", 2), ("beta", 1)] and facets["client"].operators == ["=", "!=", ">=", "<="]
    assert [(each.value, each.count) for each in facets["extension"].values] == [("txt", 2)]
    narrowed = filled.search("boats", made.models.QuestionBody(text="oil ferry", where=[["client", "beta"]]))
    assert {Path(hit.path).name for hit in narrowed.hits} == {"ferry.txt"}
    assert filled.notes("boats").notes == [] and filled.stats("boats").files == 2


def test_it_reads_fields_as_a_run_and_fetches_the_table(made: Any, filled: Any) -> None:
    asked = made.models.ExtractionBody(fields=[{"name": "total", "type": "money"}])
    run = filled.add_extraction("boats", asked).run
    *_, last = filled.run_events("boats", run)
    assert (last.event, last.state, last.done, last.total) == ("run", "done", 2, 2)
    table = list(csv.reader(io.StringIO(filled.run_result("boats", run, format="csv").decode("utf-8-sig"))))
    assert table[0][:3] == ["path", "total value", "total currency"] and len(table) == 3
    for kind in ("xlsx", "parquet", "json"):
        assert len(filled.run_result("boats", run, format=kind)) > 100
    assert filled.cancel_run("boats", run).state == "done"  # forgotten with its result
    with pytest.raises(made.ApiError) as refused:
        filled.run("boats", run)
    assert refused.value.status == 404


def test_it_evaluates_as_a_run(made: Any, filled: Any) -> None:
    questions = [
        {"id": "1", "question": QUESTION, "answers": ["4.2 litres"], "sources": ["pump.txt"]},
        {"id": "2", "question": "When does the ferry leave?", "answers": ["17:45"], "sources": ["ferry.txt"]},
    ]
    body = made.models.EvaluationBody(task="retrieval", questions=questions, k=10)
    first = filled.add_evaluation("boats", body).run
    *_, last = filled.run_events("boats", first)
    assert last.state == "done", last.problem
    again = filled.add_evaluation("boats", body.model_copy(update={"baseline": first})).run
    *_, last = filled.run_events("boats", again)
    result = json.loads(filled.run_result("boats", again))
    assert result["figures"][0]["name"] == "recall@1" and result["questions"] == 2
    assert result["differences"][0]["better"] == 0
    with pytest.raises(made.ApiError, match="question 1"):
        filled.add_evaluation("boats", made.models.EvaluationBody(task="answers", questions=[{"id": "1"}]))


def test_what_goes_wrong_is_an_error_with_the_problem(made: Any, filled: Any, service: ServiceProcess) -> None:
    with pytest.raises(made.ApiError, match="no library 'letters'") as refused:
        filled.stats("letters")
    assert refused.value.problem.status == 404 and refused.value.problem.title
    with made.Client(service.url, "llv_wrong") as stranger, pytest.raises(made.ApiError, match="key") as refused:
        list(stranger.ask_events("boats", made.models.AskBody(text="a")))
    assert refused.value.status == 401


def test_a_client_that_leaves_in_mid_answer_holds_nobody_up(made: Any, filled: Any) -> None:
    for _ in range(5):
        events = filled.ask_events("boats", made.models.AskBody(text=QUESTION))
        assert next(events).event == "found"
        events.close()
    began = time.monotonic()
    assert "4.2" in filled.ask("boats", made.models.AskBody(text=QUESTION)).answer
    assert time.monotonic() - began < 30


def test_a_second_service_on_the_same_port_or_library_says_so_and_ends(
    filled: Any, service: ServiceProcess, place: Path
) -> None:
    port = llavero("api", "--library", place / "other", "--port", str(service.port))
    assert port.returncode == 1 and "cannot listen" in port.stderr and "--port" in port.stderr
    library = llavero("api", "--library", place / "libraries" / "boats", "--port", "0")
    assert library.returncode == 1 and "is open in" in library.stderr, library.stderr
    for outcome in (port, library):
        assert "Traceback" not in outcome.stderr
    assert filled.health().status == "ok"


def test_a_terminal_goes_through_the_service(filled: Any, place: Path) -> None:
    found = llavero("search", "bilge pump", "--library", place / "libraries" / "boats", "--json")
    assert found.returncode == 0 and "pump.txt" in found.stdout


def test_a_library_is_deleted_and_what_is_left_is_served(made: Any, client: Any) -> None:
    client.make_library(made.models.LibraryBody(name="short-lived"))
    assert client.delete_library("short-lived") is None
    assert {each.name for each in client.list_libraries().libraries} == {"boats"}


def test_a_killed_service_loses_nothing_and_goes_on_with_its_runs(made: Any, place: Path, key: str) -> None:
    root = place / "killed"
    words = ("--root", root, "--keys", place / "keys.json")
    service = ServiceProcess(*words)
    questions = [{"id": str(n), "question": f"{QUESTION} {n}", "answers": ["4.2 litres"]} for n in range(10)]
    with made.Client(service.url, key) as client:
        client.make_library(made.models.LibraryBody(name="boats"))
        *_, last = client.job_events("boats", client.upload_form("boats", [("pump.txt", OIL)]).job)
        run = client.add_evaluation("boats", made.models.EvaluationBody(task="answers", questions=questions)).run
        for event in client.run_events("boats", run):
            if event.done >= 2:
                break
    service.kill()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", service.port)) != 0
    service = ServiceProcess(*words)
    try:
        with made.Client(service.url, key) as client:
            assert client.stats("boats").files == 1 and client.verify("boats", made.models.VerifyBody()).missing == 0
            *_, last = client.run_events("boats", run)
            assert (last.state, last.done) == ("done", 10), last.problem
            records = (root / "boats" / "runs" / str(run) / "records.jsonl").read_text().splitlines()
            assert len(records) == 10  # none was asked twice
    finally:
        service.end()
