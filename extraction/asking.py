"""What a model is asked about a document, in the words of `rag/instructions/extract.toml`, and what it replies."""

import json
import tomllib
from functools import cache
from importlib.resources import files

from extraction.document import Document
from extraction.fields import Field
from llava_model.serving.engine import Turn
from rag.prompt import as_data

ABSENT = "absent"
_WORDING = files("rag") / "instructions" / "extract.toml"


@cache
def request(name: str) -> str:
    """The text of that name, with gaps in braces to fill."""
    texts: dict[str, str] = tomllib.loads(_WORDING.read_text(encoding="utf-8"))
    return texts[name].strip()


def turns_about(document: Document, asked: str) -> tuple[Turn, ...]:
    """What differs stands last, so that the engine reads a document once for all its fields."""
    text = f"The document:\n{document.text}\n\nThis is the end of the document.\n{asked}"
    return Turn(role="system", text=request("system")), Turn(role="user", text=text)


def described(wanted: Field) -> str:
    """Its name and what else is known. Its type is left out: told that it is money, a model takes any amount."""
    return as_data(wanted.name) + (f": {as_data(wanted.hint)}" if wanted.hint else "")


def bare(reply: str) -> str:
    """Without blanks and quotes around it."""
    return reply.strip().strip("\"'`*“”")


def is_absent(reply: str) -> bool:
    """Whether it says that the document does not have it."""
    return "".join(sign for sign in reply if sign.isalnum()).casefold() in ("", ABSENT)


def json_rows(reply: str, *, many: bool) -> list[dict[str, str]]:
    """The rows of a JSON reply, whatever stands around it; "" for null. Raises ValueError with what is wrong."""
    start, end = reply.find("{"), reply.rfind("}")
    if start < 0 or end < start:
        raise ValueError("there is no JSON object in it")
    said = json.loads(reply[start : end + 1], parse_float=str, parse_int=str)
    rows = said.get("rows") if many else [said]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('"rows" is no list of objects')
    if any(isinstance(value, list | dict) for row in rows for value in row.values()):
        raise ValueError("a member is neither a string nor null")
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
