"""What the doctor says of LibreOffice."""

import os
from pathlib import Path

import pytest

from indexing.workers import libreoffice
from ui.doctor import _office
from ui.settings import Settings


def test_a_machine_without_libreoffice_is_told_what_it_would_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = _office(Settings(library=tmp_path))
    assert (finding.state, finding.message) == ("note", "not installed")
    assert ".doc, .ppt" in finding.advice


@pytest.mark.parametrize(("is_confined", "state"), [(True, "fine"), (False, "note")])
def test_a_libreoffice_that_cannot_be_confined_is_no_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_confined: bool, state: str
) -> None:
    program = tmp_path / "soffice"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(libreoffice, "confined_here", lambda: is_confined)
    (finding,) = _office(Settings(library=tmp_path))
    assert finding.state == state
    assert "without a network" in finding.message
