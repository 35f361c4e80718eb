"""Word's markup → the same with plain runs, paragraphs, rows and tables, so that a reader of those misses nothing.

    <w:ins><w:r>1145</w:r></w:ins><w:del><w:r>980</w:r></w:del>   →   <w:r>1145</w:r>
    <w:sdt><w:sdtContent><w:tr>…</w:tr></w:sdtContent></w:sdt>      →   <w:tr>…</w:tr>
    <w:sdt><w14:checkbox><w14:checked w14:val="1"/>…               →   <w:r><w:t>☒</w:t></w:r>

It is read as if all tracked changes were accepted: that is what the document says now. Every step goes once over the
tree; where one element takes the place of another it is put before that one, which costs nothing.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from indexing.readers.office.open_xml import W, is_on, local
from indexing.readers.symbols import CROSSED, EMPTY_BOX, symbol, symbols_in
from indexing.records import Note

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_MARKERS = frozenset({f"{W}{name}" for name in ("rPr", "trPr", "tcPr", "pPr", "numPr", "ctrlPr")})
"""In these an insertion or deletion is a mark on what they belong to, and holds nothing."""
_WRAPPERS = tuple(
    f"{W}{name}" for name in ("ins", "moveTo", "fldSimple", "smartTag", "customXml", "hyperlink", "dir", "bdo")
)
_WORD = re.compile(r"\w+")


class Found(Counter[str]):
    """What was met on the way: `deleted`, `inserted`, `hidden` words."""

    def notes(self) -> list[Note]:
        """For a person; nothing that anyone sees in the document is lost by them."""
        notes: list[Note] = []
        if self["deleted"] or self["inserted"]:
            sentence = (
                f"tracked changes were read as accepted: {self['inserted']:,} insertions are in the text, "
                f"{self['deleted']:,} deletions are not"
            )
            notes.append(Note(sentence, kind="revision", number=self["deleted"] + self["inserted"]))
        if self["hidden"]:
            sentence = f"{self['hidden']:,} words that the document hides were read"
            notes.append(Note(sentence, kind="hidden", number=self["hidden"]))
        return notes


def made_plain(root: Any, found: Found, hidden_styles: Collection[str] = ()) -> None:
    """Change the tree of a document, header, footnote … in place; `hidden_styles` are ids of styles that hide text."""
    choose_alternatives(root)
    _accept_changes(root, found)
    found["hidden"] += sum(len(_WORD.findall(text_of(run))) for run in _hidden_runs(root, hidden_styles))
    _fill_form_fields(root)
    _put_symbols(root)
    _take_base_of_ruby(root)
    _write_formulas(root)
    _unwrap_controls(root)
    for each in list(root.iter(*_WRAPPERS)):
        unwrap(each)


def unwrap(element: Any, children: Iterator[Any] | None = None) -> None:
    """Put the element's children (or these ones) where it stands."""
    parent = element.getparent()
    if parent is None:
        return
    for child in list(element if children is None else children):
        element.addprevious(child)
    parent.remove(element)


def run_with(text: str) -> Any:
    """A run; line breaks in the text become breaks."""
    from lxml import etree

    run = etree.Element(f"{W}r")
    for index, line in enumerate(text.split("\n")):
        if index:
            etree.SubElement(run, f"{W}br")
        words = etree.SubElement(run, f"{W}t")
        words.text = line
        words.set(_SPACE, "preserve")
    return run


def text_of(element: Any) -> str:
    """The words below the element; a paragraph or cell ends a line."""
    parts: list[str] = []
    for each in element.iter(f"{W}t", f"{W}tab", f"{W}br", f"{W}cr", f"{W}p"):
        name = local(each)
        parts.append(each.text or "" if name == "t" else "\t" if name == "tab" else "\n")
    return "".join(parts).strip()


def choose_alternatives(root: Any) -> None:
    """Of what is there twice, for new programs and for old ones, what the new ones show."""
    for each in list(root.iter(f"{_MC}AlternateContent")):
        chosen = each.find(f"{_MC}Choice")
        chosen = each.find(f"{_MC}Fallback") if chosen is None else chosen
        unwrap(each, chosen if chosen is not None else iter(()))


def _accept_changes(root: Any, found: Found) -> None:
    for each in list(root.iter(f"{W}del", f"{W}moveFrom", f"{W}cellDel")):
        parent = each.getparent()
        if parent is None:
            continue
        if parent.tag not in _MARKERS:
            found["deleted"] += local(each) == "del"
            parent.remove(each)
        elif parent.tag == f"{W}trPr":
            found["deleted"] += 1
            _remove(parent.getparent())
        elif local(each) == "cellDel":
            found["deleted"] += 1
            _remove(next(parent.iterancestors(f"{W}tc"), None))
    _join_paragraphs(root)
    found["inserted"] += sum(
        each.getparent().tag not in _MARKERS or each.getparent().tag == f"{W}trPr" for each in root.iter(f"{W}ins")
    )


def _join_paragraphs(root: Any) -> None:
    """A paragraph whose end was deleted goes on in the next one."""
    for mark in reversed(list(root.iter(f"{W}del"))):
        paragraph = next(mark.iterancestors(f"{W}p"), None)
        following = paragraph.getnext() if paragraph is not None else None
        if paragraph is None or following is None or following.tag != f"{W}p":
            continue
        for child in list(following):
            if child.tag != f"{W}pPr":
                paragraph.append(child)
        _remove(following)


def _remove(element: Any) -> None:
    if element is not None and element.getparent() is not None:
        element.getparent().remove(element)


def _hidden_runs(root: Any, hidden_styles: Collection[str]) -> Iterator[Any]:
    for run in root.iter(f"{W}r"):
        marks = run.find(f"{W}rPr")
        if marks is None:
            continue
        vanish, style = marks.find(f"{W}vanish"), marks.find(f"{W}rStyle")
        by_style = style is not None and style.get(f"{W}val") in hidden_styles
        if is_on(vanish.get(f"{W}val")) if vanish is not None else by_style:
            yield run


def _unwrap_controls(root: Any) -> None:
    """Content controls around characters, paragraphs, cells or rows; a check box becomes its sign."""
    for control in list(root.iter(f"{W}sdt")):
        content = control.find(f"{W}sdtContent")
        box = control.find(f"{W}sdtPr/{_W14}checkbox")
        if content is not None and box is not None:
            checked = box.find(f"{_W14}checked")
            _put_sign(content, checked is not None and is_on(checked.get(f"{_W14}val")))
        unwrap(control, content if content is not None else iter(()))


def _put_sign(content: Any, is_checked: bool) -> None:
    sign = CROSSED if is_checked else EMPTY_BOX
    texts = list(content.iter(f"{W}t"))
    for text in texts:
        text.text = ""
    if texts:
        texts[0].text = sign
    else:
        holder = next(content.iter(f"{W}p"), content)
        holder.append(run_with(sign))


def _fill_form_fields(root: Any) -> None:
    """The form fields of older versions, whose state is no text: check boxes and lists to choose from."""
    for data in list(root.iter(f"{W}ffData")):
        run = next(data.iterancestors(f"{W}r"), None)
        shown = _form_value(data)
        if run is not None and shown:
            run.addnext(run_with(shown))


def _form_value(data: Any) -> str:
    box, choices = data.find(f"{W}checkBox"), data.find(f"{W}ddList")
    if box is not None:
        state = box.find(f"{W}checked")
        state = box.find(f"{W}default") if state is None else state
        return CROSSED if state is not None and is_on(state.get(f"{W}val")) else EMPTY_BOX
    if choices is None:
        return ""
    entries = [each.get(f"{W}val", "") for each in choices.findall(f"{W}listEntry")]
    chosen = choices.find(f"{W}result")
    index = chosen.get(f"{W}val", "0") if chosen is not None else "0"
    return entries[int(index)] if index.isdecimal() and int(index) < len(entries) else ""


def _put_symbols(root: Any) -> None:
    """Signs of Wingdings and Symbol, by their number or typed in a run of that font."""
    for each in list(root.iter(f"{W}sym")):
        sign = symbol(each.get(f"{W}font", ""), each.get(f"{W}char", ""))
        unwrap(each, iter(run_with(sign)))
    for fonts in root.iter(f"{W}rFonts"):
        run = fonts.getparent().getparent()
        if run is not None and run.tag == f"{W}r":
            font = fonts.get(f"{W}ascii") or fonts.get(f"{W}hAnsi") or ""
            for text in run.iterchildren(f"{W}t"):
                text.text = symbols_in(font, text.text or "")


def _take_base_of_ruby(root: Any) -> None:
    """Of characters with their reading in small ones above, the characters."""
    for each in list(root.iter(f"{W}ruby")):
        base = each.find(f"{W}rubyBase")
        unwrap(each, (part for run in (base if base is not None else ()) for part in list(run) if local(part) != "rPr"))


def _write_formulas(root: Any) -> None:
    """Each formula as a line: (a+b)/(2) for a fraction, x^(2), x_(i), √(x)."""
    for each in list(root.iter(f"{_M}oMath")):
        if next(each.iterancestors(f"{_M}oMath"), None) is None:
            unwrap(each, iter([run_with(formula_line(each))]))
    for each in list(root.iter(f"{_M}oMathPara")):
        unwrap(each)


def formula_line(formula: Any) -> str:
    """An Office formula as one line, in one pass; what Word draws above each other is put into brackets."""
    from lxml import etree

    parts: list[str] = []
    for event, each in etree.iterwalk(formula, events=("start", "end")):
        name = local(each)
        if name == "t" and event == "start":
            parts.append(each.text or "")
        elif name == "chr" and event == "start":
            parts.append(each.get(f"{_M}val", ""))
        elif name in ("num", "den", "deg", "sub", "sup"):
            opening = {"den": "/(", "sup": "^(", "sub": "_("}.get(name, "(")
            if len(each):
                parts.append(opening if event == "start" else ")")
        elif name == "rad":
            parts.append("√(" if event == "start" else ")")
        elif name == "d":
            parts.append("(" if event == "start" else ")")
    return "".join(parts).replace("()", "")
