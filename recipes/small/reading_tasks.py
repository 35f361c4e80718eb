"""Made-up documents (`reading_sheets`) → questions over evidence with their replies.

for case in cases(seed=1, count=1000): …       # find the value, copy it, cite its block, or refuse
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from claims.passages import sentences
from rag.prompt import REFUSAL
from recipes.small.reading_asker import Asker, for_frames, written_in
from recipes.small.reading_pen import LANGUAGES
from recipes.small.reading_sheets import MAKERS, Fact, Sheet, departures, hours, letter, prose, receipt, table

_REFUSED = 0.28
_FIRST = 0.4
_UNTOLD = {"receipt": ("phone", "fax", "order", "customer", "due", "shipped", "discount"), "table": (
    "price", "weight", "power", "speed", "stock", "manager", "city", "supplier", "code"),
}  # fmt: skip
"""What may be asked of a document that does not tell it: nothing that follows from what it does tell."""
_SUBJECTS = ("t", "thing", "code", "city", "person", "other", "x", "a", "name")
_IN_A_TITLE = ("company", "sender", "recipient", "subject")
"""What the name in "Receipt Bratoss" may be taken for."""
_NEVER_CUT = ("items", "shows", "counts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A question, its evidence and the reply, whose markers number `blocks` from 1 in their order."""

    kind: str
    language: str
    question: str
    reply: str
    blocks: tuple[tuple[str, tuple[str, ...]], ...]
    """(title, lines) in the order shown."""
    earlier: str = ""
    missing: str = ""
    """Of a refusal: the value that was cut out of its document, where there was one."""


_Block = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """`reply` names the answering blocks `{0}`, `{1}`. `alone`: no other document of these kinds may stand beside."""

    question: str
    reply: str
    blocks: tuple[_Block, ...]
    kind: str
    earlier: str = ""
    alone: bool = False
    missing: str = ""


# -- one fact of one document ----------------------------------------------------------------------------------------


def _value(fact: Fact, words: Mapping[str, Any]) -> str:
    if fact.polarity:
        said = fact.value.rstrip(".")
        return f"{words[fact.polarity]}, {said[0].lower()}{said[1:]} {{0}}."
    return f"{fact.value.replace('{', '').replace('}', '')} {{0}}."


def _lookup(asker: Asker, sheet: Sheet, facts: Sequence[Fact], *, refuse: bool, named: float = 0.5) -> _Asked | None:
    """A question for one of the facts; `named` is how often it says which document it means."""
    if not facts:
        return None
    chance, fact = asker.random, asker.random.choice(facts)
    numbered = any(map(str.isdigit, sheet.title))
    if (fact.key == "number" and numbered) or (refuse and fact.key in _IN_A_TITLE and not numbered):
        return None
    title = sheet.title if chance.random() < named else ""
    block, missing = sheet.block, ""
    if refuse:
        family = _UNTOLD.get("receipt" if sheet.kind == "invoice" else sheet.kind, ())
        untold = [key for key in family if key not in sheet.keys]
        how = chance.random()
        if untold and how < 0.35:
            slots = {"t": chance.choice(sheet.rows)} if sheet.rows else {}
            fact = Fact(key=chance.choice(untold), value="", line=-1, slots=slots)
        elif how < 0.75 and fact.key not in _NEVER_CUT:
            block, missing = sheet.without(fact), fact.value
        else:
            title = asker.pen.like(sheet.title) if numbered else asker.pen.title(sheet.kind)
            fact = _of_another(asker, fact, " ".join(sheet.lines))
    question, clear = asker.of(fact, title)
    if refuse and not title and not clear and block == sheet.block and fact.line >= 0:
        return None
    if not block[1]:
        return None
    reply = REFUSAL if refuse else _value(fact, asker.words)
    asked = asker.worn(question, (*fact.slots.values(), title, *asker.spoken(fact.slots).values()))
    return _Asked(question=asked, reply=reply, blocks=(block,), kind=sheet.kind, alone=not clear, missing=missing)


def _of_another(asker: Asker, fact: Fact, text: str) -> Fact:
    """The same asked of a thing, person or town that the text does not hold."""
    pen, slots = asker.pen, dict(fact.slots)
    for name in _SUBJECTS:
        if name in slots:
            made = {"city": pen.coined, "person": pen.person, "other": pen.person, "a": pen.coined, "name": pen.coined}
            new = made[name]() if name in made else pen.like(slots[name])
            slots[name] = new if new not in text else pen.thing()
    if "out" in slots and fact.key.endswith("/n"):
        slots["out"] = f"{slots['out'].rstrip('0123456789')} {pen.random.randrange(1000, 9999)}"
    if fact.key == "manual.step/out":
        slots["n"] = str(pen.random.randrange(12, 60))
    return replace(fact, slots=slots)


# -- the kinds -------------------------------------------------------------------------------------------------------


def _cell(asker: Asker, *, refuse: bool) -> _Asked | None:
    sheet = table(written_in(asker))
    way = asker.random.random()
    if way < 0.7:
        return _lookup(asker, sheet, sheet.facts, refuse=refuse, named=0.15)
    fact = asker.random.choice(sheet.facts)
    if sum(each.key == fact.key and each.value == fact.value for each in sheet.facts) > 1:
        return None
    if sum(each.line == fact.line and each.value == fact.value for each in sheet.facts) > 1:
        return None
    called, value = asker.words["p"][fact.key][1], fact.value
    if refuse:
        value = asker.pen.like(value) if any(map(str.isdigit, value)) else asker.pen.person()
        if any(value in line for line in sheet.lines):
            return None
    reverse = way < 0.88 or refuse
    slots = {**for_frames(called), "v": value, "t": fact.slots["t"]}
    question = asker.pen.one(asker.words["reverse" if reverse else "column"]).format(**slots)
    reply = REFUSAL if refuse else f"{fact.slots['t'] if reverse else fact.slots['head']} {{0}}."
    return _Asked(question=question, reply=reply, blocks=(sheet.block,), kind="table", alone=True)


def _sums(asker: Asker, *, refuse: bool) -> _Asked | None:
    """Highest, lowest, the higher of two, how many and which lie above a value."""
    sheet, chance, words = table(written_in(asker)), asker.random, asker.words
    ways = ("top", "bottom", "more", "count", "which")
    way, counted = chance.choice(ways), [fact for fact in sheet.facts if fact.number]
    keys = list(dict.fromkeys(fact.key for fact in counted))
    if not keys:
        return None
    key = chance.choice(keys)
    facts = sorted((fact for fact in counted if fact.key == key), key=lambda fact: -fact.number)
    one, other = chance.sample(facts, 2) if len(facts) > 1 else (facts[0], facts[0])
    limit = facts[min(len(facts) - 1, chance.randrange(1, 5))]
    above = [fact for fact in facts if fact.number > limit.number]
    shown = one.slots["t"], other.slots["t"]
    if refuse:
        untold = [each for each in ("price", "weight", "speed", "power", "stock") if each not in sheet.keys]
        if way == "more" and chance.random() < 0.5:
            shown = shown[0], asker.pen.like(shown[1])
            if shown[1] in sheet.rows:
                return None
        elif untold:
            key = chance.choice(untold)
        else:
            return None
    unclear = {"top": len(facts) < 2 or facts[0].number == facts[1].number, "more": one.number == other.number}
    unclear["bottom"] = len(facts) < 2 or facts[-1].number == facts[-2].number
    if unclear.get(way, not above):
        return None
    value = limit.value if key == limit.key else chance.choice(("20", "100", "1000"))
    slots = {**for_frames(words["p"][key][1]), "v": value, "a": shown[0], "b": shown[1], "title": sheet.title}
    patterns = words.get(f"{way}_{key}", []) if chance.random() < 0.6 else []
    question = asker.pen.one(patterns or words[way]).format(**slots)
    best = {"top": facts[0], "bottom": facts[-1], "more": max(one, other, key=lambda fact: fact.number)}
    replies = {name: f"{fact.slots['t']}, {fact.value} {{0}}." for name, fact in best.items()}
    replies["count"] = f"{len(above)} {{0}}."
    inside = [fact.slots["t"] for fact in sheet.facts if fact in above]
    replies["which"] = f"{', '.join(inside)} {{0}}."
    asked, reply = asker.worn(question, (*shown, value, sheet.title)), REFUSAL if refuse else replies[way]
    return _Asked(question=asked, reply=reply, blocks=(sheet.block,), kind="table", alone=True)


def _receipt(asker: Asker, *, refuse: bool) -> _Asked | None:
    sheet = receipt(written_in(asker))
    return _lookup(asker, sheet, sheet.facts, refuse=refuse)


def _roles(asker: Asker, *, refuse: bool) -> _Asked | None:
    pen = written_in(asker)
    sheet = letter(pen) if asker.random.random() < 0.8 else prose(pen, asker.random.choice(("lease", "minutes")))
    who = ("sender", "recipient", "subject", "letter.", "lease.parties", "minutes.chair", "minutes.task")
    return _lookup(asker, sheet, [fact for fact in sheet.facts if fact.key.startswith(who)], refuse=refuse)


def _plain(kinds: Sequence[str]) -> Callable[..., _Asked | None]:
    """A fact of one of these kinds of documents, no yes/no matter."""

    def ask(asker: Asker, *, refuse: bool) -> _Asked | None:
        sheet = MAKERS[asker.random.choice(kinds)](written_in(asker))
        return _lookup(asker, sheet, [fact for fact in sheet.facts if not fact.polarity], refuse=refuse)

    return ask


def _yes_or_no(asker: Asker, *, refuse: bool) -> _Asked | None:
    sheet = prose(
        written_in(asker), asker.random.choice(("lease", "lease", "minutes", "manual", "product")), yes_no=True
    )
    return _lookup(asker, sheet, [fact for fact in sheet.facts if fact.polarity], refuse=refuse)


def _hours(asker: Asker, *, refuse: bool) -> _Asked | None:
    """A day's hours or a direction's buses; often as "And on Sunday?" after the same of another day."""
    chance, words, pen = asker.random, asker.words, written_in(asker)
    sheet = hours(pen) if chance.random() < 0.65 else departures(pen)
    asked = _lookup(asker, sheet, sheet.facts, refuse=refuse)
    if asked is None or chance.random() < 0.5:
        return asked
    fact = chance.choice(sheet.facts)
    befores = [each for each in sheet.facts if each.key == fact.key and each.line != fact.line]
    if sheet.lines[0] and "place" not in fact.slots:
        befores = [each for each in befores if (each.slots["a"], each.slots["b"]) == (fact.slots["b"], fact.slots["a"])]
    if not befores:
        return None
    earlier, _ = asker.of(chance.choice(befores))
    slots = {**fact.slots, **asker.spoken(fact.slots)}
    question = asker.pen.one(words["then_on" if "place" in slots else "then_to"]).format(**slots)
    reply, block = (REFUSAL, sheet.without(fact)) if refuse else (_value(fact, words), sheet.block)
    missing = fact.value if refuse else ""
    return _Asked(question=question, earlier=earlier, reply=reply, blocks=(block,), kind="hours", missing=missing)


def _two(asker: Asker, *, refuse: bool) -> _Asked | None:
    """The right one of two or three documents of a kind, or two of them compared."""
    chance, pen = asker.random, written_in(asker)
    kind = chance.choice(("invoice", "receipt", "lease", "product", "letter"))
    count = chance.randrange(2, 4)
    sheets = [receipt(pen, kind) if kind in ("invoice", "receipt") else MAKERS[kind](pen) for _ in range(count)]
    if chance.random() < 0.5 and any(map(str.isdigit, sheets[0].title)):
        sheets[1] = replace(sheets[1], title=pen.like(sheets[0].title))
    if len({sheet.title for sheet in sheets}) < len(sheets):
        return None
    shared = [
        key for key in ("total", "vat", "subtotal", "lease.rent/money") if all(key in each.keys for each in sheets[:2])
    ]
    if shared and chance.random() < 0.5:
        return _compared(asker, sheets[:2], chance.choice(shared), refuse=refuse)
    facts = [fact for fact in sheets[0].facts if not fact.key.startswith("item")]
    asked = _lookup(asker, sheets[0], facts, refuse=refuse, named=1.0)
    if asked is None or asked.alone:
        return None
    return replace(asked, blocks=(*asked.blocks, *(sheet.block for sheet in sheets[1:])))


def _compared(asker: Asker, sheets: Sequence[Sheet], key: str, *, refuse: bool) -> _Asked | None:
    facts = [next(fact for fact in sheet.facts if fact.key == key) for sheet in sheets]
    worth = [float(fact.slots.get("worth", fact.number)) for fact in facts]
    if worth[0] == worth[1]:
        return None
    _, called = asker.patterns(facts[0])
    slots = {**for_frames(called), "a": sheets[0].title, "b": sheets[1].title}
    question = asker.pen.one(asker.words["more"]).format(**slots)
    parts = [
        f"{sheet.title}: {fact.value} {{{at}}}" for at, (sheet, fact) in enumerate(zip(sheets, facts, strict=True))
    ]
    parts = parts if worth[0] > worth[1] else parts[::-1]
    blocks = (sheets[0].block, sheets[1].without(facts[1]) if refuse else sheets[1].block)
    return _Asked(
        question=question, reply=REFUSAL if refuse else f"{', '.join(parts)}.", blocks=blocks, kind=sheets[0].kind,
        missing=facts[1].value if refuse else "",
    )  # fmt: skip


_KINDS: Mapping[str, Callable[..., _Asked | None]] = {
    "table cell": _cell, "table sums": _sums, "receipt": _receipt, "roles": _roles, "list": _plain(("list",)),
    "hours": _hours, "yes or no": _yes_or_no, "two documents": _two,
    "protocol": _plain(("minutes", "lease", "manual", "product")), "picture": _plain(("picture",)),
    "change": _plain(("report",)),
}  # fmt: skip


def cases(seed: int, count: int) -> Iterator[Case]:
    """That many cases, kinds and languages in turn; the same for the same seed."""
    kinds, chance = list(_KINDS), random.Random(f"reading {seed}")
    for at in range(count):
        kind, language = kinds[at % len(kinds)], LANGUAGES[at % len(LANGUAGES)]
        refuse = chance.random() < _REFUSED
        asked = None
        while asked is None:
            asker = Asker(chance, language)
            asked = _KINDS[kind](asker, refuse=refuse)
            if asked and _stands(asked.missing, asked.blocks):
                asked = None
        yield _arranged(asker, kind, asked)


def _arranged(asker: Asker, kind: str, asked: _Asked) -> Case:
    """The answering blocks among others, none of which can answer too."""
    chance = asker.random
    blocked = {asked.kind} | ({"receipt", "letter", "manual", "product", "lease"} if asked.alone else set())
    kinds = [each for each in MAKERS if not asked.alone or each not in blocked]
    if asked.kind == "hours" or asked.alone:
        kinds = [each for each in kinds if each not in ("hours", "bus", asked.kind)]
    count = min(5 - len(asked.blocks), chance.choice((0, 1, 1, 2, 2, 3, 3, 4)))
    others = [MAKERS[chance.choice(kinds)](written_in(asker)).block for _ in range(count)]
    others = [block for block in others if not _stands(asked.missing, [block])]
    order = list(range(len(asked.blocks)))
    places = [*order, *range(len(order), len(order) + len(others))]
    rest = places[1:]
    chance.shuffle(rest)
    first = 0 if not rest or chance.random() < _FIRST else chance.randrange(1, len(rest) + 1)
    shown = [*rest[:first], 0, *rest[first:]]
    blocks = [*asked.blocks, *others]
    markers = [f"[{shown.index(at) + 1}]" for at in order]
    reply = asked.reply.format(*markers)
    text = [(blocks[at][0], _as_shown(blocks[at])) for at in shown]
    return Case(
        kind=kind, language=asker.language, question=asked.question, reply=reply, earlier=asked.earlier,
        blocks=tuple(text), missing=asked.missing,
    )  # fmt: skip


def _stands(missing: str, blocks: Sequence[_Block]) -> bool:
    """Whether a value that was cut out stands in one of the blocks all the same, of another thing or by chance."""
    text = "\n".join("\n".join((title, *lines)) for title, lines in blocks)
    return bool(missing) and re.search(rf"(?<![\w.,:/-]){re.escape(missing)}(?!\w)", text) is not None


def _as_shown(block: _Block) -> tuple[str, ...]:
    """Sentence by sentence as the product parts them: it takes the stop of "3. Mai" for an end."""
    parted = ((line, start, end) for line in block[1] for start, end in sentences(line))
    return tuple(line[start:end].strip() for line, start, end in parted)
