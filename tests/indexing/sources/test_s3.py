"""S3 against moto's server."""

from typing import Any

import pytest
from source_servers import Bucket, unused_port

from indexing.addresses import Address
from indexing.sources.access import Accesses, SourceAccess
from indexing.sources.opening import open_source
from indexing.sources.protocol import (
    CHANGED,
    GONE,
    ItemError,
    RemoteEntry,
    RemoteError,
    RemoteExtraError,
    RemoteMissingError,
)


def accesses(bucket: Bucket, **more: Any) -> Accesses:
    access = {
        "endpoint": bucket.endpoint,
        "region": "us-east-1",
        "key_variable": "S3_ID",
        "secret_variable": "S3_SECRET",
        **more,
    }
    return Accesses(
        sections={"s3://scans": SourceAccess(**access), "s3://none": SourceAccess(**access)}, environ=bucket.environ
    )


def listed(bucket: Bucket, address: str) -> dict[str, RemoteEntry]:
    source = open_source(Address.parse(address), accesses(bucket))
    try:
        return {each.path: each for each in source.entries(Address.parse(address)) if isinstance(each, RemoteEntry)}
    finally:
        source.close()


def test_a_run_over_a_bucket_adds_updates_and_removes(bench: Any, bucket: Bucket) -> None:
    bench.accesses = accesses(bucket)
    bucket.put("2024/a.txt", "words of a")
    bucket.put("2024/b.txt", "words of b")
    assert bench.index("s3://scans/2024").added == 2
    embedded = bench.embedded()
    again = bench.index("s3://scans/2024/")
    assert (again.unchanged, again.added, bench.embedded()) == (2, 0, embedded)
    bucket.put("2024/a.txt", "other words")
    bucket.delete("2024/b.txt")
    report = bench.index("s3://scans/2024")
    assert (report.updated, report.removed) == (1, 1)
    assert bench.texts() == {"s3://scans/2024/a.txt": "other words"}
    assert bench.left_over() == []


def test_keys_are_read_as_they_are_written(bench: Any, bucket: Bucket) -> None:
    bench.accesses = accesses(bucket)
    keys = ["ü & 100%.txt", "x?versionId=1.txt", "a+b c.txt", "a//b.txt", "../up.txt", "#1.txt", "%41.txt", "A.txt"]
    for key in keys:
        bucket.put(f"odd/{key}", f"words of {key}")
    bucket.put("odd/folder/", "")
    assert bench.index("s3://scans/odd").failures == ()
    assert bench.texts() == {f"s3://scans/odd/{key}": f"words of {key}" for key in keys}


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(bucket: Bucket) -> None:
    for key in ("scan", "scan/a", "scans/b", "other"):
        bucket.put(key, "words")
    assert set(listed(bucket, "s3://scans/scan")) == {"scan", "scan/a"}
    assert set(listed(bucket, "s3://scans/scans/b")) == {"scans/b"}


def test_more_objects_than_fit_on_one_page_are_all_listed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        bucket.put(f"page/{number}", "x")
    from indexing.sources.s3 import S3Source

    pages = S3Source._listed

    def small(self: S3Source, prefix: str, *, most: int = 1000) -> Any:
        call = self._s3.call_s3
        self._s3.call_s3 = lambda name, **more: call(name, **(more | {"MaxKeys": 2}))
        yield from pages(self, prefix, most=most)

    monkeypatch.setattr(S3Source, "_listed", small)
    assert len(listed(bucket, "s3://scans/page")) == 7


def test_what_changed_after_it_was_listed_is_not_read(bucket: Bucket) -> None:
    bucket.put("a.txt", "words of a")
    entry = listed(bucket, "s3://scans")["a.txt"]
    source = open_source(Address.parse("s3://scans"), accesses(bucket))
    bucket.put("a.txt", "other words")
    with pytest.raises(ItemError, match=CHANGED):
        list(source.read(entry))
    bucket.delete("a.txt")
    with pytest.raises(ItemError, match=GONE):
        list(source.read(entry))
    source.close()


@pytest.mark.parametrize("missing", ["Key", "Size"])
def test_a_list_that_lacks_a_key_or_a_size_is_told(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    from indexing.sources.s3 import S3Source

    source = open_source(Address.parse("s3://scans"), accesses(bucket))
    assert isinstance(source, S3Source)
    told = {"Key": "a.txt", "Size": 5}
    del told[missing]
    monkeypatch.setattr(source._s3, "call_s3", lambda *_, **__: {"Contents": [told]})
    with pytest.raises(RemoteError, match="without a key or a size"):
        list(source.entries(Address.parse("s3://scans")))
    source.close()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("s3://scans/nowhere", "there is no such file or folder in the bucket"),
        ("s3://none", "there is no such bucket"),
    ],
)
def test_nothing_at_an_address_is_told_apart_from_an_empty_bucket(bucket: Bucket, address: str, reason: str) -> None:
    with pytest.raises(RemoteMissingError, match=reason):
        listed(bucket, address)
    assert listed(bucket, "s3://scans") == {}


def test_a_server_that_is_not_there_is_an_error_soon(bucket: Bucket) -> None:
    nobody = accesses(bucket, endpoint=f"http://127.0.0.1:{unused_port()}")
    source = open_source(Address.parse("s3://scans"), nobody)
    with pytest.raises(RemoteError, match="cannot be reached"):
        list(source.entries(Address.parse("s3://scans")))
    source.close()


def test_a_variable_that_is_not_set_is_named(bucket: Bucket) -> None:
    with pytest.raises(RemoteError, match="the environment variable NOT_SET is not set"):
        open_source(Address.parse("s3://scans"), accesses(bucket, secret_variable="NOT_SET"))


def test_no_error_says_the_secret(bucket: Bucket) -> None:
    bucket.environ["S3_SECRET"] = "s3cret-that-nobody-may-read"
    nobody = accesses(bucket, endpoint=f"http://127.0.0.1:{unused_port()}")
    source = open_source(Address.parse("s3://scans"), nobody)
    with pytest.raises(RemoteError) as refused:
        list(source.entries(Address.parse("s3://scans")))
    source.close()
    error: BaseException | None = refused.value
    while error is not None:
        assert "s3cret" not in f"{error!r} {getattr(error, '__notes__', '')}"
        error = error.__cause__
    assert "s3cret" not in repr(nobody)


def test_a_missing_library_names_the_extra(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(RemoteExtraError, match="'s3fs' is not installed") as refused:
        open_source(Address.parse("s3://scans"), accesses(bucket))
    assert refused.value.__notes__ == ["Install what reads it: pip install 'llavero[s3]'"]
