"""Mailboxes, against a server that speaks real lines to imaplib."""

import datetime
import ipaddress
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from source_servers import MailServer, letter, mail_server, unused_port

from indexing.addresses import Address
from indexing.sources import imap
from indexing.sources.access import Accesses, SourceAccess
from indexing.sources.opening import open_source
from indexing.sources.protocol import CHANGED, GONE, ItemError, RemoteEntry, RemoteError, RemoteMissingError


@pytest.fixture
def mail() -> Iterator[MailServer]:
    served = MailServer(password='a "b" \\ c é')
    served.add("INBOX", 3, letter("Ferry", "The ferry leaves at nine."))
    served.add("INBOX", 8, letter("Pump", "The pump needs oil."))
    with mail_server(served):
        yield served


def accesses(mail: MailServer) -> Accesses:
    return Accesses(environ={"LLAVERO_IMAP_PASSWORD": mail.password})


def address(mail: MailServer, mailbox: str = "INBOX") -> str:
    return f"imap://ana@127.0.0.1:{mail.port}/{mailbox}"


def listed(mail: MailServer, where: str, who: Accesses | None = None) -> list[RemoteEntry]:
    source = open_source(Address.parse(where), who or accesses(mail))
    try:
        return [each for each in source.entries(Address.parse(where)) if isinstance(each, RemoteEntry)]
    finally:
        source.close()


def test_a_run_over_a_mailbox_adds_and_removes_messages(bench: Any, mail: MailServer) -> None:
    bench.accesses = accesses(mail)
    inbox = address(mail)
    assert bench.index(inbox).added == 2
    assert set(bench.texts()) == {f"{inbox}/;UID=3", f"{inbox}/;UID=8"}
    assert {path.suffix for path in bench.reader.read_paths} == {".eml"}
    embedded, before = bench.embedded(), len(mail.lines)
    assert bench.index(inbox).unchanged == 2
    assert bench.embedded() == embedded
    assert not any("BODY" in line for line in mail.lines[before:])
    del mail.mailboxes["INBOX"][3]
    mail.add("INBOX", 9, letter("New", "Something new."))
    report = bench.index(inbox)
    assert (report.added, report.removed, report.unchanged) == (1, 1, 1)
    assert bench.index(f"{inbox}/;UID=9").unchanged == 1


def test_a_run_over_a_mailbox_removes_nothing_of_the_mailboxes_inside(bench: Any, mail: MailServer) -> None:
    bench.accesses = accesses(mail)
    mail.add("INBOX/2024", 5, letter("Old", "Something old."))
    assert bench.index(address(mail, "INBOX/2024")).added == 1
    assert (bench.index(address(mail)).added, bench.index(address(mail)).removed) == (2, 0)
    assert len(bench.texts()) == 3
    del mail.mailboxes["INBOX/2024"][5]
    assert bench.index(address(mail, "INBOX/2024")).removed == 1


def test_nothing_is_marked_as_read_and_nothing_could_be_changed(bench: Any, mail: MailServer) -> None:
    bench.accesses = accesses(mail)
    bench.index(address(mail))
    assert not any(message.seen for message in mail.mailboxes["INBOX"].values())
    commands = {line.split()[0] if line.split()[0] != "UID" else " ".join(line.split()[:2]) for line in mail.lines}
    assert commands == {"CAPABILITY", "AUTHENTICATE", "EXAMINE", "UID SEARCH", "UID FETCH", "LOGOUT"}


def test_a_mailbox_that_counts_anew_is_read_again_and_embeds_nothing(bench: Any, mail: MailServer) -> None:
    bench.accesses = accesses(mail)
    bench.index(address(mail))
    embedded, before = bench.embedded(), len(mail.lines)
    mail.validity += 1
    assert bench.index(address(mail)).unchanged == 2
    assert any("BODY" in line for line in mail.lines[before:])
    assert bench.embedded() == embedded


def test_a_mailbox_that_counts_anew_between_list_and_reading_is_left_for_the_next_run(mail: MailServer) -> None:
    entry = listed(mail, address(mail))[0]
    mail.validity += 1
    source = open_source(Address.parse(address(mail)), accesses(mail))
    with pytest.raises(ItemError, match=CHANGED):
        list(source.read(entry))
    source.close()


def test_a_message_that_is_gone_is_told(mail: MailServer) -> None:
    entry = listed(mail, address(mail))[0]
    del mail.mailboxes["INBOX"][3]
    source = open_source(Address.parse(address(mail)), accesses(mail))
    with pytest.raises(ItemError, match=GONE):
        list(source.read(entry))
    source.close()


def test_a_long_message_comes_in_pieces(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "_PIECE_BYTES", 100)
    data = letter("Long", "words " * 100)
    mail.add("INBOX", 11, data)
    entry = listed(mail, f"{address(mail)}/;UID=11")[0]
    source = open_source(Address.parse(address(mail)), accesses(mail))
    pieces = list(source.read(entry))
    source.close()
    assert b"".join(pieces) == data and max(map(len, pieces)) == 100


def test_a_piece_that_is_longer_than_what_was_asked_for_is_refused(
    mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = listed(mail, address(mail))[0]
    source = open_source(Address.parse(address(mail)), accesses(mail))
    monkeypatch.setattr(imap, "_PIECE_BYTES", 1 << 10)
    mail.add("INBOX", 3, b"x" * 1_000_000)
    mail.ignores_part = True
    with pytest.raises(RemoteError):
        list(source.read(entry))
    source.close()


@pytest.mark.parametrize("name", ["Entwürfe", "R&D", "日本語", 'with "quotes"', "Archive.2024", "a/b", "back\\slash"])
def test_mailboxes_are_named_as_people_see_them(mail: MailServer, name: str) -> None:
    mail.add(imap._in_modified_utf7(name), 1, letter("There", "words"))
    where = str(Address(scheme="imap", host="127.0.0.1", port=mail.port, user="ana", path=name))
    assert [each.uid for each in listed(mail, where)] == [1]


def test_the_names_of_mailboxes_are_encoded_as_the_protocol_says() -> None:
    assert imap._in_modified_utf7("Entwürfe") == "Entw&APw-rfe"
    assert imap._in_modified_utf7("~peter/mail/台北/日本語") == "~peter/mail/&U,BTFw-/&ZeVnLIqe-"  # RFC 3501, 5.1.3
    assert imap._in_modified_utf7("R&D") == "R&-D"


def test_a_list_that_is_not_whole_makes_nothing_look_gone(bench: Any, mail: MailServer) -> None:
    bench.accesses = accesses(mail)
    bench.index(address(mail))
    mail.list_only = 1
    with pytest.raises(RemoteError, match="does not list the whole mailbox"):
        bench.index(address(mail))
    assert len(bench.texts()) == 2


@pytest.mark.parametrize("lack", [{"says_no_count": True}, {"silent_about": frozenset({8})}])
def test_a_server_that_leaves_something_out_makes_nothing_look_gone(
    bench: Any, mail: MailServer, lack: dict[str, Any]
) -> None:
    bench.accesses = accesses(mail)
    bench.index(address(mail))
    for name, value in lack.items():
        setattr(mail, name, value)
    with suppress(RemoteError):
        assert bench.index(address(mail)).failed == 1
    assert len(bench.texts()) == 2


def test_a_size_that_no_message_has_is_one_file_s_trouble(bench: Any, mail: MailServer) -> None:
    bench.accesses = accesses(mail)
    mail.sizes = {3: 10**19}
    report = bench.index(address(mail))
    assert (report.added, report.failed) == (1, 1)


def test_an_answer_without_end_is_given_up(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "_MOST_ANSWER_BYTES", 1_000_000)
    mail.babbles = b"* SEARCH 1 2 3\r\n" * 100
    with pytest.raises(RemoteError, match="not those of a mail server"):
        listed(mail, address(mail))


@pytest.mark.parametrize("words", [b"* SEARCH 1\r\n", b"1 "])
def test_an_answer_that_comes_too_slowly_is_given_up(
    mail: MailServer, monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    monkeypatch.setattr("indexing.sources.protocol._FIRST_SECONDS", 0.5)
    mail.babbles, mail.babbles_every = words, 0.1
    with pytest.raises(RemoteError, match="does not answer"):
        listed(mail, address(mail))


def test_a_long_line_about_a_message_is_looked_through_once(mail: MailServer) -> None:
    source = open_source(Address.parse(address(mail)), accesses(mail))
    line = b"UID 1 " * 20_000
    source._server.uid = lambda *_: ("OK", [line])
    began = time.monotonic()
    assert list(source._sizes([1])) == []
    assert time.monotonic() - began < 1.0
    source.close()


def test_a_password_that_the_protocol_has_no_letters_for_is_told(mail: MailServer) -> None:
    mail.offers_plain = False
    with pytest.raises(RemoteError, match="letters beyond A-Z"):
        listed(mail, address(mail))


def test_a_connection_that_breaks_is_made_once_more(bench: Any, mail: MailServer) -> None:
    bench.accesses = accesses(mail)
    mail.refuse_fetch_after = 1
    report = bench.index(address(mail))
    assert report.failures == () or "run it again" in report.failures[0].reason
    mail.refuse_fetch_after = None
    bench.index(address(mail))
    assert len(bench.texts()) == 2 and bench.left_over() == []


def test_both_ways_of_signing_in_take_any_password(mail: MailServer) -> None:
    mail.offers_plain = False
    mail.password = 'a "b" \\ c'
    assert len(listed(mail, address(mail))) == 2


def test_a_wrong_password_is_told_and_what_the_server_says_of_it_is_not(mail: MailServer) -> None:
    with pytest.raises(RemoteError, match="refuses the user name or the password") as refused:
        listed(mail, address(mail), Accesses(environ={"LLAVERO_IMAP_PASSWORD": "hunter2"}))
    error: BaseException | None = refused.value
    while error is not None:
        assert "hunter2" not in f"{error!r} {getattr(error, '__notes__', '')}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("imap://127.0.0.1/INBOX", "whose mailbox"),
        ("imap://ana@127.0.0.1", "which mailbox"),
    ],
)
def test_what_is_missing_in_an_address_is_said(mail: MailServer, where: str, reason: str) -> None:
    with pytest.raises(RemoteError, match=reason):
        listed(mail, where)


def test_without_a_password_nobody_is_asked(mail: MailServer) -> None:
    with pytest.raises(RemoteError, match="there is no password"):
        listed(mail, address(mail), Accesses())
    assert mail.lines == []


def test_a_mailbox_that_is_not_there_is_told(mail: MailServer) -> None:
    with pytest.raises(RemoteMissingError):
        listed(mail, address(mail, "Nowhere"))


def test_a_server_that_is_not_there_is_told(mail: MailServer) -> None:
    with pytest.raises(RemoteError, match="cannot be reached"):
        listed(mail, f"imap://ana@127.0.0.1:{unused_port()}/INBOX")


def test_what_is_no_mail_server_is_told() -> None:
    import socketserver
    import threading

    class Talks(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talks) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"imap://ana@127.0.0.1:{server.server_address[1]}/INBOX"
        with pytest.raises(RemoteError):
            listed(MailServer(), where)
        server.shutdown()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "mail.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


def test_a_certificate_that_nobody_vouches_for_gets_no_password(tmp_path: Path) -> None:
    file, context = certificate(tmp_path)
    served = MailServer()
    served.add("INBOX", 1, letter("Safe", "words"))
    with mail_server(served, certificate=context):
        where = f"imaps://ana@127.0.0.1:{served.port}/INBOX"
        with pytest.raises(RemoteError, match="not to be trusted"):
            listed(served, where)
        assert served.lines == []
        access = SourceAccess(password_variable="MAIL", ca_file=str(file))
        who = Accesses(sections={where: access}, environ={"MAIL": served.password})
        assert [each.uid for each in listed(served, where, who)] == [1]
