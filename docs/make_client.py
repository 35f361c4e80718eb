"""Writes a typed Python client of `llavero api` out of its OpenAPI document.

    python docs/make_client.py client/llavero_client [--openapi FILE.json]

The types come from datamodel-code-generator (`models.py`); `client.py` has a method for each route, named as the route,
over httpx. Nothing of it is kept in the repository: it is made from the document of the version that one has. Without
`--openapi` that is the version beside this script; another one's is at `GET /openapi.json`.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_OPTIONS = (
    "--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11",
    "--use-annotated", "--enum-field-as-literal", "all", "--use-standard-collections", "--use-union-operator",
    "--disable-timestamp", "--use-schema-description", "--collapse-root-models", "--strict-nullable",
    "--use-tuple-for-fixed-items", "--formatters", "builtin",
)  # fmt: skip
_BASE = '''"""A client of `llavero api`, made by docs/make_client.py. `ApiError` carries what went wrong."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter

from . import models

Model = TypeVar("Model", bound=BaseModel)


class ApiError(Exception):
    """The service refuses, or cannot do it now; `problem` says why and what to do."""

    def __init__(self, problem: models.ProblemDocument) -> None:
        super().__init__(" ".join([problem.detail, *(problem.notes or [])]))
        self.problem, self.status = problem, problem.status


class Client:
    """One service. Close it, or use it in a `with`."""

    def __init__(
        self, url: str = "http://127.0.0.1:8765", key: str = "", *, seconds: float = 600.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=seconds, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def _bytes(self, method: str, path: str, **more: Any) -> bytes:
        answer = self._http.request(method, path, **more)
        _check(answer)
        return answer.content

    def _document(self, model: type[Model], method: str, path: str, **more: Any) -> Model:
        return model.model_validate_json(self._bytes(method, path, **more))

    def _events(self, kind: Any, method: str, path: str, **more: Any) -> Iterator[Any]:
        known: TypeAdapter[Any] = TypeAdapter(kind)
        with self._http.stream(method, path, **more) as answer:
            if answer.is_error:
                answer.read()
            _check(answer)
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    event = known.validate_json(line[6:])
                    event = getattr(event, "root", event)
                    if isinstance(event, models.ProblemEvent):
                        raise ApiError(models.ProblemDocument.model_validate(event.model_dump()))
                    yield event


def _check(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    try:
        problem = models.ProblemDocument.model_validate_json(answer.content)
    except ValueError:  # somebody else's answer, such as a proxy's
        problem = models.ProblemDocument(title=answer.reason_phrase, status=answer.status_code, detail=answer.text[:99])
    raise ApiError(problem)


def _sent(body: BaseModel, **fixed: Any) -> dict[str, Any]:
    return body.model_dump(mode="json", exclude_unset=True) | fixed


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _part(value: object) -> str:
    return quote(str(value), safe="")
'''


def main() -> None:
    """Make the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the package's folder, such as client/llavero_client")
    parser.add_argument("--openapi", type=Path, help="a service's /openapi.json; by default this version's own")
    asked = parser.parse_args()
    document = json.loads(asked.openapi.read_text("utf-8")) if asked.openapi else own_document()
    make_client(document, asked.out)
    sys.stdout.write(f"{asked.out}: {sum(1 for _ in operations(document))} routes\n")


def own_document() -> dict[str, Any]:
    """The OpenAPI document of the version beside this script."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from ui.api.access import AccessRules, KeyFile, RateLimit
    from ui.api.app import build_app
    from ui.api.libraries import Libraries, LibraryNameError

    def refuse(folder: Path) -> Any:
        raise LibraryNameError("this process serves nothing")

    return build_app(Libraries(refuse), AccessRules(keys=KeyFile(Path("nokeys")), rate=RateLimit(1))).openapi()


def make_client(document: Mapping[str, Any], out: Path) -> None:
    """Write the package: `__init__.py`, `models.py`, `client.py`, `py.typed`."""
    out.mkdir(parents=True, exist_ok=True)
    described = out / "openapi.json"
    described.write_text(json.dumps(document, indent=1), "utf-8")
    generator, ruff = (Path(sys.executable).with_name(name) for name in ("datamodel-codegen", "ruff"))
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}  # it says that base64 is a text for it
    subprocess.run([generator, "--input", described, "--output", out / "models.py", *_OPTIONS], check=True, env=quiet)
    methods = "".join(
        method for path, how, operation in operations(document) for method in written(path, how, operation)
    )
    (out / "client.py").write_text(_BASE.replace("\n\ndef _check(", methods + "\n\ndef _check(", 1), "utf-8")
    (out / "__init__.py").write_text(
        '"""A typed client of `llavero api`."""\n\nfrom . import models\nfrom .client import ApiError, Client\n\n'
        '__all__ = ["ApiError", "Client", "models"]\n'
    )
    (out / "py.typed").touch()
    subprocess.run([ruff, "format", "--quiet", "--line-length", "120", "--no-cache", out], check=True)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(path, HTTP method, operation); OpenAI's routes have a client of their own."""
    for path, methods in document["paths"].items():
        for how, operation in methods.items():
            if "openai" not in operation.get("tags", ()):
                yield path, how, operation


def written(path: str, how: str, operation: Mapping[str, Any]) -> Iterator[str]:
    """One method; two where the route answers with events or with a document."""
    answers = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
    content = answers.get("content", {})
    name = operation["operationId"]
    document = _model(content.get("application/json", {}).get("schema", {}))
    events = _model(content.get("text/event-stream", {}).get("schema", {}))
    if events:
        is_both, title = bool(document), name if name.endswith("events") else f"{name}_events"
        yield _method(title, path, how, operation, f"Iterator[{events}]", f"self._events({events}, ",
                      {"stream": True} if is_both else {})  # fmt: skip
    if document:
        yield _method(name, path, how, operation, document, f"self._document({document}, ",
                      {"stream": False} if events else {})  # fmt: skip
    if not document and not events:
        returns = "bytes" if content else "None"
        yield _method(name, path, how, operation, returns, "self._bytes(", {})


def _method(
    name: str, path: str, how: str, operation: Mapping[str, Any], returns: str, call: str, fixed: Mapping[str, bool]
) -> str:
    first, last, more = [], [], []
    place = path
    for each in operation.get("parameters", ()):
        kind, needed = _type(each["schema"]), each.get("required", False)
        if each["in"] == "path":
            first.append(f"{each['name']}: {kind}")
            place = place.replace("{" + each["name"] + "}", "{_part(" + each["name"] + ")}")
        else:
            last.append(f"{each['name']}: {kind}" if needed else f"{each['name']}: {kind} | None = None")
            more.append(f"{each['name']}={each['name']}")
    sent = [f"params=_given({', '.join(more)})"] if more else []
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        if media_type == "application/json":
            first.append(f"body: {_model(body['schema'])}")
            sent.append(f"json=_sent({', '.join(['body', *(f'{key}={value}' for key, value in fixed.items())])})")
        elif media_type == "multipart/form-data":
            first.append("files: Sequence[tuple[str, bytes]]")
            last.append("fields: Mapping[str, Sequence[str]] | None = None")
            sent.append('files=[("file", each) for each in files], data=dict(fields or {})')
        else:
            first.append("content: bytes")
            sent.append("content=content")
    signature = ", ".join(["self", *first, *(["*", *last] if last else [])])
    asked = ", ".join([f'"{how.upper()}"', f'f"{place}"' if "{" in place else f'"{place}"', *sent])
    result = "" if returns == "None" else "return "
    told = f'"""{operation["description"].strip()}"""'
    lines = f"def {name}({signature}) -> {returns}:\n    {told}\n    {result}{call}{asked})\n"
    return "\n" + indent(lines, "    ")


def _model(schema: Mapping[str, Any]) -> str:
    reference = schema.get("$ref", "")
    return f"models.{reference.rpartition('/')[2]}" if reference else ""


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    if schema.get("type") == "array":
        return f"Sequence[{_type(schema['items'])}]"
    return _TYPES[schema["type"]]


if __name__ == "__main__":
    main()
