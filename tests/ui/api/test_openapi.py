"""The whole interface, asked at random along its own description: nothing may be a surprise to it."""

import os
from collections.abc import Sequence
from pathlib import PurePath
from random import Random

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexing.discover import absolute
from indexing.records import Chunk
from indexing.store.protocol import Filter, FilterValueError, sendable
from ui.api.access import KeyFile
from ui.api.libraries import OpenLibrary

EXAMPLES = int(os.environ.get("LLAVERO_API_EXAMPLES", "6"))
QUIET = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
HARMFUL = {"/v1/libraries/{library}/backup", "/v1/libraries/{library}/index", "/v1/libraries/{library}/jobs"}
"""Write to or read from the machine by design; only an administrator's key may."""


@pytest.mark.parametrize("whose", ["this machine", "read"])
def test_no_request_meets_an_unexpected_error(client: TestClient, keys: KeyFile, whose: str) -> None:
    headers = {} if whose == "this machine" else {"Authorization": f"Bearer {keys.add('reader', 'read')}"}
    schema = schemathesis.openapi.from_dict(client.app.openapi())
    asked = 0
    for operation in (each.ok() for each in schema.get_all_operations()):
        if operation.path in HARMFUL:
            continue
        is_openais = "openai" in (operation.tags or ())

        def ask(case: schemathesis.Case, is_openais: bool) -> None:
            nonlocal asked
            asked += 1
            path = case.formatted_path.replace("{library}", "boats")
            path = "/v1/libraries/boats/" + path.split("/", 4)[-1] if path.startswith("/v1/libraries/") else path
            body = case.body if isinstance(case.body, dict | list) else None
            answer = client.request(
                case.method, path, params=dict(case.query or {}), json=body, headers={**(case.headers or {}), **headers}
            )
            assert answer.status_code != 500, (case.method, path, body, answer.text)
            if answer.status_code >= 400 and not is_openais:
                assert answer.json()["status"] == answer.status_code

        QUIET(given(case=operation.as_strategy(), is_openais=st.just(is_openais))(ask))()
    assert asked > 20 * min(EXAMPLES, 5)


FIELDS = ("path", "folder", "name", "extension", "title", "page")
PIECES = (
    '"', "'", "\\\\", "\\", "`", "(", ")", "[", "]", "{", "}", "%", "_", "*", "\n", "\r", "\t", "\x00", "\u2028",
    "\u202e", "\U0001f600", "x" * 500,
    " or ", " OR ", " and ", " not ", " in ", " like ", "==", "!=", ">=", "<=", "=", "||", "&&", "1 == 1", "true", "id",
    "kind", "exists", "json_contains", "$meta", "null", "--", "/*", "*/", ";", "\u0022", "\\x22", "＂", "’", "pump.txt",
    "harbour.md", "/", "..", "0", "1", "-1", "9" * 30, "é", "e\u0301",
)  # fmt: skip


def adversarial(count: int, real: Sequence[str]) -> list[tuple[str, str]]:
    """(field, value): pieces of the store's language and of what escapes from it, put together by chance; now and then
    a value that some row has."""
    chance = Random(20_26)
    found = []
    for _ in range(count):
        value = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 6)))
        found.append((chance.choice(FIELDS), chance.choice(real) if chance.random() < 0.02 else value))
    return found


def is_refused(field: str, value: str) -> bool:
    try:
        Filter(where=((field, value),))
    except FilterValueError:
        return True
    return False


def test_no_value_of_ten_thousand_changes_what_a_filter_means(library: OpenLibrary) -> None:
    """Twenty alternatives of one field at a time, beside what they mean in plain Python: the store finds the rows whose
    field equals one of them, and no other."""
    bench = library.service.bench
    rows = [chunk for entry in bench.files() for chunk in bench.chunks(str(entry.path))]
    assert len({chunk.path for chunk in rows}) == 2
    vector = bench.embedder.embed_questions(["oil ferry"])[0]
    real = [value for chunk in rows for value in (chunk.path, chunk.title, PurePath(chunk.path).name, "txt", "/")]
    values = adversarial(10_000, real)
    kept = [pair for pair in values if not is_refused(*pair)]
    assert len(kept) > 8_000
    found = 0
    for field in FIELDS:
        of_field = [value for name, value in kept if name == field]
        for start in range(0, len(of_field), 20):
            some = of_field[start : start + 20]
            chosen = Filter(where=tuple((field, value) for value in some))
            got = {chunk.id for chunk, _ in bench.store.search_vector("text", vector, limit=50, filter=chosen)}
            wanted = {chunk.id for chunk in rows if any(matches(chunk, field, value) for value in some)}
            assert got == wanted, (field, some)
            found += bool(got)
    assert found > 10


def matches(chunk: Chunk, field: str, value: str) -> bool:
    """Relative paths count from where the process is; an extension is compared without its dot and its case."""
    path, wanted = PurePath(chunk.path), sendable(value)
    if field == "folder":
        return path.is_relative_to(absolute(wanted)) and path != PurePath(absolute(wanted))
    if field == "path":
        return chunk.path == absolute(wanted)
    if field == "extension":
        return path.suffix.removeprefix(".") == wanted.removeprefix(".").lower()
    plain = {"name": path.name, "title": chunk.title, "page": str(chunk.page)}
    return plain[field] == wanted
