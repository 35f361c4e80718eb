"""Files that mean harm, each a value: its kind, its name, its bytes, why it is dangerous, and what must come of it.

base         documents without harm, made on the spot, and small containers to put harm into
postscript · pictures · bombs · pdfs · nested · punctuation · words · mails · markup · office · names · places
mutations    everything harmless, damaged at random
all_files    the three hundred of a run
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

Fate = Literal["listed", "read", "left out"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HostileFile:
    """One attack on the index. `name` is a path below the folder and may hold whatever a file system takes."""

    kind: str
    name: str
    why: str
    content: bytes | Callable[[Path], None]
    """The bytes, or what puts something there that is no plain file."""
    fate: Fate = "listed"
    """`listed`: indexed, or failed with a reason. `read`: indexed with chunks. `left out`: no file, not mentioned."""
    words: tuple[str, ...] = ()
    """Each is found in the text of the file's chunks, unless a note says that something was cut."""
    most_chunks: int = 0
    """More are more than the file has to say; 0: any number."""

    def write(self, folder: Path) -> Path:
        """Put it there; raises OSError where this system does not take such a name or thing."""
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(self.content):
            self.content(path)
        else:
            path.write_bytes(self.content)
        return path


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What an attack may point at."""

    random: Random
    canary: Path
    """A folder with `secret.txt`, whose words no document may draw in, and where nothing may be written."""
    address: str
    """Of a listener on this machine: whoever connects was talked into fetching."""
    corpus: Path | None
    """Other people's files, where they are there."""
