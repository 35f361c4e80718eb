"""The benchmark that a command is about: an argument that takes the name of any that there is."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llava_model.benchmarks.registry import names

if TYPE_CHECKING:
    BenchmarkName = str
else:
    BenchmarkName = Literal[names()]

BenchmarkArgument = Annotated[BenchmarkName, typer.Argument(help="The benchmark.", show_default=False)]
