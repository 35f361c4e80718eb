"""`llavero model judge`: a text model's scores for answers, beside those for reference answers."""

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui import terminal
from ui.model_score import DONE, WITH_PROBLEMS, show_score, tell_problems
from ui.rate_line import RateLine

if TYPE_CHECKING:
    from llava_model.chat_client import ChatServer


def judge(
    references: Annotated[Path, typer.Argument(help="The reference answers (JSONL); they get the first score.")],
    answers: Annotated[Path, typer.Argument(help="The answers to judge (JSONL).")],
    questions: Annotated[
        Path, typer.Option("--questions", help="The questions (JSONL); for an ensemble ScienceQA's problems.json.")
    ],
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="An OpenAI-compatible server; nothing is sent elsewhere.")
    ] = "",
    model: Annotated[str, typer.Option("--model", help="The judge's name at --endpoint.")] = "",
    contexts: Annotated[
        Path | None, typer.Option("--contexts", help="What the pictures show, in words (JSONL by image).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The reviews; a second run goes on with them.")] = Path(
        "reviews.jsonl"
    ),
    rubric: Annotated[
        Path | None, typer.Option("--rubric", help="The judge's task, instead of the shipped one.")
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Judge N times: mean and spread.")] = 1,
    swap: Annotated[bool, typer.Option("--swap", help="Judge in both orders and take the mean.")] = False,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Ask N times until two scores can be read.")] = 3,
    parallel: Annotated[int, typer.Option("--parallel", min=1, help="How many requests at once.")] = 4,
    ensemble: Annotated[
        str, typer.Option("--ensemble", help="ScienceQA: complement or judge; REFERENCES are a text model's results.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")] = False,
) -> None:
    """Judge answers against reference answers (LLaVA-Bench), or join two models on ScienceQA (--ensemble)."""
    if ensemble not in ("", "complement", "judge"):
        raise typer.BadParameter(f"'{ensemble}' is neither complement nor judge", param_hint="--ensemble")
    from llava_model.chat_client import JUDGE, ChatServer

    if ensemble:
        server = ChatServer(url=endpoint, model=model, role=JUDGE) if ensemble == "judge" else None
        _join(references, answers, questions, out, server, json=json)
        return
    from llava_model.evaluation import llava_bench
    from llava_model.evaluation.judge import RUBRIC, JudgeSettings, judge, read_cases, read_rubric, review_paths

    server = ChatServer(url=endpoint, model=model, role=JUDGE)
    cases, problems = read_cases(questions, references, answers, contexts)
    settings = JudgeSettings(
        rubric=read_rubric(rubric or RUBRIC), swap=swap, repeat=repeat, attempts=attempts, parallel=parallel
    )
    line = RateLine("reviews")
    tally = judge(
        cases, server, out, settings,
        on_progress=line.show,
    )  # fmt: skip
    line.close()
    terminal.tell(
        f"{tally.judged} judged, {tally.kept} kept from before, {len(tally.repaired)} read from the judge's words, "
        f"{len(tally.asked_again)} asked again, {len(tally.failed)} without scores"
    )
    result = llava_bench.score_files(review_paths(out, repeat), questions)
    tell_problems(problems)
    if json:
        extra = {"reviews": [str(path) for path in review_paths(out, repeat)], "repaired": tally.repaired}
        document = result.document()
        document["problems"] = [*(problem.document() for problem in problems), *document["problems"]]
        terminal.say_json({**document, **extra, "asked_again": len(tally.asked_again)})
        show_score(result, json=None)
    else:
        show_score(result, json=False)
    raise typer.Exit(WITH_PROBLEMS if problems or result.problems else DONE)


def _join(
    text_model: Path, ours: Path, problems_file: Path, out: Path, server: "ChatServer | None", *, json: bool
) -> None:
    """ScienceQA's two ensembles; the options go into a result file at `out`."""
    from llava_model.evaluation import ensemble, scienceqa

    line = RateLine("decisions")
    if server is None:
        options, _, problems = ensemble.combine(text_model, ours, problems_file)
    else:
        decisions = out.with_name(f"{out.stem}.decisions.jsonl")
        options, problems = ensemble.arbitrate(
            text_model, ours, problems_file, server, decisions,
            on_progress=line.show,
        )  # fmt: skip
        line.close()
    part = out.with_name(out.name + ".part")
    part.write_text(jsonlib.dumps(ensemble.result_file(options, problems_file), indent=2) + "\n", "utf-8")
    part.replace(out)
    tell_problems(problems)
    result = scienceqa.score(out, problems_file)
    show_score(result, json=json)
    raise typer.Exit(WITH_PROBLEMS if problems or result.problems else DONE)
