"""Claims about rows, receipts, dates and short reports, which are made here out of wording.toml."""

from collections.abc import Sequence

from recipes.small.draw import Draw, Drawn

# --- rows, receipts, dates


def _amount(draw: Draw) -> str:
    whole = draw.random.choice((draw.random.randrange(2, 30), draw.random.randrange(30, 999)))
    tenth = draw.random.randrange(1, 9)
    return draw.random.choice((str(whole), f"{whole}.{tenth}", f"{whole},{tenth}"))


def _row(draw: Draw) -> tuple[str, list[tuple[str, str]], str]:
    """A thing, its labels and values, and its row with the header spelled out as `claims.passages` does."""
    thing = draw.random.choice(draw.names["things"])
    cells: list[tuple[str, str]] = []
    for label in draw.some([*draw.words["labels"], *draw.words["texts"]], draw.random.randrange(2, 5)):
        if label in draw.words["texts"]:
            value = draw.random.choice(draw.names[draw.words["texts"][label]])
        else:
            value = f"{_amount(draw)} {draw.random.choice(draw.words['labels'][label])}".strip()
        if value in [held for _, held in cells]:
            continue
        cells.append((label, value))
    heads = [(label[0].upper() + label[1:] if draw.random.random() < 0.5 else label, value) for label, value in cells]
    if draw.random.random() < 0.75:
        text = f"{thing}: " + ", ".join(f"{head} {value}" for head, value in heads)
    else:
        text = f"{thing}. " + "; ".join(f"{head}: {value}" for head, value in heads) + "."
    return thing, cells, text


def _said(draw: Draw, frames: Sequence[str], **values: str) -> str:
    text = draw.random.choice(frames).format(**values)
    return text[0].upper() + text[1:]


def row(draw: Draw) -> Drawn:
    """A cell of the row, said."""
    thing, cells, text = _row(draw)
    label, value = draw.random.choice(cells)
    return _said(draw, draw.words["of"], thing=thing, label=label, value=value), text


def two_cells(draw: Draw) -> Drawn:
    """Two cells of the row, said."""
    thing, cells, text = _row(draw)
    if len(cells) < 2:
        return None
    one, other = draw.random.sample(cells, 2)
    frame = draw.words["two"]
    return _said(draw, frame, thing=thing, label=one[0], value=one[1], label2=other[0], value2=other[1]), text


def column(draw: Draw) -> Drawn:
    """The value of another column."""
    thing, cells, text = _row(draw)
    if len(cells) < 2:
        return None
    (label, _), (label2, value) = draw.random.sample(cells, 2)
    if draw.random.random() < 0.3:
        values = {"label": label, "value": value, "label2": label2, "value2": dict(cells)[label]}
        return _said(draw, draw.words["two"], thing=thing, **values), text
    return _said(draw, draw.words["of"], thing=thing, label=label, value=value), text


def other_row(draw: Draw) -> Drawn:
    """The value of another thing."""
    thing, cells, text = _row(draw)
    other = draw.random.choice([each for each in draw.names["things"] if each != thing])
    label, value = draw.random.choice(cells)
    frames = [frame for frame in draw.words["of"] if "{thing}" in frame]
    if draw.random.random() < 0.5:
        return _said(draw, frames, thing=other, label=label, value=value), text
    _, _, below = _row(draw)
    if value in below:
        return None
    passage = f"{text} {other}: {below.split(': ', 1)[-1]}"
    return _said(draw, frames, thing=other, label=label, value=value), passage


def cell_negated(draw: Draw) -> Drawn:
    """The row denied."""
    thing, cells, text = _row(draw)
    label, value = draw.random.choice(cells)
    return _said(draw, draw.words["of_not"], thing=thing, label=label, value=value), text


def cell_changed(draw: Draw) -> Drawn:
    """Another value, or another unit."""
    thing, cells, text = _row(draw)
    label, value = draw.random.choice(cells)
    units = draw.words["labels"].get(label, [])
    other = value[:-1] + "7x" if not value[-1:].isdigit() else value[:-1] + str((int(value[-1]) + 3) % 10)
    if label in draw.words["texts"]:
        other = draw.random.choice([each for each in draw.names["people"] if each not in text])
    elif len(value.split()) > 1 and draw.random.random() < 0.6:
        every = [each for values in draw.words["labels"].values() for each in values if each and each not in units]
        other = f"{value.split()[0]} {draw.random.choice(every)}"
    elif len(value.split()) > 1:
        other = f"{int(draw.random.randrange(2, 99))} {value.split()[1]}"
    return None if other in text else (_said(draw, draw.words["of"], thing=thing, label=label, value=other), text)


def _receipt(draw: Draw) -> tuple[list[tuple[str, str]], str]:
    labels = draw.some(draw.names["goods"], draw.random.randrange(0, 3))
    labels += draw.some(draw.words["totals"], draw.random.randrange(1, 4))
    lines = [(label, f"{draw.random.randrange(1, 90)}.{draw.random.randrange(10, 99)}") for label in labels]
    between = draw.random.choice((" ", " ", "\n"))
    return lines, between.join(f"{label}{draw.random.choice((' ', ': '))}{value}" for label, value in lines)


def receipt(draw: Draw) -> Drawn:
    """A line of a receipt, said."""
    lines, text = _receipt(draw)
    label, value = draw.random.choice(lines)
    return _said(draw, draw.words["paid"], label=label, value=value), text


def receipt_line(draw: Draw) -> Drawn:
    """The amount of another line of the receipt."""
    lines, text = _receipt(draw)
    if len(lines) < 2 or len({value for _, value in lines}) < len(lines):
        return None
    (label, _), (_, value) = draw.random.sample(lines, 2)
    return _said(draw, draw.words["paid"], label=label, value=value), text


def _day(draw: Draw, *, clear: bool) -> tuple[str, str]:
    """A day in figures and in words; `clear`: it can be read in one way only."""
    day = draw.random.randrange(13, 29) if clear else draw.random.randrange(1, 13)
    month, year = draw.random.randrange(1, 13), draw.random.randrange(1990, 2030)
    figures = draw.random.choice(("{d:02}/{m:02}/{y}", "{d}.{m}.{y}", "{y}-{m:02}-{d:02}", "{d:02}-{m:02}-{y}"))
    if not clear:
        month = month if month != day else month % 12 + 1
        figures = draw.random.choice(("{d:02}/{m:02}/{y}", "{m:02}/{d:02}/{y}", "{d}.{m}.{y}"))
    name = draw.words["months"][month - 1]
    return figures.format(d=day, m=month, y=year), draw.words["date"].format(day=day, month=name, year=year)


def date(draw: Draw) -> Drawn:
    """A date, in its own or in another clear writing."""
    label = draw.random.choice(draw.words["dates"])
    writings = _day(draw, clear=True)
    written, said = draw.random.choice((writings, writings[::-1], writings[:1] * 2, writings[1:] * 2))
    return _said(draw, draw.words["dated"], label=label, value=said), f"{label}: {written}"


def date_unclear(draw: Draw) -> Drawn:
    """04/05/2024 is not 4 May 2024."""
    label = draw.random.choice(draw.words["dates"])
    written, said = _day(draw, clear=False)
    return _said(draw, draw.words["dated"], label=label, value=said), f"{label}: {written}"


def date_of_other(draw: Draw) -> Drawn:
    """Another label's date, or another month."""
    label, other = draw.some(draw.words["dates"], 2)
    (written, in_words), (theirs, _) = _day(draw, clear=True), _day(draw, clear=True)
    if draw.random.random() < 0.3:
        month = next(each for each in draw.words["months"] if each in in_words)
        wrong = in_words.replace(month, draw.random.choice([each for each in draw.words["months"] if each != month]))
        return _said(draw, draw.words["dated"], label=label, value=wrong), f"{label}: {written}"
    passage = f"{label}: {written}" if draw.random.random() < 0.4 else f"{label}: {written} {other}: {theirs}"
    return _said(draw, draw.words["dated"], label=other, value=written), passage


# --- short reports: who did what to whom, from where to where


def _frame(draw: Draw, frames: Sequence[Sequence[str]]) -> tuple[list[str], dict[str, str], dict[str, str]]:
    a, b = draw.some(draw.names["people"], 2)
    p, q = draw.some(draw.names["places"], 2)
    x, y = draw.some(draw.names["things"], 2)
    n, m = (str(number) for number in draw.random.sample(range(3, draw.random.choice((60, 2000))), 2))
    values = {"a": a, "b": b, "p": p, "q": q, "x": x, "y": y, "n": n, "m": m}
    turned = {**values, "a": b, "b": a, "p": q, "q": p, "x": y, "y": x}
    frame = list(draw.random.choice(frames))
    if "{m}" in "".join(frame) and "{y}" not in "".join(frame):
        turned |= {"n": m, "m": n} if draw.random.random() < 0.7 or "{q}" not in "".join(frame) else {}
        turned["x"] = x
    if "{x}" in "".join(frame) and "{y}" not in "".join(frame):
        turned["x"] = x
    return frame, values, turned


def _frames_of(draw: Draw, *, held_out: bool) -> list[Sequence[str]]:
    words = draw.words
    return words["held_out"] if held_out else [*words["roles"], *words["changes"]]


def _report(draw: Draw, *, true: bool, held_out: bool = False) -> Drawn:
    frame, values, turned = _frame(draw, _frames_of(draw, held_out=held_out))
    said, kept = draw.random.choice((frame, frame[::-1], frame[:1] * 2))
    passage = kept.format(**values)
    claim = said.format(**(values if true else turned))
    places = {key for key in "pq" if f"{{{key}}}" in kept}
    if not true and places and turned["n"] != values["n"] and values["p"] != turned["p"] and "{m}" in kept:
        claim = said.format(**{**turned, "p": values["p"], "q": values["q"]})  # both turned would be true again
    if draw.random.random() < 0.3:
        passage = f"{passage} {draw.sentence()}" if draw.random.random() < 0.5 else f"{draw.sentence()} {passage}"
    return claim, passage


def report(draw: Draw) -> Drawn:
    """Who did what to whom, in the same or the other voice."""
    return _report(draw, true=True)


def roles(draw: Draw) -> Drawn:
    """The two of them, or the two numbers, in each other's role."""
    return _report(draw, true=False)


def new_report(draw: Draw) -> Drawn:
    """The same with frames that training never saw."""
    return _report(draw, true=True, held_out=True)


def new_roles(draw: Draw) -> Drawn:
    """The same with frames that training never saw."""
    return _report(draw, true=False, held_out=True)
