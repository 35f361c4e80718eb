"""Dates, clocks, amounts and numbers in the writings that documents use."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

Item = TypeVar("Item")

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def listed(text: str) -> tuple[str, ...]:
    """The names in `a|b|…`, which may be broken over lines."""
    return tuple(" ".join(name.split()) for name in text.split("|"))


def words(text: str) -> tuple[str, ...]:
    """The single words of a text."""
    return tuple(text.split())


def weighted(draw: random.Random, *choices: tuple[float, Item]) -> Item:
    """One of the choices, by weight."""
    return draw.choices([item for _, item in choices], [weight for weight, _ in choices])[0]


def any_day(draw: random.Random, first: int = 2009, last: int = 2027) -> date:
    """A day between two years."""
    start = date(first, 1, 1)
    return start + timedelta(days=draw.randrange((date(last, 12, 31) - start).days))


DATE_STYLES = (
    "d/m/Y", "d/m/y", "d-m-Y", "d-m-y", "d.m.Y", "Y-m-d", "Y/m/d", "j M Y", "d M Y", "d MON Y", "j F Y", "F j, Y",
    "d-M-Y", "j/n/Y", "m/d/Y", "dMY",
)  # fmt: skip
LONG_STYLES = ("j F Y", "j F Y", "F j, Y", "d M Y", "W, j F Y", "Y-m-d", "d.m.Y", "d/m/Y")


def written_date(day: date, style: str) -> str:
    """The day in one of the styles: d/D with and without a leading zero as `j`, M short month, F long, W weekday."""
    month = MONTHS[day.month - 1]
    pieces = {
        "MON": month[:3].upper(), "d": f"{day.day:02}", "j": str(day.day), "m": f"{day.month:02}", "n": str(day.month),
        "M": month[:3], "F": month, "Y": str(day.year), "y": f"{day.year % 100:02}", "W": WEEKDAYS[day.weekday()],
    }  # fmt: skip
    marked = style.replace("MON", "\0")
    return "".join(pieces["MON"] if sign == "\0" else pieces.get(sign, sign) for sign in marked)


def as_asked(day: date, draw: random.Random, *, written: str) -> str:
    """The day as somebody would type it into a question: mostly as the document writes it."""
    if draw.random() < 0.6:
        return written
    return written_date(day, draw.choice(("j F Y", "d/m/Y", "j M Y", "Y-m-d", "F j, Y")))


def clock(draw: random.Random, *, first: int = 7, last: int = 21) -> str:
    """A time of day in one of the usual writings."""
    hour, minute = draw.randint(first, last), draw.choice([0, 15, 30, 45, draw.randrange(60)])
    half = "am" if hour < 12 else "pm"
    return weighted(
        draw,
        (4, f"{hour:02}:{minute:02}"),
        (2, f"{hour}:{minute:02}"),
        (2, f"{(hour - 1) % 12 + 1}:{minute:02} {half}"),
        (1, f"{(hour - 1) % 12 + 1}.{minute:02} {half}"),
        (1, f"{hour:02}.{minute:02}"),
    )


def grouped(amount: float, separator: str = ",", point: str = ".") -> str:
    """1234.5 → 1,234.50 with the given signs."""
    return f"{amount:,.2f}".replace(",", "\0").replace(".", point).replace("\0", separator)


@dataclass(frozen=True, slots=True)
class Money:
    """How one document writes amounts. `mark` stands before or behind; "" where the column's head names it."""

    mark: str
    behind: bool = False
    separator: str = ","
    point: str = "."
    gap: str = ""

    def __call__(self, amount: float) -> str:
        """The amount as this document writes it."""
        number = grouped(amount, self.separator, self.point)
        return f"{number}{self.gap}{self.mark}" if self.behind else f"{self.mark}{self.gap}{number}"


MONEY_STYLES: dict[str, Sequence[Money]] = {
    "malay": (Money(""), Money("RM"), Money("RM", gap=" "), Money("$"), Money("")),
    "english": (Money("$"), Money("£"), Money("USD", gap=" "), Money("USD", behind=True, gap=" "), Money("")),
    "spanish": (
        Money("€", behind=True, separator=".", point=",", gap=" "),
        Money("EUR", behind=True, separator=".", point=",", gap=" "),
        Money("", separator=".", point=","),
    ),
    "german": (
        Money("EUR", behind=True, separator=".", point=",", gap=" "),
        Money("€", behind=True, separator=".", point=",", gap=" "),
        Money("EUR", gap=" ", separator=".", point=","),
        Money("CHF", gap=" ", separator="'"),
    ),
}
MONEY_STYLES["chinese"] = MONEY_STYLES["malay"]
MONEY_STYLES["coined"] = (*MONEY_STYLES["english"], *MONEY_STYLES["german"])


def digits(draw: random.Random, count: int) -> str:
    """A number of so many digits, the first not 0."""
    return str(draw.randint(1, 9)) + "".join(str(draw.randrange(10)) for _ in range(count - 1))


def code(draw: random.Random) -> str:
    """A document's own number."""
    letters = "".join(draw.choice("ABCDEFGHJKLMNPRSTUVWX") for _ in range(draw.randint(1, 3)))
    return draw.choice(
        [
            f"{letters}{digits(draw, draw.randint(4, 9))}",
            f"{letters}-{digits(draw, draw.randint(3, 6))}",
            f"{letters}-{draw.randint(2012, 2027)}-{digits(draw, 3)}",
            f"{draw.randint(2012, 2027)}/{digits(draw, draw.randint(2, 4))}",
            digits(draw, draw.randint(5, 10)),
        ]
    )


def phone(draw: random.Random) -> str:
    """A telephone number."""
    return draw.choice(
        [
            f"0{draw.randint(3, 9)}-{digits(draw, 4)} {digits(draw, 4)}",
            f"0{draw.randint(10, 99)}-{digits(draw, 7)}",
            f"+{draw.randint(30, 60)} {digits(draw, 2)} {digits(draw, 3)} {digits(draw, 4)}",
            f"({digits(draw, 3)}) {digits(draw, 3)}-{digits(draw, 4)}",
        ]
    )
