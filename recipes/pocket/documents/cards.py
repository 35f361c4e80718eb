"""Cards and forms with a label beside each value; the people are made up."""

import random

from recipes.pocket.documents.document import Document, line
from recipes.pocket.documents.facts import VALUES
from recipes.pocket.documents.names import company, person, street, town
from recipes.pocket.documents.values import LONG_STYLES, any_day, code, digits, listed, written_date
from recipes.pocket.documents.wordings import Name, ask, filled, parsed

_CARDS = listed("Member card|Staff card|Library card|Visitor pass|Registration form|Vehicle permit|Parking permit")
_DEPARTMENTS = listed("Accounts|Workshop|Kitchen|Research|Sales|Archive|Laboratory 2")
_LABELS = {
    "number": "No.", "born": "Date of birth", "until": "Valid until", "issued": "Issued", "address": "Address",
    "department": "Department", "phone": "Phone",
}  # fmt: skip
_WORDINGS = parsed("""
    number
    ? What is the number of <who>'s <card>? Which <card> number does <who> have?
    = The number is {number}.
    = It is {number}.
    + And the number?

    born
    ? When was <who> born? What is the date of birth of <who>?
    = The date of birth is {born}.
    = It is {born}.
    + And the date of birth?

    until
    ? Until when is the <card> of <who> valid? When does <who>'s <card> expire?
    = It is valid until {until}.
    = It is {until}.
    + And until when is it valid?

    issued
    ? When was the <card> of <who> issued? On which day did <who> get the <card>?
    = It was issued {issued}.
    = It was {issued}.
    + And when was it issued?

    address
    ? Where does <who> live? What is the address of <who>?
    = The address is {address}.
    = It is {address}.
    + And the address?

    department
    ? In which department is <who>? Which department does <who> work in?
    = The department is {department}.
    = It is {department}.
    + And the department?

    phone
    ? What is the phone number of <who>? What is <who>'s telephone number?
    = The phone number is {phone}.
    = It is {phone}.
    + And the phone number?
""")


def card(draw: random.Random) -> Document:
    """One card with three to six values, and questions for those that it leaves out."""
    holder, what = person(draw), draw.choice(_CARDS)
    style = draw.choice(LONG_STYLES[:-1])
    values = {
        "number": draw.choice([code(draw), digits(draw, 8)]),
        "born": written_date(any_day(draw, 1945, 2008), style),
        "until": written_date(any_day(draw, 2024, 2034), style),
        "issued": written_date(any_day(draw, 2012, 2024), style),
        "address": f"{street(draw, 'english')}, {town(draw)}",
        "department": draw.choice(_DEPARTMENTS),
        "phone": VALUES["phone"](draw),
    }
    kept = draw.sample(list(values), draw.randint(3, 6))
    shouted, colon = draw.random() < 0.3, draw.choice([": ", " ", " : "])

    def label(text: str) -> str:
        return text.upper() if shouted else text

    lines = [line(label(what), heading=True), line(company(draw).name), line(f"{label('Name')}{colon}", holder)]
    lines += [line(f"{label(_LABELS[key])}{colon}", (key, values[key])) for key in kept]
    name = f"{what.lower().replace(' ', '-')}-{digits(draw, 3)}.{draw.choice(['jpg', 'png', 'pdf'])}"
    who = draw.choice([holder, holder, holder.split(" ", 1)[1]])
    names = {"who": Name(who, who), "card": Name(what.lower())}
    return Document(
        kind="card",
        name=name,
        title=f"{what} {holder}" if name.endswith("pdf") else "",
        blocks=tuple(lines),
        asks=tuple(ask(draw, wording, names) for wording in _WORDINGS if wording.key in kept),
        absent=tuple(filled(draw.choice(each.questions), names) for each in _WORDINGS if each.key not in kept),
        scanned=True,
    )
