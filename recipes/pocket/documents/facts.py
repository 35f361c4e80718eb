"""Statements in prose with one value each, and how people ask for it: `facts.txt`, and what can fill it in."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recipes.pocket.documents.names import coined, person, town
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
    "manual": (
        "Read this page before you begin.", "Keep children away from the machine.", "Pull the plug before cleaning.",
        "Use a soft cloth and no solvents.", "Do not cover the vents.", "The display dims after a while.",
        "Damaged parts must not be used.", "Place it on a level floor.",
    ),
    "minutes": (
        "Approved without changes.", "The board thanks everybody who helped.", "A longer discussion follows.",
        "The question is put off.", "The minutes of the last meeting are approved.", "There were no objections.",
    ),
    "letter": (
        "Thank you for your letter.", "We are sorry for the trouble.", "Please do not hesitate to call.",
        "We look forward to hearing from you.", "As discussed on the telephone.", "Please find the papers enclosed.",
    ),
    "handbook": (
        "Dogs are welcome on a lead.", "Please leave the place as you found it.", "The staff will help you.",
        "Smoking is not allowed.", "Bicycles stand in the yard.", "Photographs may be taken without flash.",
    ),
}  # fmt: skip
"""Sentences that say nothing anybody asks for."""
