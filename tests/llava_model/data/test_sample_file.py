"""Files of samples: any size, either schema, whatever is wrong with them."""

import codecs
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llava_model.data import sample_file as sample_index
from llava_model.data.sample_file import SampleFile
from llava_model.errors import BadSampleError, BadSampleFileError, MissingFileError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def _record(number: Any, answer: str = "A cat.") -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": answer}]
    return {"id": number, "image": f"{number}.jpg", "conversations": turns}


def _aged(path: Path) -> Path:
    """A file of last year: one that has settled."""
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def _answers(samples: SampleFile) -> list[str]:
    return ["".join(map(str, sample.messages[-1].parts)) for sample in samples]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).filter(str.strip)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answers=st.lists(TEXTS, max_size=6),
    indent=st.sampled_from([None, 0, 2]),
    is_ascii=st.booleans(),
    lines=st.booleans(),
    mark=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
    window=st.sampled_from([1, 2, 7, 64, 8 << 20]),
)
def test_every_sample_comes_back_however_the_file_is_laid_out(
    answers: list[str],
    indent: int | None,
    is_ascii: bool,
    lines: bool,
    mark: bool,
    newline: str,
    window: int,
    tmp_path: Path,
) -> None:
    records = [_record(number, answer) for number, answer in enumerate(answers)]
    if lines:
        text = "".join(json.dumps(record, ensure_ascii=is_ascii) + "\n" for record in records)
    else:
        text = json.dumps(records, ensure_ascii=is_ascii, indent=indent) + "\n"
    path = tmp_path / "samples.json"
    path.write_bytes(codecs.BOM_UTF8 * mark + text.replace("\n", newline).encode())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sample_index, "WINDOW_BYTES", window)
        samples = SampleFile.open(path)
    assert len(samples) == len(answers)
    assert [sample.id for sample in samples] == [str(number) for number in range(len(answers))]
    assert _answers(samples) == answers


def test_pictures_are_joined_to_the_root_that_is_named_or_the_files_own(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(_record(5)))
    assert SampleFile.open(path)[0].images == (tmp_path / "5.jpg",)
    assert SampleFile.open(path, image_root=Path("/pictures"))[-1].images == (Path("/pictures/5.jpg"),)


def test_the_fingerprint_is_the_contents_sha256(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "samples.json"
    path.write_text(json.dumps([_record(1)], indent=1))
    assert SampleFile.open(path).fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_second_time_a_settled_file_is_not_read_and_nothing_lies_beside_it(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "samples.json"
    path.write_text(json.dumps([_record(1), _record(2)]))
    _aged(path)
    first = SampleFile.open(path)

    def refuse(done: int, total: int) -> None:
        raise AssertionError("the file was read again")

    second = SampleFile.open(path, on_progress=refuse)
    assert second.fingerprint == first.fingerprint
    assert _answers(second) == _answers(first)
    assert [file.name for file in tmp_path.iterdir()] == ["samples.json"]
    assert len(list((cache / "llavero" / "indexes").iterdir())) == 2


def test_a_damaged_index_is_made_again(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "samples.json"
    path.write_text(json.dumps([_record(1), _record(2)]))
    _aged(path)
    SampleFile.open(path)
    (spans,) = (cache / "llavero" / "indexes").glob("*.spans")
    spans.write_bytes(spans.read_bytes()[:-8])
    assert len(SampleFile.open(path)) == 2


def test_a_cache_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "occupied").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "occupied"))
    path = tmp_path / "samples.json"
    path.write_text(json.dumps([_record(1)]))
    assert len(SampleFile.open(_aged(path))) == 1


def test_a_changed_file_is_indexed_anew(tmp_path: Path) -> None:
    path = tmp_path / "samples.json"
    path.write_text(json.dumps([_record(1)]))
    assert len(SampleFile.open(_aged(path))) == 1
    path.write_text(json.dumps([_record(1), _record(2)]))
    assert len(SampleFile.open(path)) == 2


def test_a_file_that_changes_under_the_reader_is_an_error_not_another_sample(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(_record(1)) + "\n")
    samples = SampleFile.open(_aged(path))
    path.write_text(json.dumps(_record(2)) + "\n")
    with pytest.raises(BadSampleFileError, match="changed since it was opened"):
        samples[0]


def test_progress_reaches_the_files_size(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(json.dumps(_record(number)) for number in range(50)))
    seen: list[tuple[int, int]] = []
    SampleFile.open(path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)


def test_an_array_that_was_cut_says_in_which_sample_and_where(tmp_path: Path) -> None:
    whole = json.dumps([_record(number) for number in range(10)])
    start = whole.index('{"id": 7')
    path = tmp_path / "samples.json"
    for cut in range(start + 1, whole.index('{"id": 8') - 2):
        path.write_text(whole[:cut])
        with pytest.raises(BadSampleFileError, match=r"samples\.json' (ends|breaks) in .*sample #7.* byte"):
            SampleFile.open(path)
    path.write_text(whole[: start - 2])
    with pytest.raises(BadSampleFileError, match=r"behind sample #6 at byte [0-9]+, and has the file's end"):
        SampleFile.open(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"a": 1} {"b": 2}]', "needs ',' or ']' behind sample #0 at byte 10"),
        (b'[{"a": 1}, {"b" 2}, {"c": 3}]', "breaks in sample #1, at byte 16"),
        (b'[{"a": 1}]\n[{"a": 2}]', "goes on behind the array of 1 samples, at byte 11"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"1" * 10_000 + b"]", "breaks in sample #0"),
        (b"\x1f\x8b\x08\x00rest", "is gzip"),
        ('[{"a": 1}]'.encode("utf-16"), "is UTF-16"),
    ],
)
def test_what_is_no_file_of_samples_is_refused_with_the_place(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "samples.json"
    path.write_bytes(content)
    with pytest.raises(BadSampleFileError) as caught:
        SampleFile.open(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_sample_without_an_end_is_refused_before_memory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_index, "WINDOW_BYTES", 64)
    monkeypatch.setattr(sample_index, "MAX_SAMPLE_BYTES", 1 << 20)
    path = tmp_path / "samples.json"
    path.write_text('[{"id": "' + "x" * (3 << 20) + '"}]')
    with pytest.raises(BadSampleFileError, match=r"no end of sample #0 within 1 MB from byte 1"):
        SampleFile.open(path)
    path.write_text('{"id": "' + "x" * (3 << 20) + '"}')
    with pytest.raises(BadSampleFileError, match=r"line of more than 1 MB at byte 0"):
        SampleFile.open(path)


def test_one_bad_line_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    good, cut = json.dumps(_record(1)).encode(), json.dumps(_record(2)).encode()[:-5]
    path.write_bytes(b"\r\n".join([good, cut, b"", b'{"id": "\xff"}', b"[1]", good]) + b"\r\n")
    samples = SampleFile.open(path)
    assert len(samples) == 5
    assert samples[0] == samples[4]
    for position, message in ((1, "is no JSON"), (2, "is not UTF-8: byte"), (3, "is list, not an object")):
        with pytest.raises(BadSampleError, match=message) as caught:
            samples[position]
        assert caught.value.sample == f"#{position}"
        assert str(path) in str(caught.value)


def test_bytes_that_are_no_utf8_spoil_one_sample_of_an_array(tmp_path: Path) -> None:
    path = tmp_path / "samples.json"
    bad = json.dumps(_record(2, "naïve"), ensure_ascii=False).encode("latin-1")
    path.write_bytes(b"[" + b",\n".join([json.dumps(_record(1)).encode(), bad, json.dumps(_record(3)).encode()]) + b"]")
    samples = SampleFile.open(path)
    assert [samples[0].id, samples[2].id] == ["1", "3"]
    with pytest.raises(BadSampleError, match=r"0xef"):
        samples[1]


def test_a_bad_sample_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps({"id": 31, "messages": []}))
    with pytest.raises(BadSampleError, match=r"sample '31' \(#0 in '.*samples\.jsonl'\) has no 'messages'"):
        SampleFile.open(path)[0]


def test_positions_behave_as_in_a_list(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(json.dumps(_record(number)) for number in range(5)))
    samples = SampleFile.open(path)
    assert samples[-1].id == "4"
    assert [sample.id for sample in samples[3:0:-2]] == ["3", "1"]
    with pytest.raises(IndexError):
        samples[5]


def test_threads_and_other_processes_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(json.dumps(_record(number, f"answer {number}")) for number in range(200)))
    samples = SampleFile.open(path)
    copy = pickle.loads(pickle.dumps(samples))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(samples.__getitem__, range(200))) == [copy[number] for number in range(200)]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.json"):
        SampleFile.open(tmp_path / "none.json")
