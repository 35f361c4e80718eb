from pathlib import Path

import pytest

from ui.places import folder_of, is_at_or_below, local_file, missing_words


def test_nothing_on_this_machine_passes_for_a_file_at_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "scans").mkdir(parents=True)
    (tmp_path / "s3:" / "scans" / "a.txt").write_text("not from there")
    (tmp_path / "secret.txt").write_text("secret")
    assert Path("s3://scans/a.txt").is_file()  # as pathlib reads it
    assert local_file("s3://scans/a.txt") is None
    assert local_file("s3://scans/../../secret.txt") is None
    assert local_file(str(tmp_path / "secret.txt")) == tmp_path / "secret.txt"


def test_folders_are_shown_as_they_are_written() -> None:
    assert folder_of("s3://scans/2024/a.txt") == "s3://scans/2024"
    assert folder_of("imap://ana@h/INBOX/;UID=3") == "imap://ana@h/INBOX"
    assert folder_of("/scans/a.txt") == "/scans"
    assert "elsewhere" in missing_words("s3://scans/a.txt") and "elsewhere" not in missing_words("/scans/a.txt")


def test_a_folder_is_not_the_beginning_of_a_name() -> None:
    assert is_at_or_below("s3://scans/a/b.txt", ["s3://scans/a"]) and is_at_or_below("/a/b", ["/"])
    assert not is_at_or_below("s3://scans/ab.txt", ["s3://scans/a"])
