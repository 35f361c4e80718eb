import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from fastapi.testclient import TestClient

from ui.api.access import AccessRules, KeyFile, RateLimit
from ui.api.app import build_app
from ui.api.libraries import Libraries, OpenLibrary
from ui.settings import Settings
from ui.workbench import Workbench


@pytest.fixture(scope="package")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "harbour.md").write_text("# Harbour\n\nThe ferry to Lindholm leaves at 17:45 from quay three.\n")
    (folder / "pump.txt").write_text("The bilge pump needs 4.2 litres of oil every spring.\n")
    return folder


@pytest.fixture(scope="package")
def library(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLibrary]:
    folder = tmp_path_factory.mktemp("made") / "boats"
    bench = Workbench.open(Settings.load(folder, environ={}), create=True)
    bench.index([files])
    opened = OpenLibrary("boats", bench)
    yield opened
    opened.close()


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys" / "keys.json")


@pytest.fixture
def client(library: OpenLibrary, keys: KeyFile) -> Iterator[TestClient]:
    """A client on this machine."""
    app = build_app(Libraries.with_open(library), AccessRules(keys=keys, rate=RateLimit(100_000)))
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 5000), raise_server_exceptions=False) as it:
        yield it
