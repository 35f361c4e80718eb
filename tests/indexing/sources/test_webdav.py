"""WebDAV against WsgiDAV's server, and against servers that mean no good."""

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wsgidav", reason="WebDAV's tests need wsgidav (the extra dev brings it)")
pytest.importorskip("webdav4", reason="WebDAV's tests need webdav4 (the extra dev brings it)")
from source_servers import unused_port, webdav_server, wsgi_server

from indexing.addresses import Address
from indexing.sources.access import Accesses, SourceAccess
from indexing.sources.opening import open_source
from indexing.sources.protocol import ItemError, RemoteEntry, RemoteError, RemoteMissingError, Unlisted

PASSWORD = "hunter2 forever"


@dataclass
class Cloud:
    folder: Path
    port: int
    seen: list[dict[str, Any]]

    @property
    def address(self) -> str:
        return f"webdav://ana@127.0.0.1:{self.port}"

    def put(self, path: str, words: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(words)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    folder = tmp_path / "cloud"
    folder.mkdir()
    seen: list[dict[str, Any]] = []
    with webdav_server(folder, password=PASSWORD, before=seen.append) as port:
        yield Cloud(folder, port, seen)


def accesses(password: str = PASSWORD) -> Accesses:
    return Accesses(environ={"LLAVERO_WEBDAV_PASSWORD": password})


def listed(address: str, who: Accesses | None = None) -> list[RemoteEntry | Unlisted]:
    source = open_source(Address.parse(address), who or accesses())
    try:
        return list(source.entries(Address.parse(address)))
    finally:
        source.close()


def test_a_run_over_a_folder_adds_updates_and_removes(bench: Any, cloud: Cloud) -> None:
    bench.accesses = accesses()
    cloud.put("2024/a.txt", "words of a")
    cloud.put("2024/deep/b.txt", "words of b")
    cloud.put("other.txt", "not asked for")
    assert bench.index(f"{cloud.address}/2024").added == 2
    embedded, before = bench.embedded(), len(cloud.seen)
    assert bench.index(f"{cloud.address}/2024/").unchanged == 2
    assert bench.embedded() == embedded
    assert "GET" not in [each["REQUEST_METHOD"] for each in cloud.seen[before:]]
    cloud.put("2024/a.txt", "quite other words")
    (cloud.folder / "2024/deep/b.txt").unlink()
    report = bench.index(f"{cloud.address}/2024")
    assert (report.updated, report.removed, report.failed) == (1, 1, 0)
    assert bench.texts() == {f"{cloud.address}/2024/a.txt": "quite other words"}


def test_nothing_is_asked_for_that_could_change_anything(bench: Any, cloud: Cloud) -> None:
    bench.accesses = accesses()
    cloud.put("a.txt", "words of a")
    bench.index(cloud.address)
    assert {each["REQUEST_METHOD"] for each in cloud.seen} <= {"PROPFIND", "GET", "OPTIONS"}


def test_names_are_read_as_they_are_written(bench: Any, cloud: Cloud) -> None:
    bench.accesses = accesses()
    names = ["ü & 100%.txt", "a?b=c#d.txt", "a%20b.txt", "a b.txt", "semi;colon.txt", "plus+.txt", "日本.txt"]
    for name in names:
        cloud.put(f"odd names/{name}", f"words of {name}")
    assert bench.index(f"{cloud.address}/odd%20names").failures == ()
    found = {Address.parse(path).path.rpartition("/")[2]: words for path, words in bench.texts().items()}
    assert found == {name: f"words of {name}" for name in names}
    assert bench.index(f"{cloud.address}/odd names").unchanged == len(names)
    for path in bench.texts():
        assert bench.index(path).unchanged == 1


def test_a_wrong_password_is_told_and_not_shown(cloud: Cloud) -> None:
    with pytest.raises(RemoteError, match="refuses the user name or the password") as refused:
        listed(cloud.address, accesses("wrong one"))
    assert "wrong one" not in str(refused.value) + repr(accesses("wrong one"))


def test_nothing_at_the_address_is_told_apart_from_an_empty_folder(cloud: Cloud) -> None:
    with pytest.raises(RemoteMissingError):
        listed(f"{cloud.address}/nowhere")
    assert listed(cloud.address) == []


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(RemoteError, match="cannot be reached"):
        listed(f"webdav://ana@127.0.0.1:{unused_port()}")


def test_without_tls_nothing_is_sent_to_another_machine() -> None:
    with pytest.raises(RemoteError, match="for this machine alone"):
        listed("webdav://ana@cloud.example/dav")


def test_a_file_that_changed_after_it_was_listed_is_left_for_the_next_run(cloud: Cloud) -> None:
    cloud.put("a.txt", "words of a")
    (entry,) = listed(cloud.address)
    cloud.put("a.txt", "quite other words")
    source = open_source(Address.parse(cloud.address), accesses())
    with pytest.raises(ItemError, match="changed while it was being read"):
        list(source.read(entry))
    source.close()


# -- servers that mean no good -----------------------------------------------------------------------------------------


App = Callable[[dict[str, Any], Any], Any]


def answering(status: str, body: bytes = b"", *headers: tuple[str, str]) -> App:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, [("Content-Length", str(len(body))), *headers])
        return [body]

    return app


def multistatus(*responses: str) -> bytes:
    return f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{"".join(responses)}</d:multistatus>'.encode()


def item(href: str, *, folder: bool = False) -> str:
    kind = "<d:resourcetype><d:collection/></d:resourcetype>" if folder else "<d:resourcetype/>"
    prop = f"<d:prop>{kind}<d:getcontentlength>5</d:getcontentlength><d:getetag>1</d:getetag></d:prop>"
    return f"<d:response><d:href>{href}</d:href><d:propstat>{prop}</d:propstat></d:response>"


@pytest.mark.parametrize("status", ["302 Found", "307 Temporary Redirect", "301 Moved Permanently"])
def test_a_redirect_to_another_server_is_not_followed_and_gets_no_password(status: str) -> None:
    asked: list[dict[str, Any]] = []

    def thief(environ: dict[str, Any], start_response: Any) -> Any:
        asked.append(environ)
        return answering("207 Multi-Status", multistatus(item("/", folder=True)))(environ, start_response)

    with wsgi_server(thief) as port:
        there = answering(status, b"", ("Location", f"http://127.0.0.1:{port}/"))
        with wsgi_server(there) as first, pytest.raises(RemoteError):
            listed(f"webdav://ana@127.0.0.1:{first}/")
    assert asked == []


def test_a_file_that_is_redirected_to_another_server_is_not_fetched_there() -> None:
    asked: list[dict[str, Any]] = []

    def thief(environ: dict[str, Any], start_response: Any) -> Any:
        asked.append(environ)
        return answering("200 OK", b"words")(environ, start_response)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        assert base64.b64encode(f"ana:{PASSWORD}".encode()).decode() in environ["HTTP_AUTHORIZATION"]
        if environ["REQUEST_METHOD"] == "GET":
            return answering("302 Found", b"", ("Location", f"http://127.0.0.1:{port}/a.txt"))(environ, start_response)
        body = multistatus(item("/", folder=True), item("/a.txt"))
        return answering("207 Multi-Status", body)(environ, start_response)

    with wsgi_server(thief) as port, wsgi_server(app) as first:
        (entry,) = listed(f"webdav://ana@127.0.0.1:{first}")
        source = open_source(Address.parse(f"webdav://ana@127.0.0.1:{first}"), accesses())
        with pytest.raises(RemoteError, match="another server"):
            list(source.read(entry))
        source.close()
    assert asked == []


def test_names_that_lead_out_of_the_folder_are_not_followed() -> None:
    body = multistatus(
        item("/dav/", folder=True),
        item("/dav/good.txt"),
        item("/dav/../secret.txt"),
        item("/dav/%2e%2e/secret.txt"),
        item("/other/secret.txt"),
        item("/dav/deep/down.txt"),
        item("http://elsewhere.example/dav/x.txt"),
        item("/dav/", folder=True),
    )
    with wsgi_server(answering("207 Multi-Status", body)) as port:
        found = listed(f"webdav://ana@127.0.0.1:{port}/dav")
    assert {each.path for each in found if isinstance(each, RemoteEntry)} <= {"dav/good.txt", "dav/x.txt"}
    assert {each.path for each in found if isinstance(each, Unlisted)} == {"dav"}


SUB = item("/sub/", folder=True)
OF_FILE = "<d:propstat><d:prop/></d:propstat>"


@pytest.mark.parametrize(
    "less",
    [
        multistatus(),
        multistatus(item("/elsewhere/", folder=True), item("/elsewhere/a.txt")),
        multistatus(SUB, item("/elsewhere/a.txt")),
        multistatus(
            SUB, "<d:response><d:href>/sub/a.txt</d:href><d:status>HTTP/1.1 500 Broken</d:status></d:response>"
        ),
        multistatus(SUB, "<d:response><d:href>/sub/a.txt</d:href><d:status>HTTP/1.1 403 No</d:status></d:response>"),
        multistatus(SUB, f"<d:response><d:href>/sub/a.txt</d:href>{OF_FILE}</d:response>"),
    ],
)
def test_a_list_that_says_less_than_there_is_makes_nothing_look_gone(bench: Any, less: bytes) -> None:
    bench.accesses = accesses()
    listing = [multistatus(SUB, item("/sub/a.txt"))]

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return answering("200 OK", b"words")(environ, start_response)
        top, inside = multistatus(item("/", folder=True), SUB), listing[0]
        if environ["PATH_INFO"] == "/sub/a.txt":
            top = multistatus(item("/sub/a.txt"))
        answer = answering("207 Multi-Status", inside if environ["PATH_INFO"].rstrip("/") == "/sub" else top)
        return answer(environ, start_response)

    with wsgi_server(app) as port:
        assert bench.index(f"webdav://ana@127.0.0.1:{port}").added == 1
        listing[0] = less
        report = bench.index(f"webdav://ana@127.0.0.1:{port}")
        assert (report.removed, len(bench.texts())) == (0, 1)
        assert report.failed == 1


def test_a_folder_of_which_a_list_says_nothing_is_not_taken_for_a_file(bench: Any) -> None:
    bench.accesses = accesses()
    of_folder = [SUB]

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return answering("200 OK", b"words")(environ, start_response)
        is_top = environ["PATH_INFO"] == "/"
        body = multistatus(item("/", folder=True), of_folder[0]) if is_top else multistatus(SUB, item("/sub/a.txt"))
        return answering("207 Multi-Status", body)(environ, start_response)

    with wsgi_server(app) as port:
        assert bench.index(f"webdav://ana@127.0.0.1:{port}").added == 1
        of_folder[0] = "<d:response><d:href>/sub/</d:href><d:status>HTTP/1.1 500 Broken</d:status></d:response>"
        report = bench.index(f"webdav://ana@127.0.0.1:{port}")
        assert (report.removed, report.failed, len(bench.texts())) == (0, 1, 1)


def test_what_a_redirect_of_a_list_leads_to_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexing.sources.webdav._MOST_LISTING_BYTES", 100_000)
    sent = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            start_response("200 OK", [("Content-Type", "application/xml")])
            return (sent.append(1) or b" " * 10_000 for _ in range(3_000))
        if environ["PATH_INFO"].rstrip("/") == "/sub":
            return answering("302 Found", b"", ("Location", "/long"))(environ, start_response)
        return answering("207 Multi-Status", multistatus(item("/", folder=True), SUB))(environ, start_response)

    with wsgi_server(app) as port, pytest.raises(RemoteError, match="does not end"):
        listed(f"webdav://ana@127.0.0.1:{port}")
    assert len(sent) < 3_000


def test_a_redirect_that_goes_on_and_on_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexing.sources.webdav._MOST_LISTING_BYTES", 100_000)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("302 Found", [("Location", "/other")])
        return (b" " * 10_000 for _ in range(100))

    with wsgi_server(app) as port, pytest.raises(RemoteError, match="does not end"):
        listed(f"webdav://ana@127.0.0.1:{port}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_list_with_entities_is_refused(encoding: str) -> None:
    body = multistatus(item("/", folder=True), item("/&a;.txt")).decode().replace(' version="1.0"?', "")
    text = '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "grows">]>' + body.removeprefix("<?xml>")
    there = answering("207 Multi-Status", text.encode(encoding), ("Content-Type", f"text/xml; charset={encoding}"))
    with wsgi_server(there) as port, pytest.raises(RemoteError, match="not the plain XML"):
        listed(f"webdav://ana@127.0.0.1:{port}")


def test_a_list_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexing.sources.protocol._FIRST_SECONDS", 0.5)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("207 Multi-Status", [("Content-Type", "application/xml")])
        return (time.sleep(0.1) or b" " for _ in range(100))

    with wsgi_server(app) as port, pytest.raises(RemoteError, match="does not answer"):
        listed(f"webdav://ana@127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("size", "when"),
    [
        (10**20, "Mon, 02 Mar 2026 10:00:00 GMT"),
        (5, "Mon, 02 Mar 2300 10:00:00 GMT"),
        (5, "Mon, 01 Jan 0001 00:00:00 GMT"),
        (5, "0001-01-01T00:00:00"),
    ],
)
def test_numbers_that_no_file_has_stop_no_run(bench: Any, size: int, when: str) -> None:
    bench.accesses = accesses()
    told = f"<d:getcontentlength>{size}</d:getcontentlength><d:getlastmodified>{when}</d:getlastmodified>"
    body = multistatus(
        item("/", folder=True), item("/a.txt").replace("<d:getcontentlength>5</d:getcontentlength>", told)
    )

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return answering("200 OK", b"words")(environ, start_response)
        return answering("207 Multi-Status", body)(environ, start_response)

    with wsgi_server(app) as port:
        report = bench.index(f"webdav://ana@127.0.0.1:{port}")
        assert (report.added, report.failed) == ((0, 1) if size > 5 else (1, 0))
        assert bench.index(f"webdav://ana@127.0.0.1:{port}").unchanged == report.added


def test_folders_without_end_come_to_an_end() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        here = environ["PATH_INFO"].rstrip("/")
        body = multistatus(item(f"{here}/", folder=True), item(f"{here}/again/", folder=True))
        return answering("207 Multi-Status", body)(environ, start_response)

    with wsgi_server(app) as port:
        (refused,) = listed(f"webdav://ana@127.0.0.1:{port}")
    assert isinstance(refused, Unlisted) and "deep" in refused.reason


def test_a_list_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexing.sources.webdav._MOST_LISTING_BYTES", 100_000)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("207 Multi-Status", [("Content-Type", "application/xml")])
        return (b"<!-- -->" * 1000 for _ in range(1_000))

    with wsgi_server(app) as port, pytest.raises(RemoteError, match="does not end"):
        listed(f"webdav://ana@127.0.0.1:{port}")


@pytest.mark.parametrize(
    "app",
    [
        answering("200 OK", b"<html>hello</html>"),
        answering("207 Multi-Status", b"no xml at all"),
        answering("207 Multi-Status", multistatus()),
        answering("207 Multi-Status", multistatus("<d:response/>")),
        answering("405 Method Not Allowed"),
        answering("500 Internal Server Error"),
        answering("207 Multi-Status", b"\x1f\x8b", ("Content-Encoding", "gzip")),
    ],
)
def test_what_is_no_webdav_server_is_told(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webdav4.retry.BACKOFF", 0)
    with wsgi_server(app) as port, pytest.raises(RemoteError):
        listed(f"webdav://ana@127.0.0.1:{port}")


def test_one_folder_that_is_refused_does_not_keep_from_the_others(cloud: Cloud) -> None:
    cloud.put("good/a.txt", "words")
    cloud.put("closed/b.txt", "words")

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"].rstrip("/")
        if path == "/closed" and environ.get("HTTP_DEPTH") == "1":
            return answering("403 Forbidden")(environ, start_response)
        inside = {"": ["good", "closed"], "/good": []}[path]
        items = [item(f"{path}/", folder=True), *(item(f"{path}/{each}/", folder=True) for each in inside)]
        items += [item("/good/a.txt")] if path == "/good" else []
        return answering("207 Multi-Status", multistatus(*items))(environ, start_response)

    with wsgi_server(app) as port:
        found = listed(f"webdav://ana@127.0.0.1:{port}")
    assert {(type(each), each.path) for each in found} == {(RemoteEntry, "good/a.txt"), (Unlisted, "closed")}


def test_a_user_may_stand_in_the_settings(cloud: Cloud) -> None:
    cloud.put("a.txt", "words")
    root = f"webdav://127.0.0.1:{cloud.port}"
    access = SourceAccess(user="ana", password_variable="CLOUD")
    who = Accesses(sections={root: access}, environ={"CLOUD": PASSWORD})
    assert [each.path for each in listed(root, who)] == ["a.txt"]
