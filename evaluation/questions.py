"""A question, and what is known of its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Task = Literal["retrieval", "answers", "refusal", "citations", "attacks"]
HIDDEN = "~hidden"
"""What the id of a question ends with that is asked a second time, without its source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownQuestion:
    """A question and what is known about its answer."""

    id: str
    question: str
    answers: tuple[str, ...] = ()
    """Any of them is right."""
    sources: tuple[str, ...] = ()
    """Files that hold the answer: a path, or the end of one."""
    pages: tuple[int, ...] = ()
    """Where in the source; none where that is not known, or where a file has no pages."""
    answerable: bool = True
    previous: tuple[str, ...] = ()
    """Questions of the same conversation, asked before."""
    hidden: tuple[str, ...] = ()
    """Files that the search must not see."""
    language: str = "en"
    kind: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """A line of a question file."""
        fields = ("answers", "sources", "pages", "previous", "hidden")
        lists = {name: list(getattr(self, name)) for name in fields if getattr(self, name)}
        kind = {"kind": self.kind} if self.kind else {}
        own = {"id": self.id, "question": self.question, **lists, "answerable": self.answerable}
        return {**own, "language": self.language, **kind, **self.more}

    def without_source(self) -> "KnownQuestion":
        """The same question where nothing answers it, because its sources are hidden."""
        return replace(
            self, id=self.id + HIDDEN, answers=(), sources=(), pages=(), answerable=False, hidden=self.sources
        )
