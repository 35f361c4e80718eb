import hashlib
import tarfile
from pathlib import Path

import pytest

from recipes.pocket.fetch import FetchError, Source, archive_of, fetch, read_sources


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A package whose archive lies in the cache already; its registry would fail if it were asked."""
    (tmp_path / "words.txt").write_text("cat")
    (tmp_path / "cache").mkdir()
    with tarfile.open(tmp_path / "cache/words.tgz", "w:gz") as archive:
        archive.add(tmp_path / "words.txt", "package/words.txt")
    sha256 = hashlib.sha256((tmp_path / "cache/words.tgz").read_bytes()).hexdigest()
    return Source(name="words", registry="npm", package="w@1", archive="words.tgz", sha256=sha256, licence="MIT")


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_a_filled_cache_needs_no_network(tmp_path: Path, source: Source, no_programs: None) -> None:
    fetch([source], tmp_path)
    assert (tmp_path / "sources/words/package/words.txt").read_text() == "cat"
    (tmp_path / "cache/words.tgz").unlink()
    fetch([source], tmp_path)  # unpacked already: the archive is not asked for


def test_a_damaged_archive_is_not_used(tmp_path: Path, source: Source, no_programs: None) -> None:
    (tmp_path / "cache/words.tgz").write_bytes(b"damaged")
    with pytest.raises(FetchError, match="'npm'"):
        archive_of(source, tmp_path / "cache")
    assert not (tmp_path / "cache/words.tgz").exists() and not (tmp_path / "cache/.words.partial").exists()


def test_every_source_is_pinned_by_version_and_checksum() -> None:
    for source in read_sources():
        assert len(bytes.fromhex(source.sha256)) == 32 and source.licence
        assert any(mark in source.package[1:] for mark in ("=", "@"))
