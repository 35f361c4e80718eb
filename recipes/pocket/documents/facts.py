"""Statements in prose with one value each, and how people ask for it.

A fact is `statement | question ~ question | answer`, with `{…}` for the value and `<thing>` for what the whole document
is about (a machine, a house, a club); the value's generator stands in front.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from recipes.pocket.documents.names import coined, person, town
from recipes.pocket.documents.values import LONG_STYLES, MONTHS, WEEKDAYS, any_day, clock, digits, grouped, phone, written_date

_SMALL = "two three four five six seven eight nine ten eleven twelve fifteen twenty thirty".split()
_PLACES = """
    in the cellar|behind the reception desk|in the top drawer of the office|under the stairs|beside the main entrance|in
    room 14|next to the lift on the second floor|in the blue cabinet|in the shed behind the car park|on the shelf above the
    sink|at the porter's lodge|in locker 27|in the kitchen of the annex|on the left side of the hall|in the back pocket of the
    folder|behind the curtain in the meeting room|at the bottom of the green box
"""
PLACES = tuple(" ".join(place.split()) for place in _PLACES.split("|"))
_MONEY = ("{} euros", "€{}", "{} EUR", "${}", "RM {}", "£{}", "{} dollars", "RM{}")


def _count(draw: random.Random) -> str:
    return draw.choice([draw.choice(_SMALL), str(draw.randint(2, 480)), f"{draw.randint(1, 60) * 1000:,}"])


def _duration(draw: random.Random) -> str:
    unit = draw.choice(["seconds", "minutes", "minutes", "hours", "days", "weeks", "months"])
    return f"{draw.choice([draw.choice(_SMALL), str(draw.randint(2, 90))])} {unit}"


def _period(draw: random.Random) -> str:
    unit = draw.choice(["weeks", "months", "days", "years"])
    return draw.choice([f"every {draw.choice(_SMALL)} {unit}", f"every {draw.randint(2, 36)} {unit}", "once a week", "twice a year", f"every {draw.randint(1, 9) * 500:,} hours"])  # fmt: skip


def _money(draw: random.Random) -> str:
    amount = draw.choice([f"{draw.randint(2, 990)}", grouped(draw.uniform(2, 900)), f"{draw.randint(1, 90) * 250:,}", f"{draw.randint(2, 99)}.50"])  # fmt: skip
    return draw.choice(_MONEY).format(amount)


VALUES: dict[str, Callable[[random.Random], str]] = {
    "count": _count,
    "duration": _duration,
    "period": _period,
    "money": _money,
    "degrees": lambda draw: f"{draw.randint(2, 240)}{draw.choice([' °C', '°C', ' degrees', ' °F'])}",
    "weight": lambda draw: f"{draw.choice([str(draw.randint(2, 400)), f'{draw.uniform(0.5, 90):.1f}'])} {draw.choice(['kg', 'kg', 'g', 'tonnes'])}",
    "length": lambda draw: f"{draw.choice([str(draw.randint(2, 900)), f'{draw.uniform(0.3, 40):.1f}'])} {draw.choice(['cm', 'm', 'mm', 'metres'])}",
    "volume": lambda draw: f"{draw.choice([str(draw.randint(2, 800)), f'{draw.uniform(0.3, 9):.1f}'])} {draw.choice(['litres', 'ml', 'l'])}",
    "power": lambda draw: f"{draw.randint(2, 90) * 50:,} W",
    "date": lambda draw: written_date(any_day(draw, 2015), draw.choice(LONG_STYLES)),
    "month": lambda draw: f"{draw.choice(MONTHS)} {draw.randint(2008, 2027)}",
    "year": lambda draw: str(draw.randint(1880, 2026)),
    "day": lambda draw: draw.choice(WEEKDAYS),
    "time": clock,
    "person": person,
    "place": lambda draw: draw.choice(PLACES),
    "town": town,
    "colour": lambda draw: draw.choice(["dark green", "red", "yellow", "light grey", "black", "white", "orange", "navy blue", "brown", "silver"]),  # fmt: skip
    "phone": phone,
    "name": lambda draw: f"{coined(draw)} {draw.choice(['Star', 'Point', 'Bridge', 'Morning', 'Garden', 'Harvest', 'Echo', 'Summit'])}",
    "percent": lambda draw: f"{draw.randint(2, 98)} {draw.choice(['%', 'percent', 'per cent'])}",
    "percent_off": lambda draw: f"{draw.randint(1, 12) * 5}%",
    "code": lambda draw: f"{draw.choice('ABCDEFHKLMPRTX')}{draw.choice('ABCDEFHKLMPRTX')}-{digits(draw, 4)}",
    "votes": lambda draw: f"{draw.choice(_SMALL).capitalize()} votes in favour, {draw.choice(_SMALL[:5])} against",
}

_MANUAL = """
duration | Let the <thing> warm up for {} before the first use. | How long does the <thing> have to warm up? ~ How long must the <thing> warm up before it is used? | The <thing> must warm up for {}.; Let the <thing> warm up for {}.; {}.
duration | The filter has to dry for {} before it is put back. | How long has the filter of the <thing> to dry? ~ How long must the filter dry? | The filter has to dry for {}.
duration | Hold the start button for {} to reset the <thing>. | How long do I hold the button to reset the <thing>? ~ How long must the start button be held for a reset? | Hold the start button for {}.
duration | The guarantee lasts {} from the day of purchase. | How long is the guarantee on the <thing>? ~ For how long does the guarantee last? | The guarantee lasts {}.
period | The filter is replaced {}. | How often must the filter of the <thing> be replaced? ~ How often do I have to replace the filter? | The filter is replaced {}.
period | Oil the bearings {} with the oil that comes with it. | How often should the bearings be oiled? ~ How often do the bearings of the <thing> need oil? | Oil the bearings {}.
period | A technician checks the safety valve {}. | How often is the safety valve checked? ~ How often does a technician have to check the valve of the <thing>? | The safety valve is checked {}.; A technician checks the safety valve {}.
degrees | The <thing> works best at a room temperature of {}. | At what temperature does the <thing> work best? ~ What room temperature does the <thing> need? | The <thing> works best at {}.
degrees | Above {} the motor switches itself off. | At what temperature does the motor of the <thing> switch off? ~ When does the motor switch itself off? | Above {} the motor switches itself off.; The motor switches off above {}.
degrees | Never store the <thing> below {}. | Below what temperature must the <thing> not be stored? ~ What is the lowest temperature for storing the <thing>? | Never store the <thing> below {}.
weight | Without its packaging the <thing> weighs {}. | How heavy is the <thing>? ~ What does the <thing> weigh? ~ What is the weight of the <thing>? | The <thing> weighs {}.
length | Leave at least {} free behind the <thing>. | How much room must be left behind the <thing>? ~ How much space is needed behind the <thing>? | Leave at least {} free behind the <thing>.; Leave {} behind the <thing>.
length | The power cable is {} long. | How long is the cable of the <thing>? ~ What is the length of the power cable? | The power cable is {} long.
volume | The tank holds {} of water. | How much water does the tank of the <thing> hold? ~ How big is the tank of the <thing>? | The tank holds {}.; The tank holds {} of water.
power | The <thing> draws {} at full load. | How much power does the <thing> draw? ~ What is the power of the <thing>? | The <thing> draws {}.; The <thing> draws {} at full load.
colour | When the tank is empty, the {} lamp blinks. | Which lamp blinks when the tank of the <thing> is empty? ~ What colour is the lamp that shows an empty tank? | The {} lamp blinks.
place | The serial number is printed on a plate {}. | Where is the serial number of the <thing>? ~ Where do I find the serial number? | The serial number is {}.; It is {}.
phone | The service line can be reached under {} on weekdays. | What is the number of the service line for the <thing>? ~ Which phone number does the service have? | The service line is {}.; It is {}.
count | Up to {} programmes can be stored. | How many programmes can the <thing> store? ~ How many programmes can be stored? | Up to {} programmes can be stored.; It can be {}.
code | The order number of the spare belt is {}. | What is the order number of the spare belt? ~ Which order number has the belt of the <thing>? | The order number is {}.
"""
_MINUTES = """
person | {} takes the minutes. | Who takes the minutes? ~ Who wrote the minutes of the <thing>? | {} takes the minutes.
person | {} was elected treasurer for two years. | Who was elected treasurer? ~ Who is the treasurer of the <thing> now? | {} was elected treasurer.
votes | {}. | How did the <thing> vote? ~ What was the result of the vote in the <thing>? | {}.
money | The new fence will cost {} and is paid from the reserve. | What will the new fence cost? ~ How much does the <thing> pay for the new fence? | The new fence will cost {}.
money | The membership fee rises to {} from next year. | What will the membership fee be? ~ To how much does the membership fee of the <thing> rise? | The membership fee rises to {}.
money | The summer fair brought in {}. | How much did the summer fair bring in? ~ How much did the <thing> take at the summer fair? | The summer fair brought in {}.
date | The next meeting is on {}. | When is the next meeting of the <thing>? ~ When does the <thing> meet again? | The next meeting is on {}.
time | The meeting was closed at {}. | When was the meeting closed? ~ At what time did the meeting of the <thing> end? | The meeting was closed at {}.
place | The key to the store room is kept {}. | Where is the key to the store room kept? ~ Where do I find the key of the store room? | The key is kept {}.; It is {}.
person | {} asks for three offers for the new heating. | Who asks for offers for the heating? ~ Who takes care of the offers for the new heating? | {} asks for three offers.; {}.
count | The club now has {} members. | How many members does the <thing> have? ~ How many members are there now? | The club now has {} members.
town | The excursion in spring goes to {}. | Where does the excursion of the <thing> go? ~ Where does the excursion in spring go to? | The excursion goes to {}.
month | The hall stays closed until {}. | Until when does the hall stay closed? ~ Until when is the hall closed? | The hall stays closed until {}.
person | {} resigned from the board for reasons of health. | Who resigned from the board? ~ Who left the board of the <thing>? | {} resigned from the board.; {} resigned.
name | The new boat will be called {}. | What will the new boat be called? ~ What is the name of the new boat of the <thing>? | The new boat will be called {}.
duration | Speakers at the anniversary may talk for {} each. | How long may speakers talk at the anniversary? ~ How long is each speech at the anniversary of the <thing>? | Speakers may talk for {} each.; Speakers may talk for {}.
"""
_LETTER = """
date | We have received your order of {}. | From which date is the order? ~ When did we order from <thing>? | The order is of {}.; It is {}.
date | The goods will be delivered on {}. | When will <thing> deliver the goods? ~ When will the goods be delivered? | The goods will be delivered on {}.
money | Our offer for the whole work is {} without tax. | How much does <thing> offer the work for? ~ What does the whole work cost by the offer of <thing>? | The offer is {}.; It is {}.
money | Please transfer {} to our account. | How much should we transfer to <thing>? ~ How much money does <thing> want? | Please transfer {}.; It is {}.
date | Payment is due by {}. | When is the payment to <thing> due? ~ By when must we pay <thing>? | Payment is due by {}.
person | Your contact here is {}. | Who is our contact at <thing>? ~ Who do I ask for at <thing>? | The contact is {}.; It is {}.
phone | You can reach me at {} in the mornings. | Under which number can <thing> be reached? ~ What is the phone number of <thing>? | You can reach me at {}.; It is {}.
percent_off | Because of the delay we grant you a discount of {}. | What discount does <thing> grant us? ~ How much discount do we get from <thing>? | The discount is {}.
duration | The repair will take {} once the parts are here. | How long will the repair by <thing> take? ~ How long does the repair take? | The repair will take {}.
date | We hereby cancel our contract as of {}. | When does the contract with <thing> end? ~ As of when is the contract cancelled? | The contract is cancelled as of {}.; It is {}.
count | Enclosed you find {} copies of the brochure. | How many copies of the brochure did <thing> send? ~ How many brochures are enclosed? | It is {} copies.; {} copies.
person | Please send the signed form to {}. | To whom should the signed form be sent? ~ Who gets the signed form? | Send the signed form to {}.; To {}.
time | Our driver will be at your gate at {}. | At what time will the driver be at the gate? ~ When does the driver of <thing> come? | The driver will be at the gate at {}.; At {}.
place | The spare keys are now {}. | Where are the spare keys? ~ Where did <thing> leave the spare keys? | The spare keys are {}.
name | The new product will be sold as {}. | Under which name will the new product be sold? ~ What will the new product of <thing> be called? | The new product will be sold as {}.; It is {}.
count | We will be {} people and arrive in the morning. | How many people are coming from <thing>? ~ How many people will there be? | It will be {} people.; {} people.
year | Our firm was founded in {}. | In which year was <thing> founded? ~ When was <thing> founded? | It was founded in {}.; In {}.
code | Your customer number is {}. | What is our customer number at <thing>? ~ Which customer number do we have? | The customer number is {}.
"""
_HANDBOOK = """
time | The house opens at {} on weekdays. | When does the <thing> open? ~ At what time does the <thing> open on weekdays? | The house opens at {}.; It opens at {}.
time | Last admission is at {}. | When is the last admission to the <thing>? ~ Until what time can one enter the <thing>? | Last admission is at {}.
money | A day ticket costs {}. | What does a day ticket for the <thing> cost? ~ How much is a day ticket? | A day ticket costs {}.
money | Families pay {}. | What do families pay at the <thing>? ~ How much does a family ticket cost? ~ What is the price for families? | Families pay {}.
money | A lost key is charged with {}. | What does a lost key cost? ~ How much is charged for a lost key? | A lost key is charged with {}.
place | The first-aid kit hangs {}. | Where is the first-aid kit? ~ Where do I find the first-aid kit in the <thing>? | The first-aid kit hangs {}.
place | Lost property is kept {}. | Where is lost property kept? ~ Where do I find lost property at the <thing>? | Lost property is kept {}.
count | No more than {} people may be in the tower at once. | How many people may be in the tower? ~ How many people can be in the tower of the <thing> at once? | No more than {} people may be in the tower.; It is {} people.
day | The <thing> is closed on {}. | On which day is the <thing> closed? ~ When is the <thing> closed? | The <thing> is closed on {}.
person | In case of fire call {} first. | Who has to be called first in case of fire? ~ Whom do I call in case of fire? | Call {} first.; It is {}.
phone | The night porter's number is {}. | What is the night porter's number? ~ How can I call the night porter of the <thing>? | The number is {}.
percent | Members get {} off in the shop. | How much do members get off in the shop? ~ What discount do members get at the <thing>? | Members get {} off.; It is {}.
length | The path around the lake is {} long. | How long is the path around the lake? ~ What is the length of the path? | The path is {} long.
year | The hall was built in {}. | In which year was the hall built? ~ When was the hall of the <thing> built? | The hall was built in {}.; It was {}.
colour | Volunteers wear a {} badge. | What colour is the badge of volunteers? ~ Which badge do volunteers wear? | Volunteers wear a {} badge.
duration | A guided tour takes {}. | How long does a guided tour take? ~ How long is a tour of the <thing>? | A guided tour takes {}.
time | The choir sings at {} in the courtyard. | At what time does the choir sing? ~ When does the choir sing at the <thing>? | The choir sings at {}.
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement pattern with its questions and answers."""

    value: str
    statement: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]


def _parsed(table: str) -> tuple[Fact, ...]:
    facts = []
    for row in table.strip().splitlines():
        value, statement, questions, answers = (cell.strip() for cell in row.split("|"))
        facts.append(
            Fact(value, statement, tuple(re.split(r"\s*~\s*", questions)), tuple(re.split(r"\s*;\s*", answers)))
        )
    return tuple(facts)


FACTS = {
    "manual": _parsed(_MANUAL),
    "minutes": _parsed(_MINUTES),
    "letter": _parsed(_LETTER),
    "handbook": _parsed(_HANDBOOK),
}
FILLERS = {
    "manual": "Read this page before you begin.|Keep children away from the machine.|Pull the plug before cleaning.|Use a soft cloth and no solvents.|Do not cover the vents.|The display dims after a while.|Damaged parts must not be used.|Place it on a level floor.",  # fmt: skip
    "minutes": "Approved without changes.|The board thanks everybody who helped.|A longer discussion follows.|The question is put off.|The minutes of the last meeting are approved.|There were no objections.",  # fmt: skip
    "letter": "Thank you for your letter.|We are sorry for the trouble.|Please do not hesitate to call.|We look forward to hearing from you.|As discussed on the telephone.|Please find the papers enclosed.",  # fmt: skip
    "handbook": "Dogs are welcome on a lead.|Please leave the place as you found it.|The staff will help you.|Smoking is not allowed.|Bicycles stand in the yard.|Photographs may be taken without flash.",  # fmt: skip
}
