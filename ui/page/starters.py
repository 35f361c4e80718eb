"""Questions to begin with: those that the sample collection answers, if it is what the library holds."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexing.states import FileEntry

BY_FILE = {  # chosen for what the pocket kit's small model answers well, and for different kinds of sources
    "pilot-the-cat-at-the-ticket-desk.jpg": "Is there a picture of a cat?",
    "zefira-duo-manual.pdf": "How often must the softener cartridge be replaced?",
    "receipt-ship-chandler.jpg": "How much did we pay for the manila rope?",
    "2025-10-06 class 4b.eml": "How many children are coming with class 4b?",
    "2025-06-18 name of the new blend.eml": "What is the new espresso blend going to be called?",
}


def questions(files: "Sequence[FileEntry]") -> list[str]:
    """The sample's questions whose file is in the library; none for a library of one's own."""
    names = {Path(entry.path).name for entry in files if entry.chunks}
    return [question for name, question in BY_FILE.items() if name in names]
