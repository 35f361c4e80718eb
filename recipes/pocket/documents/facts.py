"""Statements in prose with one value each, and how people ask for it: `facts.txt`, and what can fill it in."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recipes.pocket.documents.names import coined, company, person, street, town
from recipes.pocket.documents.phrases import PHRASES
from recipes.pocket.documents.values import (
    LONG_STYLES,
    MONTHS,
    WEEKDAYS,
    any_day,
    clock,
    digits,
    grouped,
    listed,
    phone,
    words,
    written_date,
)
from recipes.pocket.documents.wordings import Wording, parsed

_SMALL = words("two three four five six seven eight nine ten eleven twelve fifteen twenty thirty")
PLACES = listed("""
    in the cellar|behind the reception desk|in the top drawer of the office|under the stairs|beside the main entrance|
    in room 14|next to the lift on the second floor|in the blue cabinet|in the shed behind the car park|
    on the shelf above the sink|at the porter's lodge|in locker 27|in the kitchen of the annex|
    on the left side of the hall|in the back pocket of the folder|behind the curtain in the meeting room|
    at the bottom of the green box
""")
_MONEY = ("{} euros", "€{}", "{} EUR", "${}", "RM {}", "£{}", "{} dollars", "RM{}")


def _count(draw: random.Random) -> str:
    return draw.choice([draw.choice(_SMALL), str(draw.randint(2, 480)), f"{draw.randint(1, 60) * 1000:,}"])


def _duration(draw: random.Random) -> str:
    unit = draw.choice(["seconds", "minutes", "minutes", "hours", "days", "weeks", "months"])
    return f"{draw.choice([draw.choice(_SMALL), str(draw.randint(2, 90))])} {unit}"


def _period(draw: random.Random) -> str:
    unit = draw.choice(["weeks", "months", "days", "years"])
    count = draw.choice([draw.choice(_SMALL), str(draw.randint(2, 36))])
    rare = draw.choice(["once a week", "twice a year", f"every {draw.randint(1, 9) * 500:,} hours"])
    return draw.choice([f"every {count} {unit}", f"every {count} {unit}", rare])


def _money(draw: random.Random) -> str:
    whole, round_sum = str(draw.randint(2, 990)), f"{draw.randint(1, 90) * 250:,}"
    amount = draw.choice([whole, grouped(draw.uniform(2, 900)), round_sum, f"{draw.randint(2, 99)}.50"])
    return draw.choice(_MONEY).format(amount)


def _measure(most: int, *units: str) -> Callable[[random.Random], str]:
    """A whole number or one with a decimal, with a unit: "62 kg", "8.5 litres"."""

    def value(draw: random.Random) -> str:
        number = draw.choice([str(draw.randint(2, most)), f"{draw.uniform(0.3, most / 10):.1f}"])
        return f"{number} {draw.choice(units)}"

    return value


def _minutes(draw: random.Random) -> str:
    """A short while, some of them in words."""
    rough = [
        "half an hour",
        "a quarter of an hour",
        "an hour and a half",
        "three quarters of an hour",
        "two full hours",
    ]
    return draw.choice([f"{draw.randint(2, 90)} minutes", f"{draw.choice(_SMALL)} minutes", draw.choice(rough)])


def _distance(draw: random.Random) -> str:
    rough = ["half a mile", "two kilometres", "a mile and a half", "three hundred metres"]
    exact = [f"{draw.randint(1, 90) * 10} metres", f"{draw.uniform(0.5, 40):.1f} km", f"{draw.randint(2, 60)} km"]
    return draw.choice([*exact, draw.choice(rough)])


def _age(draw: random.Random) -> str:
    return draw.choice([f"{draw.randint(3, 99)} years", f"{draw.choice(_SMALL)} years"])


def _ratio(draw: random.Random) -> str:
    one, other = draw.sample(range(1, 10), 2)
    return draw.choice([f"{one} to {other}", f"{one}:{other}", f"1:{draw.randint(2, 20) * 5}"])


def _box(draw: random.Random) -> str:
    rough = ["the tin trunk", "the third drawer from the top", "the cupboard with the sliding door"]
    which = draw.choice([str(draw.randint(2, 60)), draw.choice("ABCDEFGHKL"), f"{draw.randint(2, 9)}B"])
    numbered = f"{draw.choice(words('box drawer cupboard crate cabinet rack locker'))} {which}"
    return draw.choice([numbered, numbered, draw.choice(rough)])


def _email(draw: random.Random) -> str:
    return f"{draw.choice(words('info office help desk post team'))}@{coined(draw).lower()}.example"


def _one_of(phrases: tuple[str, ...]) -> Callable[[random.Random], str]:
    return lambda draw: draw.choice(phrases)


def _name(draw: random.Random) -> str:
    words = ["Star", "Point", "Bridge", "Morning", "Garden", "Harvest", "Echo", "Summit"]
    return f"{coined(draw)} {draw.choice(words)}"


def _code(draw: random.Random) -> str:
    letters = "ABCDEFHKLMPRTX"
    return f"{draw.choice(letters)}{draw.choice(letters)}-{digits(draw, 4)}"


VALUES: Mapping[str, Callable[[random.Random], str]] = {
    "count": _count,
    "duration": _duration,
    "period": _period,
    "money": _money,
    "degrees": lambda draw: f"{draw.randint(2, 240)}{draw.choice([' °C', '°C', ' degrees', ' °F'])}",
    "weight": _measure(400, "kg", "kg", "g", "tonnes"),
    "length": _measure(900, "cm", "m", "mm", "metres"),
    "volume": _measure(800, "litres", "ml", "l"),
    "power": lambda draw: f"{draw.randint(2, 90) * 50:,} W",
    "date": lambda draw: written_date(any_day(draw, 2015), draw.choice(LONG_STYLES)),
    "month": lambda draw: f"{draw.choice(MONTHS)} {draw.randint(2008, 2027)}",
    "year": lambda draw: str(draw.randint(1880, 2026)),
    "day": lambda draw: draw.choice(WEEKDAYS),
    "time": clock,
    "person": person,
    "place": lambda draw: draw.choice(PLACES),
    "town": town,
    "colour": lambda draw: draw.choice(listed("dark green|red|yellow|light grey|black|white|orange|navy blue|brown")),
    "phone": phone,
    "name": _name,
    "percent": lambda draw: f"{draw.randint(2, 98)} {draw.choice(['%', 'percent', 'per cent'])}",
    "percent_off": lambda draw: f"{draw.randint(1, 12) * 5}%",
    "code": _code,
    "votes": lambda draw: f"{draw.choice(_SMALL).capitalize()} votes in favour, {draw.choice(_SMALL[:5])} against",
    "few": lambda draw: draw.choice([draw.choice(_SMALL), str(draw.randint(2, 24))]),
    "minutes": _minutes,
    "distance": _distance,
    "age": _age,
    "ratio": _ratio,
    "box": _box,
    "email": _email,
    "version": lambda draw: f"{draw.randint(1, 12)}.{draw.randint(0, 9)}{draw.choice(['', '.1', '.4', 'b'])}",
    "speed": lambda draw: f"{draw.randint(2, 26) * 5} {draw.choice(['km/h', 'km/h', 'mph'])}",
    "rotation": lambda draw: f"{draw.randint(2, 90) * 100:,} {draw.choice(['rpm', 'turns a minute'])}",
    "loudness": lambda draw: f"{draw.randint(24, 110)} {draw.choice(['dB', 'decibels', 'dB(A)'])}",
    "firm": lambda draw: company(draw).short,
    "street": lambda draw: street(draw, "english"),
    **{name: _one_of(phrases) for name, phrases in PHRASES.items()},
}
"""The generators that `facts.txt` and the tables' columns name."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement with `{}` for its value, and how it is asked for; the wording's key is the value's generator."""

    statement: str
    wording: Wording


def _read(path: Path) -> dict[str, tuple[Fact, ...]]:
    sections = re.split(r"^\[(\w+)\]$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    facts = {}
    for kind, text in zip(sections[1::2], sections[2::2], strict=True):
        statements = re.findall(r"^! (.+)$", text, flags=re.MULTILINE)
        facts[kind] = tuple(Fact(*pair) for pair in zip(statements, parsed(text), strict=True))
    return facts


FACTS = _read(Path(__file__).with_name("facts.txt"))
"""By kind of document: manual, minutes, letter, handbook."""

FILLERS = {
    "manual": listed("""
        Read this page before you begin.|Keep children away from the machine.|Pull the plug before cleaning.|
        Use a soft cloth and no solvents.|Do not cover the vents.|The display dims after a while.|
        Damaged parts must not be used.|Place it on a level floor.|Keep the packaging in case you move house.|
        The drawings in this booklet may differ from your model.|Chapters 3 to 5 are meant for fitters.|
        Hands should be dry when you touch the switch.|Around 40 000 customers use our products already.|
        Small scratches do no harm.|Some models have a second handle.|Do not stand on it.|
        You will find a list of words on page 38.|Ask your dealer for advice.|Figure 7 shows the usual set-up.|
        New machines may smell a little at first.
    """),
    "minutes": listed("""
        Approved without changes.|The board thanks everybody who helped.|A longer discussion follows.|
        The question is put off.|The minutes of the last meeting are approved.|There were no objections.|
        Item 4 of the agenda is taken first.|Two guests arrive a little later.|The windows are opened for a moment.|
        Several members remember the winter of 1997.|Nobody wishes to speak.|The list goes round the table.|
        A short break is taken after item 6.|The matter will be looked at again.|There is applause.|
        Opinions differ widely.|A sketch is passed round.|The paper of 12 pages was sent to all.|
        The chair asks for patience.|Somebody looks for more chairs.
    """),
    "letter": listed("""
        Thank you for your letter.|We are sorry for the trouble.|Please do not hesitate to call.|
        We look forward to hearing from you.|As discussed on the telephone.|Please find the papers enclosed.|
        It was a pleasure to meet you both.|We have served this region for 3 generations.|
        May we also draw your attention to our catalogue of 96 pages.|We wish you a pleasant week.|
        Such things happen even to us.|Your patience is much appreciated.|You know our motto.|
        Our lawyers have read this letter.|Forgive the handwriting.|We took note of paragraph 9.|
        With this we regard the matter as closed.|We have passed on your kind words.|
        Page 2 of this letter is for your files.|Everybody here sends regards.
    """),
    "handbook": listed("""
        Dogs are welcome on a lead.|Please leave the place as you found it.|The staff will help you.|
        Smoking is not allowed.|Bicycles stand in the yard.|Photographs may be taken without flash.|
        We are happy about every suggestion.|Nearly 200 people work here without pay.|
        Please speak quietly in the corridors.|Strong shoes are a good idea.|Thank you for your understanding.|
        The map on page 3 gives an overview.|Some doors close by themselves.|Everyone is welcome here.|
        Rule 11 was struck out.|Lights go on when somebody passes.|Please do not lean on the railings.|
        We try to save energy wherever we can.|The first 5 pages are for newcomers.|Umbrellas go into the stand.
    """),
}  # fmt: skip
"""Sentences that say nothing anybody asks for."""
