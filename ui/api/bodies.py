"""What clients send, checked by pydantic: lengths and counts have limits, and nothing unknown is taken for known."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Base64Bytes, BaseModel, ConfigDict, Field

MOST_CHARACTERS = 100_000
"""Of a question. The model's window is far smaller; what is over is refused with what fits."""
Words = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Name = Annotated[str, Field(min_length=1, max_length=1000)]
Value = Annotated[str, Field(max_length=4000)]
Condition = tuple[Name, Value] | tuple[Name, Literal["=", "!=", ">=", "<="], Value]
"""A field or a key of facts, perhaps an operator, and a value; `near` has LATITUDE,LONGITUDE,KILOMETRES."""
Facts = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=100)],
    ],
    Field(max_length=100),
]
"""Key → values; a key without values is forgotten."""
_MOST_OF_A_FIELD = {"name": 200, "hint": 2000}
_MOST_OF_A_LIST = 20


def _short_field(field: dict[str, Any]) -> dict[str, Any]:
    """What a field means is checked by `extraction.fields`; here only that it is not endless."""
    for key, most in _MOST_OF_A_FIELD.items():
        if len(str(field.get(key, ""))) > most:
            raise ValueError(f"'{key}' has more than {most:,} characters")
    return field


def _short_question(question: dict[str, Any]) -> dict[str, Any]:
    """The same of a question, which `evaluation.question_files` checks."""
    for key in ("hidden", "previous"):
        listed = question.get(key)
        if isinstance(listed, list) and len(listed) > _MOST_OF_A_LIST:
            raise ValueError(f"'{key}' holds more than {_MOST_OF_A_LIST} texts")
    previous = question.get("previous")
    asked = [question.get("question"), *(previous if isinstance(previous, list) else ())]
    if any(isinstance(text, str) and len(text) > MOST_CHARACTERS for text in asked):
        raise ValueError(f"a question has more than {MOST_CHARACTERS:,} characters")
    return question


Fields = Annotated[list[Annotated[dict[str, Any], AfterValidator(_short_field)]], Field(min_length=1, max_length=50)]
"""As `extraction.fields.Field`."""
Questions = Annotated[
    list[Annotated[dict[str, Any], AfterValidator(_short_question)]], Field(min_length=1, max_length=10_000)
]
"""As a line of a question file."""


class Body(BaseModel):
    """Frozen, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class QuestionBody(Body):
    """A question or search: words, pictures, or both; see `ui.service.Question`."""

    text: Words = ""
    images: Annotated[list[tuple[Name, Base64Bytes]], Field(max_length=8)] = []
    history: Annotated[list[tuple[Words, Words]], Field(max_length=100)] = []
    k: Annotated[int, Field(ge=1, le=100)] = 8
    kinds: list[Literal["image", "page", "text", "table", "figure"]] = []
    where: Annotated[list[Condition], Field(max_length=100)] = []
    apart: bool = False


class AskBody(QuestionBody):
    """`stream`: server-sent events as they come, or one document at the end."""

    stream: bool = True


class IndexBody(Body):
    """Files and folders of the service's machine, and what is said of every file there."""

    paths: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    retry_failed: bool = False
    follow_links: bool = False
    objects: bool = True
    facts: Facts = {}


class RemoveBody(Body):
    """A path, a folder or an id."""

    what: Name


class VerifyBody(Body):
    """`repair` drops rows without an owner and writes missing ones again."""

    repair: bool = False


class BackupBody(Body):
    """Where the backup is to lie."""

    path: Name


class ExtractBody(Body):
    """Fields (as `extraction.fields.Field`) of one document of the library."""

    path: Name
    fields: Fields
    rows: bool = False


class ExtractionBody(Body):
    """Fields (as `extraction.fields.Field`) of every file at or below the paths; of the whole library without any."""

    paths: Annotated[list[Name], Field(max_length=1000)] = []
    fields: Fields
    rows: bool = False


class EvaluationBody(Body):
    """Questions as a line of a question file has them (docs/howto/measure-answers.md). `search_only` asks no model;
    `baseline` is an evaluation to compare with, by its number."""

    task: Literal["retrieval", "answers", "refusal", "citations", "attacks"]
    questions: Questions
    k: Annotated[int, Field(ge=1, le=100)] = 8
    search_only: bool = False
    baseline: int | None = None


class LibraryBody(Body):
    """A new library's name."""

    name: Annotated[str, Field(min_length=1, max_length=64)]


class UploadBody(Body):
    """What is to come: the file's name, its size in bytes, and what is said of it."""

    name: Name
    facts: Facts = {}
    size: Annotated[int, Field(ge=1, le=1 << 40)]
