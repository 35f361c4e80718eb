"""Facts of files from the terminal to the list of hits, with the pocket kit on files made on the spot."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command_line import Run
from PIL import ExifTags, Image

from ui.api.libraries import OpenLibrary
from ui.api.server import OwnersSocket
from ui.settings import Settings
from ui.workbench import Workbench


def photograph(path: Path, taken: str, latitude: float, longitude: float, colour: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (latitude, 0.0, 0.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", (longitude, 0.0, 0.0)
    Image.new("RGB", (64, 48), colour).save(path, exif=exif)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    photograph(folder / "beach.jpg", "2019:07:14 10:32:05", 41.38, 2.17, "blue")
    photograph(folder / "hill.jpg", "2021:03:02 09:00:00", 41.5, 2.17, "green")
    (folder / "pump.txt").write_text("The bilge pump needs 4.2 litres of oil every spring.\n")
    (folder / "harbour.md").write_text("# Harbour\n\nThe ferry to Lindholm leaves at 17:45, and needs oil.\n")
    (folder / "pump.txt.meta.toml").write_text('client = "ACME"\ndue = 2024-05-01\n')
    return folder


@pytest.fixture(scope="module")
def bench(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    library = tmp_path_factory.mktemp("made") / "library"
    bench = Workbench.open(Settings.load(library, environ={}), create=True)
    bench.index([folder], facts={"Project": ["Boats"]})
    yield bench
    bench.close()


@pytest.fixture
def library(bench: Workbench) -> Iterator[Path]:
    """A library that another process has open: every answer travels over its socket."""
    opened = OpenLibrary("library", bench)
    socket = OwnersSocket(opened)
    yield bench.library_folder
    socket.close()
    opened.jobs.close()


def names(outcome_document: dict[str, list[dict[str, str]]]) -> list[str]:
    (listed,) = (each for name, each in outcome_document.items() if name in ("files", "hits"))
    return [Path(each["path"]).name for each in listed]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["year=2019"], ["beach.jpg"]),
        (["year>=2019"], ["beach.jpg", "hill.jpg"]),
        (["near=41.38,2.17,5km"], ["beach.jpg"]),
        (["near=41.38,2.17,20"], ["beach.jpg", "hill.jpg"]),
        (["client=acme"], ["pump.txt"]),
        (["client!=ACME", "extension=md"], ["harbour.md"]),
        (["due<=2024-05", "project=boats"], ["pump.txt"]),
        (["project=boats", "year!=2019"], ["harbour.md", "hill.jpg", "pump.txt"]),
    ],
)
def test_files_are_listed_by_their_facts(run: Run, library: Path, where: list[str], expected: list[str]) -> None:
    words = [word for each in where for word in ("--where", each)]
    assert names(run("list", *words, "--library", library, "--json").document) == expected


def test_facts_are_said_searched_and_taken_back(run: Run, folder: Path, tmp_path: Path) -> None:
    library = tmp_path / "own"
    assert run("index", folder, "--library", library, "--meta", "client=Beta", "--meta", "tag=a=b").code == 0
    (pump,) = run("list", "--where", "name=pump.txt", "--library", library, "--json").document["files"]
    assert pump["facts"] == {"client": ["Beta"], "due": ["2024-05-01"], "tag": ["a=b"]}
    found = run("search", "oil", "--where", "due>=2024", "--library", library, "--json").document
    assert names(found) == ["pump.txt"]
    report = run("index", folder / "pump.txt", "--library", library, "--meta", "client=", "--json").document
    assert (report["unchanged"], report["chunks"]) == (1, 0)
    asked = run("ask", "How much oil does the pump need?", "--where", "client=ACME", "--library", library, "--json")
    assert set(names({"hits": asked.document["hits"]})) == {"pump.txt"} and not asked.document["refused"]
    assert run("verify", "--library", library, "--json").document["missing"] == 0


def test_what_cannot_be_found_by_is_told_before_anything_is_searched(run: Run, library: Path) -> None:
    for command in (("search", "oil"), ("ask", "oil?"), ("list",)):
        unknown = run(*command, "--where", "clint=ACME", "--library", library)
        assert unknown.code == 1 and "unknown field 'clint'" in unknown.err
        assert "camera, client, due, latitude" in unknown.err
        assert run(*command, "--where", "year>=soon", "--library", library).code == 2
        assert run(*command, "--where", "near=1,2", "--library", library).code == 2


@pytest.mark.parametrize("meta", ["client", "=x", "a b=x", "title=x", "near=x", "year>=2019", "k=" + "x" * 10_000])
def test_what_is_no_fact_is_wrong_usage(run: Run, folder: Path, tmp_path: Path, meta: str) -> None:
    outcome = run("index", folder, "--library", tmp_path / "new", "--meta", meta)
    assert outcome.code == 2 and "--meta" in outcome.err and not (tmp_path / "new").exists()


def test_a_thousand_facts_are_wrong_usage(run: Run, folder: Path, tmp_path: Path) -> None:
    words = [word for number in range(1000) for word in ("--meta", f"k{number}=x")]
    outcome = run("index", folder, "--library", tmp_path / "new", *words)
    assert outcome.code == 2 and "the limit is 100" in outcome.err


def test_two_users_say_things_at_once(bench: Workbench, folder: Path) -> None:
    def say(who: str) -> None:
        for _ in range(3):
            bench.index([folder], facts={who: ["yes"], "last": [who]})

    with ThreadPoolExecutor() as threads:
        list(threads.map(say, ["anna", "ben"]))
    listed = [entry.facts for entry in bench.files()]
    assert all(facts["anna"] == facts["ben"] == ("yes",) for facts in listed)
    assert len({facts["last"] for facts in listed}) == 1
    bench.index([folder], facts={"anna": [], "ben": [], "last": []})
