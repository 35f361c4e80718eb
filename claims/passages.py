"""A chunk → the sentences, rows and lines in it.

A passage is what a person would quote: a sentence of prose, one row of a table, one row of a receipt
(OCR finds `TOTAL` and `9.00` as two lines; side by side they are one row). It knows the lines it came from, hence
the boxes to mark on the page. Small models answer well from a handful of the right passages and badly from
everything, so the prompt is made of passages and the citations quote them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from claims.tokens import unaccented
from indexing.records import Box, Chunk, Line


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """One quotable piece of a chunk. `quote` is as it stands in the source, `text` is how a model reads it."""

    quote: str
    text: str
    lines: tuple[Line, ...] = ()

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where it stands on its page; empty where the format has no geometry."""
        return tuple(line.box for line in self.lines if line.box is not None)


@lru_cache
def passages(chunk: Chunk) -> tuple[Passage, ...]:
    """Every passage of the chunk in reading order; none is empty."""
    if chunk.kind == "table" or _looks_like_table(chunk.text):
        return _table_rows(chunk)
    located = _locate(chunk.text, chunk.lines)
    found = []
    for start, end in sentences(chunk.text):
        quote = chunk.text[start:end].strip()
        lines = tuple(line for line, (begin, stop) in located if begin < end and start < stop)
        found.append(Passage(quote=quote, text=" ".join(quote.split()), lines=lines))
    return tuple(_joined_rows(found))


def _locate(text: str, lines: Sequence[Line]) -> list[tuple[Line, tuple[int, int]]]:
    """Where each line stands in the chunk's text; lines whose words were changed on the way are left out."""
    located = []
    position = 0
    for line in lines:
        words = line.text.strip().rstrip("-\u2010\u00ad")  # the hyphen of a word that went on in the next line
        start = text.find(words, position) if words else -1
        if start >= 0:
            position = start + len(words)
            located.append((line, (start, position)))
    return located


def _joined_rows(found: Sequence[Passage]) -> list[Passage]:
    """Put neighbours side by side on the page into one row."""
    rows: list[Passage] = []
    for passage in found:
        if rows and _same_row(rows[-1], passage):
            last = rows[-1]
            rows[-1] = Passage(
                quote=f"{last.quote} {passage.quote}",
                text=f"{last.text} {passage.text}",
                lines=(*last.lines, *passage.lines),
            )
        else:
            rows.append(passage)
    return rows


def _same_row(left: Passage, right: Passage) -> bool:
    if not left.boxes or not right.boxes or left.lines[-1] is right.lines[0]:
        return False
    (x0, y0, x1, y1), (u0, v0, u1, v1) = left.boxes[-1], right.boxes[0]
    overlap = min(y1, v1) - max(y0, v0)
    return len(right.lines) == 1 and u0 > x0 and u1 > x1 and overlap > 0.5 * min(y1 - y0, v1 - v0)


def _looks_like_table(text: str) -> bool:
    return any(map(is_rule, text.splitlines()[:4]))


def _table_rows(chunk: Chunk) -> tuple[Passage, ...]:
    """Each row with its column names spelled out: `Aurora 500: Price 329 EUR, Weight 6.1 kg`."""
    written = [line for line in chunk.text.splitlines() if line.strip()]
    rule = next((i for i, line in enumerate(written) if is_rule(line)), None)
    header = cells(written[rule - 1]) if rule else []
    lines = _lines_of_rows(written, chunk.lines)
    found = []
    for i, line in enumerate(written):
        if rule is not None and i in (rule - 1, rule):
            continue
        text = _spelled_out(header, cells(line)) if rule is not None and i > rule and "|" in line else line
        if any(sign.isalnum() for sign in text):
            found.append(Passage(quote=line.strip(), text=text.strip(), lines=lines[i]))
    return tuple(found)


def _spelled_out(header: Sequence[str], cells: Sequence[str]) -> str:
    named = [f"{header[i]} {cell}".strip() if i < len(header) else cell for i, cell in enumerate(cells) if i and cell]
    return f"{cells[0]}: {', '.join(named)}" if cells[0] and named else ", ".join([*cells[:1], *named]).strip(", ")


def _lines_of_rows(rows: Sequence[str], lines: Sequence[Line]) -> list[tuple[Line, ...]]:
    """The lines that each row was read from. Both go down the page, so no line goes to a row above that of the line
    before; of all such ways it is the one in which the lines find most of their words. A cell that goes on in a
    second line says `replace`, as others do: only the order tells whose it is."""
    printed = _side_by_side(lines)
    held = [Counter(fold(row.replace("|", " ")).split()) for row in rows]
    shares = [[_held(line, words) for words in held] for line in printed]
    best = [0.0] * len(rows)
    before: list[list[int]] = []
    for own in shares:
        places = [0]
        for row in range(1, len(rows)):
            places.append(row if best[row] > best[places[-1]] else places[-1])
        before.append(places)
        best = [best[place] + share for place, share in zip(places, own, strict=True)]
    found: list[tuple[Line, ...]] = [()] * len(rows)
    place = max(range(len(rows)), key=best.__getitem__, default=0)
    for number in range(len(printed) - 1, -1, -1):
        if shares[number][place] > 0.5:
            found[place] = (*printed[number], *found[place])
        place = before[number][place]
    return found


def _side_by_side(lines: Sequence[Line]) -> list[list[Line]]:
    """Down the page; OCR reads each cell as a line of its own."""
    printed: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3] if line.box else 0):
        last = printed[-1][0].box if printed else None
        if last and line.box and min(last[3], line.box[3]) - max(last[1], line.box[1]) > 0.5 * (last[3] - last[1]):
            printed[-1].append(line)
        else:
            printed.append([line])
    return printed


def _held(line: Sequence[Line], row: Counter[str]) -> float:
    """The share of the line's words that the row holds."""
    words = Counter(word for part in line for word in fold(part.text).split())
    return (words & row).total() / max(1, words.total())


# Markdown tables, as a chunk's text holds them: cells between `|`, and a line of dashes under the header.
#
# | Part | Every |
# | --- | --- |
# | Pump | 12 months |

_CELL_BORDER = re.compile(r"(?<!\\)\|")


def is_rule(line: str) -> bool:
    """Whether it is the line between a header and its rows: dashes, with colons where a column is aligned."""
    within = line.strip().removeprefix("|").removesuffix("|").split("|")
    dashes = [cell.strip().removeprefix(":").removesuffix(":") for cell in within]
    return "|" in line and all(set(each) == {"-"} for each in dashes)


def is_row(line: str) -> bool:
    """Whether a line begins and ends with `|`."""
    line = line.strip()
    return len(line) > 1 and line.startswith("|") and line.endswith("|")


def cells(row: str) -> list[str]:
    r"""`| Pump | 12 months |` → `["Pump", "12 months"]`; `\|` is a `|` inside a cell."""
    return [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(row.strip().strip("|"))]


def as_plain_rows(text: str) -> str:
    """How a person would write it in a sentence: `| Pump | 12 months |` → `Pump · 12 months`; other lines stay."""
    lines = [line for line in text.split("\n") if not (is_row(line) and is_rule(line))]
    return "\n".join(" · ".join(filter(None, cells(line))) if is_row(line) else line for line in lines)


# A stop, the quotes and whole markers behind it, and a capital or number after it; or the end of a line.
_SENTENCE_END = re.compile(
    r"(?<=[.!?。！？])(?:[\"'”’)\]]|\s*[\[［【〔][^\]］】〕\n]{0,20}[\]］】〕])*(?=\s+[\"'“(]?[A-Z0-9À-ÞЀ-Я])|\n+"
)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence or line; "3.5", "No. 5" and "e.g. this" do not end one."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if _ends_sentence(text[start : match.start()]) or "\n" in match.group():
            if text[start : match.end()].strip():
                yield start, match.end()
            start = match.end()
    if text[start:].strip():
        yield start, len(text)


def _ends_sentence(text: str) -> bool:
    """Not behind one or two letters ("No. 5", "Dr. Lowe"), nor behind letters with stops between them ("e.g.")."""
    last = (text.rstrip().rsplit(maxsplit=1)[-1:] or [""])[0].removesuffix(".")
    letters = last.replace(".", "")
    return not letters.isalpha() or (len(letters) > 2 and "." not in last)


def fold(text: str) -> str:
    """Lower case, without accents and width variants: "Café ＡＢＣ" → "cafe abc"."""
    return unicodedata.normalize("NFC", unaccented(text))
