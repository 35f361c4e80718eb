"""Long runs of one sign. Patterns and sentence cutters that look back at every sign take time with its square."""

from collections.abc import Iterator
from itertools import cycle, product

from makers import HostileFile, World
from makers.base import mail_with

_SIGNS = "[({<\"'`*_~#|-=.!\\/&:,@?“"
_LENGTHS = (5_000, 10_000, 20_000, 50_000)
_FORMS = ("txt", "md", "html", "eml")


def attacks(world: World) -> Iterator[HostileFile]:
    kind = "runs of punctuation"
    for number, (sign, (length, form)) in enumerate(zip(_SIGNS, cycle(product(_LENGTHS, _FORMS)), strict=False)):
        text = f"Before the run.\n\n{sign * length}\n\nAfter the run stands an oystercatcher.\n"
        yield HostileFile(
            kind=kind, name=f"{number:02d} {length}.{form}", why=f"{length:,} times {sign}", content=_as(form, text),
            fate="read", words=("oystercatcher",),
        )  # fmt: skip
    for name, text in {
        "pairs.txt": "[](" * 8_000,
        "sentences.txt": ". " * 25_000,
        "abbreviations.md": "e.g. " * 10_000,
        "entities.html": "&amp;" * 20_000,
        "open tags.html": "<a " * 10_000,
        "comment.html": "<!-" * 10_000,
        "rules.md": "---\n" * 10_000,
        "bars.md": "|" * 30_000 + "\n" + "|-" * 15_000 + "\n",
        "fences.md": "```\n" * 8_001,
        "addresses.txt": "http://" * 8_000,
        "at signs.eml": "a@" * 20_000,
    }.items():
        form = name.rpartition(".")[2]
        content = _as(form, f"Before.\n\n{text}\n\n", escaped=False)
        yield HostileFile(kind=kind, name=name, why=f"{len(text):,} characters of it", content=content, fate="read")


def _as(form: str, text: str, *, escaped: bool = True) -> bytes:
    if form == "eml":
        return mail_with([], text)
    if form == "html":
        safe = text.replace("&", "&amp;").replace("<", "&lt;") if escaped else text
        paragraphs = safe.replace("\n\n", "</p><p>")
        return f"<!doctype html><html><body><p>{paragraphs}</p></body></html>".encode()
    return text.encode()
