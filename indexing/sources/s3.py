"""S3, MinIO and whatever else speaks their protocol, through s3fs.

Its two calls are used by their names in the protocol, because s3fs' own `find` and `open` read some keys in another way
than they are meant (`?versionId=`, slashes at the end). A file is read in one request with the ETag of the listing as
its condition: what changed meanwhile is not read.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from indexing.addresses import Address
from indexing.sources.access import Accesses
from indexing.sources.protocol import (
    CHANGED,
    DENIED,
    GONE,
    TIMEOUT_SECONDS,
    ItemError,
    RemoteEntry,
    RemoteError,
    RemoteExtraError,
    RemoteMissingError,
    Unlisted,
    nanoseconds,
    plain_code,
)

_PIECE_BYTES = 1 << 20
_PAGE_SECONDS = 240  # for a thousand names, all attempts together
_ATTEMPTS = 3
_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile, variables, or anonymous = true in a section "
    "[sources] of llavero.toml."
)
_WRONG_KEYS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AuthorizationHeaderMalformed",
}
_MISSING = {"NoSuchBucket", "NoSuchKey", "404"}
_CHANGED = {"PreconditionFailed", "412"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "403", "InvalidObjectState"}


class S3Source:
    """One bucket."""

    def __init__(self, address: Address, accesses: Accesses) -> None:
        try:
            from s3fs import S3FileSystem
        except ModuleNotFoundError as error:
            raise RemoteExtraError(address.root, "s3fs", "s3") from error
        self._bucket, self._root = address.host, address.root
        with self._told():
            self._s3 = S3FileSystem(**_options(address, accesses), skip_instance_cache=True, use_listings_cache=False)
            self._s3.retries = _ATTEMPTS

    def entries(self, address: Address) -> Iterator[RemoteEntry | Unlisted]:
        """See `RemoteSource`. A prefix is a folder: `scans` means `scans` itself and `scans/…`, not `scans2`."""
        found = False
        for each in self._listed(f"{address.path}/" if address.path else ""):
            found = True
            if not (each["Key"].endswith("/") and each["Size"] == 0):  # a folder as some programs write it
                yield _entry(each)
        if not address.path:
            return
        itself = next((each for each in self._listed(address.path, most=1) if each["Key"] == address.path), None)
        if itself is not None:
            yield _entry(itself)
        elif not found:
            raise RemoteMissingError(str(address), "there is no such file or folder in the bucket")

    def _listed(self, prefix: str, *, most: int = 1000) -> Iterator[Mapping[str, Any]]:
        """Objects whose keys begin so, page by page; only the first ones where `most` is less than a page."""
        token: dict[str, str] = {}
        while True:
            with self._told():
                page = self._s3.call_s3(
                    "list_objects_v2", Bucket=self._bucket, Prefix=prefix, MaxKeys=most, timeout=_PAGE_SECONDS, **token
                )
            for each in page.get("Contents", ()):
                if not isinstance(each.get("Key"), str) or not isinstance(each.get("Size"), int):
                    raise RemoteError(self._root, "the server's list names something without a key or a size")
                yield each
            following = page.get("NextContinuationToken")
            if most < 1000 or not page.get("IsTruncated"):
                return
            if not following or following == token.get("ContinuationToken"):
                raise RemoteError(self._root, "the server says that there is more, and not where it begins")
            token = {"ContinuationToken": following}

    def read(self, entry: RemoteEntry) -> Generator[bytes, None, None]:
        """See `RemoteSource`."""
        from fsspec.asyn import sync

        condition = {"IfMatch": entry.etag} if entry.etag else {}
        with self._told(entry):
            answer = self._s3.call_s3("get_object", Bucket=self._bucket, Key=entry.path, **condition)
        body = answer["Body"]
        try:
            while True:
                with self._told(entry):
                    piece = sync(self._s3.loop, body.read, _PIECE_BYTES, timeout=2 * TIMEOUT_SECONDS)
                if not piece:
                    return
                yield piece
        finally:
            body.close()

    def close(self) -> None:
        """See `RemoteSource`."""
        if (client := getattr(self._s3, "_s3", None)) is not None:
            self._s3.close_session(self._s3.loop, client)

    @contextmanager
    def _told(self, entry: RemoteEntry | None = None) -> Iterator[None]:
        """What went wrong, in our words; without what a server says in its own."""
        try:
            yield
        except (RemoteError, ItemError):
            raise
        except Exception as error:  # boto, aiohttp and s3fs have no common root
            raise self._fault(error, entry) from error

    def _fault(self, error: Exception, entry: RemoteEntry | None) -> RemoteError | ItemError:
        from botocore.exceptions import ConnectionError as NotConnectedError
        from botocore.exceptions import NoCredentialsError, ProfileNotFound

        code = _code(error)
        if code in _WRONG_KEYS:
            return RemoteError(self._root, f"the server refuses the access key ({code})", _CREDENTIALS)
        if code in _CHANGED:
            return ItemError(CHANGED)
        if code in _MISSING or isinstance(error, FileNotFoundError):
            return ItemError(GONE) if entry else RemoteMissingError(self._root, "there is no such bucket")
        if code in _DENIED or isinstance(error, PermissionError):
            return ItemError(DENIED) if entry else RemoteError(self._root, DENIED, _CREDENTIALS)
        if isinstance(error, NoCredentialsError):
            return RemoteError(self._root, "nobody to sign in as: there are no credentials", _CREDENTIALS)
        if isinstance(error, ProfileNotFound):
            return RemoteError(self._root, "there is no such profile in the files of AWS")
        if code:
            return RemoteError(self._root, f"the server answers {plain_code(code)}")
        if isinstance(error, NotConnectedError | TimeoutError | ConnectionError):
            return RemoteError(self._root, "the server cannot be reached, or does not answer")
        return RemoteError(self._root, f"reading from the server failed ({plain_code(type(error).__name__)})")


def _options(address: Address, accesses: Accesses) -> dict[str, Any]:
    access = accesses.of(address)
    options: dict[str, Any] = {
        "anon": access.anonymous,
        "config_kwargs": {
            "connect_timeout": 10,
            "read_timeout": TIMEOUT_SECONDS,
            "retries": {"total_max_attempts": 1},  # s3fs tries again by itself
        },
    }
    if access.profile:
        options["profile"] = access.profile
    if access.key_variable or access.secret_variable:
        options["key"] = accesses.variable(access.key_variable or "AWS_ACCESS_KEY_ID", address)
        options["secret"] = accesses.variable(access.secret_variable or "AWS_SECRET_ACCESS_KEY", address)
    client = {"region_name": access.region, "endpoint_url": access.endpoint, "verify": access.ca_file}
    options["client_kwargs"] = {name: value for name, value in client.items() if value}
    return options


def _entry(listed: Mapping[str, Any]) -> RemoteEntry:
    return RemoteEntry(
        path=listed["Key"],
        size_bytes=listed["Size"],
        etag=str(listed.get("ETag", "")),
        modified_ns=nanoseconds(listed.get("LastModified")),
    )


def _code(error: BaseException | None) -> str:
    """The protocol's word for it; s3fs translates errors and keeps the first one as their cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        answer = getattr(error, "response", None)
        if isinstance(answer, Mapping) and isinstance(answer.get("Error"), Mapping):
            return str(answer["Error"].get("Code", ""))
        error = error.__cause__ or error.__context__
    return ""
