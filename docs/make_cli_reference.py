"""Write docs/CLI.md from the commands' own --help; with --check, fail when the page is not current."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("CLI.md")
os.environ.update(COLUMNS="100", NO_COLOR="1")  # before typer reads them: the page must not depend on a terminal


def command_lines(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command below `command`, itself first."""
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from command_lines(child, (*words, name))


def reference() -> str:
    """The whole page."""
    import typer.main
    from typer.testing import CliRunner

    from ui.cli.main import app

    parts = ["# The `llavero` command\n\nWritten by `make docs` from the commands' own help; do not edit.\n"]
    for words in command_lines(typer.main.get_command(app)):
        result = CliRunner().invoke(app, [*words, "--help"], prog_name="llavero")
        assert result.exit_code == 0, result.output
        parts.append(f"## `{' '.join(('llavero', *words))}`\n\n```\n{result.output.strip()}\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Write the page, or compare it."""
    page = reference()
    if "--check" not in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        sys.exit("docs/CLI.md is not what the commands' --help says; write it again with: make docs")


if __name__ == "__main__":
    main()
