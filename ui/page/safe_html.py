"""The only place where text from files, users and models becomes HTML for the page.

Streamlit's Markdown fetches pictures, follows links, and knows formulas, icons and colours, so nothing that
came from outside is ever given to `st.markdown`, `st.caption`, a label or an alert. It goes through here:
every character is escaped, and the tags that remain are ours.
"""

import html
import re
from collections.abc import Collection, Sequence
from itertools import groupby

from claims.passages import is_row, is_rule
from ui import wording

_MARKER = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_BULLET = re.compile(r"^\s*[-*•]\s+(.*)$")
_NUMBERED = re.compile(r"^\s*\d{1,3}[.)]\s+(.*)$")
_HEADING = re.compile(r"^\s*#{1,6}\s+(.*)$")
_BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
_MARKDOWN_SIGNS = re.compile(r"[\\`*_{}\[\]()<>#+\-.!|~:$&^=]")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_CODE = re.compile(r"`([^`\n]+)`")


def escaped(text: str) -> str:
    """`<b> & "x"` → `&lt;b&gt; &amp; &quot;x&quot;`; safe between tags and inside a quoted attribute."""
    return html.escape(wording.visible(text), quote=True)


def tag(name: str, text: str, css_class: str = "", *, title: str = "") -> str:
    """One element around untrusted text: `tag("span", "a<b", "name")` → `<span class="name">a&lt;b</span>`."""
    attributes = f' class="{css_class}"' if css_class else ""
    attributes += f' title="{escaped(title)}"' if title else ""
    return f"<{name}{attributes}>{escaped(text)}</{name}>"


def file_name(name: str, css_class: str = "") -> str:
    """A file's name in an element of its own, so that letters written from right to left turn nothing behind it."""
    shown = wording.shown(name)
    return tag("bdi", shown, f"name {css_class}".strip(), title=shown)


def wrap(name: str, parts: Sequence[str], css_class: str = "") -> str:
    """One element around parts that are HTML already, made by this module."""
    attributes = f' class="{css_class}"' if css_class else ""
    return f"<{name}{attributes}>{''.join(parts)}</{name}>"


def folded(summary: str, lines: Sequence[str]) -> str:
    """A summary in small print that opens to show the lines, if there are any."""
    if not lines:
        return tag("p", summary, "quiet small")
    parts = [tag("summary", summary), *(tag("p", line) for line in lines)]
    return wrap("details", parts, "quiet small")


def badge(number: int) -> str:
    """The number of a source, the same in the answer and on its card."""
    return f'<span class="marker">{number}</span>'


def plain_in_markdown(text: str) -> str:
    """Untrusted text for a place that reads Markdown, such as a button's label: every sign stands for itself."""
    return _MARKDOWN_SIGNS.sub(r"\\\g<0>", " ".join(wording.visible(text).split()))


def paragraphs(text: str, css_class: str = "") -> str:
    """Untrusted text with its line breaks, nothing interpreted."""
    return tag("div", text.strip(), f"{css_class} words".strip())


def passage(text: str, css_class: str, *, cited: str = "", most_rows: int = 0) -> str:
    """Untrusted text with its line breaks; rows between bars, as tables are kept, become a table.

    Rows that `cited` quotes are marked, and of the others only as many are shown as `most_rows` leaves room for, the
    first ones; 0 shows all.
    """
    parts: list[str] = []
    quoted = {fold for line in re.split(r"\n| … ", wording.visible(cited)) if (fold := _words_of_row(line))}
    for tabular, lines in groupby(wording.visible(text).strip().split("\n"), key=is_row):
        if tabular:
            parts.append(_table(list(lines), quoted, most_rows))
        else:
            parts.append(tag("div", "\n".join(lines)))
    return wrap("div", parts, css_class)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], markers: Sequence[int]) -> str:
    """Rows with their sources: the badge stands behind the first cell."""
    head = wrap("tr", [tag("th", wording.visible(name)) for name in columns])
    body = [
        wrap(
            "tr",
            [
                wrap("td", [html.escape(wording.visible(first)), " ", badge(marker)]),
                *(tag("td", wording.visible(cell)) for cell in others),
            ],
        )
        for (first, *others), marker in zip(rows, markers, strict=True)
    ]
    return wrap("table", [head, *body], "overview")


def _table(lines: Sequence[str], quoted: Collection[str], most_rows: int) -> str:
    rule = next((place for place, line in enumerate(lines) if is_rule(line)), 0)
    head = [_row(line, "th") for line in lines[:rule]]
    rows = [line for line in lines[rule:] if not is_rule(line)]
    marked = [_words_of_row(line) in quoted for line in rows]
    shown = _chosen(marked, most_rows) if most_rows else range(len(rows))
    body = [_row(rows[place], "td", "cited" if marked[place] else "") for place in shown]
    if len(body) < len(rows):
        body.append(wrap("tr", [tag("td", f"{len(rows) - len(body):,} rows more")], "more"))
    return wrap("table", [wrap("thead", head), wrap("tbody", body)] if head else [wrap("tbody", body)])


def _chosen(marked: Sequence[bool], most: int) -> list[int]:
    """Places of the marked rows, and of the first others while there is room, in their order."""
    by_rank = sorted(range(len(marked)), key=lambda place: not marked[place])
    return sorted(by_rank[:most])


def _row(line: str, element: str, css_class: str = "") -> str:
    """A cell with nothing between its bars, not even a space, belongs to the one at its left (`| Year || n |`)."""
    spans: list[tuple[str, int]] = []
    for cell in _CELL_BORDER.split(line.strip()[1:-1]):
        if cell == "" and spans:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((cell.strip().replace("\\|", "|"), 1))
    return wrap("tr", [_cell(text, width, element) for text, width in spans], css_class)


def _cell(text: str, width: int, element: str) -> str:
    attributes = ' scope="col"' if element == "th" else ""
    attributes += f' colspan="{width}"' if width > 1 else ""
    return f"<{element}{attributes}>{escaped(text)}</{element}>"


def _words_of_row(line: str) -> str:
    """A row as it can be compared with a quote of it, however its bars and spaces are written."""
    return " ".join(line.replace("\\|", "|").replace("|", " ").split())


def answer(text: str, markers: Collection[int] = (), *, look: str = "") -> str:
    """A model's answer: paragraphs, lists, bold and code are shown as such, everything else as it is written.

    `[2]` becomes a badge if 2 is in `markers`, the numbers that really stand for a source.
    """
    return wrap("div", _blocks(text, markers), f"answer {look}".strip())


def _blocks(text: str, markers: Collection[int]) -> list[str]:
    out: list[str] = []
    open_list = ""
    paragraph: list[str] = []

    def flush() -> None:
        if paragraph:
            out.append(f"<p>{'<br>'.join(paragraph)}</p>")
            paragraph.clear()

    for line in wording.visible(text).strip().split("\n"):
        item = _BULLET.match(line) or _NUMBERED.match(line)
        wanted = "" if item is None else "ul" if item.re is _BULLET else "ol"
        if wanted or not line.strip():
            flush()
        if open_list and wanted != open_list:
            out.append(f"</{open_list}>")
            open_list = ""
        if wanted and not open_list:
            out.append(f"<{wanted}>")
            open_list = wanted
        if item:
            out.append(f"<li>{_inline(item.group(1), markers)}</li>")
        elif heading := _HEADING.match(line):
            flush()
            out.append(f"<p><strong>{_inline(heading.group(1), markers)}</strong></p>")
        elif line.strip():
            paragraph.append(_inline(line, markers))
    flush()
    return [*out, f"</{open_list}>"] if open_list else out


def _inline(line: str, markers: Collection[int]) -> str:
    line = html.escape(line, quote=True)
    line = _BOLD.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", line))
    return _MARKER.sub(lambda match: _badges(match, markers), line)


def _badges(match: re.Match[str], markers: Collection[int]) -> str:
    numbers = [int(number) for number in re.split(r"[,;]", match.group(1))]
    return "".join(map(badge, numbers)) if all(number in markers for number in numbers) else match.group(0)
