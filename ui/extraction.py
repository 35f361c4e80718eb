"""Fields of many documents, one document after the other, kept as they come: for the terminal and for the service.

files → rows, each kept in a log → all rows. A run that was stopped goes on with the same log.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.documents import Document
from ui.owner import OwnerError
from ui.places import is_at_or_below
from ui.service import Service

if TYPE_CHECKING:
    from extraction.cells import ExtractedRow
    from extraction.fields import Field
    from llava_model.jsonl_log import JsonlLog

OnCount = Callable[[int, int], None]
"""(done, total)."""


class ExtractionRun:
    """The rows so far. With a log, a document whose content was read before is not read again."""

    def __init__(
        self, service: Service, fields: "Sequence[Field]", *, many: bool, log: "JsonlLog | None" = None
    ) -> None:
        """`fields` get their types with the first document; `many` asks for a row for each entry of a document."""
        self._service, self.fields, self._many, self._log = service, fields, many, log
        self._before: dict[tuple[str, str], list[ExtractedRow]] = {}
        self.rows: list[ExtractedRow] = []
        self.done = self.failed = 0

    def over(
        self,
        files: Sequence[Document],
        *,
        check: Callable[[Mapping[str, Any]], None] = lambda noted: None,
        on_count: OnCount = lambda done, total: None,
    ) -> None:
        """Read every document; `check` gets what an earlier run has noted and may refuse to go on.

        Raises what ends a whole run, such as a server that is gone, and what `on_count` raises to stop it.
        """
        if self._log:
            self._log.open(self._remember, check=check)
        try:
            for file in files:
                found = self._of(file)
                self.rows += found
                self.done += 1
                self.failed += any(row.reason for row in found)
                on_count(self.done, len(files))
        finally:
            if self._log:
                self._log.close()

    def forget_log(self) -> None:
        """The table is written: nothing is left to go on with."""
        if self._log:
            self._log.path.unlink(missing_ok=True)
            self._log.note.unlink(missing_ok=True)

    def _of(self, file: Document) -> "list[ExtractedRow]":
        from extraction.cells import ExtractedRow
        from extraction.fields import fields_of
        from indexing.errors import IndexingError
        from llava_model.errors import LlavaError
        from rag.errors import GeneratorReplyError, GeneratorTimeoutError

        path, content = file["path"], file["content"]
        if file["state"] != "indexed":
            return [ExtractedRow(path=path, reason=file["reason"] or file["state"])]
        if (path, content) in self._before:
            return self._before[path, content]
        try:
            wanted = [asdict(each) for each in self.fields]
            answer = self._service.extract(path, wanted, many=self._many)
        except (IndexingError, LlavaError, GeneratorReplyError, GeneratorTimeoutError) as error:
            return [ExtractedRow(path=path, reason=str(error))]
        except OwnerError as error:
            if error.status >= 500 or not error.status:
                raise
            return [ExtractedRow(path=path, reason=str(error))]
        self.fields = fields_of(answer["fields"])
        found = list(map(row_of, answer["rows"]))
        if self._log and not any(row.reason for row in found):
            self._log.append({"path": path, "content": content, "rows": answer["rows"], "fields": answer["fields"]})
        return found

    def _remember(self, record: Mapping[str, Any], place: int) -> None:
        from extraction.fields import fields_of

        if "fields" in record:  # the types that they were given; earlier versions did not keep them
            self.fields = fields_of(record["fields"])
        self._before[record["path"], record["content"]] = list(map(row_of, record["rows"]))


def row_of(row: Document) -> "ExtractedRow":
    """A row that travelled as JSON."""
    from extraction.cells import Cell, ExtractedRow

    cells = {
        name: Cell(**{**cell, "boxes": tuple(tuple(box) for box in cell["boxes"]), "readings": tuple(cell["readings"])})
        for name, cell in row["cells"].items()
    }
    return ExtractedRow(path=row["path"], cells=cells, reason=row.get("reason", ""))


def extract_for_client(service: Service, asked: Document, log: Path, on_count: OnCount) -> Document:
    """A client's run: `paths` (all files without any), `fields` and `rows` → the fields and rows as JSON. Rows are
    kept in `log`; a run that was killed is called again with the same one."""
    from extraction.fields import fields_of
    from llava_model.jsonl_log import JsonlLog

    wanted = asked["paths"]
    files = [each for each in service.files() if not wanted or is_at_or_below(each["path"], wanted)]
    run = ExtractionRun(
        service, fields_of(asked["fields"]), many=asked["rows"], log=JsonlLog(log, log.with_suffix(".note.json"))
    )
    run.over(files, on_count=on_count)
    return {
        "fields": [asdict(each) for each in run.fields],
        "rows": [asdict(row) for row in run.rows],
        "documents": run.done,
        "failed": run.failed,
    }
