"""Servers on this machine that tests read from: S3 (moto), WebDAV (WsgiDAV), and a mail server that speaks as much
IMAP as a program needs that only reads.
"""

import logging
import re
import socket
import socketserver
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any


@dataclass
class Bucket:
    """A bucket named `scans` on a server of its own."""

    endpoint: str
    client: Any
    environ: dict[str, str]

    def put(self, key: str, words: str | bytes) -> None:
        self.client.put_object(Bucket="scans", Key=key, Body=words if isinstance(words, bytes) else words.encode())

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket="scans", Key=key)


@contextmanager
def s3_server() -> Iterator[Bucket]:
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="id", aws_secret_access_key="s3cret", region_name="us-east-1"
    )
    try:
        urllib.request.urlopen(
            urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")
        ).close()  # one for all
        client.create_bucket(Bucket="scans")
        yield Bucket(endpoint, client, {"S3_ID": "id", "S3_SECRET": "s3cret"})
    finally:
        client.close()
        server.stop()


@contextmanager
def webdav_server(
    folder: Path, *, password: str, before: Callable[[dict[str, Any]], None] = lambda environ: None
) -> Iterator[int]:
    """Serves a folder to the user `ana` → its port. `before` sees each request."""
    from wsgidav.wsgidav_app import WsgiDAVApp

    dav = WsgiDAVApp(
        {
            "provider_mapping": {"/": {"root": str(folder), "readonly": True}},
            "simple_dc": {"user_mapping": {"*": {"ana": {"password": password}}}},
            "logging": {"enable": False},
            "verbose": 0,
            "hotfixes": {"re_encode_path_info": True},
        }
    )

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        before(environ)
        return dav(environ, start_response)

    with wsgi_server(app) as port:
        yield port


@contextmanager
def wsgi_server(app: Any) -> Iterator[int]:
    from cheroot import wsgi

    server = wsgi.Server(("127.0.0.1", 0), app, numthreads=4, timeout=5)
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server.bind_addr[1]
    finally:
        server.stop()
        thread.join(10)


@dataclass
class Message:
    data: bytes
    seen: bool = False


@dataclass
class MailServer:
    """Mailboxes in memory. What it was sent is kept in `lines`; passwords come in as they would on the wire."""

    mailboxes: dict[str, dict[int, Message]] = field(default_factory=dict)
    validity: int = 7
    user: str = "ana"
    password: str = "correct horse"
    offers_plain: bool = True
    lines: list[str] = field(default_factory=list)
    port: int = 0
    refuse_fetch_after: int | None = None  # so many bodies are sent, then the connection breaks
    ignores_part: bool = False  # sends a whole message where a part was asked for
    says_no_count: bool = False  # how many messages a mailbox has is not told
    silent_about: frozenset[int] = frozenset()  # the UIDs of messages whose sizes are not told
    sizes: dict[int, int] = field(default_factory=dict)  # told in place of the true ones
    babbles: bytes = b""  # sent again and again in answer to a search, until nobody listens
    babbles_every: float = 0.0  # seconds
    list_only: int | None = None  # only so many of the messages are named

    def add(self, mailbox: str, uid: int, data: bytes) -> None:
        self.mailboxes.setdefault(mailbox, {})[uid] = Message(data)


def letter(subject: str, words: str, *, attached: tuple[str, bytes] | None = None) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "bo@example.org", "ana@example.org", subject
    message["Message-ID"], message["Date"] = (
        f"<{subject.replace(' ', '')}@example.org>",
        "Mon, 02 Mar 2026 10:00:00 +0000",
    )
    message.set_content(words)
    if attached:
        message.add_attachment(attached[1], maintype="application", subtype="octet-stream", filename=attached[0])
    return message.as_bytes()


class _Session(socketserver.StreamRequestHandler):
    server: "_Listening"

    def handle(self) -> None:
        self.mail, self.box, self.read_only = self.server.mail, "", False
        self.is_in = False
        self.say("* OK ready")
        while line := self.rfile.readline():
            tag, _, rest = line.decode("latin-1").rstrip("\r\n").partition(" ")
            self.mail.lines.append(rest)
            command, _, arguments = rest.partition(" ")
            if command.upper() == "LOGOUT":
                self.say("* BYE", f"{tag} OK bye")
                return
            answer = getattr(self, f"do_{command.lower()}", self.unknown)(tag, arguments)
            if answer is None:
                return
            self.say(f"{tag} {answer}")

    def say(self, *lines: str) -> None:
        for line in lines:
            self.wfile.write(line.encode("latin-1") + b"\r\n")

    def unknown(self, tag: str, arguments: str) -> str:
        return "BAD what is that?"

    def do_capability(self, tag: str, arguments: str) -> str:
        self.say("* CAPABILITY IMAP4rev1" + (" AUTH=PLAIN" if self.mail.offers_plain else ""))
        return "OK done"

    def do_authenticate(self, tag: str, arguments: str) -> str:
        import base64

        assert arguments == "PLAIN"
        self.say("+ ")
        _, user, password = base64.b64decode(self.rfile.readline()).decode().split("\0")
        return self.enter(user, password)

    def do_login(self, tag: str, arguments: str) -> str:
        found = re.fullmatch(r'"((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"', arguments)
        assert found, arguments
        return self.enter(*(re.sub(r"\\(.)", r"\1", each) for each in found.groups()))

    def enter(self, user: str, password: str) -> str:
        self.is_in = (user, password) == (self.mail.user, self.mail.password)
        return "OK welcome" if self.is_in else f"NO [AUTHENTICATIONFAILED] {password} is wrong"

    def do_examine(self, tag: str, arguments: str) -> str:
        return self.open(arguments, read_only=True)

    def do_select(self, tag: str, arguments: str) -> str:
        return self.open(arguments, read_only=False)

    def open(self, name: str, *, read_only: bool) -> str:
        box = re.sub(r"\\(.)", r"\1", name[1:-1])
        if not self.is_in or box not in self.mail.mailboxes:
            return "NO there is none"
        self.box, self.read_only = box, read_only
        if not self.mail.says_no_count:
            self.say(f"* {len(self.mail.mailboxes[box])} EXISTS")
        self.say(f"* OK [UIDVALIDITY {self.mail.validity}] valid")
        return "OK [READ-ONLY] opened" if read_only else "OK [READ-WRITE] opened"

    def do_uid(self, tag: str, arguments: str) -> str | None:
        command, _, rest = arguments.partition(" ")
        messages = self.mail.mailboxes[self.box]
        while command == "SEARCH" and self.mail.babbles:
            self.wfile.write(self.mail.babbles)
            time.sleep(self.mail.babbles_every)
        if command == "SEARCH":
            named = sorted(messages)[: self.mail.list_only]
            self.say("* SEARCH " + " ".join(map(str, named)))
            return "OK done"
        wanted, _, what = rest.partition(" ")
        for number, uid in enumerate(sorted(messages), start=1):
            if str(uid) not in wanted.split(","):
                continue
            if "BODY" not in what:
                size = self.mail.sizes.get(uid, len(messages[uid].data))
                if uid not in self.mail.silent_about:
                    self.say(f"* {number} FETCH (UID {uid} RFC822.SIZE {size})")
                continue
            if self.mail.refuse_fetch_after is not None:
                self.mail.refuse_fetch_after -= 1
                if self.mail.refuse_fetch_after < 0:
                    return None
            part = re.search(r"<(\d+)\.(\d+)>", what)
            data = messages[uid].data
            if part and not self.mail.ignores_part:
                data = data[int(part[1]) : int(part[1]) + int(part[2])]
            if "PEEK" not in what and not self.read_only:
                messages[uid].seen = True
            self.say(f"* {number} FETCH (UID {uid} BODY[]<0> {{{len(data)}}}")
            self.wfile.write(data + b")\r\n")
        return "OK done"


class _Listening(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
    mail: MailServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that leaves


@contextmanager
def mail_server(mail: MailServer, *, certificate: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    with _Listening(("127.0.0.1", 0), _Session) as server:
        server.mail = mail
        if certificate is not None:
            server.socket = certificate.wrap_socket(server.socket, server_side=True)
        mail.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield mail
        finally:
            server.shutdown()
            thread.join(10)


def unused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
