"""Values that patterns cannot make by themselves: dates, times, amounts of money, coined names, companies.

Each generator takes the writer of the document and the words behind its name in the slot: `<day_of 2014-2027>`.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from recipes.pocket.documents.languages import SHOPS
from recipes.pocket.documents.patterns import Generator, Writer

_ONSETS = "b br c ch cl d dr f fl g gr h j k kr l m n p pr qu r s sh st t th tr v w y z".split()
_NUCLEI = "a e i o u ai ea ei ia oo ou".split()
_CODAS = ["", "", "", "l", "m", "n", "r", "s", "t", "nd", "ng", "ck", "x", "rt"]
_MONTHS = tuple("January February March April May June July August September October November December".split())
_WEEKDAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())


@dataclass(frozen=True, slots=True)
class Company:
    """A shop or firm: its full name, what people call it, and its country's entry in names.toml."""

    name: str
    short: str
    country: str


def coined(draw: random.Random, syllables: int = 2) -> str:
    """A name that nobody has: "Trandea", "Koushil"."""
    made = "".join(draw.choice(_ONSETS) + draw.choice(_NUCLEI) + draw.choice(_CODAS) for _ in range(syllables))
    return made.capitalize()


def company(writer: Writer, country: str = "") -> Company:
    """A firm of one of the countries."""
    shares = [shop["share"] for shop in SHOPS.values()]
    country = country or writer.draw.choices(list(SHOPS), shares)[0]
    own = writer.text(SHOPS[country]["own"])
    short = writer.text(SHOPS[country]["short"].replace("<own>", own))
    place = writer.text("[8%: (<town>)]")
    return Company(f"{short} {writer.text(SHOPS[country]['form'])}".strip() + place, short, country)


def any_day(draw: random.Random, first: int = 2009, last: int = 2027) -> date:
    """A day between two years."""
    start = date(first, 1, 1)
    return start + timedelta(days=draw.randrange((date(last, 12, 31) - start).days))


def written_date(
    day: date, style: str, months: tuple[str, ...] = _MONTHS, weekdays: tuple[str, ...] = _WEEKDAYS
) -> str:
    """The day in one of the styles: d/D with and without a leading zero as `j`, M short month, F long, W weekday."""
    month = months[day.month - 1]
    pieces = {
        "MON": month[:3].upper(), "d": f"{day.day:02}", "j": str(day.day), "m": f"{day.month:02}", "n": str(day.month),
        "M": month[:3], "F": month, "Y": str(day.year), "y": f"{day.year % 100:02}", "W": weekdays[day.weekday()],
    }  # fmt: skip
    return re.sub(r"MON|[a-zA-Z]", lambda sign: pieces.get(sign[0], sign[0]), style)


def date_in_words(writer: Writer, day: date, style: str = "") -> str:
    """The day in the language of the document, in `style` or in the document's own."""
    style = style or writer.text("<date_style>")
    return written_date(day, style, writer.options("month_name"), writer.options("weekday"))


def clock_time(writer: Writer, minutes: int) -> str:
    """A time of day, in minutes after midnight, in the document's clock style."""
    hour, minute = divmod(minutes, 60)
    half = writer.options("half_day")[hour >= 12]
    pieces = {
        "H": f"{hour:02}", "G": str(hour), "h": str((hour - 1) % 12 + 1), "M": f"{minute:02}", "a": half,
    }  # fmt: skip
    return "".join(pieces.get(sign, sign) for sign in writer.text("<clock_style>"))


def written_money(amount: float, example: str) -> str:
    """The amount in the manner of the example, which stands for 1234.50.

    >>> written_money(20088.4, "1.234,50 EUR"), written_money(7.5, "RM1,234.50"), written_money(8, "€1234")
    ('20.088,40 EUR', 'RM7.50', '€8')
    """
    found = re.search(r"1(\D?)234(?:(\D)50)?", example)
    assert found is not None, f"{example!r} is no example of 1234.50"
    separator, point = found[1], found[2]
    number = f"{amount:,.{2 if point else 0}f}".replace(",", "\0").replace(".", point or "").replace("\0", separator)
    return example.replace(found[0], number)


def _day_of(writer: Writer, years: str) -> str:
    first, last = map(int, years.split("-"))
    return date_in_words(writer, any_day(writer.draw, first, last))


def _clock(writer: Writer, hours: str) -> str:
    first, last = map(int, hours.split("-"))
    minute = writer.draw.choice([0, 15, 30, 45, writer.draw.randrange(60)])
    return clock_time(writer, 60 * writer.draw.randint(first, last) + minute)


def _amount(writer: Writer, bounds: str) -> str:
    low, high = map(int, bounds.split("-"))
    return written_money(writer.draw.randint(2 * low, 2 * high) / 2, writer.text("<money_style>"))


def figure(writer: Writer, number: int) -> str:
    """The number as this document writes whole numbers, with commas or without."""
    return writer.words.setdefault("figure_style", writer.draw.choice(["{}", "{:,}"])).format(number)


def _figure(writer: Writer, _: str) -> str:
    """A whole number; all of a document are of about the same size."""
    most = writer.words.setdefault("most", writer.draw.choice(["90", "900", "9000"]))
    return figure(writer, writer.draw.randint(10, int(most)))


GENERATORS: Mapping[str, Generator] = {
    "coined": lambda writer, syllables: coined(writer.draw, int(syllables or 2)),
    "company": lambda writer, country: company(writer, country).name,
    "company_short": lambda writer, country: company(writer, country).short,
    "street_of": lambda writer, country: writer.text(SHOPS[country]["street"]),
    "day_of": _day_of,
    "clock": _clock,
    "amount": _amount,
    "figure": _figure,
}
"""What a slot can name that is neither a word of the document nor an entry of the tables."""
