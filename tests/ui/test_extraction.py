from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ui.extraction import extract_for_client


class Typing:
    """A service that finds the types of fields with the first document, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def files(self) -> list[dict[str, str]]:
        return [{"path": f"/{name}", "content": name, "state": "indexed", "reason": ""} for name in ("a", "b")]

    def extract(self, path: str, fields: Sequence[Mapping[str, Any]], *, many: bool) -> dict[str, Any]:
        self.asked.append(path)
        typed = [{**field, "type": "money"} for field in fields]
        return {"fields": typed, "rows": [{"path": path, "cells": {}, "reason": ""}]}


def test_a_run_that_goes_on_knows_the_types_that_were_found_before_it_was_cut_off(tmp_path: Path) -> None:
    asked = {"paths": [], "fields": [{"name": "total"}], "rows": False}
    service: Any = Typing()
    first = extract_for_client(service, asked, tmp_path / "records.jsonl", lambda done, total: None)
    again = extract_for_client(service, asked, tmp_path / "records.jsonl", lambda done, total: None)
    assert service.asked == ["/a", "/b"]
    assert again == first and again["fields"] == [{"name": "total", "type": "money", "hint": ""}]


def test_rows_that_an_earlier_version_kept_are_taken_without_types(tmp_path: Path) -> None:
    log = tmp_path / "records.jsonl"
    log.write_text('{"path": "/a", "content": "a", "rows": [{"path": "/a", "cells": {}, "reason": ""}]}\n')
    service: Any = Typing()
    asked = {"paths": ["/a"], "fields": [{"name": "total"}], "rows": False}
    found = extract_for_client(service, asked, log, lambda done, total: None)
    assert service.asked == [] and found["fields"][0]["type"] is None
