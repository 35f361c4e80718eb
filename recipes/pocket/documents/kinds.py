"""Documents that are not one table: till receipts, invoices, cards, prose and pictures.

The templates hold every word (documents.toml); here is what has to be computed: sums, which fields a card has, how
statements become paragraphs, what a picture shows.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from recipes.pocket.documents.document import Ask, Document, Part, Table, Written
from recipes.pocket.documents.languages import Template
from recipes.pocket.documents.patterns import digits
from recipes.pocket.documents.templates import Blocks, Sheet
from recipes.pocket.documents.values import any_day, date_in_words, written_money
from recipes.pocket.documents.wordings import Name, Wording, ask, filled

_TAXES_OF_SHOPS = (0.06, 0.07, 0.19, 0.21)
_TAXES_OF_FIRMS = (0.06, 0.07, 0.19, 0.2, 0.21)


def receipt(sheet: Sheet) -> Document:
    """A receipt as a scanner sees it, asked for company, date, total, number, cashier, change and single goods."""
    draw, words = sheet.draw, sheet.writer.words
    goods = [
        (item, draw.choices([1, 2, draw.randint(3, 12)], [6, 2, 1])[0], _price(draw))
        for item in draw.sample(sheet.writer.options("goods"), draw.choices([1, 2, 3, 4, 6], [3, 4, 3, 2, 1])[0])
    ]
    total = round(sum(count * price for _, count, price in goods), 2)
    _keep_day(sheet)
    _keep_sums(sheet, total)
    words["cashier_name"] = sheet.writer.text("<person:first>")
    words["number"] = sheet.writer.text("<document_number>")
    picked = draw.randrange(len(goods))
    words["bought"], words["picked"] = goods[picked][0], str(picked)
    sheet.keep_words()
    inserts = {"goods": _goods(sheet, goods), "feet": _feet(sheet)}
    return sheet.document(sheet.blocks(inserts), asks=sheet.asks(), absent=sheet.absent())


def _price(draw: random.Random) -> float:
    return round(draw.uniform(0.5, 60), 1 + (draw.random() < 0.6))


def _keep_day(sheet: Sheet) -> None:
    """The date as the receipt writes it and as somebody may type it into a question."""
    writer = sheet.writer
    day = any_day(sheet.draw)
    writer.words["date"] = date_in_words(writer, day, writer.text("<short_date_style>"))
    writer.words["date_otherwise"] = date_in_words(writer, day, writer.text("<asked_date_style>"))
    writer.words["time"] = writer.text("<clock 7-21>")


def _keep_sums(sheet: Sheet, total: float) -> None:
    """The total, what was paid and given back, and the tax; `bare_…` is the number without its currency."""
    draw, words = sheet.draw, sheet.writer.words
    tax = round(total * draw.choice(_TAXES_OF_SHOPS) / 1.06, 2)
    paid = total if draw.random() < 0.3 else float(-(-total // 10) * 10)
    sums = {"total": total, "net": total - tax, "tax": tax, "paid": paid, "change": paid - total, "nothing": 0.0}
    words.update({name: written_money(amount, words["money_style"]) for name, amount in sums.items()})
    words.update({f"bare_{name}": f"{amount:.2f}" for name, amount in sums.items()})


def _goods(sheet: Sheet, goods: Sequence[tuple[str, int, float]]) -> Blocks:
    """The goods in one line each, or in two: the number and name above, the price below."""
    draw = sheet.draw
    shouted, two_lines = draw.random() < 0.4, draw.random() < 0.4
    lines: Blocks = []
    for place, (item, count, price) in enumerate(goods):
        item = item.upper() if shouted else item
        example = sheet.writer.words["money_style"] if draw.random() < 0.5 else "1234.50"
        amount = Part(written_money(count * price, example), f"amount {place}")
        mark = Part(draw.choice(["", "", " SR", " *", " A"]))
        before = f"{count} x {price:.2f} " if two_lines else f"{count} {item} "
        if two_lines:
            lines.append(Written(parts=(Part(f"{digits(draw, 7)} {item}"),)))
        lines.append(Written(parts=(Part(before), amount, mark)))
    return lines


def _feet(sheet: Sheet) -> Blocks:
    feet = sheet.writer.options("foot")
    return [sheet.line(f"^ {foot}") for foot in sheet.draw.sample(feet, sheet.draw.randint(0, 3))]


def invoice(sheet: Sheet) -> Document:
    """An invoice of one to four services: a head, a table, the total, when to pay."""
    draw, words = sheet.draw, sheet.writer.words
    works = draw.sample(sheet.writer.options("service"), draw.randint(1, 4))
    picked = draw.randrange(len(works))
    words["bought"], words["picked"] = works[picked], str(picked)
    if words["money_style"][-1].isdigit() and words["money_style"][0].isdigit():  # invoices name their currency
        words["money_style"] += " EUR"
    prices = [round(draw.uniform(20, 4000), 2) for _ in works]
    net, tax = sum(prices), round(sum(prices) * draw.choice(_TAXES_OF_FIRMS), 2)
    for name, amount in (("net", net), ("tax", tax), ("total", net + tax)):
        words[name] = written_money(amount, words["money_style"])
    sheet.keep_words()
    amounts = [written_money(price, words["money_style"]) for price in prices]
    table = Table(
        header=tuple(map(sheet.writer.text, sheet.template["header"])),
        rows=tuple(
            (Part(work), Part(amount, f"amount {at}"))
            for at, (work, amount) in enumerate(zip(works, amounts, strict=True))
        ),
    )
    return sheet.document(sheet.blocks({"positions": [table]}), asks=sheet.asks(), absent=sheet.absent())


def card(sheet: Sheet) -> Document:
    """One card or form with three to six fields; the questions for the others it does not answer."""
    sheet.keep_words()
    draw, fields = sheet.draw, sheet.template["fields"]
    kept = draw.sample(list(fields), draw.randint(3, 6))
    shouted = draw.random() < 0.3
    lines: Blocks = []
    for key in kept:
        label, value = fields[key]
        sheet.writer.words[key] = sheet.writer.text(value)
        lines.append(sheet.line(f"{label.upper() if shouted else label}<colon>{{{key}}}"))
    names = sheet.names()
    asked = [wording for wording in sheet.wordings() if wording.key in kept]
    absent = [filled(draw.choice(each.questions), names) for each in sheet.wordings() if each.key not in kept]
    return sheet.document(
        sheet.blocks({"fields": lines}), asks=tuple(ask(draw, each, names) for each in asked), absent=tuple(absent)
    )


@dataclass(frozen=True, slots=True)
class Told:
    """A statement of facts.txt with its value filled in."""

    wording: Wording
    key: str
    value: str
    thing: str

    @property
    def parts(self) -> tuple[Part, ...]:
        """The sentence; it ends with a full stop, and a value at its beginning with a capital."""
        before, after = self.wording.statement.replace("<thing>", self.thing).split("{}")
        value = self.value if before else self.value[:1].upper() + self.value[1:]
        return tuple(part for part in (Part(before), Part(value, self.key), Part(after)) if part.text)

    def ask(self, sheet: Sheet) -> Ask:
        """The question names the thing or leaves it to the document."""
        manners = sheet.language.manners
        short = sheet.draw.choice(self.wording.questions).replace(*manners["pronoun"])
        follow_ups = () if "<thing>" in short else (manners["follow_up"].format(question=short[0].lower() + short[1:]),)
        answers = (*self.wording.answers, manners["bare_answer"])
        wording = replace(self.wording, answers=answers, follow_ups=follow_ups)
        return ask(sheet.draw, wording, {"thing": Name(self.thing, self.thing)}, key=self.key)


def prose(sheet: Sheet) -> Document:
    """Sentences with one fact each: letters and mails, minutes, manuals, house rules."""
    sheet.keep_words()
    thing, draw = sheet.writer.words["thing"], sheet.draw
    fewest, most = map(int, sheet.template["facts"].split("-"))
    count = draw.randint(fewest, most)
    facts = draw.sample(sheet.language.facts[sheet.kind], count + 4)
    told = [Told(fact, f"fact {at}", sheet.value(fact.key), thing) for at, fact in enumerate(facts[:count])]
    absent = tuple(draw.choice(fact.questions).replace("<thing>", thing) for fact in facts[count:])
    blocks = sheet.blocks({"facts": _paragraphs(sheet, told)})
    named = {"thing": Name(thing, thing)}
    asks = (*(each.ask(sheet) for each in told), *(ask(draw, each, named) for each in sheet.wordings()))
    return sheet.document(blocks, asks=asks, absent=absent)


def _paragraphs(sheet: Sheet, told: Sequence[Told]) -> Blocks:
    """The facts in sentences, some dressed up and some joined in pairs, with sentences between that say nothing."""
    draw = sheet.draw
    sentences = [_dressed(draw, each.parts, sheet.language.documents["prose"]) for each in told]
    lines: Blocks = []
    while sentences:
        parts = sentences.pop(0)
        if sentences and draw.random() < 0.2:
            first, *rest = sentences.pop(0)
            lower = first if first.key else Part(first.text[:1].lower() + first.text[1:])
            parts = (*parts[:-1], Part(parts[-1].text.rstrip(".") + "; "), lower, *rest)
        lines.append(Written(parts=parts))
    for filler in draw.sample(sheet.writer.options(f"{sheet.kind}_filler"), draw.randint(0, 3)):
        lines.insert(draw.randrange(len(lines) + 1), Written(parts=(Part(filler),)))
    return lines


def _dressed(draw: random.Random, parts: tuple[Part, ...], around: Template) -> tuple[Part, ...]:
    """The sentence, one time in three with words around it that do not matter."""
    if draw.random() < 0.18:
        parts = (Part(draw.choice(around["before"])), *parts)
    if draw.random() < 0.18:
        parts = (*parts[:-1], Part(parts[-1].text.rstrip(".") + draw.choice(around["behind"]) + "."))
    return parts


def picture(sheet: Sheet) -> Document:
    """A picture without a caption, as a library knows it: by the labels of an image classifier."""
    seen, labels = _seen(sheet.draw, sheet.template["labels"], sheet.writer.options("plain_thing"))
    shown = next((label for label in labels if seen.lower() in label.lower()), labels[0])
    sheet.writer.words.update({"seen": seen, "shows": shown})
    sheet.keep_words()
    return sheet.document((), asks=sheet.asks(), labels=labels, shows=shown)


def _seen(draw: random.Random, labels: Template, plain: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What is asked for and the labels of its picture: of another name, or the same with up to two others."""
    if draw.random() < 0.5:
        asked = draw.choice(list(labels))
        return asked, tuple(draw.choice(labels[asked]).split(", "))
    asked = draw.choice(plain)
    return asked, (asked, *draw.sample(plain, draw.choice([0, 0, 1, 2])))


MAKERS = {
    "receipt": receipt,
    "invoice": invoice,
    "letter": prose,
    "manual": prose,
    "minutes": prose,
    "handbook": prose,
    "card": card,
    "picture": picture,
}
"""By kind of document; tables and schedules are made in tables.py."""
