"""What clients get, as types: every route's answer is checked against one of these, and OpenAPI says them.

The values are those of `ui.documents`. A field that is missing or of another type is a fault of ours and found at once;
one that is new passes through, and a test asks for its line here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from indexing.facts import Operator

Kind = Literal["image", "page", "text", "table", "figure"]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in 0..1 of the page, origin top left."""


class AnswerBody(BaseModel):
    """What later versions add is no error for a client."""

    model_config = ConfigDict(extra="allow")


class ProblemDocument(AnswerBody):
    """RFC 9457: what happened (`detail`) and what to do (`notes`), in the words of the terminal."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    notes: list[str] = []
    faults: list[dict[str, str]] = []
    error: dict[str, Any] | None = None
    """The same as OpenAI's clients expect it, on their routes."""


# -- the service -------------------------------------------------------------------------------------------------------


class HealthDocument(AnswerBody):
    """That the process answers."""

    status: Literal["ok"]


class VersionDocument(AnswerBody):
    """Llavero's version."""

    version: str


class LibraryName(AnswerBody):
    """A library; its name stands in the path of everything that is asked of it."""

    name: str


class LibrariesDocument(AnswerBody):
    """Those that the key may see."""

    libraries: list[LibraryName]


class IdentityDocument(AnswerBody):
    """Which process has the library open."""

    process: int
    command: str
    kit: str
    library: str
    reader_is_tiny: bool
    url: str


class StatsDocument(AnswerBody):
    """What the library holds, counted in the store."""

    files: int
    failed: int
    chunks: int
    kinds: dict[str, int]
    channels: list[str]
    kit: str
    embedder: str
    bytes: int
    library: str
    store: str


# -- searching and asking ----------------------------------------------------------------------------------------------


class ChannelPlace(AnswerBody):
    """Where a hit stands in one channel, from 1."""

    rank: int
    score: float


class HitDocument(AnswerBody):
    """One passage, table, page or picture; `box` is null where all of it is meant."""

    id: str
    path: str
    kind: Kind
    page: int | None
    heading: str
    box: Box | None
    score: float
    channels: dict[str, ChannelPlace]
    text: str


class SearchDocument(AnswerBody):
    """Hits, best first."""

    hits: list[HitDocument]
    milliseconds: dict[str, float]
    notes: list[str]


class CitationDocument(AnswerBody):
    """One source of one sentence: `quoted` and `supported` were checked against the passage, `unchecked` was not."""

    marker: int
    path: str
    page: int | None
    heading: str
    boxes: list[Box]
    quote: str
    state: Literal["quoted", "supported", "unchecked"]
    verified: bool
    recognised: bool
    id: str


class TableDocument(AnswerBody):
    """The files that fit a question about all of them, and what was read in each; `markers` are the rows' sources."""

    columns: list[str]
    rows: list[list[str]]
    markers: list[int]


class AnswerDocument(AnswerBody):
    """An answer with its citations and everything that was found."""

    answer: str
    refused: bool
    citations: list[CitationDocument]
    hits: list[HitDocument]
    model: str
    confidence: float
    milliseconds: dict[str, float]
    table: TableDocument | None = None
    """Of a question about all files."""


class PromptTurn(AnswerBody):
    """A turn as the model was shown it."""

    role: str
    text: str
    pictures: int


class FoundEvent(SearchDocument):
    """What the search found."""

    event: Literal["found"]


class LookedEvent(AnswerBody):
    """How many of its files a question about all files has looked into."""

    event: Literal["looked"]
    done: int
    of: int


class TokenEvent(AnswerBody):
    """A piece of the answer."""

    event: Literal["token"]
    text: str


class AnswerEvent(AnswerDocument):
    """The checked answer; its text counts, not the pieces."""

    event: Literal["answer"]
    prompt: list[PromptTurn]


class ProblemEvent(ProblemDocument):
    """Something went wrong on the way; the last event."""

    event: Literal["problem"]


AskEvent = Annotated[FoundEvent | LookedEvent | TokenEvent | AnswerEvent | ProblemEvent, Field(discriminator="event")]


# -- files -------------------------------------------------------------------------------------------------------------


class NoteDocument(AnswerBody):
    """What a reader saw in a file and did not read; `unread` where a search cannot find it."""

    text: str
    kind: str
    place: str
    number: int
    unread: bool


class FileNote(NoteDocument):
    """A note with its file."""

    path: str


class FileNotesDocument(AnswerBody):
    """Notes in order of path; `more` where some are left off."""

    notes: list[FileNote]
    kinds: dict[str, int]
    """How many of each kind in the whole library."""
    more: bool


class FileDocument(AnswerBody):
    """One file with its state, and what is known of it."""

    path: str
    state: str
    reason: str
    kind: str
    chunks: int
    bytes: int
    indexed_at: str | None
    content: str
    notes: list[NoteDocument]
    facts: dict[str, list[str]]


class FilesDocument(AnswerBody):
    """Files in order of path; `more` where some are left off."""

    files: list[FileDocument]
    more: bool


class FacetValue(AnswerBody):
    """How many files have this value."""

    value: str
    count: int


class FacetDocument(AnswerBody):
    """One key with its most frequent values; `operators` are those that `where` takes for it."""

    key: str
    operators: list[Operator]
    files: int
    values: list[FacetValue]
    more: int
    """Values that are left off."""


class FacetsDocument(AnswerBody):
    """What can be filtered by."""

    files: int
    facets: list[FacetDocument]


class LineDocument(AnswerBody):
    """A line or thing with its place on the page."""

    text: str
    box: Box | None


class ChunkDocument(AnswerBody):
    """A passage with its lines, or a picture with its things."""

    id: str
    path: str
    kind: Kind
    page: int | None
    box: Box | None
    title: str
    heading: str
    text: str
    lines: list[LineDocument]
    regions: list[LineDocument]
    has_picture: bool


class ChunksDocument(AnswerBody):
    """Everything that was made of one file."""

    chunks: list[ChunkDocument]


class RemovalDocument(AnswerBody):
    """How many files and rows were taken out."""

    removed: int
    chunks: int


class VerifyDocument(AnswerBody):
    """Where ledger and store disagreed, in rows."""

    missing: int
    orphaned: int
    repaired: bool


class BackupDocument(AnswerBody):
    """Where the backup lies, and how many files are in it."""

    files: int
    backup: str
