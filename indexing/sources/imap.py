"""Mailboxes of IMAP servers, read-only, through the standard library.

    EXAMINE            opens the mailbox so that nothing in it can change
    UID FETCH … RFC822.SIZE, then BODY.PEEK[] of one message, in pieces: nothing is marked as read

A message's version is the mailbox's UIDVALIDITY with its UID. A message never changes; where a server begins to count
anew, all of them are read again, and what is known by its bytes is not embedded again.

The connection is under TLS, from the start or (port 143) before anybody signs in; without it only on this machine.
"""

import base64
import imaplib
import io
import re
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, cast

from indexing.addresses import Address
from indexing.sources.access import Accesses
from indexing.sources.protocol import (
    CHANGED,
    GONE,
    TIMEOUT_SECONDS,
    Deadline,
    ItemError,
    RemoteEntry,
    RemoteError,
    RemoteMissingError,
    Unlisted,
)

_PORT, _PORT_TLS = 143, 993
_PIECE_BYTES = 2 << 20
_MOST_LINE_BYTES = 64 << 20  # the numbers of all messages come in one line
_MOST_ANSWER_BYTES = 128 << 20
_MESSAGES_AT_ONCE = 500
_UID, _SIZE = re.compile(rb"\bUID (\d{1,10})\b"), re.compile(rb"\bRFC822\.SIZE (\d{1,20})\b")
_PASSWORD = (
    "Set LLAVERO_IMAP_PASSWORD, or name another variable in a section [sources] of llavero.toml. Some servers want a "
    "password for programs, which their settings make."
)


class _Bounded(imaplib.IMAP4):
    """What a server says in answer to one command has an end, in bytes and in time; imaplib keeps all of it in memory,
    and takes no more than a million bytes in a line."""

    _left, _deadline = _MOST_ANSWER_BYTES, cast(Deadline | None, None)

    def begin(self) -> None:
        """A new command."""
        self._left, self._deadline = _MOST_ANSWER_BYTES, Deadline()

    def read(self, size: int) -> bytes:
        """A server says how long a piece is before it sends it; more than twice what was asked for is refused."""
        if size > 2 * _PIECE_BYTES:
            raise imaplib.IMAP4.abort("a piece is longer than what was asked for")
        pieces, left = [], size
        while left and (piece := self._waiting(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def readline(self) -> bytes:
        pieces, size = [], 0
        while piece := self._waiting(None):
            pieces.append(piece)
            size += len(piece)
            if piece.endswith(b"\n"):
                break
            if size > _MOST_LINE_BYTES:
                raise imaplib.IMAP4.abort("a line does not end")
        return b"".join(pieces)

    def _waiting(self, most: int | None) -> bytes:
        """What one look at the network brings, at most so many bytes or up to the end of the line."""
        file = cast(io.BufferedReader, self.file)
        there = file.peek(1)
        size = min(most, len(there)) if most is not None else there.find(b"\n") + 1 or len(there)
        self._left -= size
        if self._left < 0:
            raise imaplib.IMAP4.abort("an answer does not end")
        self._deadline = self._deadline or Deadline()  # the greeting, before any command
        self._deadline.arrived(size)
        return file.read(size)


class _Plain(_Bounded):
    pass


class _Tls(_Bounded, imaplib.IMAP4_SSL):
    pass


class ImapSource:
    """One mailbox of one person."""

    def __init__(self, address: Address, accesses: Accesses) -> None:
        if not address.user:
            raise RemoteError(address.root, f"whose mailbox? Write {address.scheme}://USER@{address.host}/INBOX")
        if not address.path:
            raise RemoteError(address.root, f"which mailbox? Write {address.root}/INBOX")
        self._root, self._mailbox = address.root, address.path
        self._server: Any = None
        password = accesses.password(address)
        if not password:
            raise RemoteError(address.root, "there is no password", _PASSWORD)
        with self._told():
            self._server = _connected(address, accesses.of(address).ca_file)
        try:
            self._sign_in(address.user, password)
            self._validity, self._count = self._examine()
        except BaseException:
            self.close()
            raise

    def _sign_in(self, user: str, password: str) -> None:
        is_plain = "AUTH=PLAIN" in self._server.capabilities
        if not is_plain and not (user + password).isascii():
            reason = "the server takes no user name and no password with letters beyond A-Z"
            raise RemoteError(self._root, reason, "Set a password without them, or one for programs.")
        with self._told():
            try:
                if is_plain:
                    self._server.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
                else:
                    self._server.login(_quoted(user), password)
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error:
                problem = RemoteError(self._root, "the server refuses the user name or the password", _PASSWORD)
            else:
                return
        raise problem  # outside: what the server said, which may repeat a password, is not its cause

    def _examine(self) -> tuple[int, int]:
        with self._told():
            answer, data = self._server.select(_quoted(_in_modified_utf7(self._mailbox)), readonly=True)
            if answer != "OK":
                place = f"{self._root}/{self._mailbox}"
                raise RemoteMissingError(place, "there is no such mailbox, or it cannot be opened")
            _, validity = self._server.response("UIDVALIDITY")
            if not data or data[0] is None:
                raise RemoteError(self._root, "the server does not say how many messages there are")
            return int(validity[0]) if validity and validity[0] else 0, int(data[0])

    def entries(self, address: Address) -> Iterator[RemoteEntry | Unlisted]:
        """See `RemoteSource`."""
        if address.uid is not None:
            found = list(self._sizes([address.uid]))
            if not found:
                raise RemoteMissingError(str(address), "there is no such message in the mailbox")
            yield from found
            return
        if not self._count:
            return
        with self._told():
            answer, data = self._server.uid("SEARCH", "ALL")
            if answer != "OK":
                self._lost()
            uids = sorted(set(map(int, b" ".join(each for each in data if each).split())))
        if len(uids) < self._count:  # mail may arrive between the two, but none may be missing
            self._lost()
        for start in range(0, len(uids), _MESSAGES_AT_ONCE):
            wanted = uids[start : start + _MESSAGES_AT_ONCE]
            told = {entry.uid: entry for entry in self._sizes(wanted)}
            yield from told.values()
            if len(told) < len(wanted):
                self._lost()

    def _sizes(self, uids: list[int]) -> Iterator[RemoteEntry]:
        with self._told():
            answer, data = self._server.uid("FETCH", ",".join(map(str, uids)), "(UID RFC822.SIZE)")
            if answer != "OK":
                self._lost()
        for line in data:
            said = b" ".join(line) if isinstance(line, tuple) else line
            if not isinstance(said, bytes):
                continue
            found, size = _UID.search(said), _SIZE.search(said)
            uid = int(found[1]) if found else 0
            if size and uid in uids:
                yield RemoteEntry(path=self._mailbox, uid=uid, size_bytes=int(size[1]), etag=f"{self._validity}.{uid}")

    def _lost(self) -> NoReturn:
        raise RemoteError(self._root, "the server does not list the whole mailbox")

    def read(self, entry: RemoteEntry) -> Generator[bytes, None, None]:
        """See `RemoteSource`. What a server makes longer than its size is the caller's to stop."""
        assert entry.uid is not None
        if not entry.etag.startswith(f"{self._validity}."):
            raise ItemError(CHANGED)
        place = 0
        while True:
            with self._told():
                answer, data = self._server.uid("FETCH", str(entry.uid), f"(BODY.PEEK[]<{place}.{_PIECE_BYTES}>)")
            pieces = [each[1] for each in data if isinstance(each, tuple)]
            if answer != "OK" or (not pieces and place == 0):
                raise ItemError(GONE)
            piece = b"".join(pieces)
            place += len(piece)
            if piece:
                yield piece
            if len(piece) < _PIECE_BYTES:
                return

    def close(self) -> None:
        """See `RemoteSource`. LOGOUT alone: CLOSE would take out what others have marked as deleted."""
        with suppress(imaplib.IMAP4.error, OSError):
            self._server.begin()
            self._server.logout()
        with suppress(OSError):
            self._server.shutdown()  # where nobody answered

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Around one command: what went wrong, in our words; without what a server says in its own."""
        if self._server is not None:
            self._server.begin()
        try:
            yield
        except (RemoteError, ItemError):
            raise
        except ssl.SSLCertVerificationError as error:
            reason = "the server's certificate is not to be trusted"
            raise RemoteError(
                self._root, reason, "ca_file in [sources] of llavero.toml names an authority of one's own."
            ) from error
        except OSError as error:  # also imaplib's own, and TimeoutError
            raise RemoteError(self._root, "the server cannot be reached, or does not answer") from error
        except (imaplib.IMAP4.error, ValueError, UnicodeError) as error:
            raise RemoteError(self._root, "its answers are not those of a mail server") from error


def _connected(address: Address, ca_file: str) -> Any:
    host = address.host.strip("[]")
    if address.scheme == "imap" and address.is_of_this_machine:
        return _Plain(host, address.port or _PORT, timeout=TIMEOUT_SECONDS)
    context = ssl.create_default_context(cafile=ca_file or None)
    if address.scheme == "imap" and address.port == _PORT:
        server = _Plain(host, _PORT, timeout=TIMEOUT_SECONDS)
        server.starttls(context)  # raises where the server cannot: nobody signs in unprotected
        return server
    return _Tls(host, address.port or _PORT_TLS, ssl_context=context, timeout=TIMEOUT_SECONDS)


def _quoted(words: str) -> str:
    r"""A string of the protocol: `a "b"` → `"a \"b\""`. Control characters never come here (`Address.parse`)."""
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _in_modified_utf7(name: str) -> str:
    """A mailbox's name as servers write it (RFC 3501, 5.1.3): `Entwürfe` → `Entw&APw-rfe`."""
    written, waiting = [], ""
    for sign in [*name, ""]:
        if sign and not " " <= sign <= "~":
            waiting += sign
            continue
        if waiting:
            packed = base64.b64encode(waiting.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
            written.append(f"&{packed}-")
            waiting = ""
        written.append("&-" if sign == "&" else sign)
    return "".join(written)
