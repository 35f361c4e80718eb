"""Questions to begin with: those that the sample collection answers, if it is what the library holds."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexing.states import FileEntry

BY_FILE = {
    "P1030277.jpg": "Do we have a photo of a rocket being launched?",
    "zefira-duo-manual.pdf": "At what temperature should I stop steaming milk?",
    "fax-ferry-timetable.tif": "When does the last ferry leave Sorrel Island on a Sunday?",
    "receipt-ship-chandler.jpg": "How much did we pay for the manila rope?",
    "plan-your-visit.html": "Which bus do I take to the museum?",
}


def questions(files: "Sequence[FileEntry]") -> list[str]:
    """The sample's questions whose file is in the library; none for a library of one's own."""
    names = {Path(entry.path).name for entry in files if entry.chunks}
    return [question for name, question in BY_FILE.items() if name in names]
