"""Made-up documents whose every value is known: a seed and reading.toml → lines as the product shows them, and facts.

A `Fact` knows its value, the line that holds it and what the document looks like without it. `reading_asker` words a
question for a fact in any of the four languages; `reading_tasks` and `reading_fields` make samples out of both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recipes.small.reading_pen import Pen, reading

_COLUMNS: Mapping[str, tuple[int, int, Sequence[str]]] = {
    "weight": (1, 900, ("kg", "g")), "length": (5, 900, ("cm", "m", "mm")), "capacity": (2, 400, ("",)),
    "power": (10, 4000, ("W", "kW")), "speed": (4, 320, ("km/h",)), "delivery_days": (1, 40, ("",)),
    "stock": (0, 600, ("",)), "year": (1950, 2030, ("",)), "seats": (2, 90, ("",)), "price": (3, 5000, ()),
}  # fmt: skip
"""Lowest and highest value, units; price is written as the document writes money."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One value of a document. `key` is a label ("total") or a sentence's slot ("lease.rent/money")."""

    key: str
    value: str
    line: int
    slots: Mapping[str, str] = field(default_factory=dict)
    """What a question may name: the row as `t`, the sentence's other values."""
    number: float = 0.0
    """The value of money and measures, to compare."""
    without: str = ""
    """The line once the value is cut out; "" where the whole line goes."""
    polarity: str = ""
    """ "yes" or "no" where the fact is a yes/no matter; `value` is its sentence then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One document. `rows` are the names of a table's rows."""

    kind: str
    language: str
    title: str
    lines: tuple[str, ...]
    facts: tuple[Fact, ...]
    rows: tuple[str, ...] = ()

    @property
    def keys(self) -> set[str]:
        """What the document tells."""
        return {fact.key for fact in self.facts}

    @property
    def block(self) -> tuple[str, tuple[str, ...]]:
        """Title and lines."""
        return self.title, self.lines

    def without(self, fact: Fact) -> tuple[str, tuple[str, ...]]:
        """Title and lines once the fact is cut out."""
        kept = [fact.without if at == fact.line else line for at, line in enumerate(self.lines)]
        return self.title, tuple(line for line in kept if line)


# -- tables and price lists ------------------------------------------------------------------------------------------


def table(pen: Pen) -> Sheet:
    """3-9 rows of near-duplicate names under 2-5 columns; rows spelled out, or as OCR reads them under a header."""
    rows = [pen.thing()]
    for _ in range(pen.random.randrange(2, 9)):
        name = pen.like(pen.random.choice(rows)) if pen.random.random() < 0.6 else pen.thing()
        rows += [name] if name not in rows else []
    keys = pen.random.sample([*_COLUMNS, "manager", "city", "supplier", "code"], pen.random.randrange(2, 6))
    columns = {key: _column(pen, key, len(rows)) for key in keys}
    heads = {key: pen.choices(pen.words["p"][key][0]) for key in keys}
    raw = pen.random.random() < 0.35
    lines = ["{} {}".format(pen.one(pen.words["item"]), " ".join(heads.values()))] if raw else []
    facts: list[Fact] = []
    for at, name in enumerate(rows):
        cells = {key: columns[key][at][0] for key in keys}
        for key, (value, number) in ((key, columns[key][at]) for key in keys):
            gone = _row(name, {**cells, key: "-"}, heads) if raw else _row(name, _less(cells, key), heads)
            slots = {"t": name, "head": heads[key]}
            facts.append(Fact(key=key, value=value, line=len(lines), slots=slots, number=number, without=gone))
        lines.append(f"{name} {' '.join(cells.values())}" if raw else _row(name, cells, heads))
    if raw:
        facts = [_as_read(fact) for fact in facts]
    return _sheet(pen, "table", lines, facts, rows=tuple(rows))


def _less(cells: Mapping[str, str], key: str) -> dict[str, str]:
    return {each: value for each, value in cells.items() if each != key}


def _row(name: str, cells: Mapping[str, str], heads: Mapping[str, str]) -> str:
    return f"{name}: " + ", ".join(f"{heads[key]} {value}" for key, value in cells.items())


def _as_read(fact: Fact) -> Fact:
    """In a raw row nothing tells whose value is missing, so the whole row goes."""
    return Fact(key=fact.key, value=fact.value, line=fact.line, slots=fact.slots, number=fact.number)


def _column(pen: Pen, key: str, count: int) -> list[tuple[str, float]]:
    if key not in _COLUMNS:
        made: dict[str, Callable[[], str]] = {"manager": pen.person, "city": pen.coined, "supplier": pen.company}
        return [(made.get(key, pen.code)(), 0.0) for _ in range(count)]
    low, high, units = _COLUMNS[key]
    high = pen.random.choice((high, max(low + 20, high // 10))) if key != "year" else high
    if key == "price":
        return [pen.money(pen.random.randrange(low * 100, high * 100)) for _ in range(count)]
    unit = pen.words["units"].get(key) or pen.random.choice(units)
    fraction = pen.random.random() < 0.4 and key in ("weight", "length", "power")
    numbers = [
        pen.random.randrange(low, high) + (pen.random.randrange(1, 9) / 10 if fraction else 0) for _ in range(count)
    ]
    return [(f"{number} {unit}".strip(), float(number)) for number in numbers]


# -- receipts and invoices -------------------------------------------------------------------------------------------


class _Lines:
    """Lines of a receipt as they are printed or as OCR reads them, with their facts."""

    def __init__(self, pen: Pen) -> None:
        self.pen, self.lines, self.facts = pen, list[str](), list[Fact]()
        self.capitals = pen.random.random() < 0.35
        self._between = pen.random.choice((" ", ": ", ":", " : "))

    def add(self, key: str, value: str, number: float = 0.0, *, bare: bool = False, **slots: str) -> None:
        """A line with a label and a value, or with the value alone."""
        head = self.pen.choices(self.pen.words["p"][key][0])
        if self.capitals:
            head, value = head.upper(), value.upper() if bare else value
        self.facts.append(Fact(key=key, value=value, number=number, line=len(self.lines), slots=slots))
        self.lines.append(value if bare or not head else f"{head}{self._between}{value}")

    def item(self, name: str, quantity: int, cents: int) -> None:
        """An item with its quantity and what one of it costs; several cost so much more."""
        pen, name = self.pen, name.upper() if self.capitals else name
        (single, number), (whole, _) = pen.money(cents), pen.money(cents * quantity)
        line = f"{name} {single}" if quantity == 1 else f"{quantity} x {name} {single} {whole}"
        if quantity == 1:
            self.facts.append(
                Fact(key="item_price", value=single, number=number, line=len(self.lines), slots={"t": name})
            )
        else:
            known = {"t": name}
            self.facts.append(Fact(key="item_quantity", value=str(quantity), line=len(self.lines), slots=known))
        self.lines.append(line)

    def noise(self, text: str) -> None:
        """A line that tells nothing asked."""
        self.lines.append(text)


def receipt(pen: Pen, kind: str = "") -> Sheet:
    """A receipt or an invoice: who, where, numbers and dates, items, sums."""
    chance, made = pen.random, _Lines(pen)
    kind = kind or chance.choice(("receipt", "invoice"))
    made.add("company", pen.company(), bare=True)
    some: list[tuple[str, Callable[[], str]]] = [("phone", pen.phone), ("fax", pen.phone), ("number", pen.code)]
    some += [("order", pen.code), ("customer", pen.code), ("date", pen.date)]
    if chance.random() < 0.8:
        made.add("address", pen.address(), bare=chance.random() < 0.7)
    for key, value in some + ([("due", pen.date), ("shipped", pen.date)] if kind == "invoice" else []):
        if chance.random() < 0.6:
            made.add(key, value())
    if chance.random() < 0.4:
        made.noise(f"REG {chance.randrange(10):02} TERM {chance.randrange(1000, 9999)} #{chance.randrange(99999):05}")
    goods = chance.choices(pen.names["goods"][pen.language].split("|"), k=chance.choice((1, 2, 3, 4, 5, 6, 9, 16)))
    names = [name if goods.count(name) == 1 and chance.random() < 0.5 else f"{name} {pen.coined()}" for name in goods]
    bought = [
        (name, chance.choice((1, 1, 1, 2, 3, 5, 12)), chance.randrange(60, 20000)) for name in dict.fromkeys(names)
    ]
    for name, quantity, cents in bought:
        made.item(name, quantity, cents)
    if chance.random() < 0.4:
        made.add("items", str(sum(quantity for _, quantity, _ in bought)))
    _sums(made, sum(quantity * cents for _, quantity, cents in bought))
    return _sheet(pen, kind, made.lines, made.facts)


def _sums(made: _Lines, goods: int) -> None:
    chance, money = made.pen.random, made.pen.money
    tax = goods * chance.choice((6, 7, 10, 19, 20, 21)) // 100
    off = goods * chance.choice((0, 0, 5, 10)) // 100
    made.add("subtotal", *money(goods))
    if off:
        made.add("discount", *money(off))
    made.add("vat", *money(tax))
    total = goods + tax - off
    made.add("total", *money(total))
    if chance.random() < 0.5:
        given = total + chance.randrange(1, 5000)
        made.add("cash", *money(given))
        made.add("change", *money(given - total))
    elif chance.random() < 0.8:
        made.add("payment", made.pen.one(made.pen.words["payments"]))


# -- prose: leases, minutes, manuals, product sheets, reports, letters ------------------------------------------------

_SUBJECTS = ("{thing}", "{code}", "{city}", "{person}", "{other}")


def _repeats(clause: Mapping[str, Any]) -> bool:
    """Whether each question names what it is about, so that a document may hold several such sentences."""
    asks = [ask for name in facts_of(clause["en"]) for ask in clause["en"][name]]
    return all(any(subject in ask for subject in _SUBJECTS) for ask in asks)


def facts_of(said: Mapping[str, Any]) -> list[str]:
    """The slots that can be asked for; "ask" where it is a yes/no matter."""
    return [name for name in said if name not in ("s", "yes", "no", "short") and not name.endswith(("_L", "_is"))]


def prose(pen: Pen, kind: str, *, yes_no: bool = False) -> Sheet:
    """4-8 sentences of that kind of document; `yes_no`: among them yes/no matters."""
    clauses = reading()["clause"][kind]
    names = [name for name in clauses if ("ask" in clauses[name]["en"]) <= (yes_no or pen.random.random() < 0.3)]
    pen.random.shuffle(names)
    names = names[: pen.random.randrange(2, 7)] if not yes_no else names
    again = [name for name in names if _repeats(clauses[name])]
    names += pen.random.choices(again, k=pen.random.randrange(0, 4)) if again else []
    lines, facts, before = list[str](), list[Fact](), dict[str, dict[str, str]]()
    for name in names[:9]:
        _say(pen, f"{kind}.{name}", lines, facts, before)
        if name == "step":
            for _ in range(pen.random.randrange(2, 5)):
                _say(pen, f"{kind}.{name}", lines, facts, before)
    return _sheet(pen, kind, lines, facts)


def _say(pen: Pen, key: str, lines: list[str], facts: list[Fact], before: dict[str, dict[str, str]]) -> None:
    """One sentence more. What was said before of another thing makes that thing's name nearly the same."""
    said = reading()["clause"][key.partition(".")[0]][key.partition(".")[2]][pen.language]
    slots = pen.slots(pen.random.choice((40, 900, 9000)) if key.startswith("report") else 40)
    if key in before:
        slots["thing"], slots["code"] = pen.like(before[key]["thing"]), pen.like(before[key]["code"])
    elif before and key.startswith(("product", "manual")) and pen.random.random() < 0.6:
        slots["thing"] = next(iter(before.values()))["thing"]
    if key == "manual.step":
        slots["n"] = str(int(before[key]["n"]) + 1) if key in before else "1"
    known = {value for fact in facts if fact.key.startswith(f"{key}/") for value in fact.slots.values()}
    if {slots[name] for name in ("thing", "code", "person", "other", "city")} & known:
        return
    before[key] = slots
    if "ask" in said:
        polarity = pen.random.choice(("yes", "no"))
        sentence = said[polarity].format(**slots)
        facts.append(Fact(key=f"{key}/ask", value=sentence, line=len(lines), slots=slots, polarity=polarity))
    else:
        if "out_is" in said:
            slots["out"] = pen.one(said["out_is"]).format(**slots)
        sentence = pen.choices(said["s"]).format(**slots)
        for name in facts_of(said):
            facts.append(Fact(key=f"{key}/{name}", value=slots[name], line=len(lines), slots=slots))
    lines.append(sentence)


def letter(pen: Pen) -> Sheet:
    """A letter or mail: From and To, or only a greeting and a signature; what happened between others."""
    body = prose(pen, "letter")
    sender, recipient, slots, heads = pen.person(), pen.person(), pen.slots(), pen.words["p"]
    headed, lines, facts = pen.random.random() < 0.6, list[str](), list[Fact]()
    if headed:
        parts = [
            ("sender", sender),
            ("recipient", recipient),
            ("subject", pen.one(pen.words["subjects"]).format(**slots)),
        ]
        for key, value in parts:
            facts.append(Fact(key=key, value=value, line=len(lines)))
            lines.append(f"{heads[key][0]}: {value}")
    else:
        facts.append(Fact(key="recipient", value=recipient, line=len(lines)))
        lines.append(pen.words["dear"].format(x=recipient))
    start = len(lines)
    lines += body.lines
    facts += [
        Fact(key=each.key, value=each.value, line=each.line + start, slots=each.slots, polarity=each.polarity)
        for each in body.facts
    ]
    lines.append(pen.one(pen.words["regards"]))
    if not headed:
        facts.append(Fact(key="sender", value=sender, line=len(lines)))
        lines.append(sender)
    return _sheet(pen, "letter", lines, facts)


# -- opening hours, lists, pictures -----------------------------------------------------------------------------------


def hours(pen: Pen) -> Sheet:
    """A place's hours day by day; keys are "opens", "closes" and "hours"."""
    chance, place = pen.random, pen.random.randrange(len(pen.words["places"]))
    name, lines, facts = pen.coined(), list[str](), list[Fact]()
    dash = chance.choice(("–", "-", " - "))
    for day, called in enumerate(pen.words["days"]):
        slots = {"place": str(place), "name": name, "day": str(day)}
        if chance.random() < 0.12:
            value = pen.words["closed"]
            facts += [Fact(key=key, value=value, line=day, slots=slots) for key in ("opens", "closes", "hours")]
        else:
            first = f"{chance.randrange(7, 12)}:{chance.choice((0, 15, 30)):02}"
            last = f"{chance.randrange(15, 22)}:{chance.choice((0, 30, 45)):02}"
            value = f"{first}{dash}{last}"
            pairs = (("opens", first), ("closes", last), ("hours", value))
            facts += [Fact(key=key, value=said, line=day, slots=slots) for key, said in pairs]
        lines.append(f"{called[0].upper()}{called[1:]}{chance.choice((' ', ': '))}{value}")
    title = f"{pen.words['places'][place]} {name}"
    return Sheet(kind="hours", language=pen.language, title=title, lines=tuple(lines), facts=tuple(facts))


def departures(pen: Pen) -> Sheet:
    """Buses both ways between towns; keys are "first_bus" and "last_bus"."""
    towns = list(dict.fromkeys(pen.coined() for _ in range(4)))[:3]
    ways = [(one, other) for one in towns for other in towns if one != other][: pen.random.randrange(2, 7)]
    ways = list(dict.fromkeys(way for pair in ways for way in (pair, pair[::-1])))
    lines, facts = list[str](), list[Fact]()
    for one, other in ways:
        at = sorted(pen.random.sample(range(300, 1380), pen.random.randrange(2, 6)))
        times = [f"{minute // 60}:{minute % 60:02}" for minute in at]
        ends = (("first_bus", times[0]), ("last_bus", times[-1]))
        facts += [Fact(key=key, value=value, line=len(lines), slots={"a": one, "b": other}) for key, value in ends]
        lines.append(pen.words["departure"].format(a=one, b=other, times=", ".join(times)))
    return _sheet(pen, "hours", lines, facts)


def members(pen: Pen) -> Sheet:
    """Groups and who belongs to them; the key is "list", its value the names with commas."""
    lines, facts = list[str](), list[Fact]()
    for group in dict.fromkeys(pen.one(pen.words["groups"]).format(name=pen.coined()) for _ in range(4)):
        people = list(dict.fromkeys(pen.person() for _ in range(pen.random.randrange(2, 7))))
        together = f"{', '.join(people[:-1])} {pen.words['and']} {people[-1]}"
        slots = {"x": group, "n": str(len(people))}
        facts.append(Fact(key="list", value=", ".join(people), line=len(lines), slots=slots))
        lines.append(pen.one(pen.words["list_lines"]).format(x=group, list=together))
    return _sheet(pen, "list", lines, facts)


def picture(pen: Pen) -> Sheet:
    """What a kit recognised in a picture, in English; keys are "shows" and "counts"."""
    chance, seen = pen.random, pen.names["seen"]
    things = chance.sample(list(seen), chance.randrange(1, 4))
    labels = [*things, *chance.sample(pen.names["scenes"].split("|"), chance.randrange(1, 4))]
    numbers = {thing: chance.randrange(1, 8) for thing in things}
    counted = ", ".join(f"{number} {thing if number == 1 else seen[thing][0]}" for thing, number in numbers.items())
    stem = chance.choice(("IMG_{:04}", "photo-{:02}", "DSC{:05}", f"{pen.coined().lower()}-{{:03}}"))
    title = f"{stem.format(chance.randrange(1, 9999))}.{chance.choice(('jpg', 'png', 'jpeg'))}"
    facts = [Fact(key="shows", value=", ".join(labels), line=0, slots={"t": title})]
    facts += [Fact(key="counts", value=str(numbers[each]), line=0, slots={"t": title, "of": each}) for each in things]
    line = f"photo: {', '.join(labels)}; {counted}"
    return Sheet(kind="picture", language=pen.language, title=title, lines=(line,), facts=tuple(facts))


def _sheet(pen: Pen, kind: str, lines: Sequence[str], facts: Sequence[Fact], rows: tuple[str, ...] = ()) -> Sheet:
    title = pen.title(kind)
    return Sheet(kind=kind, language=pen.language, title=title, lines=tuple(lines), facts=tuple(facts), rows=rows)


MAKERS: Mapping[str, Callable[[Pen], Sheet]] = {
    "table": table, "receipt": receipt, "letter": letter, "list": members, "hours": hours, "bus": departures,
    "picture": picture, "report": lambda pen: prose(pen, "report"), "lease": lambda pen: prose(pen, "lease"),
    "minutes": lambda pen: prose(pen, "minutes"), "manual": lambda pen: prose(pen, "manual"),
    "product": lambda pen: prose(pen, "product"),
}  # fmt: skip
"""Every kind of document."""
