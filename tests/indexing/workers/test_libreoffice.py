"""LibreOffice as a helper that nobody trusts: a program that stands in for it hangs, dies, lies and looks around.

The programs lie in /var/tmp, since a helper finds its own room where /tmp is. The tests at the end need the real one.
"""

import gzip
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from openpyxl import Workbook
from reading_doubles import SMALL, source_of

from indexing.errors import (
    DamagedFileError,
    FileTooLargeError,
    MissingProgramError,
    ReaderStoppedError,
    UnreadableFileError,
)
from indexing.records import Reading
from indexing.settings import ReadLimits
from indexing.workers import confinement
from indexing.workers.libreoffice import LibreOffice, confined_here, installed
from indexing.workers.pool import ReaderPool, ReadResult

FILES = Path(__file__).parents[1] / "readers" / "office" / "files"
BASH = shutil.which("bash") or "/bin/bash"
needs_rooms = pytest.mark.skipif(not confined_here(), reason="this system gives no namespaces")
needs_landlock = pytest.mark.skipif(confinement.landlock_version() == 0, reason="this kernel has no Landlock")
needs_libreoffice = pytest.mark.skipif(
    installed() is None or not confined_here(), reason="LibreOffice is not installed, or cannot be confined here"
)
pytestmark = needs_rooms


@pytest.fixture
def programs() -> Iterator[Path]:
    """A folder for programs that stand in for LibreOffice."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.doc"
    path.write_bytes((FILES / "letter.doc").read_bytes())
    return path


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, *, first_line: str = f"#!{BASH}") -> None:
    """The search path finds this script, and nothing else, as soffice."""
    program = folder / "soffice"
    program.write_text(f"{first_line}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def converted(path: Path, **limits: float) -> bytes:
    """What comes out of the conversion."""
    with LibreOffice(ReadLimits.from_json(ReadLimits().to_json() | limits))(path, "docx") as found:
        assert found.program == "LibreOffice"
        return found.path.read_bytes()


def read(path: Path, **limits: float) -> Reading | UnreadableFileError:
    """The file as a worker reads it."""
    bounds = ReadLimits.from_json(ReadLimits().to_json() | limits)
    with ReaderPool(limits=bounds, preprocess=SMALL, spool=path.parent / "spool", workers=1) as pool:
        ((_, outcome),) = list(pool.read([source_of(path)]))
    return outcome.reading if isinstance(outcome, ReadResult) else outcome


def test_what_it_writes_is_given_out(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    stand_in(monkeypatch, programs, "cp /tmp/in/document.doc /tmp/out/document.docx")
    assert converted(letter) == letter.read_bytes()


def test_it_is_started_again_when_it_asks_for_that(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    second = "[ -e /tmp/profile/seen ] && echo second > /tmp/out/document.docx && exit 0"
    stand_in(monkeypatch, programs, f"{second}; touch /tmp/profile/seen; exit 81")
    assert converted(letter) == b"second\n"


def test_one_that_always_asks_for_that_is_given_up(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    stand_in(monkeypatch, programs, "exit 81")
    with pytest.raises(DamagedFileError, match="could not read it"):
        converted(letter)


def test_one_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    stand_in(monkeypatch, programs, "exec /usr/bin/sleep 1000")
    began = time.monotonic()
    with pytest.raises(ReaderStoppedError, match="did not finish in the 2 s"):
        converted(letter, seconds=2.0)
    assert time.monotonic() - began < 30


def test_one_that_dies_is_told(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    stand_in(monkeypatch, programs, "kill -SEGV $$")
    with pytest.raises(DamagedFileError, match="died while it read the file"):
        converted(letter)


def test_one_that_writes_nothing_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    stand_in(monkeypatch, programs, "echo first; echo 'source file could not be loaded' >&2")
    with pytest.raises(DamagedFileError, match="source file could not be loaded"):
        converted(letter)


def test_an_empty_file_is_no_document(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    stand_in(monkeypatch, programs, ": > /tmp/out/document.docx")
    with pytest.raises(DamagedFileError, match="empty file"):
        converted(letter)


@pytest.mark.parametrize(
    "script",
    [
        "head -c 50000000 /dev/zero > /tmp/out/document.docx",
        "for i in 1 2 3 4 5; do head -c 900000 /dev/zero > /tmp/tmp/$i; done; sleep 5",
        "while :; do echo talk talk talk talk talk talk talk talk; done",
    ],
)
def test_one_that_writes_too_much_is_stopped(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path, script: str
) -> None:
    stand_in(monkeypatch, programs, script)
    with pytest.raises(FileTooLargeError, match="wrote more than 1 MB"):
        converted(letter, max_unpacked_bytes=1_000_000, seconds=30.0)


@pytest.mark.parametrize("how", ["ln -s /etc/hostname", "ln -s ../in/document.doc", "ln /tmp/in/document.doc", "mkdir"])
def test_what_is_no_ordinary_file_is_not_read(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path, how: str
) -> None:
    stand_in(monkeypatch, programs, f"{how} /tmp/out/document.docx")
    with pytest.raises(DamagedFileError, match="no ordinary file"):
        converted(letter)


def test_a_link_in_place_of_its_last_words_writes_to_nobody_s_file(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    """It is started a second time, and its words are written anew."""
    diary = programs / "diary"
    diary.write_text("mine")
    plant = f"touch /tmp/seen; ln -sf {diary} /tmp/said.txt; exit 81"
    stand_in(monkeypatch, programs, f"[ -e /tmp/seen ] && exit 0; {plant}")
    with suppress(UnreadableFileError):
        converted(letter)
    assert diary.read_text() == "mine"


def test_a_link_in_place_of_its_folder_moves_nobody_s_file(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    mine = programs / "mine"
    mine.mkdir()
    (mine / "document.docx").write_text("mine")
    stand_in(monkeypatch, programs, f"rmdir /tmp/out; ln -s {mine} /tmp/out")
    with pytest.raises(DamagedFileError):
        converted(letter)
    assert (mine / "document.docx").read_text() == "mine"


def test_one_that_may_not_be_executed_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    stand_in(monkeypatch, programs, "exit 0")
    (programs / "soffice").chmod(0o644)
    with pytest.raises(MissingProgramError, match="not installed"):
        converted(letter)


def test_one_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    stand_in(monkeypatch, programs, "exit 0", first_line="#!/nowhere/at/all")
    with pytest.raises(MissingProgramError, match="could not be started"):
        converted(letter)


def test_it_is_not_started_where_it_would_have_a_network(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    """A confinement whose system refuses."""
    refusing = programs / "confinement.py"
    source = Path(confinement.__file__).read_text(encoding="utf-8")
    refusing.write_text(source.replace('if not enter(wanted["room"]):', "if True:"), encoding="utf-8")
    monkeypatch.setattr(confinement, "__file__", str(refusing))
    stand_in(monkeypatch, programs, "echo started > /tmp/out/document.docx")
    with pytest.raises(MissingProgramError, match="without a network"):
        converted(letter)
    assert not confined_here()


def test_it_reaches_no_server_of_this_machine(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo yes > /tmp/out/document.docx"
        stand_in(monkeypatch, programs, f"{script} || echo no > /tmp/out/document.docx")
        assert converted(letter) == b"no\n"


@pytest.mark.parametrize("folder", ["/run", "/var/run"])
def test_it_reaches_no_socket_of_a_service(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path, folder: str
) -> None:
    if not os.access(folder, os.W_OK):  # then a folder that this user may write in stands for it
        own = programs / "confinement.py"
        source = Path(confinement.__file__).read_text(encoding="utf-8")
        own.write_text(source.replace('("/run", "/var/run")', f'("{programs}/run",)'), encoding="utf-8")
        monkeypatch.setattr(confinement, "__file__", str(own))
        folder = f"{programs}/run"
        Path(folder).mkdir()
    with tempfile.TemporaryDirectory(dir=folder) as inside, socket.socket(socket.AF_UNIX) as service:
        service.bind(f"{inside}/service")
        service.listen()
        script = f"[ -S {inside}/service ] && echo there || echo nothing"
        stand_in(monkeypatch, programs, f"{{ {script}; }} > /tmp/out/document.docx")
        assert converted(letter) == b"nothing\n"


def test_it_lives_in_a_network_of_its_own(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    stand_in(monkeypatch, programs, "/usr/bin/readlink /proc/self/ns/net > /tmp/out/document.docx")
    assert converted(letter).decode().strip() != str(Path("/proc/self/ns/net").readlink())


@needs_landlock
def test_it_sees_no_file_of_the_user_and_writes_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        (Path(folder) / "secret").write_text("heliotrope")
        lines = (
            f"cat {folder}/secret {letter} /etc/hostname",
            f"echo x > {folder}/new",
            f"echo x > {programs}/new",
            "echo x > /var/tmp/llavero-new",
            "ls /home /root",
            "echo looked",
        )
        stand_in(monkeypatch, programs, f"{{ {'; '.join(lines)}; }} > /tmp/out/document.docx 2>/dev/null")
        assert converted(letter) == b"looked\n"
        assert [each.name for each in Path(folder).iterdir()] == ["secret"]
        assert [each.name for each in programs.iterdir()] == ["soffice"]


def test_it_gets_nothing_of_the_user_s_environment(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("DISPLAY", ":0")
    stand_in(monkeypatch, programs, "/usr/bin/env > /tmp/out/document.docx")
    names = {line.partition("=")[0] for line in converted(letter).decode().splitlines()}
    assert names.isdisjoint({"OPENAI_API_KEY", "DISPLAY"})


def test_macros_and_links_are_off_in_its_profile(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    stand_in(monkeypatch, programs, "cp /tmp/profile/user/registrymodifications.xcu /tmp/out/document.docx")
    settings = converted(letter).decode()
    for name, value in (("DisableMacrosExecution", "true"), ("BlockUntrustedRefererLinks", "true"), ("Link", "0")):
        assert f'<prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop>' in settings


def test_nothing_is_left_of_it(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    stand_in(monkeypatch, programs, "cp /tmp/in/document.doc /tmp/out/document.docx; mkdir /tmp/x; touch /tmp/x/y")
    converted(letter)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["letter.doc", "temporary"]


def test_a_worker_without_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path) -> None:
    monkeypatch.setenv("PATH", str(programs))
    found = read(letter)
    assert isinstance(found, MissingProgramError)
    assert "LibreOffice, which is not installed (install it, or save the file as DOCX)" in found.reason


def test_one_that_hangs_with_its_children_goes_with_the_worker(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    seconds = "31415"
    stand_in(monkeypatch, programs, f"/usr/bin/sleep {seconds} & /usr/bin/sleep {seconds}; exit 0")
    found = read(letter, seconds=4.0)
    assert isinstance(found, ReaderStoppedError)
    assert "LibreOffice did not finish in the 3 s it has" in found.reason
    time.sleep(0.5)
    assert not [each for each in psutil.process_iter(["cmdline"]) if seconds in (each.info["cmdline"] or [])]


def test_what_it_makes_is_read_by_the_reader_of_that_format_and_said(
    monkeypatch: pytest.MonkeyPatch, programs: Path, letter: Path
) -> None:
    import docx

    document = docx.Document()
    document.add_paragraph("The valve is shut.")
    document.save(str(programs / "other.docx"))
    stand_in(monkeypatch, programs, f"cp {programs}/other.docx /tmp/out/document.docx")
    found = read(letter)
    assert isinstance(found, Reading)
    assert [block.text for block in found.blocks] == ["The valve is shut."]
    assert found.title == "letter"
    assert [(str(note), note.kind, note.unread) for note in found.notes] == [
        ("read through LibreOffice, as DOCX", "converted", False)
    ]


def test_a_worker_still_starts_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    from indexing.workers.worker import _refuse_programs

    office = LibreOffice(ReadLimits())
    for event, arguments in (("subprocess.Popen", ("gs", ["gs", "-q"], None, None)), ("os.system", (b"ls",))):
        with pytest.raises(PermissionError):
            _refuse_programs(office, event, arguments)


# -- the real one -----------------------------------------------------------------------------------------------------


@needs_libreoffice
def test_an_old_word_document_is_read_with_its_table(letter: Path) -> None:
    found = read(letter)
    assert isinstance(found, Reading)
    assert [(block.kind, block.text) for block in found.blocks] == [
        ("heading", "The pumps of Harrow Dock"),
        ("text", "Pump three was sealed on 4 May 1998."),
        ("table", "| Pump | Sealed |\n| --- | --- |\n| three | 4 May 1998 |\n| four | never |"),
        ("text", "The key hangs behind the door."),
    ]
    assert found.notes[0].startswith("read through LibreOffice ")


@needs_libreoffice
def test_old_slides_are_read_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "talk.ppt"
    path.write_bytes(gzip.decompress((FILES / "slides.ppt.gz").read_bytes()))
    found = read(path)
    assert isinstance(found, Reading)
    assert [(block.page, block.text) for block in found.blocks] == [
        (1, "Harrow Dock"),
        (2, "Pump three was sealed on 4 May 1998."),
    ]
    assert found.title == "talk"


@needs_libreoffice
def test_the_chart_of_an_old_workbook_is_read(tmp_path: Path) -> None:
    path = tmp_path / "charts.xls"
    path.write_bytes((FILES / "charts.xls").read_bytes())
    found = read(path)
    assert isinstance(found, Reading)
    chart = found.blocks[-1]
    assert (chart.caption, chart.text) == (
        "Chart: Litres an hour",
        "|  | Litres |\n| --- | --- |\n| three | 120 |\n| four | 95 |",
    )


@needs_libreoffice
def test_formulas_without_values_are_calculated_and_those_that_cannot_be_stay(tmp_path: Path) -> None:
    book = Workbook()
    for row in (("Item", "Price"), ("oil", 3.5), ("rope", 12), ("all", "=SUM(B2:B3)"), ("odd", "=NOSUCH(B2)")):
        book.active.append(row)
    book.active["B4"].number_format = '0.00 "EUR"'
    book.save(str(tmp_path / "a.xlsx"))
    found = read(tmp_path / "a.xlsx")
    assert isinstance(found, Reading)
    assert found.blocks[-1].text.splitlines()[-2:] == ["| all | 15.50 EUR |", "| odd | =NOSUCH(B2) |"]
    assert [(note.kind, note.number, note.unread) for note in found.notes] == [
        ("formula", 1, False),
        ("formula", 1, True),
    ]


@needs_libreoffice
def test_a_damaged_old_document_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.doc"
    path.write_bytes((FILES / "letter.doc").read_bytes()[:9_000])
    assert isinstance(read(path), UnreadableFileError)


def test_the_programs_of_these_tests_can_be_started(programs: Path) -> None:
    """/var/tmp may be mounted so that nothing there runs: then most of the tests above would say nothing."""
    program = programs / "true"
    program.write_text(f"#!{BASH}\nexit 0\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert os.system(str(program)) == 0
