"""`llavero model samples`: a benchmark's training questions as samples, for the TASK stage."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ui import terminal
from ui.cli_model import model_app


class Source(StrEnum):
    """Sets that are read in their own files."""

    SCIENCEQA = "scienceqa"


@model_app.command()
def samples(
    source: Annotated[Source, typer.Argument(help="The set.", show_default=False)],
    data: Annotated[Path, typer.Argument(help="ScienceQA's folder, with problems.json and the pictures.")],
    out: Annotated[Path, typer.Option("--out", help="The samples (JSONL).")],
    split: Annotated[str, typer.Option("--split", help="train, val, test, or a list of pid_splits.json.")] = "train",
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Write ScienceQA as LLaVA's paper trains it: reasoning first, then the answer. Train with --image-root DATA."""
    import json as json_module

    from llava_model.data.schema import to_record
    from llava_model.evaluation.scienceqa_reasoning import samples as samples_of
    from llava_model.generate_data.book import write_whole

    root = data if data.is_dir() else data.parent
    records = [to_record(each, root=root) for each in samples_of(data, split)]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, ["\n".join(json_module.dumps(record, ensure_ascii=False) for record in records)])
    pictured = sum(bool(record["images"]) for record in records)
    document = {"source": source.value, "split": split, "samples": len(records), "pictures": pictured, "out": str(out)}
    if json:
        terminal.say_json(document)
    else:
        terminal.say(f"{len(records):,} samples of '{split}', {pictured:,} with a picture, in {out}")
        terminal.tell(f"Check them: llavero model validate {out} --image-root {root}")
