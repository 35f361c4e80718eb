"""Access control: the address that is listened on, the key, and whose requests are answered without one.

Without a key the server listens on this machine alone and answers only requests that name this machine as their host.
A web page from elsewhere that is open in a browser on this machine can only send requests that name the page's own host
(DNS rebinding), and those are refused.
"""

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from llava_model.errors import RequestRefusedError, ServerError


def listen(host: str, port: int, *, api_key: str) -> socket.socket:
    """Take the port (0: any free one). Raises ServerError, also for an address that others reach without a key."""
    advice = "Put a key into an environment variable and name that: --api-key-env NAME"
    return take_port(host, port, is_protected=bool(api_key), advice=advice)


def take_port(host: str, port: int, *, is_protected: bool, advice: str) -> socket.socket:
    """The same for a server with other keys; `advice` says how to make one."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ServerError(f"there is no address '{host}': {error.strerror}") from error
    family, kind, _, _, address = found[0]
    if not is_protected and not is_this_machine(str(address[0])):
        open_to_all = ServerError(f"'{host}' is reached from other machines, and no key protects it")
        open_to_all.add_note(advice)
        raise open_to_all
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        taken = ServerError(f"cannot listen on {host}:{port}: {error.strerror}")
        taken.add_note("Another server may be running there. Choose another port: --port 8001")
        raise taken from error
    return listening


def admit(headers: Mapping[str, str], *, api_key: str) -> None:
    """Look at a request's headers (names in small letters). Raises RequestRefusedError."""
    if not api_key:
        if not names_this_machine(headers.get("host", "")):
            raise RequestRefusedError("without a key only this machine is answered", status=403, code="forbidden_host")
        return
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), api_key.encode()):
        raise RequestRefusedError("the key is missing or wrong", status=401, code="invalid_api_key")


def names_this_machine(host: str) -> bool:
    """Whether a Host header, with or without a port, names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or is_this_machine(name)


def is_this_machine(address: str) -> bool:
    """Whether an address is one that only this machine reaches."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
