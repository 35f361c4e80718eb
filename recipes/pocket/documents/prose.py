"""Letters and mails, minutes, manuals and house rules: sentences with one fact each."""

import random
from dataclasses import dataclass, replace

from recipes.pocket.documents.document import Ask, Document, Part, Written, line
from recipes.pocket.documents.facts import FACTS, FILLERS, VALUES, Fact
from recipes.pocket.documents.names import MACHINES, coined, company, person, street, town
from recipes.pocket.documents.values import LONG_STYLES, any_day, digits, listed, written_date
from recipes.pocket.documents.wordings import Name, ask, asks, parsed

_CLUBS = listed("""
    sailing club|garden association|choir|chess club|allotment society|parents' council|rowing club|
    theatre group|village council|film society|school board|cycling club|farmers' cooperative|works council|
    residents' association|orchestra|volunteer fire brigade
""")
_HOUSES = listed("""
    youth hostel|swimming hall|city archive|botanical garden|open-air museum|climbing hall|
    library|observatory|community centre|old brewery|day clinic|guest house|music school|sports hall|
    zoo|nursing home|co-working space
""")
_BEFORE = ("Please note: ", "New this year: ", "Important: ", "A reminder: ", "As we said on the telephone: ")
_BEHIND = (
    ", as announced in spring",
    " unless agreed otherwise",
    ", and this will not change soon",
    ", which surprised nobody",
    " (see also the last page)",
    ", whatever you may have read elsewhere",
)
_HELD = parsed("""
    held
    ? When did the <thing> meet? When was the meeting of the <thing>?
    = The meeting was on {held}.
    = It was {held}.
    = On {held}.
    + And when did they meet?
""")
_WRITTEN = parsed("""
    sent
    ? When did <thing> write? What is the date of the letter from <thing>? When was the letter of <thing> written?
    = The letter is of {sent}.
    = The date is {sent}.
    = It is {sent}.
    + And what is its date?

    writer
    ? Who signed the letter from <thing>? Who wrote to us for <thing>?
    = It is {writer}.
    = {writer}.
    + And who signed it?
""")


@dataclass(frozen=True, slots=True)
class _Told:
    """A fact with its value filled in."""

    fact: Fact
    key: str
    value: str
    thing: str

    @property
    def parts(self) -> tuple[Part, ...]:
        before, after = self.fact.statement.replace("<thing>", self.thing).split("{}")
        value = self.value if before else self.value[:1].upper() + self.value[1:]
        return tuple(part for part in (Part(before), Part(value, self.key), Part(after)) if part.text)  # ends in "."

    def ask(self, draw: random.Random) -> Ask:
        """The question names the thing or leaves it to the document."""
        wording = self.fact.wording
        answers = tuple(answer.replace("{}", "{" + self.key + "}") for answer in wording.answers)
        short = draw.choice(wording.questions).replace("the <thing>", "it")
        follow_ups = () if "<thing>" in short else (f"And {short[0].lower()}{short[1:]}",)
        asked = replace(wording, key=self.key, answers=(*answers, "It is {" + self.key + "}."), follow_ups=follow_ups)
        return ask(draw, asked, {"thing": Name(self.thing, self.thing)})


def _told(draw: random.Random, manner: str, thing: str, count: int) -> tuple[list[_Told], tuple[str, ...]]:
    """Some facts, and questions for facts that are left out."""
    facts = draw.sample(FACTS[manner], count + 4)
    told = [_Told(fact, f"fact {n}", VALUES[fact.wording.key](draw), thing) for n, fact in enumerate(facts[:count])]
    absent = tuple(draw.choice(fact.wording.questions).replace("<thing>", thing) for fact in facts[count:])
    return told, absent


def _paragraphs(draw: random.Random, manner: str, told: list[_Told]) -> list[Written]:
    """The facts in sentences, some dressed up and some joined in pairs, with sentences between that say nothing."""
    sentences = [_dressed(draw, each.parts) for each in told]
    lines: list[Written] = []
    while sentences:
        parts = sentences.pop(0)
        if sentences and draw.random() < 0.2:
            first, *rest = sentences.pop(0)
            lower = first if first.key else Part(first.text[:1].lower() + first.text[1:])
            parts = (*parts[:-1], Part(parts[-1].text.rstrip(".") + "; "), lower, *rest)
        lines.append(Written(parts=parts))
    for filler in draw.sample(FILLERS[manner], draw.randint(0, 3)):
        lines.insert(draw.randrange(len(lines) + 1), line(filler))
    return lines


def _dressed(draw: random.Random, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The sentence, one time in three with words around it that do not matter."""
    if draw.random() < 0.18:
        parts = (Part(draw.choice(_BEFORE)), *parts)
    if draw.random() < 0.18:
        parts = (*parts[:-1], Part(parts[-1].text.rstrip(".") + draw.choice(_BEHIND) + "."))
    return parts


def manual(draw: random.Random) -> Document:
    """A few pages of operating instructions."""
    model = f"{coined(draw)} {draw.choice(['', draw.choice('ABCDEFGHKLMRSTX')])}{draw.randint(2, 990)}"
    thing = draw.choice([draw.choice(MACHINES), model, f"{model} {draw.choice(MACHINES)}"])
    told, absent = _told(draw, "manual", thing, draw.randint(3, 7))
    lines = [line("Operation and care", heading=True), *_paragraphs(draw, "manual", told)]
    name = draw.choice([f"{model.lower().replace(' ', '-')}-manual.pdf", f"manual_{digits(draw, 4)}.pdf"])
    title = f"{thing}, operating manual" if model in thing else f"{model} {thing}, instructions"
    return _prose(draw, "manual", name, title, lines, told, absent)


def minutes(draw: random.Random) -> Document:
    """The minutes of a club's or council's meeting."""
    thing = draw.choice(_CLUBS)
    day = any_day(draw, 2015)
    told, absent = _told(draw, "minutes", thing, draw.randint(3, 6))
    when = written_date(day, draw.choice(LONG_STYLES))
    head = [
        line(f"Minutes of the {thing}", heading=True),
        line(f"{draw.choice(['Held', 'Meeting', 'Session'])} on ", ("held", when), f" in {town(draw)}."),
        line("Present: ", ", ".join(person(draw) for _ in range(draw.randint(2, 4))) + "."),
    ]
    held = asks(draw, _HELD, {"thing": Name(thing, thing)})
    name = f"minutes-{day:%Y-%m-%d}.docx"
    document = _prose(
        draw, "minutes", name, f"Minutes of the {thing}", [*head, *_paragraphs(draw, "minutes", told)], told, absent
    )
    return replace(document, asks=(*document.asks, *held))


def letter(draw: random.Random) -> Document:
    """A letter or mail of a firm or a person; half of them scanned."""
    firm = company(draw)
    thing = firm.short if draw.random() < 0.7 else person(draw)
    told, absent = _told(draw, "letter", thing, draw.randint(2, 5))
    writer = person(draw)
    day = written_date(any_day(draw, 2012), draw.choice(LONG_STYLES))
    sender = firm.name if thing == firm.short else thing
    mail = draw.random() < 0.4
    if mail:
        head = [
            line(f"From: {sender}"),
            line("Subject: ", draw.choice(["Your order", "Our appointment", "Visit", "Invoice", "Offer"])),
            line("Date: ", ("sent", day)),
        ]
    else:
        head = [
            line(("sender", sender)),
            line(f"{street(draw, firm.style)}, {town(draw)}"),
            line(("sent", day), align=1),
        ]
    close = [line("Kind regards"), line(("writer", writer))]
    title = (
        draw.choice([f"Letter from {sender}", f"Re: {draw.choice(['offer', 'order', 'delivery', 'contract'])}"])
        if mail
        else ""
    )
    name = f"{draw.choice(['letter', 'mail', 'scan'])}-{digits(draw, 5)}." + (
        "eml" if mail else draw.choice(["pdf", "jpg", "docx"])
    )
    about = asks(draw, _WRITTEN if thing == firm.short else _WRITTEN[:1], {"thing": Name(thing, thing)})
    document = _prose(draw, "letter", name, title, [*head, *_paragraphs(draw, "letter", told), *close], told, absent)
    return replace(document, asks=(*document.asks, *about))


def handbook(draw: random.Random) -> Document:
    """House rules, visitor information, a notice."""
    thing = draw.choice(_HOUSES)
    told, absent = _told(draw, "handbook", thing, draw.randint(3, 7))
    heading = draw.choice(["Good to know", f"Visiting the {thing}", "House rules", "For new staff"])
    name = draw.choice([f"{thing.replace(' ', '-')}.html", "handbook.md", "notice.docx", "visitors.html"])
    lines = [line(heading, heading=True), *_paragraphs(draw, "handbook", told)]
    return _prose(draw, "handbook", name, f"{coined(draw)} {thing}", lines, told, absent)


def _prose(
    draw: random.Random,
    kind: str,
    name: str,
    title: str,
    lines: list[Written],
    told: list[_Told],
    absent: tuple[str, ...],
) -> Document:
    scanned = name.endswith(".jpg") or (name.endswith(".pdf") and draw.random() < 0.5)
    return Document(
        kind=kind, name=name, title="" if name.endswith(".jpg") else title, blocks=tuple(lines),
        asks=tuple(each.ask(draw) for each in told),
        absent=absent, scanned=scanned,
    )  # fmt: skip
