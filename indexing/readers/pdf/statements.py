"""Tables of figures without rules between their columns: statements, balance sheets, reports of results.

levels of pieces → rows (a label, then figures) that share columns → their header above them → one table

Such tables are drawn with grounds and rules cell by cell, each column for itself, so rules say little about where the
table begins and ends. Its figures do: they stand flush right in columns, row after row. Pieces are fractions of the
page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from indexing.readers.pdf.ruled_tables import Rules, candidates, middle_in
from indexing.readers.pdf.tables import Span, Table, is_value, middle, ruled_tables, table_of
from indexing.readers.reading_order import Piece, levels, runs_right_to_left

_SIGNS = frozenset("$€£¥₹%()") | {"US$", "C$", "A$", "RM", "CHF", "EUR", "USD", "GBP"}
_NOTHING = frozenset("—–-−") | {"--", "n/a", "N/A", "nm", "NM", "*"}
_FLUSH = 0.012  # how far right edges of one column may lie apart; a closing bracket hangs over
_FEWEST_ROWS = 3
_FEWEST_BELOW_HEADER = 2
_FEWEST_FIGURES = 2  # in a row that shows where columns are
_MOST_WORDS = 2  # pieces of text between a row's label and its first figure
_MOST_LABELS = 3  # rows without figures between two with some: headings, and lines of a long label
_MOST_HEADS = 5
_LONGEST_HEAD = 40
_LONGEST_LABEL = 200
_HANGS_OVER = 0.25  # of the way from the labels to the figures
_WIDEST_STEP = 3.2  # between two rows of a table, in heights of its letters
_NEAR_STEP = 2.2  # between a header and what is below it

_Level = Sequence[Piece]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """One level: its label, and its figures with the signs that stand at them."""

    pieces: tuple[Piece, ...]
    label: Piece | None
    texts: tuple[Piece, ...] = ()
    """What stands between the label and the first figure."""
    figures: tuple[tuple[str, Piece], ...] = ()


@dataclass(kw_only=True, slots=True)
class _Run:
    """Rows on their way to a table. `columns` are right edges of figures, `texts` where columns of words stand."""

    rows: list[_Row] = field(default_factory=list)
    columns: list[float] = field(default_factory=list)
    texts: list[Span] = field(default_factory=list)

    def takes(self, row: _Row) -> bool:
        """Whether most of the row's figures stand in columns that are there."""
        known = sum(1 for _, piece in row.figures if self._column(_edge(piece)) is not None)
        return not self.columns or 2 * known > len(row.figures)

    def add(self, row: _Row) -> None:
        self.rows.append(row)
        for _, piece in row.figures:
            if self._column(_edge(piece)) is None:
                self.columns = sorted([*self.columns, _edge(piece)])
        for piece in row.texts:
            span = (piece.box[0], piece.box[2])
            shared = [each for each in self.texts if _overlap(each, span)]
            joined = (min(x for x, _ in (*shared, span)), max(x for _, x in (*shared, span)))
            self.texts = sorted([*(each for each in self.texts if each not in shared), joined])

    def column_of(self, piece: Piece) -> int:
        """The column of a figure, counted from 0."""
        column = self._column(_edge(piece))
        assert column is not None
        return column

    def text_column_of(self, piece: Piece) -> int:
        """The column of words, counted from 0."""
        return next(at for at, each in enumerate(self.texts) if _overlap(each, (piece.box[0], piece.box[2])))

    def _column(self, edge: float) -> int | None:
        near = [index for index, right in enumerate(self.columns) if abs(right - edge) <= _FLUSH]
        return min(near, key=lambda index: abs(self.columns[index] - edge)) if near else None


def page_tables(pieces: Sequence[Piece], rules: Rules) -> list[Table]:
    """The tables that figures or rules show before the reading order is known; in a grid the rules have the say."""
    grids = [box for box, columns, _ in candidates(rules, pieces) if columns]
    found = statements([piece for piece in pieces if not any(middle_in(piece.box, grid) for grid in grids)])
    taken = {id(piece) for table in found for piece in table.pieces}
    return [*found, *ruled_tables([piece for piece in pieces if id(piece) not in taken], rules)]


def _edge(piece: Piece) -> float:
    """Where the figure's digits end: a percent sign or a closing bracket hangs over."""
    text = piece.text.rstrip()
    bare = text.rstrip("%) ")
    return piece.box[2] - (piece.box[2] - piece.box[0]) * (len(text) - len(bare)) / max(1, len(text))


def _overlap(one: Span, other: Span) -> bool:
    return min(one[1], other[1]) > max(one[0], other[0])


def statements(pieces: Sequence[Piece]) -> list[Table]:
    """The tables of figures among the pieces, from top to bottom."""
    if runs_right_to_left([piece.text for piece in pieces]):
        return []
    found = levels(pieces)
    read = [_row(level) for level in found]
    tables: list[Table] = []
    at = 0
    while at < len(read):
        run, stop = _run(read, at)
        if run is None:
            at += 1
            continue
        heads = _heads(found[:at], run)
        if heads or len(run.rows) >= _FEWEST_ROWS:
            tables.append(_table(run, heads, _headings(read, at, run)))
            at = stop
        else:
            at += 1
    return tables


def _row(level: _Level) -> _Row | None:
    """None for what is no row of such a table."""
    if any(piece.thing is not None for piece in level):
        return None
    first, *rest = level
    label = None if _is_figure(first.text) else first
    if label is not None and len(label.text) > _LONGEST_LABEL:
        return None
    texts: list[Piece] = []
    figures: list[tuple[str, Piece]] = []
    before = ""
    for piece in rest if label is not None else level:
        text = piece.text.strip()
        if text in _SIGNS and text not in ("%", ")"):
            before = text
        elif text in ("%", ")") and figures:
            said, at = figures[-1]
            figures[-1] = (said + text, at)
        elif _is_figure(text):
            figures += _parted(before, piece)
            before = _sign_behind(text)
        elif figures or before or label is None or len(texts) == _MOST_WORDS or len(text) > _LONGEST_HEAD:
            return None
        else:
            texts.append(piece)
    if texts and not figures:
        return None
    return _Row(pieces=tuple(level), label=label, texts=tuple(texts), figures=tuple(figures))


def _is_figure(text: str) -> bool:
    """A number with its signs, or a dash where there is none; no code such as TP-2, no date in words."""
    words = text.split()
    if text.strip() in _NOTHING or text.strip() in _SIGNS:
        return True
    return is_value(text) and not any(sign.isalpha() for word in words if word not in _SIGNS for sign in word)


def _sign_behind(text: str) -> str:
    """The currency of the next figure, where it stands so near that it is in one piece with this one."""
    *others, last = text.split()
    return last if others and last in _SIGNS and last not in ("%", ")") else ""


def _parted(before: str, piece: Piece) -> list[tuple[str, Piece]]:
    """One figure, with its sign; without that of the next one."""
    words = piece.text.split()
    if _sign_behind(piece.text):
        words = words[:-1]
        if piece.words:
            kept = piece.words[:-1]
            box = (piece.box[0], piece.box[1], kept[-1].box[2], piece.box[3])
            piece = Piece(text=" ".join(words), box=box, aspect=piece.aspect, size=piece.size, words=kept)
    text = " ".join(words)
    return [(before + text if before else text.replace("$ ", "$"), piece)]


def _run(read: Sequence[_Row | None], start: int) -> tuple[_Run | None, int]:
    """The rows from here on that share columns, and where they end."""
    first = read[start]
    if first is None or first.label is None or len(first.figures) < _FEWEST_FIGURES:
        return None, start
    run, waiting, stop, rows = _Run(), list[_Row](), start, 0
    for index in range(start, len(read)):
        row = read[index]
        above = (waiting or run.rows)[-1] if run.rows else None
        if row is None or (above is not None and _step(above.pieces, row.pieces) > _WIDEST_STEP):
            break
        if not row.figures:
            waiting.append(row)
            if len(waiting) > _MOST_LABELS or not _is_beside(row, run):
                break
            continue
        if not run.takes(row):
            break
        for each in (*waiting, row):
            run.add(each)
        waiting, stop = [], index + 1
        rows += len(row.figures) >= _FEWEST_FIGURES
    return (run, stop) if rows >= _FEWEST_BELOW_HEADER else (None, start)


def _is_beside(row: _Row, run: _Run) -> bool:
    """Whether a label ends before the second column's figures: running text goes on over them."""
    return row.label is not None and row.label.box[2] < run.columns[min(1, len(run.columns) - 1)]


def _step(above: _Level, below: _Level) -> float:
    """Between the middles of two levels, in heights of letters."""
    height = max(piece.height for piece in (*above, *below))
    return (min(middle(p.box, 1) for p in below) - max(middle(p.box, 1) for p in above)) / height


def _figures_from(run: _Run) -> float:
    """x from where figures and words beside labels stand, and a little before: signs, and headers wider than they."""
    left = min(piece.box[0] for row in run.rows for piece in row.pieces)
    first = min(piece.box[0] for row in run.rows for piece in (*row.texts, *(piece for _, piece in row.figures)))
    return first - _HANGS_OVER * (first - left)


def _heads(above: Sequence[_Level], run: _Run) -> list[_Level]:
    """The levels right above the rows that stand over their figures, from top to bottom."""
    from_x = _figures_from(run)
    below: _Level = run.rows[0].pieces
    found: list[_Level] = []
    headings = 0
    for level in reversed(above):
        if len(found) == _MOST_HEADS or _step(level, below) > _NEAR_STEP or any(p.thing is not None for p in level):
            break
        if _is_head(level, from_x):
            found.insert(0, level)
        elif not found and headings < _MOST_LABELS and len(level) == 1 and level[0].box[2] < from_x:
            headings += 1  # a heading between header and rows
        else:
            break
        below = level
    return found


def _is_head(level: _Level, from_x: float) -> bool:
    """Short pieces over the figures, and at most one over the labels."""
    over = [piece for piece in level if piece.box[0] >= from_x]
    aside = [piece for piece in level if piece.box[0] < from_x]
    if not over or len(aside) > 1 or any(piece.box[2] > from_x for piece in aside):
        return False
    return all(len(piece.text) <= _LONGEST_HEAD and _may_head(piece.text) for piece in over)


def _may_head(text: str) -> bool:
    """Words, a year, or the sign of a note; other figures make a row."""
    bare = text.strip().strip("()")
    return not _is_figure(text) or text.strip() in _SIGNS or (bare.isdigit() and len(bare) in (1, 4))


def _headings(read: Sequence[_Row | None], start: int, run: _Run) -> list[_Row]:
    """Rows without figures right above the first one that belong to it: a heading with a colon, or below the header."""
    found: list[_Row] = []
    below = run.rows[0]
    from_x = _figures_from(run)
    for row in reversed(read[max(0, start - _MOST_LABELS) : start]):
        if row is None or row.figures or row.label is None or row.label.box[2] >= from_x:
            break
        is_long_label = _goes_on(row.label.text, below.label.text if below.label else "")
        if not (row.label.text.rstrip().endswith(":") or is_long_label) or _step(row.pieces, below.pieces) > _NEAR_STEP:
            break
        found.insert(0, row)
        below = row
    return found


def _goes_on(above: str, below: str) -> bool:
    """Whether a label goes on in the next line."""
    return below[:1].islower() and not above.rstrip().endswith((":", "."))


def _table(run: _Run, heads: Sequence[_Level], headings: Sequence[_Row]) -> Table:
    rows = [*headings, *run.rows]
    spans = _spans(run)
    cells = list(_cells(rows, run))
    header = _header(heads, spans, _figures_from(run))
    used = {id(piece) for row in rows for piece in row.pieces}
    pieces = [piece for level in heads for piece in level if id(piece) not in used]
    pieces += [piece for row in rows for piece in row.pieces]
    return table_of([*([header] if header else []), *cells], pieces, spans)


def _spans(run: _Run) -> list[Span]:
    """Of the labels, and of each column of words and of figures."""
    labels = [row.label.box for row in run.rows if row.label is not None]
    spans = [(min(box[0] for box in labels), max(box[2] for box in labels)), *run.texts]
    for index, right in enumerate(run.columns):
        lefts = [p.box[0] for row in run.rows for _, p in row.figures if run.column_of(p) == index]
        spans.append((min(lefts), right))
    return spans


def _cells(rows: Sequence[_Row], run: _Run) -> Iterator[list[str]]:
    """A list of cells for each row; a label of several lines is one cell."""
    begun = ""
    for row, below in pairwise([*rows, None]):
        assert row is not None
        label = row.label.text.strip() if row.label is not None else ""
        label = f"{begun} {label}".strip()
        begun = ""
        next_label = below.label.text.strip() if below is not None and below.label is not None else ""
        if not row.figures and below is not None and _goes_on(label, next_label):
            begun = label
            continue
        cells = [label, *[""] * (len(run.texts) + len(run.columns))]
        for piece in row.texts:
            cells[1 + run.text_column_of(piece)] = piece.text.strip()
        for text, piece in row.figures:
            at = 1 + len(run.texts) + run.column_of(piece)
            cells[at] = f"{cells[at]} {text}".strip()
        yield cells


def _header(heads: Sequence[_Level], spans: Sequence[Span], from_x: float) -> list[str]:
    """One row: over each column what stands above it, from top to bottom; what spans columns in each of them."""
    if not heads:
        return []
    header = [""] * len(spans)
    for level in heads:
        over = [piece for piece in level if piece.box[0] >= from_x]
        for piece in level:
            columns = [0] if piece.box[0] < from_x else _columns_below(piece, over, spans)
            for column in columns:
                header[column] = f"{header[column]} {piece.text.strip()}".strip()
    return header


def _columns_below(piece: Piece, over: _Level, spans: Sequence[Span]) -> list[int]:
    """The columns over which it stands: those nearer to its middle than to its neighbours', where there are as many
    columns as pieces the one below it."""
    figures = range(1, len(spans))
    if len(over) == len(spans) - 1:
        return [1 + list(map(id, over)).index(id(piece))]
    at = middle(piece.box, 0)
    own = [
        column
        for column in figures
        if min(over, key=lambda other: abs(middle(other.box, 0) - sum(spans[column]) / 2)) is piece
    ]
    return own or [min(figures, key=lambda column: abs(sum(spans[column]) / 2 - at))]
