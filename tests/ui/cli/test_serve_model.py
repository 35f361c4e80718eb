"""`llavero serve` as a person starts and ends it."""

import re
import signal
import subprocess
import sys

import httpx
import pytest
from command_line import Run

COMMAND = ("serve",)


def test_it_says_what_it_serves_answers_and_ends_cleanly_when_told_to() -> None:
    command = [sys.executable, "-m", "ui.cli.main", "serve", "--kit", "pocket", "--port", "0", "--device", "cpu"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        ready = next(line for line in process.stderr if line.startswith("Llavero serves"))
        assert "'pocket' (sees pictures, 8,192 tokens)" in ready
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", ready)
        assert found, ready
        body = {"model": "pocket", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        answer = httpx.post(f"{found[0]}/chat/completions", json=body, timeout=120).json()
        assert answer["usage"]["completion_tokens"] <= 2 and answer["choices"][0]["finish_reason"] in ("stop", "length")
        process.send_signal(signal.SIGTERM)
        left = process.stderr.read()
        assert process.wait(60) == 0 and "the server has ended" in left and "Traceback" not in left
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--host", "0.0.0.0"), 1, "--api-key-env"),
        (("--api-key-env", "NOT_SET_ANYWHERE"), 1, "NOT_SET_ANYWHERE"),
        (("--host", "nowhere.invalid"), 1, "nowhere.invalid"),
        (("--checkpoint", "x", "--untrained"), 2, "as it is"),
        (("--port", "0", "--checkpoint", "/nowhere"), 1, "/nowhere"),
        (("--port", "0", "--kit", "none"), 1, "none"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(run: Run, words: tuple[str, ...], code: int, said: str) -> None:
    outcome = run(*words)
    assert outcome.code == code and said in outcome.err and "Traceback" not in outcome.err


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, contextlib\nfrom ui.cli import main as cli\nsys.argv = ['llavero', 'serve', '--help']\n"
        "with contextlib.suppress(SystemExit): cli.main()\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy', 'uvicorn', 'starlette')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60).returncode == 0
