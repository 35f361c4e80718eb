"""Calendars (iCalendar, RFC 5545): every event, task and journal entry stands under its summary, with its times, its
place, its people and its description."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from indexing.readers.content_lines import LineGroup, Property, entries
from indexing.readers.document import finished, read_text
from indexing.readers.output import ReaderOutput
from indexing.readers.plain import plain_blocks
from indexing.readers.registry import FileStart, Reader
from indexing.records import Block, Reading

_KINDS = {"VEVENT": "Event", "VTODO": "Task", "VJOURNAL": "Journal", "VFREEBUSY": "Busy times"}
_SHOWN = {
    "DTSTART": "Start", "DTEND": "End", "DUE": "Due", "DURATION": "Duration", "COMPLETED": "Completed",
    "RRULE": "Repeats", "RDATE": "Also on", "EXDATE": "Not on", "FREEBUSY": "Busy",
    "LOCATION": "Place", "ORGANIZER": "Organiser", "ATTENDEE": "Attendee", "CONTACT": "Contact", "STATUS": "Status",
    "CATEGORIES": "Categories", "RESOURCES": "Resources", "URL": "Address", "ATTACH": "Attached",
    "COMMENT": "Comment", "DESCRIPTION": "Description",
}  # fmt: skip
"""Properties that a person sees in a calendar, in the order in which they are read."""
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?")
_TIMES = frozenset({"DTSTART", "DTEND", "DUE", "COMPLETED", "RDATE", "EXDATE"})
_LONGEST_ATTACHED = 2_000
"""An address that is longer is the file itself, as letters."""


def read_calendar(path: Path, output: ReaderOutput) -> Reading:
    """The entries in the order of the file."""
    text, notes = read_text(path, output.limits)
    blocks = [block for entry in entries(text, frozenset(_KINDS)) for block in _entry(entry)]
    return finished(path, blocks, output, title=path.stem, notes=notes)


def _entry(entry: LineGroup) -> Iterator[Block]:
    summary = " ".join(entry.first("SUMMARY").split()) or _KINDS[entry.name]
    yield Block(kind="heading", text=summary, level=1)
    for name, label in _SHOWN.items():
        for each in entry.properties:
            value = _value(each) if each.name == name else ""
            if value:
                yield from plain_blocks(f"{label}: {value}")


def _value(each: Property) -> str:
    if each.name in _TIMES:
        return _time(each)
    if each.name in ("ORGANIZER", "ATTENDEE"):
        return _person(each)
    if each.name == "ATTACH" and (len(each.value) > _LONGEST_ATTACHED or "ENCODING" in each.parameters):
        return each.parameters.get("FILENAME", "") or each.parameters.get("X-FILENAME", "") or "a file"
    return each.text


def _time(each: Property) -> str:
    """20260714T093000Z → 2026-07-14 09:30 UTC (Tuesday, 14 July 2026)"""
    return ", ".join(_in_words(value, each.parameters.get("TZID", "")) for value in each.text.split(",")[:100])


def _in_words(value: str, zone: str) -> str:
    found = _TIME.fullmatch(value.strip())
    if found is None:
        return value.strip()
    try:
        moment = datetime(*(int(part or 0) for part in found.groups()[:6]))  # type: ignore[arg-type]  # year first
    except ValueError:
        return value.strip()
    clock = f" {moment:%H:%M}" if found[4] else ""
    place = " UTC" if found[7] else f" {zone}" if zone and clock else ""
    return f"{moment:%Y-%m-%d}{clock}{place} ({moment:%A}, {moment.day} {moment:%B %Y})"


def _person(each: Property) -> str:
    name = each.parameters.get("CN", "")
    address = re.sub("^mailto:", "", each.text, flags=re.IGNORECASE)
    return f"{name} <{address}>" if name and name != address else address


def _is_calendar(start: FileStart) -> bool:
    return start.text is not None and start.text.lstrip()[:15].upper() == "BEGIN:VCALENDAR"


READERS = (
    Reader(
        type="calendar",
        extensions=(".ics", ".ical", ".vcs"),
        recognise=_is_calendar,
        order=62,
        read=read_calendar,
        is_text=True,
    ),
)
