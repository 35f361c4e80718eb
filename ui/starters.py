"""Questions to begin with: those that the sample collection answers, if it is what the library holds."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexing.states import FileEntry

SHOWN = 5
BY_FILE = {
    "zefira-duo-manual.pdf": "How often does the gasket of the Zefira Duo have to be changed?",
    "interview-17-adela-quint.txt": "What did the skipper of the Perpetua give Adela Quint?",
}


def questions(files: "Sequence[FileEntry]") -> list[str]:
    """The sample's questions whose file is in the library; none for a library of one's own."""
    names = {Path(entry.path).name for entry in files if entry.chunks}
    return [question for name, question in BY_FILE.items() if name in names][:SHOWN]
