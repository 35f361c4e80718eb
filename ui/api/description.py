"""The OpenAPI document: FastAPI's own, with the errors, streams of events and keys that this interface really has.

`described_stream(AskEvent)` goes into a route's `responses`; `DescribedApp` puts all types into the document.
"""

from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from ui.api import answers, job_answers
from ui.api.problems import MEDIA_TYPE

_REF = "#/components/schemas/{model}"
_NAMED: dict[str, Any] = {
    "ProblemDocument": answers.ProblemDocument,
    "AnswerDocument": answers.AnswerDocument,
    "AskEvent": answers.AskEvent,
    "IndexEvent": job_answers.IndexEvent,
    "JobEvent": job_answers.JobEvent,
    "RunEvent": job_answers.RunEvent,
}
_METHODS = ("get", "put", "post", "delete", "patch")


def operation_id(route: APIRoute) -> str:
    """The name of the route's function: what a generated client calls its method."""
    return route.name


def described_stream(event: str, *, or_document: str = "") -> dict[int | str, dict[str, Any]]:
    """Server-sent events whose data have this type, or a whole document where the client asks for that."""
    content = {"text/event-stream": {"schema": _reference(event)}}
    if or_document:
        content["application/json"] = {"schema": _reference(or_document)}
    return {200: {"description": "Events as they come", "content": content}}


def described_file(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Bytes of a type."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": "The file", "content": {media_type: {"schema": schema}}}}


class DescribedApp(FastAPI):
    """An application whose OpenAPI document is completed."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(get_openapi(title=self.title, version=self.version, routes=self.routes))
        return self.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    adapters = [(name, "validation", TypeAdapter(kind)) for name, kind in _NAMED.items()]
    made, more = TypeAdapter.json_schemas(cast(Any, adapters), ref_template=_REF)
    for name, schema in [*more.get("$defs", {}).items(), *((name, each) for (name, _), each in made.items())]:
        if "$ref" not in schema:
            schemas.setdefault(name, schema)
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    problem = {"description": "A problem", "content": {MEDIA_TYPE: {"schema": _reference("ProblemDocument")}}}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                responses = operations[method]["responses"]
                responses.pop("422", None)
                responses["default"] = problem
                _add_library(path, operations[method])
                operations[method]["security"] = [] if path == "/health" else [{"key": []}, {}]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _add_library(path: str, operation: dict[str, Any]) -> None:
    """The routes of a library find it in the path themselves, since on its own socket it is not there."""
    named = [each for each in operation.get("parameters", ()) if each["name"] == "library"]
    if "{library}" in path and not named:
        library = {"name": "library", "in": "path", "required": True, "schema": {"type": "string"}}
        operation["parameters"] = [library, *operation.get("parameters", ())]


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}
