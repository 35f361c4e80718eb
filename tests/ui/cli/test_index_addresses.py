"""`llavero index` with addresses, as a person meets it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Run

sys.path.insert(0, str(Path(__file__).parents[2] / "indexing" / "sources"))
from source_servers import MailServer, letter, mail_server, unused_port

from ui.workbench import Workbench


@pytest.fixture
def not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be loaded or made."""

    def refuse(*settings: object, **more: object) -> Workbench:
        raise AssertionError("the library was opened")

    monkeypatch.setattr(Workbench, "open", refuse)


@pytest.mark.usefixtures("not_opened")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["ftp://host/x"], 2, "no kind of address that is read here"),
        (["https://cloud.example/dav"], 2, "webdavs://HOST/PATH"),
        (["webdavs://ana:hunter2@cloud.example/x"], 2, "has no password in it"),
        (["webdav://cloud.example/x"], 1, "for this machine alone"),
        (["--watch", "s3://scans"], 2, "only folders of this machine can be watched"),
        ([f"imap://ana@127.0.0.1:{unused_port()}/INBOX"], 1, "cannot be reached"),
        ([f"webdav://ana@127.0.0.1:{unused_port()}/x"], 1, "cannot be reached"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_made(
    run: Run, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    if any(word.startswith("webdav") for word in words):
        pytest.importorskip("webdav4", reason="the extra dev brings it")
    outcome = run("index", *words, "--library", tmp_path / "library")
    assert outcome.code == code
    assert told in " ".join(outcome.err.split())
    assert "hunter2" not in outcome.err + outcome.out
    assert not (tmp_path / "library").exists()


@pytest.mark.usefixtures("not_opened")
@pytest.mark.parametrize(("address", "extra"), [("s3://scans", "s3"), ("webdavs://cloud.example/x", "webdav")])
def test_a_missing_library_is_named_with_its_extra(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, extra: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    outcome = run("index", address, "--library", tmp_path / "library")
    assert outcome.code == 1 and f"pip install 'llavero[{extra}]'" in outcome.err


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    served = MailServer()
    served.add("INBOX", 4, letter("Mooring", "The mooring fee is 31 crowns."))
    served.add("INBOX", 5, letter("Slip", "The slipway opens in May."))
    monkeypatch.setenv("LLAVERO_IMAP_PASSWORD", served.password)
    with mail_server(served):
        yield served


def test_a_mailbox_is_indexed_listed_searched_and_removed_by_its_address(
    run: Run, tmp_path: Path, mail: MailServer
) -> None:
    inbox, library = f"imap://ana@127.0.0.1:{mail.port}/INBOX", ("--library", tmp_path / "library")
    first = run("index", inbox, "--json", *library)
    assert (first.code, first.document["added"]) == (0, 2)
    assert (again := run("index", f"{inbox}/", "--json", *library)).document["unchanged"] == 2 and again.code == 0
    paths = [file["path"] for file in run("list", "--json", *library).document["files"]]
    assert paths == [f"{inbox}/;UID=4", f"{inbox}/;UID=5"]
    found = run("search", "slipway", "--where", f"path={inbox}/;UID=5", "--json", *library).document["hits"]
    assert {hit["path"] for hit in found} == {f"{inbox}/;UID=5"}
    assert found == run("search", "slipway", "--where", f"path={inbox}/;UID=5", "--json", *library).document["hits"]
    shown = run("list", *library).out
    assert f'"{inbox}/;UID=5"' in shown and mail.password not in shown
    assert run("remove", f'"{inbox}/;UID=5"', "--json", *library).document["removed"] == 1
    assert run("remove", inbox, "--json", *library).document["removed"] == 1
    assert run("list", "--json", *library).document["files"] == []


def test_a_refused_password_ends_with_one_line_and_keeps_the_library(
    run: Run, tmp_path: Path, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, library = f"imap://ana@127.0.0.1:{mail.port}/INBOX", ("--library", tmp_path / "library")
    run("index", inbox, *library)
    monkeypatch.setenv("LLAVERO_IMAP_PASSWORD", "hunter2")
    outcome = run("index", inbox, *library)
    assert outcome.code == 1
    assert "refuses the user name or the password" in outcome.err and "Traceback" not in outcome.err
    assert "hunter2" not in outcome.err + outcome.out
    assert len(run("list", "--json", *library).document["files"]) == 2
