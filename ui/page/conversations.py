"""Conversations on disk, so that a reload of the page or a restart of the server keeps them.

`<library>/conversations/<id>.json`, readable by its user alone. The id is random and stands in the page's address: who
has the address has the conversation. Pictures given with a question are not kept. "New conversation" deletes the file.
"""

import json
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.events import Answer

FOLDER = "conversations"
_ID = re.compile(r"[0-9a-f]{32}")
_MOST = 200
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class KeptTurn:
    """One question with its whole answer."""

    question: str
    scope_words: str
    answer: "Answer"


def new_id() -> str:
    """A name that nobody can guess."""
    return secrets.token_hex(16)


def keep(library: Path, conversation: str, turns: Sequence[KeptTurn]) -> None:
    """Write it anew, all of it or nothing; the oldest of too many conversations go. Raises OSError."""
    if not _ID.fullmatch(conversation):
        return
    folder = library / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    told = [
        {"question": turn.question, "scope_words": turn.scope_words, "answer": _answer_to_json(turn.answer)}
        for turn in turns
    ]
    fresh = folder / f".{conversation}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"format": _FORMAT, "turns": told}, file)
    fresh.replace(folder / f"{conversation}.json")
    _tidy(folder)


def load(library: Path, conversation: str) -> list[KeptTurn]:
    """The conversation of this name; empty where there is none, or where its file makes no sense."""
    if not _ID.fullmatch(conversation):
        return []
    try:
        kept = json.loads((library / FOLDER / f"{conversation}.json").read_text(encoding="utf-8"))
        if kept["format"] != _FORMAT:
            return []
        return [
            KeptTurn(
                question=str(turn["question"]),
                scope_words=str(turn["scope_words"]),
                answer=_answer(turn["answer"]),
            )
            for turn in kept["turns"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def forget(library: Path, conversation: str) -> None:
    """Delete it."""
    if _ID.fullmatch(conversation):
        (library / FOLDER / f"{conversation}.json").unlink(missing_ok=True)


def _answer_to_json(answer: "Answer") -> Any:
    return asdict(replace(answer, prompt=()))


def _answer(value: Any) -> "Answer":
    """Raises ValueError, KeyError or TypeError where it is none."""
    from pydantic import TypeAdapter

    from claims.citations import Citation
    from indexing.records import Hit
    from rag.events import Answer

    citations = TypeAdapter(tuple[Citation, ...]).validate_python(value["citations"])
    hits = TypeAdapter(tuple[Hit, ...]).validate_python(value["hits"])
    plain = {**value, "prompt": (), "notes": tuple(value["notes"])}
    return Answer(**{**plain, "citations": citations, "hits": hits})


def _tidy(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    for file in files[: max(0, len(files) - _MOST)]:
        file.unlink(missing_ok=True)
