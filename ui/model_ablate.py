"""`llavero model ablate`: which types of instruction data help, the LLaVA paper's question, asked of any model."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ui import terminal

if TYPE_CHECKING:
    from llava_model.ablation.run import AblationReport, Watch

_NOT_MET = 1


def ablate(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The plan (TOML), see recipes/scenes/ablation.toml.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A second run goes on with it.")],
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Train on full data, detail + complex, conversation + a little, conversation and nothing, and compare.

    All five start from one checkpoint and are asked the same held-out questions. Finished parts are not made again.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from llava_model.ablation.plan import read_plan
    from llava_model.ablation.run import Bases, ablate
    from llava_model.kits import find

    plan = read_plan(config)
    language, vision = plan.language, plan.vision
    if language is None or vision is None:
        kit = find(plan.kit)
        language, vision = language or kit.path("language"), vision or kit.path("vision")
    if plan.judge is not None:
        _check_judge(plan.judge.endpoint, plan.judge.model)
    report = _stoppable(lambda watch: ablate(plan, out, Bases(language=language, vision=vision), watch))
    _show(report, judge=plan.judge.model if plan.judge else "", json=json)
    if not report.finished:
        terminal.tell("stopped; the same command goes on from there")
        raise typer.Exit(_NOT_MET)


def _check_judge(url: str, model: str) -> None:
    """Before hours of training."""
    from llava_model.chat_client import JUDGE, ChatServer

    ChatServer(url=url, model=model, role=JUDGE)


def _stoppable(run: Callable[["Watch"], "AblationReport"]) -> "AblationReport":
    """SIGTERM and Ctrl-C end it after the step or answer under way; what is done is kept."""
    from llava_model.ablation.run import Watch

    stop = threading.Event()

    def asked(number: int, frame: FrameType | None) -> None:
        terminal.tell("stopping after this step or answer")
        stop.set()

    line = terminal.ProgressLine()
    watch = Watch(
        announce=terminal.tell,
        on_step=lambda title, m: line.show(
            f"{title}: step {m.step:,} of {m.steps:,} · loss {m.loss:.3f} · {m.samples_per_second:.1f} samples/s · "
            f"{terminal.duration(m.seconds_left)} left",
            final=m.step == m.steps,
        ),
        on_fill=lambda fill: line.show(f"features of pictures: {fill.done:,} of {fill.total:,}"),
        on_answer=lambda title, p: line.show(
            f"{title}: {p.answered:,} of {p.asks:,} answers", final=p.answered == p.asks
        ),
        on_review=lambda done, total: line.show(f"{done:,} of {total:,} reviews", final=done == total),
        should_stop=stop.is_set,
    )
    earlier = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return run(watch)
    finally:
        line.close()
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _show(report: "AblationReport", *, judge: str, json: bool) -> None:
    from llava_model.ablation import table
    from llava_model.ablation.plan import VARIANTS

    measure = table.JUDGED.format(judge=judge) if judge else table.OFFLINE
    for kind, count in report.left_out.items():
        terminal.tell(f"{count:,} samples of the kind '{kind}' are none of the paper's types; left out")
    if json:
        paper = [{"title": v.title, "values": dict(table.paper_row(v.title).values)} for v in VARIANTS]
        results = [one.document() for one in report.results]
        terminal.say_json(
            {"finished": report.finished, "measure": measure, "results": results, "paper": paper,
             "paper_source": table.paper_row(VARIANTS[0].title).source}
        )  # fmt: skip
        return
    say_table(table.main_table(report.results, judge))
    terminal.say(table.PAPER)
    terminal.say(measure)
    terminal.say()
    say_table(table.more_table(report.results))


def say_table(cells: list[list[str]]) -> None:
    """Columns in line, the first one to the left."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        terminal.say("  ".join((row[0].ljust(widths[0]), *rest)).rstrip())
