"""Folders of WebDAV servers (Nextcloud, ownCloud, Apache …) through webdav4, which brings them to fsspec.

Folder by folder, so that one that is refused keeps nobody from the others. Three things are held tighter than the
library holds them: nothing is asked of another server than the address names, wherever a redirect leads; an answer has
an end; and a name is only taken for a file of the folder that was asked for.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from indexing.addresses import Address
from indexing.sources.access import Accesses
from indexing.sources.protocol import (
    CHANGED,
    DENIED,
    GONE,
    TIMEOUT_SECONDS,
    Deadline,
    ItemError,
    RemoteEntry,
    RemoteError,
    RemoteExtraError,
    RemoteMissingError,
    Unlisted,
    nanoseconds,
)

_MOST_LISTING_BYTES = 16 << 20
_DEEPEST = 100
_HEADERS = {"Accept-Encoding": "identity"}
_IS_FILE = "llavero.file"  # an extension of a request, as httpx calls it, that redirects keep
_MULTISTATUS = 207


def check_protected(address: Address) -> None:
    """Raises RemoteError where password and files would cross a network for everybody to read."""
    if address.scheme == "webdav" and not address.is_of_this_machine:
        raise RemoteError(
            address.root,
            "webdav:// sends password and files for everybody to read; it is for this machine alone",
            f"Write webdavs://{address.host}/…",
        )


class WebdavSource:
    """One server."""

    def __init__(self, address: Address, accesses: Accesses) -> None:
        check_protected(address)
        try:
            from webdav4.fsspec import WebdavFileSystem
            from webdav4.http import Client as HttpClient
        except ModuleNotFoundError as error:
            raise RemoteExtraError(address.root, "webdav4", "webdav") from error
        access, password = accesses.of(address), accesses.password(address)
        user = address.user or access.user
        self._root = address.root
        base = f"{'https' if address.scheme == 'webdavs' else 'http'}://{address.host}"
        base += f":{address.port}" if address.port else ""
        with self._told():
            self._http = HttpClient(
                base_url=base,
                auth=(user, password) if user else None,
                headers=_HEADERS,
                timeout=TIMEOUT_SECONDS,
                trust_env=not address.is_of_this_machine,  # no proxy sees what is not protected
                verify=_trusted(access.ca_file),
                event_hooks={"request": [self._keep_to(base)], "response": [self._bound]},
            )
            self._files = WebdavFileSystem(base, http_client=self._http, skip_instance_cache=True)

    def entries(self, address: Address) -> Iterator[RemoteEntry | Unlisted]:
        """See `RemoteSource`."""
        try:
            with self._told():
                itself = self._info(address.path)
        except ItemError as error:
            kind = RemoteMissingError if error.reason == GONE else RemoteError
            reason = "there is no such file or folder on the server" if error.reason == GONE else error.reason
            raise kind(str(address), reason) from error
        if itself["type"] != "directory":
            yield _entry(address.path, itself)
            return
        pending = [(address.path, 0)]
        while pending:
            folder, depth = pending.pop()
            try:
                with self._told():
                    listed = sorted(self._children(folder), key=lambda each: each[0])
            except ItemError as error:
                if folder == address.path:
                    raise RemoteError(str(address), error.reason) from error
                yield Unlisted(path=folder, reason=error.reason)
                continue
            for path, info in listed:
                if isinstance(info, str):
                    yield Unlisted(path=path, reason=info)
                elif info["type"] != "directory":
                    yield _entry(path, info)
                elif depth < _DEEPEST:
                    pending.append((path, depth + 1))
                else:
                    yield Unlisted(path=path, reason=f"folders lie more than {_DEEPEST} deep in each other")

    def _children(self, folder: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
        """What lies in it, or why it is not known what that is: then the folder's list says less than there is. A
        server's own idea of names (`..`, another folder's) is not followed."""
        inside = f"{folder}/" if folder else ""
        itself, answers = self._asked(folder, follow_redirects=True)
        lack = ""
        if itself is None or itself.properties.resource_type != "directory":
            lack = "the server's list of it does not say that it is a folder"
        for answer in answers:
            path = answer.path.strip("/")
            name = path.removeprefix(inside)
            if answer is itself or path == folder:
                continue
            if path != inside + name or name in ("", ".", "..") or "/" in name:
                lack = "the server's list of it names what is not in it"
            elif problem := _problem(answer):
                yield path, problem
            else:
                yield path, _facts(answer)
        if lack:
            yield folder, lack

    def _asked(self, path: str, *, follow_redirects: bool = False) -> tuple[Any, list[Any]]:
        """What the server says of it, None where it says nothing of it, and of all that it names."""
        client = self._files.client
        found = client.propfind(_escaped(path), headers={"Depth": "1"}, follow_redirects=follow_redirects).responses
        return found.get(client.join_url(_escaped(path)).path), list(found.values())

    def _info(self, path: str) -> dict[str, Any]:
        itself, _ = self._asked(path)
        if itself is None:
            raise KeyError(path)
        if problem := _problem(itself):
            raise ItemError(problem)
        return _facts(itself)

    def read(self, entry: RemoteEntry) -> Generator[bytes, None, None]:
        """See `RemoteSource`. WebDAV has no condition that all servers know: the file is looked at again at the end."""
        with self._told(entry):
            url = self._files.client.join_url(_escaped(entry.path))
            file = {_IS_FILE: True}
            with self._http.stream("GET", url, follow_redirects=True, extensions=file) as response:  # see `_keep_to`
                response.raise_for_status()
                yield from response.iter_bytes()
        with self._told(entry):
            now = _entry(entry.path, self._info(entry.path))
        if _version(now) != _version(entry):
            raise ItemError(CHANGED)

    def close(self) -> None:
        """See `RemoteSource`."""
        self._http.close()

    def _keep_to(self, base: str) -> Any:
        """httpx asks this before each request, those that a redirect leads to as well."""
        import httpx

        own = httpx.URL(base)

        def check(request: httpx.Request) -> None:
            url = request.url
            if (url.scheme, url.host, url.port) != (own.scheme, own.host, own.port):
                raise RemoteError(self._root, "the server sends us on to another server, which is not followed")

        return check

    def _bound(self, response: Any) -> None:
        """Everything but a file is read into memory as a whole: listings, redirects, what a redirect leads to."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise RemoteError(self._root, "the server packs its answers though it was asked not to")
        if _IS_FILE in response.request.extensions and not response.is_redirect:
            return
        pieces, size, deadline = [], 0, Deadline()
        for piece in response.iter_raw():
            size += len(piece)
            deadline.arrived(len(piece))
            if size > _MOST_LISTING_BYTES:
                raise RemoteError(self._root, "the list of a folder does not end")
            pieces.append(piece)
        response._content = b"".join(pieces)  # what `Response.read` keeps, which httpx calls next
        if response.status_code == _MULTISTATUS:
            response.encoding = "utf-8"  # whatever the header names: Python has encodings that unpack
            if b"<!DOCTYPE" in response.content or not _is_utf8(response.content):
                raise RemoteError(self._root, "its list of a folder is not the plain XML of a WebDAV server")

    @contextmanager
    def _told(self, entry: RemoteEntry | None = None) -> Iterator[None]:
        """What went wrong, in our words; without what a server says in its own."""
        import httpx
        from webdav4.client import ClientError, HTTPError, ResourceNotFound

        try:
            yield
        except (RemoteError, ItemError):
            raise
        except ResourceNotFound as error:
            raise ItemError(GONE) from error
        except (httpx.HTTPStatusError, HTTPError) as error:
            raise self._refused(error.response.status_code, entry) from error
        except httpx.TooManyRedirects as error:
            raise RemoteError(self._root, "the server sends us around in circles") from error
        except (httpx.TransportError, TimeoutError) as error:
            raise RemoteError(self._root, _transport(error)) from error
        except (ClientError, httpx.InvalidURL) as error:
            raise ItemError("the server does not answer for it as for a file") from error
        except (
            KeyError,
            ValueError,
            ArithmeticError,
            AssertionError,
            SyntaxError,
        ) as error:  # ElementTree's ParseError is one
            raise RemoteError(self._root, "its answers are not those of a WebDAV server") from error

    def _refused(self, status: int, entry: RemoteEntry | None) -> RemoteError | ItemError:
        if status == 401:
            return RemoteError(
                self._root,
                "the server refuses the user name or the password",
                "Give the user in the address (webdavs://USER@HOST/…) or in [sources] of llavero.toml, the password in "
                "LLAVERO_WEBDAV_PASSWORD or in the variable that the section names.",
            )
        if status == 403:
            return ItemError(DENIED)
        if status in (404, 410):
            return ItemError(GONE)
        if status in (405, 501) and entry is None:
            return RemoteError(self._root, "there is a web server, and no WebDAV folder at this address")
        return RemoteError(self._root, f"the server answers with status {int(status)}")


def _transport(error: Exception) -> str:
    import ssl

    causes = [error, error.__cause__, error.__context__, getattr(error.__cause__, "__context__", None)]
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes) or "CERTIFICATE_VERIFY" in str(error):
        return "the server's certificate is not to be trusted (ca_file in [sources] names an authority of one's own)"
    return "the server cannot be reached, or does not answer"


def _trusted(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file) if ca_file else True


def _escaped(path: str) -> str:
    """httpx leaves what looks like an escape as it is; so a name that has a `%` in it is escaped before."""
    return quote(path, safe="/")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _problem(answer: Any) -> str:
    """Why it is not known what it is; "" where it is."""
    status = answer.status_code
    if status is not None and status >= 400:
        return DENIED if status == 403 else GONE if status in (404, 410) else f"the server answers with status {status}"
    return "" if answer.properties.resource_type else "the server does not say what it is"


def _facts(answer: Any) -> dict[str, Any]:
    said = answer.properties
    return {"type": said.resource_type, "size": said.content_length, "etag": said.etag, "modified": said.modified}


def _entry(path: str, info: dict[str, Any]) -> RemoteEntry:
    return RemoteEntry(
        path=path,
        size_bytes=info.get("size"),
        etag=info.get("etag") or "",
        modified_ns=nanoseconds(info.get("modified")),
    )


def _version(entry: RemoteEntry) -> tuple[object, ...]:
    return entry.size_bytes or 0, entry.etag, entry.modified_ns
