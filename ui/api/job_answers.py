"""The same of what takes longer: indexing jobs, uploads, and runs over fields and questions."""

from typing import Annotated, Literal

from pydantic import Field

from ui.api.answers import AnswerBody, Box, FileNote, ProblemEvent

# -- indexing and uploads ----------------------------------------------------------------------------------------------


class FailureDocument(AnswerBody):
    """A file that could not be read."""

    path: str
    reason: str


class ReportDocument(AnswerBody):
    """What one indexing run did."""

    added: int
    updated: int
    unchanged: int
    removed: int
    failed: int
    chunks: int
    seconds: float
    failures: list[FailureDocument]
    notes: list[FileNote]
    links_out: list[str]


class ProgressDocument(AnswerBody):
    """How far an indexing run is."""

    done: int
    found: int
    walked: bool
    current: str
    files_per_second: float
    seconds_left: float | None


class IndexProgressEvent(ProgressDocument):
    """Some files further."""

    event: Literal["progress"]


class IndexReportEvent(ReportDocument):
    """The end of the run."""

    event: Literal["report"]


IndexEvent = Annotated[IndexProgressEvent | IndexReportEvent | ProblemEvent, Field(discriminator="event")]


class JobDocument(AnswerBody):
    """An indexing job."""

    job: int
    names: list[str]
    state: Literal["waiting", "running", "stopping", "done", "stopped", "failed"]
    progress: ProgressDocument | None
    report: ReportDocument | None
    problem: list[str]


class JobsDocument(AnswerBody):
    """The one that runs, those that wait, the last ones that ended."""

    jobs: list[JobDocument]


class JobNumber(AnswerBody):
    """The number of a job that was handed in."""

    job: int


class JobProgressEvent(JobDocument):
    """The job's state has changed."""

    event: Literal["progress"]


class JobEndEvent(JobDocument):
    """It has ended."""

    event: Literal["job"]


JobEvent = Annotated[JobProgressEvent | JobEndEvent | ProblemEvent, Field(discriminator="event")]


class UploadDocument(AnswerBody):
    """How many bytes have arrived; with the last one, where the file lies and which job indexes it."""

    upload: str
    offset: int
    size: int
    path: str | None = None
    job: int | None = None


class FormUploadDocument(AnswerBody):
    """Where the files of a form lie, and the job that indexes them."""

    paths: list[str]
    job: int


# -- fields and evaluations --------------------------------------------------------------------------------------------


class CellDocument(AnswerBody):
    """What one document says of one field, with its words and its place."""

    state: Literal["quoted", "unchecked", "absent"]
    written: str
    value: str
    currency: str
    readings: list[str]
    page: int | None
    boxes: list[Box]
    chunk_id: str
    support: float


class RowDocument(AnswerBody):
    """One document, or one entry of it; with a `reason` it could not be read."""

    path: str
    cells: dict[str, CellDocument]
    reason: str


class FieldDocument(AnswerBody):
    """A column with its type, as it was asked for or found."""

    name: str
    type: Literal["text", "number", "date", "money", "yes/no"] | None
    hint: str


class ExtractDocument(AnswerBody):
    """The rows of one document."""

    fields: list[FieldDocument]
    rows: list[RowDocument]


class RunNumber(AnswerBody):
    """The number of a run that was handed in."""

    run: int


class RunDocument(AnswerBody):
    """A run: how many of its documents or questions are done."""

    run: int
    kind: Literal["extraction", "evaluation"]
    state: Literal["waiting", "running", "stopping", "done", "stopped", "failed"]
    made: str
    done: int
    total: int
    problem: list[str]


class RunsDocument(AnswerBody):
    """Newest first."""

    runs: list[RunDocument]


class RunProgressEvent(RunDocument):
    """Some documents or questions further."""

    event: Literal["progress"]


class RunEndEvent(RunDocument):
    """It has ended; what it found is at `…/result`."""

    event: Literal["run"]


RunEvent = Annotated[RunProgressEvent | RunEndEvent | ProblemEvent, Field(discriminator="event")]
