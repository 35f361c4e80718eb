"""An address becomes a source that can be listed and read."""

import importlib.util
import socket
import urllib.request
from urllib.parse import urlsplit

from indexing.addresses import Address
from indexing.sources.access import Accesses
from indexing.sources.imap import ImapSource
from indexing.sources.protocol import RemoteError, RemoteExtraError, RemoteSource
from indexing.sources.s3 import S3Source
from indexing.sources.webdav import WebdavSource, check_protected

_PORTS = {"webdav": 80, "webdavs": 443, "imap": 993, "imaps": 993, "http": 80, "https": 443}
_PACKAGES = {"s3": ("s3fs", "s3"), "webdav": ("webdav4", "webdav"), "webdavs": ("webdav4", "webdav")}
_REACHED_SECONDS = 5.0


def open_source(address: Address, accesses: Accesses) -> RemoteSource:
    """Connect, and sign in where the protocol does that first. Raises RemoteError."""
    match address.scheme:
        case "s3":
            return S3Source(address, accesses)
        case "webdav" | "webdavs":
            return WebdavSource(address, accesses)
        case "imap" | "imaps":
            return ImapSource(address, accesses)


def place_of(address: Address) -> str:
    """Addresses with the same one are read through one source: the bucket, the server, the mailbox."""
    return f"{address.root}/{address.path}" if address.scheme.startswith("imap") else address.root


def check_reachable(address: Address, accesses: Accesses) -> None:
    """Whether what reads it is installed and anybody answers there, before anything heavy is loaded. Raises
    RemoteError. A proxy, and Amazon's own servers, are asked only when they are needed."""
    package, extra = _PACKAGES.get(address.scheme, ("", ""))
    if package and importlib.util.find_spec(package) is None:
        raise RemoteExtraError(address.root, package, extra)
    check_protected(address)
    host, port, scheme = address.host.strip("[]"), address.port, address.scheme
    if scheme == "s3":
        endpoint = urlsplit(accesses.of(address).endpoint)
        if not endpoint.hostname:
            return
        host, port = endpoint.hostname, endpoint.port
    web = {"webdav": "http", "webdavs": "https", "s3": urlsplit(accesses.of(address).endpoint).scheme}.get(scheme, "")
    if web and web in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return
    if scheme == "imap" and address.is_of_this_machine:
        port = port or 143
    try:
        socket.create_connection((host, port or _PORTS[web or scheme]), timeout=_REACHED_SECONDS).close()
    except (OSError, ValueError) as error:
        raise RemoteError(address.root, "the server cannot be reached") from error
