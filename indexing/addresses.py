"""Addresses of folders that lie elsewhere, as people write them and as the ledger, a hit and a citation show them.

    s3://BUCKET/KEY                          the key as it is, without any escapes
    webdavs://[USER@]HOST[:PORT]/PATH        over TLS; webdav:// is for this machine alone
    imap://USER@HOST[:PORT]/MAILBOX          a message of it is MAILBOX/;UID=20 (RFC 5092)

In the last two, `%20` and a space mean the same; written back are only the escapes without which an address could be
read in another way. No address has a password in it.

AddressError   it makes no sense, or would give something away
"""

import re
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args
from urllib.parse import quote, unquote

from indexing.errors import IndexingError

Scheme = Literal["s3", "webdav", "webdavs", "imap", "imaps"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_HOST = re.compile(r"(?:(?P<user>[^@/]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?")
_CONTROL = re.compile("[\\x00-\\x1f\\x7f]")
_MESSAGE = re.compile(r"(.*)/;UID=([1-9]\d{0,9})", re.IGNORECASE | re.DOTALL)
_ESCAPED = re.compile("[%?#;\\x00-\\x1f\\x7f]")
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|\[::1\]", re.IGNORECASE)


class AddressError(IndexingError):
    """An address that cannot be read; the message never repeats what may be a password."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """One folder, file, mailbox or message elsewhere; `str()` is how it is written."""

    scheme: Scheme
    host: str  # of s3: the bucket
    path: str = ""  # decoded, without a slash at its beginning and end; "" for all of it
    user: str = ""
    port: int | None = None
    uid: int | None = None  # of a message

    @classmethod
    def parse(cls, written: str) -> Self:
        """Raises AddressError."""
        found = _SCHEME.match(written)
        scheme = found[1].lower() if found else ""
        if found is None or scheme not in SCHEMES:
            problem = AddressError(f"'{scheme or written[:100]}' is no kind of address that is read here")
            problem.add_note("Kinds: s3://BUCKET/PREFIX, webdavs://HOST/PATH, imap://USER@HOST/MAILBOX.")
            raise problem
        rest = written[found.end() :]
        if scheme == "s3":
            bucket, _, key = rest.partition("/")
            if not _BUCKET.fullmatch(bucket):
                raise AddressError("an address of S3 is s3://BUCKET or s3://BUCKET/PREFIX")
            return cls(scheme="s3", host=bucket, path=key.rstrip("/"))
        return cls._of_url(cast(Scheme, scheme), rest)

    @classmethod
    def _of_url(cls, scheme: Scheme, rest: str) -> Self:
        place, _, written = rest.partition("/")
        found = _HOST.fullmatch(place)
        user, colon, _ = (found["user"] or "").partition(":") if found else ("", "", "")
        if colon or (found is None and "@" in place):
            problem = AddressError(f"a {scheme}:// address has no password in it: others would read it in the library")
            problem.add_note("Put it into an environment variable, and name that in [sources] of llavero.toml.")
            raise problem
        if found is None or not 0 < int(found["port"] or 1) < 65_536:
            raise AddressError(f"an address is written {scheme}://HOST/PATH or {scheme}://USER@HOST:PORT/PATH")
        if "?" in written or "#" in written:
            raise AddressError(f"a {scheme}:// address has no '?' and no '#'; in a name they are written %3F and %23")
        message = _MESSAGE.fullmatch(written) if scheme in ("imap", "imaps") else None
        path = unquote(message[1] if message else written).strip("/")
        user = unquote(user)
        if _CONTROL.search(user + path) or any(each in ("", ".", "..") for each in path.split("/") if path):
            raise AddressError(f"the path of a {scheme}:// address has no empty parts, '..' or control characters")
        return cls(
            scheme=scheme,
            host=found["host"].lower(),
            port=int(found["port"]) if found["port"] else None,
            user=user,
            path=path,
            uid=int(message[2]) if message else None,
        )

    def __str__(self) -> str:
        path = self.path if self.scheme == "s3" else _ESCAPED.sub(lambda found: quote(found[0]), self.path)
        message = f"/;UID={self.uid}" if self.uid is not None else ""
        return f"{self.root}/{path}{message}" if path else self.root

    @property
    def root(self) -> str:
        """The address of everything at the same place: scheme, user, host and port."""
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        return f"{self.scheme}://{user}{self.host}{f':{self.port}' if self.port else ''}"

    @property
    def is_of_this_machine(self) -> bool:
        """Whether what is sent there never leaves the machine."""
        return self.scheme != "s3" and _LOOPBACK.fullmatch(self.host) is not None


def is_address(path: str) -> bool:
    """Whether it names something elsewhere: `s3://photos` does, `/data/s3` and `s3:/photos` do not."""
    found = _SCHEME.match(path)
    return found is not None and found[1].lower() in SCHEMES


def canonical(written: str) -> str:
    """An address as the ledger has it. Raises AddressError."""
    return str(Address.parse(written))


def lies_below(address: str, folder: str) -> bool:
    """Whether it is the folder's own or one inside it; both as the ledger has them."""
    return address == folder or address.startswith(folder.rstrip("/") + "/")


def folders_of(address: str) -> list[str]:
    """The folders in which it lies, the nearest one first, up to the bucket or host."""
    start = address.index("://") + 3
    places = [place for place, sign in enumerate(address) if sign == "/" and place >= start]
    return [address[:place] for place in reversed(places)]


def name_of(address: str) -> str:
    """Its last part."""
    return address.rpartition("/")[2]
