"""Write docs/CLI.md from the commands' own --help; with --check, fail when the page is not current."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer.main

from ui.cli import app

PAGE = Path(__file__).with_name("CLI.md")
WIDTH = 100


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command, click.Context]]:
    """The command and all below it, depth first, each with its full name."""
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    yield name, command, context
    if isinstance(command, click.Group):
        for child_name in command.list_commands(context):
            child = command.get_command(context, child_name)
            assert child is not None
            yield from commands(child, f"{name} {child_name}")


def reference() -> str:
    """The whole page."""
    parts = ["# The `llavero` command\n\nWritten by `make docs` from the commands' own help; do not edit.\n"]
    for name, command, context in commands(typer.main.get_command(app), "llavero"):
        help_text = command.get_help(context)
        parts.append(f"## `{name}`\n\n```\n{help_text.rstrip()}\n```\n")
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
