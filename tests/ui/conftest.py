import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are no packages: what they share is found by its own name
sys.path.insert(0, str(Path(__file__).parents[1] / "llava_model"))
from command_line import Outcome, Run

from ui.cli import main as cli


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Run:
    """Calls `llavero` in this process. A test module's COMMAND, such as ("model", "score"), goes before the words."""
    command = getattr(request.module, "COMMAND", ())

    def call(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["llavero", *command, *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return call
