"""What a PDF holds and its reader does not read, or reads in another way than expected: one sentence for each kind."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Literal, NamedTuple, get_args

from indexing.records import Note, NoteKind
from indexing.settings import ReadLimits

_MOST_NAMED = 10

Kind = Literal[
    "characters", "figures", "objects", "repeating", "lines", "annotations", "media", "hidden", "font", "unseen",
    "covered", "script", "doubt",
]  # fmt: skip


class _Told(NamedTuple):
    """How people are told of it."""

    kind: NoteKind
    unread: bool
    sentence: str


_TOLD: dict[Kind, _Told] = {
    "characters": _Told(
        "text", True, "{count:,} characters over the limit of {limits.max_text_characters:,} were left out"
    ),
    "figures": _Told(
        "picture", False, "{count:,} figures over the limit of {limits.max_figures:,} were kept without their pictures"
    ),
    "objects": _Told(
        "text", False, "{count:,} drawn objects over the limit for a page were not looked at for tables and figures"
    ),
    "repeating": _Told("text", False, "{count:,} lines that repeat at the top or the bottom of pages were left out"),
    "lines": _Told("text", True, "{count:,} lines over the limit for text in a picture were left out"),
    "annotations": _Told("comment", True, "{count:,} comments and form fields over the limit for a page were not read"),
    "media": _Told("embedded", True, "{count:,} recordings, films or models in pages were not read"),
    "hidden": _Told("hidden", False, "{count:,} form fields or comments that no viewer shows were not read"),
    "font": _Told(
        "font",
        True,
        "words of {pages} could not be read: their font does not say which letters it draws, "
        "and reading them from the picture did not help",
    ),
    "unseen": _Told(
        "hidden",
        False,
        "text of {pages} was read that the picture of the page does not show: it is hidden, or in a font that is "
        "neither in the file nor here",
    ),
    "covered": _Told(
        "hidden",
        False,
        "{count:,} words that their pages do not show were not read: on a layer that is switched off, under a cover, "
        "or in the colour of the paper",
    ),
    "script": _Told(
        "script",
        True,
        "writing on {pages} could not be read: it may be handwriting, or in a script that is not read here",
    ),
    "doubt": _Told(
        "text", False, "the words of {pages} were read with low confidence: compare them with the picture of the page"
    ),
}


class NotRead:
    """Adds up what is left out. Add with `count[kind] += n`, or with `on_page` what is told with its pages."""

    def __init__(self, limits: ReadLimits) -> None:
        self.count: Counter[Kind] = Counter()
        self._pages: dict[Kind, list[int]] = {}
        self._limits = limits

    def on_page(self, kind: Kind, number: int) -> None:
        """There is something of the kind on this page."""
        self.count[kind] += 1
        self._pages.setdefault(kind, []).append(number)

    def told_of(self, number: int) -> tuple[str, ...]:
        """The kinds that are told with this page's number, each as often as it was met; `number` is the last page."""
        return tuple(kind for kind, pages in self._pages.items() for _ in takewhile(number.__eq__, reversed(pages)))

    def add(self, count: Mapping[str, int], told_of: Sequence[str], number: int) -> None:
        """What was left out on a page that an earlier run has read."""
        for kind in get_args(Kind):
            self.count[kind] += count.get(kind, 0)
            if kind in told_of:
                self._pages.setdefault(kind, []).extend([number] * told_of.count(kind))

    def notes(self) -> list[Note]:
        """In the order above, without the kinds of which there is nothing."""
        return [self._note(kind, told) for kind, told in _TOLD.items() if self.count[kind]]

    def _note(self, kind: Kind, told: _Told) -> Note:
        count, numbers = self.count[kind], self._pages.get(kind, [])
        sentence = told.sentence.format(count=count, limits=self._limits, pages=_listed(numbers))
        place = f"page {numbers[0]}" if len(numbers) == 1 else ""
        return Note(sentence, kind=told.kind, place=place, number=count, unread=told.unread)


def _listed(numbers: list[int]) -> str:
    """`page 3`, or `12 pages (1, 2, 5 …)`."""
    if len(numbers) == 1:
        return f"page {numbers[0]}"
    named = ", ".join(map(str, numbers[:_MOST_NAMED]))
    return f"{len(numbers):,} pages ({named}{' …' if len(numbers) > _MOST_NAMED else ''})"
