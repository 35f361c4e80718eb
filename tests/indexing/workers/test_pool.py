"""The pool against parsers that hang, grow, die and lie; the doubles are small programs that speak its protocol."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from reading_doubles import SMALL, source_of

from indexing.errors import (
    DamagedFileError,
    FileTooLargeError,
    ReaderStoppedError,
    UnreadableFileError,
    UnsupportedFileError,
)
from indexing.records import SourceFile
from indexing.settings import ReadLimits
from indexing.workers.pool import ReaderPool, ReadResult

FOR_EVER = 100_000
"""Seconds: a parser that is not killed runs into the time limit of the test."""

PROLOGUE = """
import json, os, sys, time
def send(message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()
sys.stdin.readline()
send({"ready": True})
EMPTY = {"is_picture": False, "title": "t", "pages": [], "blocks": [], "metadata": {}, "notes": []}
for line in sys.stdin:
    request = json.loads(line)
    name = os.path.basename(request["path"])
    folder = request["folder"]
"""


def program(body: str) -> list[str]:
    return [sys.executable, "-c", PROLOGUE + textwrap.indent(textwrap.dedent(body), "    ")]


def pool_of(tmp_path: Path, *, workers: int = 1, body: str | None = None, **limits: float) -> ReaderPool:
    bounds = ReadLimits.from_json(ReadLimits().to_json() | limits)
    spool = tmp_path / "spool"
    if body is None:
        return ReaderPool(limits=bounds, preprocess=SMALL, spool=spool, workers=workers)
    return ReaderPool(limits=bounds, preprocess=SMALL, spool=spool, workers=workers, program=program(body))


def files(tmp_path: Path, *names: str) -> list[SourceFile]:
    """Small pictures, which are read in no time; no two have the same bytes."""
    made = []
    for name in names:
        path = tmp_path / name
        Image.new("RGB", (8, 8), "red").save(path, "PNG")
        path.write_bytes(path.read_bytes() + name.encode(errors="replace"))
        made.append(source_of(path))
    return made


def outcomes(pool: ReaderPool, sources: list[SourceFile]) -> dict[str, ReadResult | UnreadableFileError]:
    with pool:
        return {source.path.name: outcome for source, outcome in pool.read(sources)}


def test_a_parser_that_hangs_is_stopped_and_the_next_file_is_read(tmp_path: Path) -> None:
    body = """
    if name == "hang.txt":
        time.sleep(600)
    send({"reading": EMPTY, "pixels": []})
    """
    found = outcomes(pool_of(tmp_path, body=body, seconds=3.0), files(tmp_path, "hang.txt", "good.txt"))
    assert isinstance(found["hang.txt"], ReaderStoppedError)
    assert "3 s" in found["hang.txt"].reason
    assert isinstance(found["good.txt"], ReadResult)


def test_pages_that_a_reader_reports_extend_its_time(tmp_path: Path) -> None:
    body = """
    for page in range(4):
        time.sleep(1.0)
        send({"page": page + 1})
    send({"reading": EMPTY, "pixels": []})
    """
    limits = {"seconds": 3.0, "seconds_per_page": 1.0}
    found = outcomes(pool_of(tmp_path, body=body, **limits), files(tmp_path, "slow.txt"))
    assert isinstance(found["slow.txt"], ReadResult)


def test_a_parser_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    body = """
    if name == "crash.txt":
        sys.stderr.write("segment of nonsense\\n")
        sys.exit(3)
    if name == "killed.txt":
        os.kill(os.getpid(), 11)
    send({"reading": EMPTY, "pixels": []})
    """
    found = outcomes(pool_of(tmp_path, body=body), files(tmp_path, "crash.txt", "killed.txt", "good.txt"))
    assert "segment of nonsense" in str(found["crash.txt"])
    assert "SIGSEGV" in str(found["killed.txt"])
    assert isinstance(found["good.txt"], ReadResult)


def test_a_parser_that_grows_is_killed(tmp_path: Path) -> None:
    body = """
    hoard = [bytearray(os.urandom(1 << 20)) for _ in range(300)]
    time.sleep(60)
    """
    pool = pool_of(tmp_path, body=body, max_memory_bytes=120_000_000)
    found = outcomes(pool, files(tmp_path, "grow.txt"))
    assert isinstance(found["grow.txt"], ReaderStoppedError)
    assert "120 MB" in found["grow.txt"].reason


def test_only_one_parser_at_a_time_is_large_and_the_other_stands_still_meanwhile(tmp_path: Path) -> None:
    body = """
    hoard = []
    for _ in range(20):
        hoard.append(os.urandom(10_000_000))
        time.sleep(0.15)
    grown = time.time()
    time.sleep(1.0)
    hoard = None
    send({"reading": EMPTY | {"notes": [[f"{grown} {time.time()}", "text", "", 1, False]]}, "pixels": []})
    """
    pool = pool_of(tmp_path, workers=2, body=body, seconds=FOR_EVER, large_memory_bytes=100_000_000)
    found = outcomes(pool, files(tmp_path, "a.txt", "b.txt"))
    spans = []
    for outcome in found.values():
        assert isinstance(outcome, ReadResult), outcome
        grown, done = map(float, outcome.reading.notes[0].split())
        spans.append((grown, done))
    (_, first_done), (second_grown, _) = sorted(spans)
    assert second_grown > first_done


def test_standing_still_costs_a_file_none_of_its_time(tmp_path: Path) -> None:
    """The test is the other large one, for longer than the file may take."""
    body = """
    hoard = b"x" * 150_000_000
    time.sleep(1.0)
    send({"reading": EMPTY, "pixels": []})
    """
    pool = pool_of(tmp_path, body=body, seconds=6.0, large_memory_bytes=100_000_000)
    large = pool._workers[0]._large
    large.acquire()
    threading.Timer(10.0, large.release).start()
    found = outcomes(pool, files(tmp_path, "a.txt"))
    assert isinstance(found["a.txt"], ReadResult)
    assert not large.locked()


def test_a_parser_that_stands_still_can_be_cancelled(tmp_path: Path) -> None:
    body = """
    hoard = os.urandom(200_000_000)
    time.sleep(600)
    """
    with pool_of(tmp_path, workers=2, body=body, seconds=FOR_EVER, large_memory_bytes=100_000_000) as pool:
        threading.Timer(4.0, pool.cancel).start()
        found = {source.path.name: outcome for source, outcome in pool.read(files(tmp_path, "a.txt", "b.txt"))}
    assert all(isinstance(outcome, ReaderStoppedError) for outcome in found.values())


def test_an_answer_without_end_is_cut_off(tmp_path: Path) -> None:
    body = """
    while True:
        sys.stdout.write("x" * 100000)
    """
    pool = pool_of(tmp_path, body=body, max_text_characters=1_000_000)
    found = outcomes(pool, files(tmp_path, "flood.txt"))
    assert isinstance(found["flood.txt"], ReaderStoppedError)


@pytest.mark.parametrize(
    "answer",
    [
        '"words"',
        "{}",
        "not json",
        '{"reading": {"is_picture": false}, "pixels": []}',
        '{"reading": 5, "pixels": []}',
        json.dumps({"error": "SystemExit", "reason": 5, "pixels": None}),
    ],
)
def test_an_answer_that_makes_no_sense_fails_the_file_alone(tmp_path: Path, answer: str) -> None:
    found = outcomes(pool_of(tmp_path, body=f"print({answer!r}, flush=True)"), files(tmp_path, "odd.txt"))
    assert isinstance(found["odd.txt"], UnreadableFileError)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "page-0001.jpg/../x", "ledger.sqlite"])
def test_a_worker_cannot_name_a_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    body = f"""
    EMPTY["pages"] = [[1, {name!r}, 10, 10, False]]
    send({{"reading": EMPTY, "pixels": []}})
    """
    found = outcomes(pool_of(tmp_path, body=body), files(tmp_path, "evil.txt"))
    assert isinstance(found["evil.txt"], ReaderStoppedError)


def test_pixels_of_the_wrong_size_are_refused(tmp_path: Path) -> None:
    body = """
    open(os.path.join(folder, "pixels.bin"), "wb").write(b"abc")
    send({"reading": EMPTY, "pixels": ["picture"]})
    """
    found = outcomes(pool_of(tmp_path, body=body), files(tmp_path, "short.txt"))
    assert isinstance(found["short.txt"], ReaderStoppedError)


def test_a_reader_that_was_killed_in_a_document_reads_the_next_one(tmp_path: Path) -> None:
    """The replacement starts in a fresh folder, whatever the killed one left in its own."""
    sources = files(tmp_path, "a.txt", "b.txt")
    with pool_of(tmp_path) as pool:
        assert [type(outcome) for _, outcome in pool.read(sources[:1])] == [ReadResult]
        psutil.Process().children()[0].kill()
        assert [type(outcome) for _, outcome in pool.read(sources)] == [ReadResult, ReadResult]


def test_what_libraries_print_does_not_disturb_the_protocol(tmp_path: Path) -> None:
    (source,) = files(tmp_path, "loud.txt")
    loud = "import sys, indexing.readers.registry as r; real = r.read\n"
    loud += "def read(*a):\n    print('noise'); sys.stdout.flush(); import os; os.write(1, b'more'); return real(*a)\n"
    loud += "r.read = read\nfrom indexing.workers.worker import main; main()"
    pool = ReaderPool(
        limits=ReadLimits(), preprocess=SMALL, spool=tmp_path / "spool", workers=1,
        program=[sys.executable, "-P", "-c", loud],
    )  # fmt: skip
    found = outcomes(pool, [source])
    assert isinstance(found["loud.txt"], ReadResult)


def test_a_picture_comes_back_with_its_pixels_and_its_thumbnail(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (80, 60), (200, 10, 10)).save(path)
    found = outcomes(pool_of(tmp_path), [source_of(path)])["red.png"]
    assert isinstance(found, ReadResult)
    assert found.pixels["picture"].shape == (32, 32, 3)
    assert tuple(found.pixels["picture"][16, 16]) == (200, 10, 10)
    assert sorted(each.name for each in found.folder.iterdir()) == ["thumb.jpg"]


def test_a_worker_that_reads_pictures_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (640, 480), (200, 10, 10)).save(path)
    with pool_of(tmp_path) as pool:
        assert len(list(pool.read([source_of(path)]))) == 1
        assert children_memory() < 150_000_000


def children_memory() -> int:
    return sum(child.memory_info().rss for child in psutil.Process().children(recursive=True))


def test_files_that_are_too_large_never_reach_a_parser(tmp_path: Path) -> None:
    sources = files(tmp_path, "large.txt")
    found = outcomes(pool_of(tmp_path, max_file_bytes=5), sources)["large.txt"]
    assert isinstance(found, FileTooLargeError)
    assert children_memory() == 0


def test_a_file_that_vanishes_has_a_reason_for_a_person(tmp_path: Path) -> None:
    sources = files(tmp_path, "gone.txt")
    sources[0].path.unlink()
    found = outcomes(pool_of(tmp_path), sources)["gone.txt"]
    assert isinstance(found, UnreadableFileError)
    assert found.reason == "the file vanished before it was read"


@pytest.mark.parametrize("name", ['it\'s "quoted".txt', "two\nlines.txt", "Ünïcödé 文書.txt", "-rf.txt"])
def test_a_name_of_any_kind_is_read(tmp_path: Path, name: str) -> None:
    found = outcomes(pool_of(tmp_path), files(tmp_path, name))[name]
    assert isinstance(found, ReadResult)


def test_a_name_that_is_no_utf_8_is_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    Image.new("RGB", (8, 8), "red").save(path, "PNG")
    found = outcomes(pool_of(tmp_path), [source_of(path)])[path.name]
    assert isinstance(found, ReadResult)


def test_the_same_bytes_twice_get_a_folder_each(tmp_path: Path) -> None:
    sources = files(tmp_path, "one.txt", "two.txt")
    (tmp_path / "two.txt").write_bytes((tmp_path / "one.txt").read_bytes())
    sources[1] = source_of(tmp_path / "two.txt")
    found = outcomes(pool_of(tmp_path, workers=2), sources)
    folders = {outcome.folder for outcome in found.values() if isinstance(outcome, ReadResult)}
    assert len(folders) == 2


def test_sources_are_pulled_as_they_are_needed(tmp_path: Path) -> None:
    pulled = []

    def sources() -> Iterator[SourceFile]:
        for source in files(tmp_path, *(f"{n}.txt" for n in range(20))):
            pulled.append(source)
            yield source

    with pool_of(tmp_path, body='send({"reading": EMPTY, "pixels": []})') as pool:
        reading = pool.read(sources())
        next(reading)
        assert len(pulled) <= 2
        assert len(list(reading)) == 19


def test_leaving_the_loop_early_kills_what_is_under_way_and_the_pool_goes_on(tmp_path: Path) -> None:
    body = """
    if name.startswith("hang"):
        time.sleep(600)
    send({"reading": EMPTY, "pixels": []})
    """
    sources = files(tmp_path, "good.txt", "hang1.txt", "hang2.txt", "hang3.txt")
    with pool_of(tmp_path, body=body, seconds=FOR_EVER) as pool:
        for _ in pool.read(sources):
            break
        again = {s.path.name: o for s, o in pool.read(sources[:1])}
    assert isinstance(again["good.txt"], ReadResult)


def test_a_cancel_that_meets_a_worker_which_is_just_starting_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancel begins when the process exists and the worker does not know it yet."""
    real = subprocess.Popen
    cancelling: list[threading.Thread] = []

    def start(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        process = real(*arguments, **options)
        cancelling.append(threading.Thread(target=pool.cancel))
        cancelling[0].start()
        cancelling[0].join(timeout=0.5)  # it ends here only if it found nothing to kill
        return process

    monkeypatch.setattr("indexing.workers.process.subprocess.Popen", start)
    with pool_of(tmp_path, body=f"time.sleep({FOR_EVER})", seconds=FOR_EVER) as pool:
        ((_, outcome),) = pool.read(files(tmp_path, "hang.txt"))
    cancelling[0].join()
    assert isinstance(outcome, ReaderStoppedError)


def test_workers_are_gone_when_the_pool_is_closed(tmp_path: Path) -> None:
    outcomes(pool_of(tmp_path, workers=2), files(tmp_path, "a.txt", "b.txt"))
    assert psutil.Process().children(recursive=True) == []


def test_workers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    path = files(tmp_path, "a.txt")[0].path
    script = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from reading_doubles import SMALL, source_of
from indexing.workers.pool import ReaderPool, ReadLimits
import psutil
pool = ReaderPool(limits=ReadLimits(), preprocess=SMALL, spool=Path({str(tmp_path / "spool")!r}), workers=1)
with pool:
    list(pool.read([source_of(Path({str(path)!r}))]))
    print(psutil.Process().children()[0].pid, flush=True)
    time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    psutil.wait_procs([worker], timeout=20)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_a_worker_has_no_secrets_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    body = """
    send({"error": "DamagedFileError", "reason": " ".join(sorted(os.environ))})
    """
    found = outcomes(pool_of(tmp_path, body=body), files(tmp_path, "a.txt"))["a.txt"]
    assert isinstance(found, DamagedFileError)
    assert "OPENAI_API_KEY" not in found.reason
    assert "proxy" not in found.reason


def test_a_worker_cannot_reach_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        attempt = f"""
import socket, sys
from indexing.workers.worker import _cut_the_network
_cut_the_network()
try:
    socket.create_connection(("127.0.0.1", {port}), timeout=5)
except OSError as error:
    print(type(error).__name__)
"""
        done = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "PermissionError"


@pytest.mark.parametrize(
    "call",
    [
        "import subprocess; subprocess.run(['touch', trace])",
        "import os; os.system('touch ' + trace)",
        "import os; os.posix_spawn('/usr/bin/touch', ['touch', trace], {})",
        "import os; os.execv('/usr/bin/touch', ['touch', trace])",
    ],
)
def test_a_reader_starts_no_program(call: str, tmp_path: Path) -> None:
    (source,) = files(tmp_path, "a.txt")
    trace = tmp_path / "started"
    eager = "import indexing.readers.registry as r; from indexing.workers.worker import main\n"
    eager += f"def read(*a):\n    trace = {str(trace)!r}\n    {call}\nr.read = read\nmain()"
    pool = ReaderPool(
        limits=ReadLimits(), preprocess=SMALL, spool=tmp_path / "spool", workers=1,
        program=[sys.executable, "-P", "-c", eager],
    )  # fmt: skip
    found = outcomes(pool, [source])["a.txt"]
    assert isinstance(found, UnreadableFileError)
    assert not trace.exists()


def test_documents_that_point_elsewhere_fetch_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        sources = [source_of(path) for path in documents_that_point_at(address, tmp_path)]
        connections: list[object] = []
        stop = threading.Event()

        def listen() -> None:
            while not stop.is_set():
                try:
                    connections.append(server.accept())
                except TimeoutError:
                    continue

        listener = threading.Thread(target=listen)
        listener.start()
        found = outcomes(pool_of(tmp_path, workers=2), sources)
        stop.set()
        listener.join()
    assert connections == []
    assert all(isinstance(outcome, ReadResult | UnsupportedFileError) for outcome in found.values()), found


def documents_that_point_at(address: str, folder: Path) -> list[Path]:
    import docx

    page = folder / "page.html"
    page.write_text(
        f'<!DOCTYPE html [<!ENTITY x SYSTEM "{address}/entity">]><html><head><link rel=stylesheet '
        f'href="{address}/a.css"><base href="{address}"></head><body><p>Words &x;</p>'
        f'<img src="{address}/a.png"><iframe src="{address}/b"></iframe></body></html>'
    )
    xml = folder / "entity.xml"
    xml.write_text(f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "{address}/x">]><a>words &x;</a>')
    markdown = folder / "notes.md"
    markdown.write_text(f"# Notes\n\n![picture]({address}/c.png)\n\nwords")
    mail = folder / "letter.eml"
    mail.write_text(
        f"From: a@b.c\nTo: d@e.f\nSubject: s\nMIME-Version: 1.0\nContent-Type: text/html\n\n<img src='{address}/d'>hi"
    )
    plain = folder / "plain.docx"
    document = docx.Document()
    document.add_paragraph("Words beside a linked picture")
    document.part.relate_to(
        f"{address}/e.png",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image",
        is_external=True,
    )
    document.save(str(plain))
    entity = folder / "entity.docx"
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(entity, "w") as after:
        for member in before.infolist():
            data = before.read(member)
            if member.filename == "word/document.xml":
                doctype = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{address}/y">]>'.encode()
                data = data.replace(b"<w:document", doctype + b"<w:document", 1)
                data = data.replace(b"Words beside", b"Words &x; beside", 1)
            after.writestr(member, data)
    return [page, xml, markdown, mail, plain, entity]
