"""`kill -9` while a file is on its way: nothing of it is kept, and the next run is as if it had never happened."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("webdav4", reason="WebDAV's tests need webdav4 (the extra dev brings it)")
pytest.importorskip("cheroot", reason="WebDAV's tests need cheroot (the extra dev brings it)")
from forking import Forks
from indexing_doubles import PlainReader, TinyEmbedder, open_library
from source_servers import wsgi_server

from indexing.library import compare
from indexing.pipeline import index

SLOW = "b.txt"
FILES = {"a.txt": "words of a", SLOW: "x" * 600_000, "c.txt": "words of c"}


def item(href: str, size: int | None = None) -> str:
    kind = "<d:collection/>" if size is None else ""
    prop = f"<d:resourcetype>{kind}</d:resourcetype><d:getcontentlength>{size or 0}</d:getcontentlength>"
    prop = f"<d:propstat><d:prop>{prop}<d:getetag>1</d:getetag></d:prop></d:propstat>"
    return f"<d:response><d:href>{href}</d:href>{prop}</d:response>"


def test_a_run_that_is_killed_in_the_middle_of_a_file_leaves_nothing_half(tmp_path: Path) -> None:
    halfway, go_on = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"].strip("/")
        if environ["REQUEST_METHOD"] == "PROPFIND":
            items = [item(f"/{each}", len(words)) for each, words in FILES.items() if path in ("", each)]
            body = "".join(
                ['<d:multistatus xmlns:d="DAV:">', *([] if path else [item("/")]), *items, "</d:multistatus>"]
            )
            start_response("207 Multi-Status", [("Content-Type", "application/xml")])
            return [body.encode()]
        data = FILES[path].encode()
        start_response("200 OK", [("Content-Length", str(len(data)))])
        return slow(data) if path == SLOW else [data]

    def slow(data: bytes) -> Any:
        yield data[: len(data) // 2]
        halfway.set()
        go_on.wait(60)
        yield data[len(data) // 2 :]

    folder = tmp_path / "library"
    runs = Forks(Path(__file__).with_name("killable_download.py"))
    try:
        with wsgi_server(app) as port:
            address = f"webdav://127.0.0.1:{port}"
            runs.start("run_once", address, str(folder))
            process = int(runs.hear().split()[1])
            assert halfway.wait(60)
            while not [each for each in folder.glob("spool/downloads/*/*") if each.stat().st_size]:
                time.sleep(0.01)
            os.kill(process, signal.SIGKILL)
            words, _ = runs.rest()
            assert "ends" not in words
            go_on.set()
            embedder = TinyEmbedder()
            library, store = open_library(folder, embedder)
            try:
                report = index(
                    [address],
                    library=library,
                    store=store,
                    embedder=embedder,
                    readers=lambda: PlainReader(library.spool),
                )
                assert (report.failed, report.removed) == (0, 0)
                assert {entry.path for entry in library.ledger.entries()} == {f"{address}/{each}" for each in FILES}
                assert compare(library, store).agrees
                assert [each for each in library.spool.rglob("*") if each.is_file()] == []
            finally:
                store.close()
                library.close()
    finally:
        go_on.set()
        runs.close()
