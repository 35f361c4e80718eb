"""Who one is at a source: section [sources] of the library's llavero.toml, and variables of the environment.

    [sources."s3://scans"]                      profile, or key_variable and secret_variable, endpoint, region …
    [sources."webdavs://cloud.example/dav"]     user, password_variable
    [sources."imap://ana@mail.example"]         password_variable

A section counts for its address and everything below; the longest one wins. Secrets stand in variables that the
sections name. Without a section, S3 takes what every program of AWS takes (AWS_ACCESS_KEY_ID, AWS_PROFILE, …), WebDAV
LLAVERO_WEBDAV_PASSWORD with the address's user, IMAP LLAVERO_IMAP_PASSWORD.

What a section names may also be asked for by clients of a service; other addresses only by whoever sits at the
terminal (`NotListedError`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from indexing.addresses import Address, canonical, is_address, lies_below
from indexing.errors import IndexingError
from indexing.sources.protocol import RemoteError

DEFAULT_PASSWORDS = {
    "webdav": "LLAVERO_WEBDAV_PASSWORD",
    "webdavs": "LLAVERO_WEBDAV_PASSWORD",
    "imap": "LLAVERO_IMAP_PASSWORD",
    "imaps": "LLAVERO_IMAP_PASSWORD",
}


class NotListedError(IndexingError):
    """A client of a service names an address that the service's owner has not listed."""

    def __init__(self, address: str) -> None:
        super().__init__(f"'{address}' is not among the sources that this service reads")
        self.add_note(
            f'Its owner can list it, with a section [sources."{address}"] in llavero.toml, and start it again; '
            "or end the service and index it from a terminal."
        )
        self.address = address


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceAccess:
    """One section of [sources]."""

    user: str = ""
    """WebDAV: the name to sign in with, where the address has none."""
    password_variable: str = ""
    """WebDAV, IMAP: the environment variable that holds the password."""
    profile: str = ""
    """S3: a profile of ~/.aws/config and ~/.aws/credentials."""
    key_variable: str = ""
    """S3: the environment variable that holds the access key's id …"""
    secret_variable: str = ""
    """… and the one that holds its secret."""
    endpoint: str = ""
    """S3: the server's address where it is not Amazon's, such as http://127.0.0.1:9000 of a MinIO."""
    region: str = ""
    """S3: the region, where neither the profile nor the environment says it."""
    anonymous: bool = False
    """S3: a public bucket, without signing in."""
    ca_file: str = ""
    """A file with the certificates of one's own authority."""


@dataclass(frozen=True, kw_only=True)
class Accesses:
    """All sections, and the environment that their variables stand in."""

    sections: Mapping[str, SourceAccess] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, address: Address) -> SourceAccess:
        """The section that counts for an address; an empty one without."""
        listed = [each for each in self.sections if lies_below(str(address), canonical(each))]
        return self.sections[max(listed, key=len)] if listed else SourceAccess()

    def check_listed(self, paths: Iterable[str]) -> None:
        """Raises NotListedError for the first address that no section names. Paths of this machine pass."""
        for path in filter(is_address, paths):
            address = canonical(path)
            if not any(lies_below(address, canonical(each)) for each in self.sections):
                raise NotListedError(address)

    def password(self, address: Address) -> str:
        """Of WebDAV or IMAP; "" where none is set. Raises RemoteError for a variable that is named and not set."""
        named = self.of(address).password_variable
        if named:
            return self.variable(named, address)
        return self.environ.get(DEFAULT_PASSWORDS.get(address.scheme, ""), "")

    def variable(self, name: str, address: Address) -> str:
        """Raises RemoteError where it is not set, with its name."""
        value = self.environ.get(name, "")
        if not value:
            raise RemoteError(
                address.root,
                f"the environment variable {name} is not set",
                "Its section of [sources] in llavero.toml says that the secret stands there.",
            )
        return value
