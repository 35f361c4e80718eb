"""What goes wrong around the service: the store, the disk, and bodies that are no good. It says so, and goes on."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ui.api import upload_parts
from ui.api.access import KeyFile
from ui.api.libraries import OpenLibrary

BOATS = "/v1/libraries/boats"
ASKED = {"text": "How many litres of oil does the bilge pump need?"}


@pytest.fixture
def dead(library: OpenLibrary, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Milvus does not answer until it is undone."""
    from pymilvus.exceptions import MilvusException

    def refuse(*asked: Any, **more: Any) -> Any:
        raise MilvusException(code=2, message="server unavailable: connection refused")

    client = library.service.bench.store._client
    for name in ("search", "query", "get"):
        monkeypatch.setattr(client, name, refuse)
    return monkeypatch


def test_a_dead_milvus_is_told_with_what_to_do_and_found_again_without_a_restart(
    client: TestClient, dead: pytest.MonkeyPatch
) -> None:
    searched = client.post(f"{BOATS}/search", json=ASKED)
    assert searched.status_code == 503 and searched.headers["content-type"] == "application/problem+json"
    assert "connection refused" in searched.json()["detail"] and searched.json()["notes"]
    told = client.post(f"{BOATS}/ask", json=ASKED).text
    last = json.loads(told.strip().splitlines()[-1].removeprefix("data: "))
    assert (last["event"], last["status"]) == ("problem", 503)
    body = {"model": "boats", "messages": [{"role": "user", "content": "oil?"}]}
    chat = client.post("/v1/chat/completions", json=body)
    assert chat.status_code == 503 and chat.json()["error"]["type"] == "server_error"
    dead.undo()
    assert client.post(f"{BOATS}/search", json=ASKED).json()["hits"]
    assert client.post("/v1/chat/completions", json=body).status_code == 200


def test_a_disk_that_fills_up_during_an_upload_loses_nothing_of_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"The keel was painted in April.\n"
    begun = client.post(f"{BOATS}/uploads", json={"name": "keel.txt", "size": len(data)}).json()
    place = f"{BOATS}/uploads/{begun['upload']}"
    assert client.patch(place, params={"offset": 0}, content=data[:10]).json()["offset"] == 10

    def full(descriptor: int, piece: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(upload_parts.os, "write", full)
        answer = client.patch(place, params={"offset": 10}, content=data[10:])
    assert answer.status_code == 507 and answer.json()["detail"]
    assert client.get(place).json()["offset"] == 10
    done = client.patch(place, params={"offset": 10}, content=data[10:]).json()
    assert client.get(f"{BOATS}/jobs/{done['job']}/events").text.count('"state": "done"') == 1
    assert client.post(f"{BOATS}/remove", json={"what": done["path"]}).json()["removed"] == 1


def test_a_form_that_the_disk_has_no_room_for_leaves_nothing_behind(
    client: TestClient, library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*asked: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    arriving = library.service.bench.library_folder / "uploads" / ".arriving"
    before = sorted(arriving.iterdir()) if arriving.exists() else []
    with monkeypatch.context() as disk:
        disk.setattr(upload_parts.shutil, "copyfileobj", full)
        answer = client.post(f"{BOATS}/uploads/form", files={"file": ("a.txt", b"words")})
    assert answer.status_code == 507 and sorted(arriving.iterdir()) == before


def test_no_room_at_all_is_told_before_a_byte_is_sent(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_parts.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    answer = client.post(f"{BOATS}/uploads", json={"name": "a.txt", "size": 1000})
    assert answer.status_code == 507 and "no room" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "content", "kind", "statuses"),
    [
        ("/search", b"[" * 200_000, "application/json", (400, 422)),
        ("/search", b'{"text": ' + b"1" * 10_000 + b"}", "application/json", (400, 422)),
        ("/search", b'{"text": "a", "k": 1e400}', "application/json", (400, 422)),
        ("/search", b'{"text": "\\ud800"}', "application/json", (200, 422)),
        ("/search", b"", "application/json", (422,)),
        ("/uploads/form", b"{}", "application/json", (415,)),
        ("/uploads/form", b"no form", "multipart/form-data", (400, 422)),
        ("/uploads/form", b"--x\r\n", "multipart/form-data; boundary=x", (400, 422)),
        ("/evaluations", b'{"task": "answers", "questions": [1]}', "application/json", (422,)),
        ("/extractions", b'{"fields": [{"name": ""}]}', "application/json", (422,)),
        ("/extractions", b'{"fields": [{"name": "a", "type": "colour"}]}', "application/json", (422,)),
    ],
)
def test_a_body_that_is_no_good_is_refused_with_words(
    client: TestClient, path: str, content: bytes, kind: str, statuses: tuple[int, ...]
) -> None:
    answer = client.post(BOATS + path, content=content, headers={"Content-Type": kind})
    assert answer.status_code in statuses, answer.text
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json" and answer.json()["detail"]


def test_a_form_says_facts_and_refuses_what_is_none(client: TestClient) -> None:
    file = {"file": ("../../etc/oar.txt", b"The oar is three metres long.")}
    assert client.post(f"{BOATS}/uploads/form", files=file, data={"title": "x"}).status_code == 422
    assert client.post(f"{BOATS}/uploads/form", data={"client": "ACME"}).status_code in (415, 422)
    assert client.post(f"{BOATS}/uploads/form", files={"file": ("a.txt", b"")}).status_code == 422
    sent = client.post(f"{BOATS}/uploads/form", files=file, data={"client": ["ACME", "Beta"]}).json()
    client.get(f"{BOATS}/jobs/{sent['job']}/events")
    (found,) = client.get(f"{BOATS}/files", params={"where": "client=acme"}).json()["files"]
    assert found["path"] == sent["paths"][0] and found["path"].endswith("/uploads/oar.txt")
    assert found["facts"] == {"client": ["ACME", "Beta"]}
    assert client.post(f"{BOATS}/remove", json={"what": found["path"]}).json()["removed"] == 1


def test_runs_that_are_not_there_or_not_done_are_told(client: TestClient) -> None:
    for how, path in (
        ("GET", "/runs/99"),
        ("GET", "/runs/99/events"),
        ("GET", "/runs/99/result"),
        ("DELETE", "/runs/99"),
    ):
        assert client.request(how, BOATS + path).status_code == 404, path
    questions = [{"id": "1", "question": "oil?", "sources": ["pump.txt"]}]
    body = {"task": "retrieval", "questions": questions}
    assert client.post(f"{BOATS}/evaluations", json={**body, "baseline": 99}).status_code == 404
    assert client.post(f"{BOATS}/evaluations", json={**body, "questions": questions * 2}).status_code == 422
    run = client.post(f"{BOATS}/evaluations", json=body).json()["run"]
    client.get(f"{BOATS}/runs/{run}/events")
    assert client.get(f"{BOATS}/runs/{run}").json()["state"] == "done"
    assert client.get(f"{BOATS}/runs/{run}/result", params={"format": "csv"}).status_code == 422
    assert client.get(f"{BOATS}/runs/{run}/result").json()["questions"] == 1
    assert client.delete(f"{BOATS}/runs/{run}").status_code == 200


def test_a_queue_that_is_full_says_so(
    client: TestClient, library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.runs.MOST_WAITING", 0)
    answer = client.post(f"{BOATS}/extractions", json={"fields": [{"name": "total"}]})
    assert answer.status_code == 429 and answer.json()["notes"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/extract", {"path": "a", "fields": [{"name": "n" * 201}]}),
        ("/extractions", {"fields": [{"name": "n" * 201}]}),
        ("/extractions", {"fields": [{"name": "total", "hint": "h" * 2001}]}),
        ("/evaluations", {"question": "q" * 100_001}),
        ("/evaluations", {"question": "oil?", "previous": ["q" * 100_001]}),
        ("/evaluations", {"question": "oil?", "previous": ["what?"] * 21}),
        ("/evaluations", {"question": "oil?", "hidden": ["pump.txt"] * 21}),
    ],
)
def test_fields_and_questions_are_not_endless(client: TestClient, path: str, body: dict[str, Any]) -> None:
    if path == "/evaluations":
        body = {"task": "retrieval", "questions": [{"id": "1", "sources": ["pump.txt"], **body}]}
    answer = client.post(BOATS + path, json=body)
    assert answer.status_code == 422 and "more than" in answer.json()["detail"]


def test_fields_and_questions_may_be_as_long_as_is_said(client: TestClient) -> None:
    fields = [{"name": "n" * 200, "hint": "h" * 2000, "type": "text"}]
    asked = {"id": "1", "question": "oil? " * 20_000, "sources": ["pump.txt"], "previous": ["what?"] * 20}
    for path, body in (
        ("/extractions", {"fields": fields, "paths": ["/nowhere"]}),
        ("/evaluations", {"task": "retrieval", "questions": [asked]}),
    ):
        answer = client.post(BOATS + path, json=body)
        assert answer.status_code == 202, answer.text
        client.get(f"{BOATS}/runs/{answer.json()['run']}/events")


def test_an_evaluation_whose_baseline_was_forgotten_says_so(client: TestClient, library: OpenLibrary) -> None:
    asked = {"task": "retrieval", "questions": [{"id": "1", "question": "oil?", "sources": ["pump.txt"]}]}
    number = library.runs.submit("evaluation", {**asked, "k": 3, "search_only": True, "baseline": 999})
    client.get(f"{BOATS}/runs/{number}/events")
    run = client.get(f"{BOATS}/runs/{number}").json()
    assert run["state"] == "failed" and "evaluation 999" in run["problem"][0] and len(run["problem"]) == 2


def test_a_job_is_read_as_its_client_chose(
    client: TestClient, keys: KeyFile, library: OpenLibrary, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = {"Authorization": f"Bearer {keys.add('ada', 'admin')}"}
    index, asked = library.service.bench.index, list[dict[str, Any]]()

    def noting(*paths: Any, **more: Any) -> Any:
        asked.append(more)
        return index(*paths, **more)

    monkeypatch.setattr(library.service.bench, "index", noting)
    chosen = {"retry_failed": True, "follow_links": True, "objects": False}
    job = client.post(f"{BOATS}/jobs", json={"paths": [str(files)], **chosen}, headers=admin).json()["job"]
    client.get(f"{BOATS}/jobs/{job}/events", headers=admin)
    assert chosen.items() <= asked[0].items()


def test_an_upload_whose_note_cannot_be_written_leaves_nothing(
    client: TestClient, library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    arriving = library.service.bench.library_folder / "uploads" / ".arriving"
    before = sorted(arriving.iterdir()) if arriving.exists() else []

    def full(*asked: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(upload_parts.os, "fsync", full)
        answer = client.post(f"{BOATS}/uploads", json={"name": "a.txt", "size": 5})
    assert answer.status_code == 507 and sorted(arriving.iterdir()) == before


def test_what_a_killed_process_left_of_uploads_is_removed_after_a_day(client: TestClient, library: OpenLibrary) -> None:
    arriving = library.service.bench.library_folder / "uploads" / ".arriving"
    client.post(f"{BOATS}/uploads", json={"name": "a.txt", "size": 5})
    old, new = [arriving / f"{letter * 32}{end}" for letter, end in (("a", ""), ("b", ".part"))], arriving / ("c" * 32)
    for each in (*old, new):
        each.write_bytes(b"half")
    for each in old:
        os.utime(each, (1, 1))
    client.post(f"{BOATS}/uploads", json={"name": "b.txt", "size": 5})
    assert not any(each.exists() for each in old) and new.exists()
    new.unlink()
