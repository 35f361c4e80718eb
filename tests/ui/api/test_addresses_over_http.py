"""A service fetches no address that a client names, unless its owner has listed it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from mcp import Client

sys.path.insert(0, str(Path(__file__).parents[2] / "indexing" / "sources"))
from source_servers import MailServer, letter, mail_server

from indexing.sources.access import SourceAccess
from ui import owner
from ui.api.access import AccessRules, KeyFile, RateLimit
from ui.api.app import build_app
from ui.api.libraries import Libraries, OpenLibrary
from ui.api.server import OwnersSocket
from ui.api.tools import build_tools
from ui.settings import Settings
from ui.workbench import Workbench

BOATS = "/v1/libraries/boats"
UNLISTED = ["s3://scans/x", "S3://scans", "webdav://ana@127.0.0.1:9/dav", "webdavs://cloud.example", "imap://a@h/INBOX"]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every source that is opened, and every server that is looked for."""
    from indexing.sources import remote

    real, seen = remote.open_source, []

    def watched(address: Any, accesses: Any) -> Any:
        seen.append(str(address))
        return real(address, accesses)

    monkeypatch.setattr(remote.RemoteFiles.__init__, "__kwdefaults__", {"opens": watched})
    return seen


@pytest.fixture
def admin(keys: KeyFile) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys.add('admin', 'admin')}"}


@pytest.mark.parametrize("place", ["index", "jobs"])
@pytest.mark.parametrize("address", UNLISTED)
def test_an_address_that_is_not_listed_is_refused_even_to_an_admin(
    client: TestClient, admin: dict[str, str], files: Path, place: str, address: str, opened: list[str]
) -> None:
    answer = client.post(f"{BOATS}/{place}", json={"paths": [str(files), address]}, headers=admin)
    assert answer.status_code == 403
    assert "not among the sources that this service reads" in answer.json()["detail"]
    assert opened == []


def test_a_password_in_an_address_is_refused_and_not_repeated(client: TestClient, admin: dict[str, str]) -> None:
    answer = client.post(f"{BOATS}/index", json={"paths": ["webdavs://ana:hunter2@cloud.example/x"]}, headers=admin)
    assert answer.status_code == 422 and "hunter2" not in answer.text


def test_nor_does_a_job_that_came_another_way_read_it(library: OpenLibrary, opened: list[str]) -> None:
    number = library.jobs.submit(["s3://scans/x"])
    assert library.jobs.wait_until_idle(60)
    job = library.jobs.find(number)
    assert job is not None and job.state == "failed" and "not among the sources" in job.problem[0]
    assert opened == []


def test_nor_does_an_agent_that_may_write(library: OpenLibrary, opened: list[str]) -> None:
    async def run() -> Any:
        server = build_tools(lambda: {"boats": library.service}, write=True)
        async with Client(server) as agent:
            return await agent.call_tool("index", {"paths": ["s3://scans/x"]})

    assert anyio.run(run).is_error
    assert opened == []


def test_a_terminal_beside_the_service_is_told_how_to_list_it(library: OpenLibrary, opened: list[str]) -> None:
    socket = OwnersSocket(library)
    try:
        found = owner.find(library.service.bench.library_folder)
        assert found is not None
        with pytest.raises(owner.OwnerError, match="not among the sources") as refused:
            found.index(["s3://scans/x"], retry_failed=False, on_progress=lambda progress: None)
    finally:
        socket.close()
    assert '[sources."s3://scans/x"] in llavero.toml' in refused.value.__notes__[0]
    assert opened == []


@pytest.fixture
def mail() -> Iterator[MailServer]:
    served = MailServer()
    served.add(
        "INBOX", 4, letter("Mooring", "The mooring fee is 31 crowns.", attached=("note.txt", b"Berth 77 is free."))
    )
    served.add("Private", 1, letter("Secret", "Nobody may read this."))
    with mail_server(served):
        yield served


@pytest.fixture
def service(mail: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenLibrary]:
    """A library whose owner has listed one mailbox."""
    monkeypatch.setenv("MAIL_SECRET", mail.password)
    folder = tmp_path / "post"
    folder.mkdir()
    where = f"imap://ana@127.0.0.1:{mail.port}/INBOX"
    (folder / "llavero.toml").write_text(f'[sources."{where}"]\npassword_variable = "MAIL_SECRET"\n')
    opened = OpenLibrary("boats", Workbench.open(Settings.load(folder, environ={}), create=True))
    yield opened
    opened.close()


def test_what_its_owner_listed_is_read_with_attachments_and_never_served(
    service: OpenLibrary, mail: MailServer, keys: KeyFile, admin: dict[str, str], opened: list[str]
) -> None:
    app = build_app(Libraries.with_open(service), AccessRules(keys=keys, rate=RateLimit(100_000)))
    inbox = f"imap://ana@127.0.0.1:{mail.port}/INBOX"
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 5000)) as client:
        told = events(client.post(f"{BOATS}/index", json={"paths": [inbox]}, headers=admin).text)
        assert told[-1]["event"] == "report" and told[-1]["added"] == 1, told[-1]
        for other in (f"imap://ana@127.0.0.1:{mail.port}/Private", f"imap://ana@127.0.0.1:{mail.port}"):
            assert client.post(f"{BOATS}/index", json={"paths": [other]}, headers=admin).status_code == 403
        hits = client.post(f"{BOATS}/search", json={"text": "which berth is free"}, headers=admin).json()["hits"]
        assert hits[0]["path"] == f"{inbox}/;UID=4" and "Berth 77" in hits[0]["text"]
        asked = len(mail.lines)
        original = client.get(f"{BOATS}/sources/{hits[0]['id']}/original", headers=admin)
        assert original.status_code == 404 and f"{inbox}/;UID=4" in original.json()["detail"]
        assert len(mail.lines) == asked
        listed = client.get(f"{BOATS}/files", headers=admin).text
    assert set(opened) == {inbox, f"{inbox}/;UID=4"}  # to list it, and to read the message
    assert mail.password not in listed + json.dumps(told)
    folder = service.service.bench.library_folder
    written = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert mail.password.encode() not in written
    assert service.service.verify(repair=True) == {"missing": 0, "orphaned": 0, "repaired": False}


def test_lost_rows_of_a_listed_source_are_read_again(service: OpenLibrary, mail: MailServer) -> None:
    bench = service.service.bench
    inbox = f"imap://ana@127.0.0.1:{mail.port}/INBOX"
    rows = bench.index([inbox]).chunks
    bench.store.delete([row for row, _ in list(bench.store.ids())[:1]])
    assert service.service.verify(repair=True)["missing"] == 1
    assert bench.store.count() == rows


def test_the_settings_know_what_belongs_into_a_section(tmp_path: Path) -> None:
    from ui.settings import SettingsError

    file = tmp_path / "llavero.toml"
    file.write_text('[sources."s3://scans/"]\nprofile = "minio"\nendpoint = "http://127.0.0.1:9000"\n')
    found = Settings.load(tmp_path, environ={})
    assert found.sources == {"s3://scans": replace(SourceAccess(), profile="minio", endpoint="http://127.0.0.1:9000")}
    for line, words in (
        ('password = "hunter2"', "'password' does not belong into a file"),
        ('pasword_variable = "X"', "'pasword_variable' is not a setting"),
    ):
        file.write_text(f'[sources."webdavs://cloud.example"]\n{line}\n')
        with pytest.raises(SettingsError, match=words) as refused:
            Settings.load(tmp_path, environ={})
        assert "hunter2" not in str(refused.value)
    file.write_text('[sources."webdavs://ana:hunter2@cloud.example"]\n')
    with pytest.raises(SettingsError) as refused:
        Settings.load(tmp_path, environ={})
    assert "hunter2" not in str(refused.value)
