import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ui.api.access import KeyFile
from ui.api.libraries import OpenLibrary

BOATS = "/v1/libraries/boats"


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_a_search_answers_what_the_terminal_prints(client: TestClient, library: OpenLibrary, files: Path) -> None:
    answer = client.post(f"{BOATS}/search", json={"text": "when does the ferry leave", "k": 2})
    best = answer.json()["hits"][0]
    assert best["path"] == str(files / "harbour.md") and set(best["channels"]) <= {"clip", "text", "bm25"}
    folder = {"text": "ferry", "where": [["name", "pump.txt"]]}
    found = client.post(f"{BOATS}/search", json=folder).json()["hits"]
    assert {hit["path"] for hit in found} == {str(files / "pump.txt")}


def test_an_answer_comes_as_events_or_whole(client: TestClient) -> None:
    question = {"text": "How many litres of oil does the bilge pump need?"}
    told = events(client.post(f"{BOATS}/ask", json=question).text)
    assert [told[0]["event"], told[-1]["event"]] == ["found", "answer"]
    whole = client.post(f"{BOATS}/ask", json={**question, "stream": False}).json()
    assert whole["answer"] == told[-1]["answer"] and "prompt" not in whole
    assert "".join(each["text"] for each in told if each["event"] == "token").strip()[:8] == whole["answer"][:8]


def test_a_source_can_be_looked_at(client: TestClient, files: Path) -> None:
    hit = client.post(f"{BOATS}/search", json={"text": "bilge pump"}).json()["hits"][0]
    source = client.get(f"{BOATS}/sources/{hit['id']}").json()
    assert source["path"] == hit["path"] and "4.2 litres" in source["text"]
    original = client.get(f"{BOATS}/sources/{hit['id']}/original")
    assert original.content == (files / "pump.txt").read_bytes()
    assert original.headers["content-disposition"].startswith("attachment") and "sandbox" in str(original.headers)
    assert client.get(f"{BOATS}/sources/{hit['id']}/picture").status_code == 404
    chunks = client.get(f"{BOATS}/files/chunks", params={"path": hit["path"]}).json()["chunks"]
    assert hit["id"] in [chunk["id"] for chunk in chunks]


@pytest.mark.parametrize("wrong", ["0" * 32, "x", "..%2f..%2fetc%2fpasswd", "' or 1==1", "0" * 5000])
def test_no_other_id_opens_anything(client: TestClient, wrong: str) -> None:
    for what in ("", "/picture", "/original"):
        assert client.get(f"{BOATS}/sources/{wrong}{what}").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/search", {}, 422),
        ("/search", {"text": "   "}, 422),
        ("/search", {"text": "a", "k": 0}, 422),
        ("/search", {"text": "a", "k": 101}, 422),
        ("/search", {"text": "a", "unknown": 1}, 422),
        ("/search", {"text": "a" * 100_001}, 422),
        ("/search", {"text": "a", "kinds": ["sound"]}, 422),
        ("/search", {"text": "a", "where": [["size", "3"]]}, 422),
        ("/search", {"text": "a", "where": [["page", "' or 1 == 1"]]}, 422),
        ("/search", {"text": "", "images": [["a.png", "bm8gcGljdHVyZQ=="]]}, 422),
        ("/search", {"text": "", "images": [["a.png", "not base64!"]]}, 422),
        ("/ask", {"text": "", "stream": False}, 422),
        ("/remove", {"what": "/nowhere/at/all"}, 404),
        ("/remove", {"what": ""}, 422),
        ("/extract", {"path": "/nowhere", "fields": [{"name": "a"}]}, 404),
        ("/uploads", {"name": "a.txt", "size": 0}, 422),
        ("/uploads", {"name": "a.txt", "size": 1 << 39}, 413),
    ],
)
def test_what_cannot_be_met_is_a_problem_with_words(
    client: TestClient, path: str, body: dict[str, Any], status: int
) -> None:
    answer = client.post(BOATS + path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and problem["title"] and problem["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"{", "application/json", 422), (b"\xff\xfe", "application/json", 422), (b"a=b", "text/plain", 422)],
)
def test_a_body_that_is_no_json_is_refused(client: TestClient, content: bytes, kind: str, status: int) -> None:
    answer = client.post(f"{BOATS}/search", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status


def test_an_unknown_library_is_not_there(client: TestClient) -> None:
    assert client.post("/v1/libraries/letters/search", json={"text": "a"}).status_code == 404
    assert client.post("/v1/libraries/..%2f/search", json={"text": "a"}).status_code == 404


def test_a_file_arrives_in_parts_and_is_indexed(client: TestClient, library: OpenLibrary) -> None:
    data = b"The winch was greased on 4 May by Torvald.\n"
    begun = client.post(f"{BOATS}/uploads", json={"name": "../../winch.txt", "size": len(data)}).json()
    place = f"{BOATS}/uploads/{begun['upload']}"
    assert client.patch(place, params={"offset": 0}, content=data[:10]).json()["offset"] == 10
    assert client.patch(place, params={"offset": 0}, content=data).status_code == 409  # says where to go on
    assert client.get(place).json()["offset"] == 10
    assert client.patch(place, params={"offset": 10}, content=data[10:] + b"more").status_code == 413
    done = client.patch(place, params={"offset": 10}, content=data[10:]).json()
    lies = Path(done["path"])
    assert lies.name == "winch.txt" and lies.parent == library.service.bench.library_folder / "uploads"
    last = events(client.get(f"{BOATS}/jobs/{done['job']}/events").text)[-1]
    assert last["state"] == "done" and last["report"]["added"] == 1
    assert client.get(f"{BOATS}/jobs/{done['job']}").json()["state"] == "done"
    assert client.get(place).status_code == 404
    hits = client.post(f"{BOATS}/search", json={"text": "who greased the winch"}).json()["hits"]
    assert hits[0]["path"] == str(lies)
    assert client.post(f"{BOATS}/remove", json={"what": str(lies)}).json()["removed"] == 1


def test_an_upload_can_be_given_up(client: TestClient) -> None:
    begun = client.post(f"{BOATS}/uploads", json={"name": "a.txt", "size": 5}).json()
    assert client.delete(f"{BOATS}/uploads/{begun['upload']}").status_code == 204
    assert client.get(f"{BOATS}/uploads/{begun['upload']}").status_code == 404


def test_files_are_listed_page_by_page(client: TestClient, files: Path) -> None:
    first = client.get(f"{BOATS}/files", params={"limit": 1}).json()
    assert first["more"] and len(first["files"]) == 1
    rest = client.get(f"{BOATS}/files", params={"after": first["files"][0]["path"]}).json()
    assert not rest["more"] and first["files"][0]["path"] not in [file["path"] for file in rest["files"]]
    assert client.get(f"{BOATS}/files", params={"state": "failed"}).json()["files"] == []


def test_an_admin_indexes_files_of_the_machine_with_progress(client: TestClient, keys: KeyFile, files: Path) -> None:
    admin = {"Authorization": f"Bearer {keys.add('admin', 'admin')}"}
    told = events(client.post(f"{BOATS}/index", json={"paths": [str(files)]}, headers=admin).text)
    assert told[-1]["event"] == "report" and told[-1]["unchanged"] == 2
    missing = events(client.post(f"{BOATS}/index", json={"paths": ["/nowhere/at/all"]}, headers=admin).text)
    assert missing[-1]["event"] in ("report", "problem")
    job = client.post(f"{BOATS}/jobs", json={"paths": [str(files)]}, headers=admin).json()["job"]
    assert events(client.get(f"{BOATS}/jobs/{job}/events", headers=admin).text)[-1]["state"] == "done"
    assert client.get(f"{BOATS}/jobs/9999", headers=admin).status_code == 404
    text = client.get("/metrics", headers=admin).text
    assert 'llavero_library_files{library="boats"} 2.0' in text and "llavero_requests_total" in text


def test_files_and_hits_can_be_limited_by_facts(client: TestClient, files: Path, library: OpenLibrary) -> None:
    library.service.index([str(files / "pump.txt")], facts={"client": ["ACME"], "year": ["2019"]})
    try:
        (file,) = client.get(f"{BOATS}/files", params={"where": ["client=acme", "year>=2019"]}).json()["files"]
        assert file["path"] == str(files / "pump.txt") and file["facts"] == {"client": ["ACME"], "year": ["2019"]}
        for where in ([["client", "acme"]], [["year", ">=", "2019"]], [["year", "<=", "2019"], ["extension", "txt"]]):
            found = client.post(f"{BOATS}/search", json={"text": "oil ferry", "where": where}).json()["hits"]
            assert {hit["path"] for hit in found} == {str(files / "pump.txt")}
        for where in ([["clint", "acme"]], [["year", ">", "2019"]], [["year", ">=", "soon"]], [["near", "1,2"]]):
            answer = client.post(f"{BOATS}/search", json={"text": "oil", "where": where})
            assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
        for wrong in ("clint=a", "year", "page=1", "k=" + "x" * 9000):
            assert client.get(f"{BOATS}/files", params={"where": wrong}).status_code == 422
    finally:
        library.service.index([str(files / "pump.txt")], facts={"client": [], "year": []})
    assert client.get(f"{BOATS}/files").json()["files"][1]["facts"] == {}


def test_facts_come_with_files_to_index(client: TestClient, files: Path, keys: KeyFile) -> None:
    client.headers["Authorization"] = f"Bearer {keys.add('admin', 'admin')}"
    body = {"paths": [str(files / "pump.txt")], "facts": {"client": ["ACME"]}}
    assert events(client.post(f"{BOATS}/index", json=body).text)[-1]["unchanged"] == 1
    assert client.get(f"{BOATS}/files", params={"where": "client=acme"}).json()["files"]
    assert client.post(f"{BOATS}/index", json={**body, "facts": {"client": []}}).status_code == 200
    assert client.post(f"{BOATS}/index", json={**body, "facts": {"client": ["x" * 10_000]}}).status_code == 422
    told = events(client.post(f"{BOATS}/index", json={**body, "facts": {"a b": ["x"]}}).text)[-1]
    assert (told["event"], told["status"]) == ("problem", 422) and "is no key" in told["detail"]
    job = client.post(f"{BOATS}/jobs", json={**body, "facts": {"client": ["Beta"]}}).json()["job"]
    assert events(client.get(f"{BOATS}/jobs/{job}/events").text)[-1]["state"] == "done"
    assert client.get(f"{BOATS}/files", params={"where": "client=beta"}).json()["files"]
    client.post(f"{BOATS}/index", json={**body, "facts": {"client": []}})
    assert client.post(f"{BOATS}/jobs", json={**body, "facts": {"a b": ["x"]}}).status_code == 422


def test_facts_come_with_an_upload(client: TestClient) -> None:
    words, facts = b"The rudder was mended in May.", {"Client": ["ACME", "Beta"]}
    assert client.post(f"{BOATS}/uploads", json={"name": "r", "size": 1, "facts": {"title": ["x"]}}).status_code == 422
    begun = client.post(f"{BOATS}/uploads", json={"name": "rudder.txt", "size": len(words), "facts": facts}).json()
    sent = client.patch(f"{BOATS}/uploads/{begun['upload']}", params={"offset": 0}, content=words).json()
    assert events(client.get(f"{BOATS}/jobs/{sent['job']}/events").text)[-1]["state"] == "done"
    (file,) = client.get(f"{BOATS}/files", params={"where": "client=beta"}).json()["files"]
    assert file["path"] == sent["path"] and file["facts"] == {"client": ["ACME", "Beta"]}
    assert client.post(f"{BOATS}/remove", json={"what": sent["path"]}).status_code == 200
