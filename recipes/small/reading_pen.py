"""Draws the words and values of one made-up document, all in the style of that document, from a seed and reading.toml.

A document writes all its dates and all its money the same way; names and codes are coined, so that nothing about them
can be known from elsewhere.
"""

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from recipes.small.draw import wording

LANGUAGES = ("en", "es", "de", "fr")
_SPANS_UP_TO = 36
_ENDINGS = ("Plus", "S", "Mini", "II", "Pro", "XL")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")


@cache
def reading() -> Mapping[str, Any]:
    """reading.toml, read once."""
    return tomllib.loads(Path(__file__).with_name("reading.toml").read_text(encoding="utf-8"))


class Pen:
    """Draws values and words of one document language."""

    def __init__(self, chance: random.Random, language: str) -> None:
        self.random, self.language = chance, language
        self.words: Mapping[str, Any] = reading()[language]
        self.names: Mapping[str, Any] = reading()["names"]
        self._currency = chance.choice(
            ("{} EUR", "EUR {}", "€{}", "{} €", "RM {}", "RM{}", "CHF {}", "${}", "£{}", "{} USD")
        )
        self._point = chance.choice((",.", ".,", " ,", ".")) if language != "en" else chance.choice((",.", "."))
        self._date = chance.choice(
            ("{d:02}/{m:02}/{y}", "{d}.{m}.{y}", "{y}-{m:02}-{d:02}", "words", "words", "{d:02}-{m:02}-{y}")
        )

    def one(self, of: Sequence[str]) -> str:
        """One of them, its choices drawn."""
        return self.choices(self.random.choice(of))

    def choices(self, text: str) -> str:
        """`[a|b] c` → `a c` or `b c`."""
        while found := _CHOICE.search(text):
            text = f"{text[: found.start()]}{self.random.choice(found[1].split('|'))}{text[found.end() :]}"
        return text

    def coined(self) -> str:
        """A word that names nothing."""
        head, tail = (self.random.choice(self.names[part].split()) for part in ("head", "tail"))
        return f"{head}{tail}"

    def person(self) -> str:
        """First and last name, of any of the languages."""
        first, last = (self.names[which][self._any_language()].split() for which in ("first", "last"))
        title = self.random.choice(("", "", "", "", "", "", "Dr. "))
        return f"{title}{self.random.choice(first)} {self.random.choice(last)}"

    def _any_language(self) -> str:
        return self.language if self.random.random() < 0.7 else self.random.choice(LANGUAGES)

    def company(self) -> str:
        """Name, trade and form."""
        last = self.random.choice(self.names["last"][self.language].split())
        name = self.random.choice((last, self.coined(), f"{self.coined()} {last}"))
        parts = (name, self.one(self.names["trade"][self.language]), self.one(self.names["form"][self.language]))
        return " ".join(filter(None, parts))

    def thing(self) -> str:
        """A product's name or type code."""
        number = self.random.choice((self.random.randrange(2, 99), self.random.randrange(10, 99) * 10))
        letters = "".join(self.random.choices("ABCDEFGHKLMNPRSTVWXZ", k=2))
        return self.random.choice((f"{self.coined()} {number}", f"{letters}-{number}", f"{self.coined()} {letters}"))

    def like(self, thing: str) -> str:
        """A name that is nearly the same: KX-200 → KX-220."""
        digits = [at for at, sign in enumerate(thing) if sign.isdigit()]
        if not digits:
            plain = next((thing.removesuffix(f" {end}") for end in _ENDINGS if thing.endswith(f" {end}")), thing)
            return f"{plain} {self.random.choice([end for end in _ENDINGS if not thing.endswith(end)])}"
        at = self.random.choice(digits)
        return f"{thing[:at]}{(int(thing[at]) + self.random.randrange(1, 9)) % 9 + 1}{thing[at + 1 :]}"

    def code(self) -> str:
        """Letters and digits that number something."""
        digits = self.random.randrange(100, 99999)
        letters = "".join(self.random.choices("ABCDEFGHKLMNPRSTVWXYZ", k=self.random.randrange(1, 4)))
        return self.random.choice((f"{letters}-{digits}", f"{letters}{digits}", f"{digits}/{self.random.randrange(9)}"))

    def money(self, cents: int | None = None) -> tuple[str, float]:
        """An amount as this document writes money, and what it is worth."""
        most = self.random.choice((3000, 90000, 900000))
        cents = self.random.randrange(90, most) if cents is None else cents
        whole, rest = divmod(cents, 100)
        parted, point = (self._point[0], self._point[1]) if len(self._point) == 2 else ("", self._point)
        return self._currency.format(f"{whole:,}".replace(",", parted) + f"{point}{rest:02}"), cents / 100

    def date(self) -> str:
        """A day as this document writes dates."""
        day, month, year = self.random.randrange(1, 29), self.random.randrange(1, 13), self.random.randrange(2004, 2032)
        if self._date != "words":
            return self._date.format(d=day, m=month, y=year)
        spoken = wording()[self.language]
        return str(spoken["date"]).format(day=day, month=spoken["months"][month - 1], year=year)

    def address(self) -> str:
        """Street, number, town."""
        house, block, code = (
            self.random.randrange(1, 240),
            self.random.randrange(1, 30),
            self.random.randrange(10000, 99000),
        )
        street = self.one(self.names["street"][self.language]).format(
            name=self.coined(), n=house, m=f"{block}/{house % 9}"
        )
        return f"{street}, {code} {self.coined()}"

    def phone(self) -> str:
        """Digits in groups."""
        near, far = self.random.randrange(100, 9999), self.random.randrange(1000, 999999)
        return self.random.choice(
            (f"0{near}-{far}", f"+{near % 90 + 10} {far} {near}", f"0{near} {far}", f"0{near}/{far}")
        )

    def percent(self, share: int) -> str:
        """As this language writes it."""
        return f"{share}{'%' if self.language == 'en' else ' %'}"

    def slots(self, most: int = 40) -> dict[str, str]:
        """Fresh values for every slot of a sentence, counts below `most`; no two of them alike."""
        numbers = [str(number) for number in sorted(self.random.sample(range(2, most), 2))]
        cents, share = self.random.randrange(400, 300000), self.random.randrange(3, 90)
        return {
            "money": self.money(cents)[0], "money2": self.money(cents * (100 - share) // 100)[0],
            "worth": str(cents), "date": self.date(), "person": self.person(),
            "other": self.person(), "company": self.company(), "city": self.coined(), "n": numbers[0], "m": numbers[1],
            "percent": self.percent(share), "percent2": self.percent(99 - share),
            "code": self.code(), "thing": self.thing(),
            "time": f"{self.random.randrange(7, 21)}:{self.random.randrange(0, 60, 5):02}", "phone": self.phone(),
            "year": str(self.random.randrange(1950, 2030)),
            "span": f"{self.random.randrange(2, _SPANS_UP_TO)} {self.one(self.words['span'])}",
        }  # fmt: skip

    def title(self, kind: str) -> str:
        """A heading, or the stem of a file's name."""
        number = f"{self.random.randrange(2005, 2031)}-{self.random.randrange(1, 999):03}"
        named = f"{self.words['kinds'][kind]} {self.random.choice((number, self.coined(), number.replace('-', '/')))}"
        return named if self.random.random() < 0.5 else f"{kind}-{self.random.choice((number, self.coined().lower()))}"
