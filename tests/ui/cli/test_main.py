"""The command line as a person uses it: in this process, with the pocket kit, on files made on the spot."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Run
from PIL import Image, ImageDraw

from indexing import pipeline
from indexing.pipeline import IndexReport
from indexing.settings import IndexingSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "harbour.md").write_text("# Harbour\n\nThe ferry to Lindholm leaves at 17:45 from quay three.\n")
    (folder / "pump.txt").write_text("The bilge pump needs 4.2 litres of oil every spring.\n")
    image = Image.new("RGB", (320, 240), "steelblue")
    ImageDraw.Draw(image).ellipse((80, 60, 240, 200), fill="orange")
    image.save(folder / "disc.png")
    (folder / "empty.pdf").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def library(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ui.settings import Settings
    from ui.workbench import Workbench

    library = tmp_path_factory.mktemp("made") / "library"
    bench = Workbench.open(Settings.load(library, environ={}), create=True)
    bench.index([folder])
    bench.close()
    return library


def test_indexing_prints_one_document_and_exits_3_when_a_file_failed(run: Run, folder: Path, tmp_path: Path) -> None:
    outcome = run("index", folder, "--library", tmp_path / "new", "--json")
    assert outcome.code == 3
    document = outcome.document
    assert (document["added"], document["failed"], document["unchanged"]) == (3, 1, 0)
    assert document["failures"] == [{"path": str(folder / "empty.pdf"), "reason": document["failures"][0]["reason"]}]
    assert "empty" in document["failures"][0]["reason"]


def test_a_file_that_was_read_in_part_is_named_until_it_is_read_whole(run: Run, tmp_path: Path) -> None:
    mail, library = tmp_path / "in" / "mail.eml", tmp_path / "library"
    mail.parent.mkdir()
    head = "From: a@example.org\nTo: b@example.org\nSubject: Tools\nMIME-Version: 1.0\n"
    body = "--x\nContent-Type: text/plain\n\nSee the file.\n"
    attached = (
        "--x\nContent-Disposition: attachment; filename=a.out\nContent-Transfer-Encoding: base64\n\nf0VMRgIBAQA=\n"
    )
    mail.write_text(f"{head}Content-Type: multipart/mixed; boundary=x\n\n{body}{attached}--x--\n")
    for _ in range(2):  # a second run reads nothing, and says it again
        outcome = run("index", mail.parent, "--library", library, "--json")
        assert outcome.code == 3 and outcome.document["failed"] == 0
        (note,) = outcome.document["notes"]
        assert note == {
            "path": str(mail),
            "text": "attachment 'a.out' was not read: a program is not read here",
            "kind": "attachment",
            "place": "attachment 'a.out'",
            "number": 1,
            "unread": True,
        }
    assert f"in part: {mail}: attachment 'a.out' was not read" in run("index", mail.parent, "--library", library).out
    (mail.parent / "plain.txt").write_text("Nothing is missing here.")
    run("index", mail.parent, "--library", library)
    noted = run("list", "--library", library, "--notes", "--json").document["files"]
    assert [Path(file["path"]).name for file in noted] == ["mail.eml"] and noted[0]["notes"][0]["unread"]
    lines = run("list", "--library", library).out.splitlines()
    assert lines[0].startswith("in part ") and "a.out" in lines[1] and lines[2].startswith("indexed ")


def test_search_names_the_file_and_its_place_in_every_channel(run: Run, folder: Path, library: Path) -> None:
    outcome = run("search", "when does the ferry leave", "--library", library, "-k", 3, "--json")
    assert outcome.code == 0
    best = outcome.document["hits"][0]
    assert best["path"] == str(folder / "harbour.md")
    of_the_words = {"text", "confidence", "doubtful"}
    assert set(best) == {"id", "path", "kind", "page", "heading", "box", "score", "channels", "near"} | of_the_words
    assert (best["confidence"], best["doubtful"], best["near"]) == (None, [], [])
    assert best["channels"]["bm25"]["rank"] == 1
    assert "total" in outcome.document["milliseconds"]


def test_a_picture_finds_itself(run: Run, folder: Path, library: Path) -> None:
    outcome = run("search", "--image", folder / "disc.png", "--library", library, "--json")
    assert outcome.document["hits"][0]["path"] == str(folder / "disc.png")


def test_filters_keep_everything_else_out(run: Run, folder: Path, library: Path) -> None:
    outcome = run("search", "oil", "--where", "name=pump.txt", "--library", library, "--json")
    assert {hit["path"] for hit in outcome.document["hits"]} == {str(folder / "pump.txt")}
    assert (
        run("search", "oil", "--kind", "image", "--library", library, "--json").document["hits"][0]["kind"] == "image"
    )


def test_ask_prints_the_contracts_document(run: Run, folder: Path, library: Path) -> None:
    document = run("ask", "How many litres of oil does the bilge pump need?", "--library", library, "--json").document
    assert set(document) == {"answer", "refused", "citations", "hits", "model", "confidence", "milliseconds"}
    assert not document["refused"] and document["answer"]
    assert document["hits"][0]["path"] == str(folder / "pump.txt")
    assert set(document["milliseconds"]) == {"retrieve", "first_token", "total"}


def test_a_question_about_something_else_is_refused(run: Run, library: Path) -> None:
    document = run("ask", "Who painted the ceiling of the Sistine Chapel?", "--library", library, "--json").document
    assert document["refused"] and document["citations"] == [] and document["model"] == ""


def test_list_remove_and_stats_agree(run: Run, folder: Path, tmp_path: Path) -> None:
    library = tmp_path / "own"
    run("index", folder, "--library", library)
    assert [Path(f["path"]).name for f in run("list", "--library", library, "--json").document["files"]] == [
        "disc.png", "empty.pdf", "harbour.md", "pump.txt",
    ]  # fmt: skip
    assert run("remove", folder / "pump.txt", "--library", library).code == 0
    stats = run("stats", "--library", library, "--json").document
    assert (stats["files"], stats["failed"], stats["kit"]) == (2, 1, "pocket")
    assert stats["chunks"] == sum(stats["kinds"].values())
    assert run("verify", "--library", library, "--json").document == {"missing": 0, "orphaned": 0, "repaired": False}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("index", "/not/there", "--library", "/nowhere/at/all"), "there is no such file or folder: /not/there"),
        (("search", "x", "--library", "/nowhere/at/all"), "there is no library in '/nowhere/at/all'"),
        (("kit", "path", "nope"), "there is no kit named 'nope'"),
        (("remove", "/not/there", "--library", "LIBRARY"), "'/not/there' is not in the library"),
        (("search", "x", "--where", "colour=red", "--library", "LIBRARY"), "unknown field 'colour'"),
        (("ask", "x", "--image", "/no/picture.png", "--library", "LIBRARY"), "/no/picture.png"),
        (("search", "x", "--device", "cuda:9", "--library", "LIBRARY"), "cuda"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    run: Run, library: Path, words: tuple[str, ...], said: str
) -> None:
    outcome = run(*(str(library) if word == "LIBRARY" else word for word in words))
    assert outcome.code == 1
    assert said in outcome.err.splitlines()[0]
    assert "Traceback" not in outcome.err and outcome.out == ""


@pytest.mark.parametrize(
    "words", [("search",), ("search", "x", "--kind", "poem"), ("search", "x", "--where", "name"), ("index",), ("fly",)]
)
def test_wrong_usage_exits_2(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).code == 2


def test_a_library_that_is_open_elsewhere_is_named_with_its_holder(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.cli.library._OWNER_STARTS_SECONDS", 0.5)  # it never listens
    code = f"""
import sys
from indexing.library import Library
from pathlib import Path
with Library.open(Path({str(library)!r})):
    print("open", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"open\n"
        outcome = run("stats", "--library", library)
        holder.communicate()
    assert outcome.code == 1
    assert str(holder.pid) in outcome.err.splitlines()[0]


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
sys.argv = ["llavero", "index", "--help"]
from ui.cli.main import main
try:
    main()
except SystemExit:
    pass
print(sorted({"torch", "pymilvus", "streamlit", "transformers", "numpy", "PIL"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_remove_takes_the_names_that_list_prints(run: Run, tmp_path: Path) -> None:
    folder, library = tmp_path / "odd", tmp_path / "library"
    folder.mkdir()
    for name in (b"caf\xe9.txt", b'it\'s "quoted" & 100%.txt', "cafe\u0301.txt".encode(), b"two  blanks.txt"):
        (Path(os.fsdecode(folder)) / os.fsdecode(name)).write_text("words")
    run("index", folder, "--library", library)
    printed = [line.partition("chunks  ")[2] for line in run("list", "--library", library).out.splitlines()]
    names = [each for each in printed if each]
    assert len(names) == 4 and sum(each.startswith('"') for each in names) >= 2
    for name in names:
        outcome = run("remove", name, "--library", library)
        assert outcome.code == 0, outcome.err
    assert run("list", "--library", library, "--json").document == {"files": []}


def test_links_out_of_the_folder_are_counted_and_followed_when_asked_for(run: Run, tmp_path: Path) -> None:
    folder, library = tmp_path / "named", tmp_path / "library"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.txt").write_text("words from elsewhere")
    folder.mkdir()
    (folder / "a.txt").write_text("words of the folder")
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    outcome = run("index", folder, "--library", library)
    assert outcome.code == 0 and "1 link leads out of the folders and was not followed" in outcome.out
    document = run("index", folder, "--library", library, "--follow-links", "--json").document
    assert (document["added"], document["links_out"]) == (1, [])


def test_a_hit_in_an_attachment_names_it(run: Run, tmp_path: Path) -> None:
    from email.message import EmailMessage

    message, library = EmailMessage(), tmp_path / "library"
    message["From"], message["To"], message["Subject"] = "a@b.c", "d@e.f", "Your sail"
    message.set_content("See the file.")
    message.add_attachment(b"The mainsail costs 2380 euros.", maintype="text", subtype="plain", filename="quote.txt")
    (tmp_path / "mail.eml").write_bytes(message.as_bytes())
    run("index", tmp_path / "mail.eml", "--library", library)
    best = run("search", "mainsail costs", "--library", library, "--json").document["hits"][0]
    assert best["heading"] == "Attachment: quote.txt"
    assert 'mail.eml › "Attachment: quote.txt"' in run("search", "mainsail costs", "--library", library).out


@pytest.mark.parametrize(
    ("file", "options", "expected"),
    [("", (), True), ("", ("--no-objects",), False), ("[indexing]\nobjects = false", (), False)],
)
def test_objects_are_looked_for_unless_the_command_or_the_librarys_file_says_no(
    file: str, options: tuple[str, ...], expected: bool, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    work = pipeline.index

    def watched(*paths: Any, settings: IndexingSettings, **more: Any) -> IndexReport:
        asked.append(settings.objects)
        return work(*paths, settings=settings, **more)

    monkeypatch.setattr(pipeline, "index", watched)
    (tmp_path / "files").mkdir()
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "llavero.toml").write_text(file)
    (tmp_path / "files" / "note.txt").write_text("words")
    assert run("index", tmp_path / "files", "--library", tmp_path / "library", *options).code == 0
    assert asked == [expected]


def test_equal_files_are_listed_together(run: Run, folder: Path, tmp_path: Path) -> None:
    here = tmp_path / "copies"
    here.mkdir()
    for name in ("one.md", "two.md"):
        (here / name).write_bytes((folder / "harbour.md").read_bytes())
    (here / "other.md").write_text("# Another\n\nThe mill stands still.")
    run("index", here, "--library", tmp_path / "new")
    lines = run("list", "--duplicates", "--library", tmp_path / "new").out.splitlines()
    assert [line.split()[-1].rpartition("/")[2] for line in lines[1:]] == ["one.md", "two.md"]
    (group,) = run("list", "--duplicates", "--json", "--library", tmp_path / "new").document["duplicates"]
    assert [Path(file["path"]).name for file in group] == ["one.md", "two.md"]
