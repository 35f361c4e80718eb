import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from indexing.discover import Seen, discover
from indexing.facts import Facts, Said
from indexing.sidecars import SaidFacts, is_sidecar, read_sidecar


def said(path: Path, given: Facts | None = None, known: Mapping[str, Said] | None = None) -> Said:
    news = SaidFacts(given or {}, known or {}).news_of(str(path))
    return news or Said()


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_the_nearest_word_counts_key_by_key(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "folder.meta.toml": 'client = "far"\ncity = "Vigo"\nfloor = 1',
            "a/folder.meta.json": '{"client": "near"}',
            "a/photo.jpg": "",
            "a/photo.jpg.meta.json": '{"floor": 2, "tags": ["x", "y"]}',
            "a/photo.jpg.meta.toml": "floor = 3",
        },
    )
    assert said(tmp_path / "a/photo.jpg").beside == {
        "client": ("near",), "city": ("Vigo",), "floor": ("3",), "tags": ("x", "y"),
    }  # fmt: skip
    assert said(tmp_path / "a/other.jpg").beside == {"client": ("near",), "city": ("Vigo",), "floor": ("1",)}


def test_they_are_no_documents_unless_they_are_about_nothing(tmp_path: Path) -> None:
    names = ("a.txt", "a.txt.meta.toml", "a.txt.meta.json", "folder.meta.toml", "alone.txt.meta.json", "meta.toml")
    write(tmp_path, dict.fromkeys(names, ""))
    found = [Path(each.path).name for each in discover([tmp_path]) if isinstance(each, Seen)]
    assert found == ["a.txt", "alone.txt.meta.json", "meta.toml"]
    assert list(discover([tmp_path / "a.txt.meta.toml"])) == []
    assert not is_sidecar(str(tmp_path / ".meta.toml"))


@pytest.mark.parametrize(
    ("name", "text", "problem", "kept"),
    [
        ("a.meta.toml", "client = ", "it makes no sense", {}),
        ("a.meta.json", '{"client":', "it makes no sense", {}),
        ("a.meta.json", "[" * 60_000, "it makes no sense", {}),
        ("a.meta.toml", "a = " + "[" * 60_000, "it makes no sense", {}),
        ("a.meta.json", '["client"]', "no table of keys and values", {}),
        ("a.meta.json", "\0" * 100, "it makes no sense", {}),
        ("a.meta.toml", "x = 1\n" + "#" * 70_000, "more than 65,536 bytes", {}),
        ("a.meta.json", '{"ok": 1, "nested": {"a": 1}}', "'nested' is neither a word", {"ok": ("1",)}),
        ("a.meta.json", '{"ok": 1, "many": [[1]]}', "'many' is neither a word", {"ok": ("1",)}),
        ("a.meta.json", '{"ok": 1, "no": null}', "'no' is neither a word", {"ok": ("1",)}),
        ("a.meta.json", '{"ok": 1, "n": NaN}', "'n' is no number", {"ok": ("1",)}),
        ("a.meta.json", '{"ok": 1, "n": "\\ud800"}', "characters that are no text", {"ok": ("1",)}),
        ("a.meta.toml", f"ok = 1\nn = 0x{'f' * 9000}", "'n' is no number", {"ok": ("1",)}),
        ("a.meta.json", f'{{"n": {"9" * 9000}}}', "it makes no sense", {}),
        ("a.meta.toml", 'ok = 1\ntitle = "t"', "a meaning of its own", {"ok": ("1",)}),
        ("a.meta.toml", 'ok = 1\n"a b" = "t"', "is no key", {"ok": ("1",)}),
        ("a.meta.toml", f'ok = 1\nlong = "{"x" * 10_000}"', "the limit is 1,000", {"ok": ("1",)}),
        ("a.meta.toml", "\n".join(f"k{n} = 1" for n in range(1000)), "1,000 facts on one file", {}),
        ("a.meta.toml", "k = [" + ",".join(map(str, range(1000))) + "]", "1,000 facts on one file", {}),
    ],
)
def test_a_hostile_one_costs_what_is_wrong_in_it_alone(
    tmp_path: Path, name: str, text: str, problem: str, kept: Facts
) -> None:
    (tmp_path / name).write_text(text)
    facts, problems = read_sidecar(tmp_path / name)
    assert facts == kept and len(problems) == 1 and problem in problems[0]


def test_one_that_cannot_be_opened_is_told_and_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "", "b.txt": ""})
    os.mkfifo(tmp_path / "a.txt.meta.toml")
    (tmp_path / "b.txt.meta.toml").mkdir()
    (tmp_path / "a.txt.meta.json").symlink_to(tmp_path / "nowhere")
    (*_, pipe) = said(tmp_path / "a.txt").notes
    assert pipe == "'a.txt.meta.toml': it is no file" and pipe.unread
    assert "cannot be read" in said(tmp_path / "a.txt").notes[0]
    assert said(tmp_path / "b.txt").notes


def test_a_folder_s_trouble_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "folder.meta.toml").write_text("no")
    facts = SaidFacts({}, {})
    first, second = facts.news_of(str(tmp_path / "a")), facts.news_of(str(tmp_path / "b"))
    assert first is not None and "folder.meta.toml" in first.notes[0] and second is None


def test_what_is_said_with_a_run_replaces_its_keys_and_keeps_the_others(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    known = {path: Said(given={"client": ("old",), "city": ("Vigo",)})}
    assert said(tmp_path / "a", {"client": ("new",)}, known).given == {"client": ("new",), "city": ("Vigo",)}
    assert said(tmp_path / "a", {"client": ()}, known).given == {"city": ("Vigo",)}
    assert SaidFacts({}, known).news_of(path) is None


def test_a_file_that_would_have_too_many_keeps_what_it_has(tmp_path: Path) -> None:
    given = {f"k{number}": ("x",) for number in range(100)}
    news = said(tmp_path / "a", {"one": ("more",)}, {str(tmp_path / "a"): Said(given=given)})
    assert news.given == given and "more than 100 facts" in news.notes[0]
