from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.addresses import Address, AddressError, canonical, folders_of, is_address, lies_below

PRINTABLE = st.characters(blacklist_categories=["Cc", "Cs"])
NAMES = st.text(PRINTABLE, min_size=1, max_size=20).filter(lambda name: name.strip("/") not in ("", ".", ".."))


def segment(name: str) -> str:
    return name.replace("/", "-")


@given(st.lists(NAMES.map(segment), min_size=1, max_size=4))
def test_a_webdav_address_is_read_back_as_it_was_written(parts: list[str]) -> None:
    address = Address(scheme="webdavs", host="cloud.example", user="ana@home", path="/".join(parts))
    assert Address.parse(str(address)) == address


@given(st.lists(NAMES.map(segment), min_size=1, max_size=4))
def test_escapes_of_a_browser_mean_the_same(parts: list[str]) -> None:
    path = "/".join(parts)
    assert Address.parse(f"webdavs://cloud.example/{quote(path)}").path == path


@given(st.text(PRINTABLE, min_size=1, max_size=40).filter(lambda key: not key.endswith("/")))
def test_a_key_of_s3_is_never_changed(key: str) -> None:
    assert canonical(f"s3://scans/{key}") == f"s3://scans/{key}"
    assert Address.parse(f"s3://scans/{key}").path == key


@given(NAMES.map(segment), st.integers(1, 2**32 - 1))
def test_a_message_is_a_file_in_its_mailbox(mailbox: str, uid: int) -> None:
    message = Address(scheme="imap", host="mail.example", user="ana", path=mailbox, uid=uid)
    box = Address(scheme="imap", host="mail.example", user="ana", path=mailbox)
    assert Address.parse(str(message)) == message
    assert lies_below(str(message), str(box))


@pytest.mark.parametrize(
    "written",
    [
        "webdavs://ana:hunter2@cloud.example/dav",
        "imap://ana:hunter2@mail.example/INBOX",
        "webdavs://ana:hunter2@x@cloud.example/",
        "webdavs://ana:hunter2@cloud.example:0/",
        "webdavs://ana:hunter2",
        "webdavs://:hunter2@",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(written: str) -> None:
    with pytest.raises(AddressError) as refused:
        canonical(written)
    assert "hunter2" not in str(refused.value) + " ".join(getattr(refused.value, "__notes__", ()))


@pytest.mark.parametrize(
    "written",
    [
        "webdavs://cloud.example/dav/../other",
        "webdavs://cloud.example/dav/%2e%2e/other",
        "webdavs://cloud.example/a%0d%0ab",
        "webdavs://cloud.example/a//b",
        "webdavs://cloud.example/a?b=c",
        "webdavs://cloud.example/a#b",
        "webdavs:///etc/passwd",
        "imap://ana%0d%0aLOGOUT@mail.example/INBOX",
        "imap://ana@mail.example/INBOX%0d%0aDELETE",
        "s3://",
        "s3://ana@scans/x",
        "ftp://host/x",
        "file:///etc/passwd",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_address(written: str) -> None:
    with pytest.raises(AddressError):
        canonical(written)


def test_only_the_schemes_that_are_read_are_addresses() -> None:
    assert all(map(is_address, ("s3://a", "S3://a", "webdav://a", "webdavs://a", "imap://a", "imaps://a")))
    assert not any(map(is_address, ("/s3://a", "s3:/a", "http://a", "C://a", "photos", "")))


def test_a_folder_of_an_address_is_an_address() -> None:
    assert folders_of("s3://scans/2024/may/a.pdf") == ["s3://scans/2024/may", "s3://scans/2024", "s3://scans"]
    assert not lies_below("s3://scans2/a", "s3://scans")
