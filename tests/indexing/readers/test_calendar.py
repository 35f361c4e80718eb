from pathlib import Path

import pytest
from reading_doubles import read_here

from indexing.readers.registry import recognise

MEETING = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VTIMEZONE
TZID:Europe/Rome
END:VTIMEZONE
BEGIN:VEVENT
UID:4711
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Rome:20240305T090000
DTEND;TZID=Europe/Rome:20240305T100000
SUMMARY:Inspection\\, of the pump
LOCATION:Boiler
  room
ORGANIZER;CN="Doe, Ann":mailto:ann@example.org
ATTENDEE;ROLE=REQ-PARTICIPANT;CN=Bob:MAILTO:bob@example.org
DESCRIPTION:Bring the key.\\nIt is long and the line is fol
 ded here.
BEGIN:VALARM
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
BEGIN:VTODO
SUMMARY:Oil
DUE;VALUE=DATE:20240306
END:VTODO
END:VCALENDAR
"""


def read(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "work.ics").write_text(text)
    return [block.text for block in read_here(tmp_path / "work.ics", tmp_path / "out").blocks]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_an_entry_stands_under_its_summary_with_times_place_and_people(tmp_path: Path, ending: str) -> None:
    assert read(tmp_path, MEETING.replace("\n", ending)) == [
        "Inspection, of the pump",
        "Start: 2024-03-05 09:00 Europe/Rome (Tuesday, 5 March 2024)",
        "End: 2024-03-05 10:00 Europe/Rome (Tuesday, 5 March 2024)",
        "Place: Boiler room",
        "Organiser: Doe, Ann <ann@example.org>",
        "Attendee: Bob <bob@example.org>",
        "Description: Bring the key.",
        "It is long and the line is folded here.",
        "Oil",
        "Due: 2024-03-06 (Wednesday, 6 March 2024)",
    ]


def test_a_calendar_that_is_cut_off_or_odd_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    assert read(tmp_path, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20241399T990000Z\nnonsense\nLOCATION:Mill") == [
        "Event", "Start: 20241399T990000Z", "Place: Mill",
    ]  # fmt: skip


def test_a_file_inside_an_entry_is_not_read_as_letters(tmp_path: Path) -> None:
    text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:s\nATTACH;ENCODING=BASE64;FILENAME=a.pdf:" + "QUJD" * 99
    assert read(tmp_path, text) == ["s", "Attached: a.pdf"]


def test_calendars_are_told_by_their_first_line(tmp_path: Path) -> None:
    (tmp_path / "invite").write_text(MEETING)
    assert recognise(tmp_path / "invite").reader.type == "calendar"
