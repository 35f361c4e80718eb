"""Where the questions of `llavero eval` come from: files in one of several shapes.

jsonl       one question an object, one object a line; Llavero's own, and that of `examples/sample`
xquad       XQuAD, SQuAD 1.1 and what has their shape: paragraphs with questions
sec-10-q    Docugami's table of questions on 10-Q reports
"""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

from evaluation.questions import KnownQuestion
from rag.errors import RagError

Format = Literal["jsonl", "xquad", "sec-10-q"]
FORMATS: tuple[Format, ...] = get_args(Format)


class QuestionFileError(RagError):
    """A file of questions cannot be used."""

    def __init__(self, path: Path, reason: str, *, line: int | None = None) -> None:
        super().__init__(f"{path}{f', line {line}' if line else ''}: {reason}")
        self.path, self.line = path, line


def read_questions(paths: Sequence[Path], format: Format | None = None) -> list[KnownQuestion]:
    """All questions of the files, each of the given format or of the one it looks like. Raises QuestionFileError."""
    questions: dict[str, KnownQuestion] = {}
    for path in paths:
        for question in _READERS[format or _format_of(path)](path):
            if question.id in questions:
                raise QuestionFileError(path, f"the id '{question.id}' stands there twice")
            questions[question.id] = question
    if not questions:
        raise QuestionFileError(paths[0], "holds no questions")
    return list(questions.values())


def _format_of(path: Path) -> Format:
    if path.suffix == ".csv":
        return "sec-10-q"
    return "xquad" if path.suffix == ".json" else "jsonl"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QuestionFileError(path, f"is not UTF-8: {error.reason} at byte {error.start}") from None


def _read_jsonl(path: Path) -> list[KnownQuestion]:
    questions = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            try:
                questions.append(question_of(json.loads(line)))
            except ValueError as error:
                reason = f"no JSON: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
                raise QuestionFileError(path, reason, line=number) from None
    return questions


def question_of(found: Any) -> KnownQuestion:
    """One object of a question file. Raises ValueError with what is wrong.

    `answer` and `accept`, as the sample collection writes them, are accepted answers too; a question with neither
    answers nor sources is one that nothing answers, unless it says otherwise.
    """
    if not isinstance(found, dict):
        raise ValueError("a question must be an object in braces")
    left = dict(found)
    name, question = left.pop("id", None), left.pop("question", None)
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise ValueError("'id' is missing, or neither text nor a number")
    if not isinstance(question, str) or not question.strip():
        raise ValueError("'question' is missing, or no text")
    single, page = left.pop("answer", None), left.pop("page", None)
    answers = [*_listed({"answer": [single]} if single is not None else {}, "answer", str)]
    answers += [*_listed(left, "answers", str), *_listed(left, "accept", str)]
    pages = [*_listed({"page": [page]} if page is not None else {}, "page", int), *_listed(left, "pages", int)]
    sources = _listed(left, "sources", str)
    answerable, language = left.pop("answerable", bool(answers or sources)), left.pop("language", "en")
    if not isinstance(answerable, bool):
        raise ValueError(f"'answerable' must be true or false, it is {answerable!r}")
    if not isinstance(language, str):
        raise ValueError(f"'language' must be a text such as \"en\", it is {language!r}")
    return KnownQuestion(
        id=str(name), question=question, answers=tuple(answers), sources=tuple(sources), pages=tuple(pages),
        answerable=answerable, previous=tuple(_listed(left, "previous", str)),
        hidden=tuple(_listed(left, "hidden", str)), language=language, kind=str(left.pop("kind", "")), more=left,
    )  # fmt: skip


def _listed(found: dict[str, Any], key: str, kind: type) -> list[Any]:
    """Take a list out of an object; it may be missing or null."""
    value = found.pop(key, None)
    value = [] if value is None else value
    fits = isinstance(value, list) and all(isinstance(one, kind) and not isinstance(one, bool) for one in value)
    if not fits or (kind is int and any(one < 1 for one in value)):
        raise ValueError(f"'{key}' must hold {'texts' if kind is str else 'numbers from 1'}, it is {value!r}")
    return list(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Paragraphs:
    """SQuAD's JSON: paragraphs by the names of the files that they become, and the questions of each article."""

    texts: Mapping[str, str]
    articles: Sequence[Sequence[KnownQuestion]]


def read_paragraphs(path: Path, language: str = "") -> Paragraphs:
    """XQuAD, SQuAD 1.1 and whatever has their shape; `xquad.es.json` is in Spanish. Raises QuestionFileError.

    The files' names are numbers, because an article's name would help the search.
    """
    tail = PurePath(path.stem).suffix[1:]
    is_code = len(tail) in (2, 3) and tail.isascii() and tail.isalpha() and tail.islower()
    language = language or (tail if is_code else "en")
    texts: dict[str, str] = {}
    articles = []
    try:
        for article in json.loads(_text(path))["data"]:
            questions = []
            for paragraph in article["paragraphs"]:
                name = f"paragraph-{len(texts) + 1:04d}.txt"
                texts[name] = paragraph["context"]
                for asked in paragraph["qas"]:
                    answers = [str(one["text"]) for one in asked["answers"]]
                    found = {"id": asked["id"], "question": asked["question"], "answers": answers, "sources": [name]}
                    questions.append(question_of({**found, "language": language}))
            articles.append(questions)
    except json.JSONDecodeError as error:
        raise QuestionFileError(path, f"no JSON: {error.msg}", line=error.lineno) from None
    except (KeyError, TypeError, ValueError) as error:
        raise QuestionFileError(path, f"has not the shape of SQuAD 1.1 ({type(error).__name__}: {error})") from None
    return Paragraphs(texts=texts, articles=articles)


def asked_in(other: Paragraphs, question: KnownQuestion) -> KnownQuestion | None:
    """The question as another language's file asks it, over the same paragraph; its answers in both are right."""
    for article in other.articles:
        for found in article:
            if found.id == question.id:
                answers = tuple(dict.fromkeys((*question.answers, *found.answers)))
                return replace(question, question=found.question, answers=answers, language=found.language)
    return None


def _read_xquad(path: Path) -> list[KnownQuestion]:
    return [question for article in read_paragraphs(path).articles for question in article]


def _read_sec_10_q(path: Path) -> list[KnownQuestion]:
    """Docugami's questions on 10-Q reports. `*AAPL*` means all of Apple's files in the folder `docs` beside the table;
    without that folder the sources are those that the answer names."""
    rows = list(csv.DictReader(_text(path).splitlines(keepends=True)))
    there = sorted(one.name for one in (path.parent / "docs").glob("*.pdf"))
    questions = []
    for number, row in enumerate(rows, start=1):
        if any(not row.get(column) for column in ("Question", "Answer", "Source Docs")):
            raise QuestionFileError(path, f"question {number} lacks 'Question', 'Answer' or 'Source Docs'")
        answer, _, named = row["Answer"].partition("SOURCE(S):")
        sources = [one for one in there if fnmatchcase(one, row["Source Docs"] + ".pdf")]
        sources = sources or sorted(set(re.findall(r"\d{4} Q\d [A-Z]+\.pdf", named)))
        questions.append(
            KnownQuestion(
                id=str(number), question=row["Question"].strip(), answers=(answer.strip(),), sources=tuple(sources),
                kind=row.get("Question Type") or "", more={"chunk": row.get("Source Chunk Type") or ""},
            )
        )  # fmt: skip
    return questions


_READERS: Mapping[Format, Callable[[Path], list[KnownQuestion]]] = {
    "jsonl": _read_jsonl, "xquad": _read_xquad, "sec-10-q": _read_sec_10_q,
}  # fmt: skip
