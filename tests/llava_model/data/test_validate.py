"""What is wrong with a training set: every kind of fault planted once, and found by name."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from llava_model.data.leakage import ValidationFinding, ValidationReport
from llava_model.data.validate import ValidationProgress, validate
from llava_model.errors import MissingFileError
from llava_model.text.tokenize import PromptEncoder

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path: Path, photograph: Callable[..., Image.Image]) -> Path:
    for number in range(6):
        photograph(120, 90, seed=number).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    def make(name: str, *records: dict[str, Any]) -> Path:
        path = folder / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return make


def _record(name: object, picture: str | list[str] | None, answer: str, question: str = "What?") -> dict[str, Any]:
    pictures = [] if picture is None else [picture] if isinstance(picture, str) else picture
    asked = "<image>\n" * len(pictures) + question
    return {
        "id": name,
        "images": pictures,
        "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}],
    }


def _found(report: ValidationReport) -> list[tuple[str, str | None]]:
    return [(finding.kind, finding.id) for finding in report.findings]


def _only(report: ValidationReport) -> ValidationFinding:
    (finding,) = report.findings
    return finding


def test_a_clean_set_is_counted_and_nothing_is_found(write: Write) -> None:
    path = write(
        "a.jsonl", _record(1, "0.png", "A cat."), _record(2, ["1.png", "2.png"], "Two."), _record(3, None, "Hi.")
    )
    report = validate([path])
    assert report.findings == ()
    assert (report.samples, report.turns, report.pictures, report.distinct_pictures, report.text_only) == (
        3,
        6,
        3,
        3,
        1,
    )
    assert report.pictures_per_sample == {0: 1, 1: 1, 2: 1}
    assert report.tokens is None


def test_missing_and_broken_pictures_are_found_for_every_sample_that_uses_them(write: Write, folder: Path) -> None:
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    stream = io.BytesIO()
    Image.open(folder / "1.png").save(stream, "JPEG")
    (folder / "cut.jpg").write_bytes(stream.getvalue()[:-200])
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "text.png").write_text("<html>Not found</html>")
    names = ["none.png", "cut.png", "cut.jpg", "loop.png", "text.png", "cut.png"]
    report = validate([write("a.jsonl", *(_record(n, name, f"{n}.") for n, name in enumerate(names)))])
    reasons = {finding.id: finding.reason for finding in report.findings}
    assert {finding.kind for finding in report.findings} == {"picture"}
    assert len(report.problems) == 6
    for number, word in enumerate(
        ["no such file", "damaged", "damaged", "symbolic links", "none of the formats that are read", "damaged"]
    ):
        assert names[number] in reasons[str(number)]
        assert word in reasons[str(number)]


def test_a_picture_of_600_megapixels_is_refused_by_its_header(write: Write, folder: Path) -> None:
    header = Image.new("1", (8, 8))
    stream = io.BytesIO()
    header.save(stream, "PNG")
    content = bytearray(stream.getvalue())
    content[16:24] = (30_000).to_bytes(4) + (20_000).to_bytes(4)
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    (folder / "huge.png").write_bytes(content)
    finding = _only(validate([write("a.jsonl", _record(1, "huge.png", "A."))]))
    assert (finding.kind, finding.id) == ("picture", "1")
    assert "pixels" in finding.reason or "over" in finding.reason


def test_records_that_are_no_samples_are_found_with_their_place(write: Write, folder: Path) -> None:
    bad: list[dict[str, Any]] = [
        {"id": 1, "messages": []},
        _record(2, "../secret.png", "A."),
        _record(3, "/etc/passwd", "A."),
        _record(4, "0.png", "  "),
        {**_record(5, "0.png", "A."), "images": []},
        _record(6, "0.png", "<image>"),
    ]
    path = write("a.jsonl", *bad)
    with path.open("a") as file:
        file.write('{"id": 7\n')
    report = validate([path])
    wanted: list[tuple[str, str | None]] = [("sample", str(number)) for number in (1, 2, 3, 4, 6)]
    wanted.append(("sample", "#6"))
    assert _found(report) == wanted  # without pictures `<image>` is text, so 5 is a sample
    assert [finding.position for finding in report.findings] == [0, 1, 2, 3, 5, 6]
    assert (report.samples, report.text_only) == (7, 1)


def test_a_file_that_was_cut_is_a_finding_and_the_next_file_is_still_checked(write: Write, folder: Path) -> None:
    good = write("good.jsonl", _record(1, "none.png", "A."))
    (folder / "cut.json").write_text(json.dumps([_record(1, "0.png", "A."), _record(2, "0.png", "B.")])[:-20])
    report = validate([folder / "cut.json", good])
    assert [finding.kind for finding in report.findings] == ["file", "picture"]
    assert "ends in the middle of sample #1" in report.findings[0].reason


def test_an_empty_file_is_a_finding(write: Write) -> None:
    assert _only(validate([write("a.jsonl")])).reason == "holds no samples"


def test_a_missing_file_stops_before_any_work(write: Write, folder: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.json"):
        validate([write("a.jsonl", _record(1, None, "A.")), folder / "none.json"])


def test_repeated_ids_and_repeated_contents_name_the_first(write: Write) -> None:
    first = write("a.jsonl", _record(7, "0.png", "A."), _record("7", "1.png", "B."), _record(8, "0.png", "A."))
    second = write("b.jsonl", _record(8, "2.png", "C."), {k: v for k, v in _record(0, None, "D.").items() if k != "id"})
    report = validate([first, second])
    assert _found(report) == [("duplicate-id", "7"), ("duplicate-content", "8"), ("duplicate-id", "8")]
    assert f"#0 in '{first}'" in report.findings[0].reason
    assert f"#2 in '{first}'" in report.findings[2].reason


def test_the_same_bytes_under_another_name_are_a_leak(write: Write, folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    test = write("test.jsonl", _record("t", "0.png", "A cat."))
    finding = _only(
        validate([write("a.jsonl", _record(1, "copy.png", "B."), _record(2, "1.png", "C."))], against=[test])
    )
    assert (finding.kind, finding.id, finding.is_problem) == ("leaked-picture", "1", True)
    assert "sample 't'" in finding.reason
    assert "0.png" in finding.reason


def test_a_smaller_compressed_copy_is_a_warning(write: Write, folder: Path) -> None:
    picture = Image.open(folder / "0.png")
    picture.resize((60, 45)).save(folder / "small.jpg", quality=60)
    test = write("test.jsonl", _record("t", "0.png", "A cat."))
    records = [_record(1, "small.jpg", "B."), *(_record(n, f"{n}.png", f"{n}") for n in range(2, 6))]
    report = validate([write("a.jsonl", *records)], against=[test])
    finding = _only(report)
    assert (finding.kind, finding.id) == ("lookalike", "1")
    assert report.problems == ()
    assert report.warnings == (finding,)


def test_plain_pictures_look_like_nothing(write: Write, folder: Path) -> None:
    Image.new("RGB", (50, 50), "white").save(folder / "white.png")
    Image.new("RGB", (60, 50), "white").save(folder / "other.png")
    test = write("test.jsonl", _record("t", "white.png", "Nothing."))
    assert validate([write("a.jsonl", _record(1, "other.png", "B."))], against=[test]).findings == ()


def test_the_same_words_leak_without_a_picture_and_warn_about_another(write: Write, folder: Path) -> None:
    test = write(
        "test.jsonl",
        _record("t0", None, "Paris.", "Capital of France?"),
        _record("t1", "0.png", "Yes.", "Is it red?"),
    )
    train = write(
        "a.jsonl",
        _record(1, None, "paris.", "capital  of France?"),
        _record(2, "1.png", "Yes.", "Is it red?"),
        _record(3, "1.png", "No.", "Is it red?"),
        _record(4, "1.png", "Paris.", "Capital of France?"),
    )
    report = validate([train], against=[test])
    assert _found(report) == [("leaked-answer", "1"), ("same-words", "2"), ("same-words", "4")]


def test_the_same_words_about_the_same_picture_leak(write: Write, folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    test = write("test.jsonl", _record("t", "0.png", "Yes.", "Is it red?"))
    report = validate([write("a.jsonl", _record(1, "copy.png", "Yes.", "Is it red?"))], against=[test])
    assert _found(report) == [("leaked-picture", "1"), ("leaked-answer", "1")]


def test_what_cannot_be_compared_is_said(write: Write, folder: Path) -> None:
    test = write("test.jsonl", _record("t", "none.png", "A."), {"id": "u"})
    (folder / "cut.json").write_text("[{")
    report = validate([write("a.jsonl", _record(1, None, "B."))], against=[test, folder / "cut.json"])
    assert [finding.kind for finding in report.findings] == ["unchecked"] * 3
    assert report.problems == ()


@pytest.fixture
def encoder(make_tokenizer: Callable[[str], Any]) -> PromptEncoder:
    return PromptEncoder(make_tokenizer("chatml"), "chatml", tokens_per_image=20)


def test_tokens_are_counted_as_training_counts_them(write: Write, encoder: PromptEncoder) -> None:
    from llava_model.data.sample_file import SampleFile
    from llava_model.data.samples import SampleEncoder

    path = write("a.jsonl", *(_record(n, "0.png" if n % 2 else None, "word " * n + "!") for n in range(1, 30)))
    examples = [SampleEncoder(encoder, max_tokens=10_000).encode(sample) for sample in SampleFile.open(path)]
    lengths = sorted(len(example.ids) for example in examples)
    tokens = validate([path], encoder=encoder).tokens
    assert tokens is not None
    assert (tokens.samples, tokens.total, tokens.longest, tokens.shortest) == (
        29,
        sum(lengths),
        lengths[-1],
        lengths[0],
    )
    assert tokens.learned == sum(example.targets for example in examples)
    assert tokens.median == lengths[14]
    for low, high, count in tokens.histogram:
        assert count == sum(low <= length < high for length in lengths)
    assert sum(count for _, _, count in tokens.histogram) == 29


def test_a_sample_over_the_limit_says_whether_a_cut_takes_pictures(write: Write, encoder: PromptEncoder) -> None:
    second = "x " * 40 + "<image>"
    record = _record("late", ["0.png", "1.png"], "A.", "")
    record["messages"][0]["content"] = "<image>" + second
    path = write("a.jsonl", _record("short", "0.png", "A."), _record("long", "0.png", "word " * 80), record)
    report = validate([path], encoder=encoder, max_tokens=60)
    assert _found(report) == [("too-long", "long"), ("too-long", "late"), ("untrainable", "late")]
    assert "a cut would take words only" in report.findings[0].reason
    assert "a cut would take 20 of its picture tokens" in report.findings[1].reason
    assert "cut at 60 tokens" in report.findings[2].reason


def test_a_conversation_that_the_template_loses_a_picture_of_is_untrainable(
    write: Write, make_tokenizer: Callable[[str], Any]
) -> None:
    blind = PromptEncoder(make_tokenizer("chatml"), "chatml", tokens_per_image=0)
    finding = _only(validate([write("a.jsonl", _record(1, "0.png", "A."))], encoder=blind))
    assert (finding.kind, finding.id) == ("untrainable", "1")


def test_nothing_is_changed_beside_the_data(write: Write, folder: Path) -> None:
    path = write("a.jsonl", _record(1, "0.png", "A."))
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}
    validate([path], against=[path])
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()} == before


def test_pictures_lie_below_the_roots_that_are_named(write: Write, folder: Path) -> None:
    path = write("a.jsonl", _record(1, "0.png", "A."))
    test = write("test.jsonl", _record("t", "1.png", "B."))
    other = folder / "other"
    other.mkdir()
    (folder / "0.png").rename(other / "0.png")
    assert validate([path], image_root=other, against=[test], against_root=folder).findings == ()
    assert [finding.kind for finding in validate([path], image_root=other, against=[test]).findings] == ["unchecked"]


def test_progress_of_each_step_reaches_its_end(write: Write) -> None:
    seen: list[ValidationProgress] = []
    path = write("a.jsonl", _record(1, "0.png", "A."), _record(2, "1.png", "B."))
    validate([path], on_progress=seen.append)
    last = {progress.step: (progress.done, progress.total) for progress in seen}
    assert last == {"reading": (path.stat().st_size, path.stat().st_size), "samples": (2, 2), "pictures": (2, 2)}
