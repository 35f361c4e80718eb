"""`llavero model samples`: a benchmark's training questions as samples, for the TASK stage."""

from pathlib import Path
from typing import Annotated

import typer

from ui import terminal
from ui.benchmark_argument import BenchmarkArgument


def samples(
    benchmark: BenchmarkArgument,
    data: Annotated[Path, typer.Argument(help="The benchmark's folder, with its questions and pictures.")],
    out: Annotated[Path, typer.Option("--out", help="The samples (JSONL).")],
    split: Annotated[
        str, typer.Option("--split", help="train, val, test, or another split of the benchmark's own.")
    ] = "train",
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Write a benchmark's training questions as samples, as its paper trains on them. Train with --image-root DATA."""
    import json as json_module

    from llava_model.data.schema import to_record
    from llava_model.evaluation.benchmarks import find, names
    from llava_model.generate_data.book import write_whole

    samples_of = find(benchmark).samples
    if samples_of is None:
        able = ", ".join(name for name in names() if find(name).samples)
        raise typer.BadParameter(f"'{benchmark}' has no training questions, only: {able}", param_hint="BENCHMARK")
    root = data if data.is_dir() else data.parent
    records = [to_record(each, root=root) for each in samples_of(data, split)]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, ["\n".join(json_module.dumps(record, ensure_ascii=False) for record in records)])
    pictured = sum(bool(record["images"]) for record in records)
    document = {"source": benchmark, "split": split, "samples": len(records), "pictures": pictured, "out": str(out)}
    if json:
        terminal.say_json(document)
    else:
        terminal.say(f"{len(records):,} samples of '{split}', {pictured:,} with a picture, in {out}")
        terminal.tell(f"Check them: llavero model validate {out} --image-root {root}")
