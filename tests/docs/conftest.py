from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """Every page of the documentation by its path in docs/, with its Markdown."""
    folder = ROOT / "docs"
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.md")}
