"""How well a model answers from evidence: made-up documents, the sample collection, scanned receipts.

    python recipes/pocket/score_ground.py --adapter build/pocket/ground/adapter --no-examples --out build/pocket/scores

Four sets, each with questions whose evidence was taken away:

synthetic   documents of a seed that no training used, evidence as the training makes it
sample      the sample collection's 40 questions and 15 unanswerable ones, evidence from the real retrieval
receipts    company, date and total of 50 scanned receipts as Llavero's OCR reads them, each among two others
            (`gone`: only the two others are left; `cut`: the lines that answer are taken out of the receipt)

The model is asked as the product asks it: `build_prompt`, greedy decoding, `Stopper`, `refuses`, `cite`.

**exact** (of all answerable questions): the answer holds one of the accepted ones by `same_answer.holds`.
**marker** (of the questions that were answered): the answer has markers, and all of them name evidence from a right
file. `marker` is the model's own; `marker_shown` is after `cite` has checked and repaired it, as users see it.
**refused** has the words of a refusal (`rag.answer.refuses`), is empty, or retrieval refused before the model.
**shown** is the ceiling: an accepted answer could be read in the evidence that was shown.
Intervals are Wilson's, 95 %.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script from anywhere

from claims.citations import cite
from claims.markers import take_markers
from claims.settings import CitationSettings
from llava_model.benchmarks.figures import wilson
from llava_model.serving.engine import Engine
from rag.answer import refuses
from rag.prompt import Prompt, build_prompt
from rag.settings import AnswerSettings, PromptSettings
from rag.stopping import Stopper
from recipes.pocket.ground_cases import (
    ROOT,
    SAMPLE,
    Case,
    by_search,
    opened,
    receipt_texts,
    receipts,
    sample,
    synthetic,
)
from recipes.pocket.same_answer import holds
from training_data.synthetic_questions import PROMPT


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What the model said to one case, and what it is worth."""

    id: str
    group: str
    part: str
    question: str
    accepted: tuple[str, ...]
    answer: str  # the model's own words
    shown_to_user: str  # after `cite`
    evidence: str  # the user's turn
    refused: bool
    asked: bool  # False: retrieval left nothing, no model was asked
    exact: bool
    shown: bool
    marker: bool
    marker_shown: bool
    prompt_tokens: int


def score(case: Case, engine: Engine, settings: PromptSettings, *, load_image: Any = None) -> Scored:
    """Ask as the product does, and judge."""
    answer_settings = AnswerSettings()
    prompt = build_prompt(
        case.question,
        case.hits,
        earlier=case.earlier,
        count_tokens=engine.count_tokens,
        context_tokens=engine.context_tokens,
        max_new_tokens=answer_settings.max_new_tokens,
        sees_images=engine.sees_images,
        load_image=load_image or (lambda chunk: None),
        settings=settings,
    )
    asked = bool(prompt.evidence)
    answer = _answer(engine, prompt, answer_settings) if asked else ""
    refused = not answer or refuses(answer)
    cited = (
        None
        if refused
        else cite(
            answer,
            {each.marker: each.hit.chunk for each in prompt.evidence},
            question=case.question,
            verifier=None,
            judge=None,
            settings=CitationSettings(),
        )
    )
    owner = {each.marker: each.hit.chunk.path for each in prompt.evidence}
    user = prompt.turns[-1].text

    def right(markers: Sequence[int]) -> bool:
        return bool(markers) and all(owner.get(marker) in case.right for marker in markers)

    return Scored(
        id=case.id,
        group=case.group,
        part=case.part,
        question=case.question,
        accepted=case.accepted,
        answer=answer,
        shown_to_user=cited.text if cited else "",
        evidence=user,
        refused=refused,
        asked=asked,
        exact=not refused and any(holds(answer, each) for each in case.accepted),
        shown=any(holds(user.rsplit("\nQuestion:", 1)[0], each) for each in case.accepted),
        marker=not refused and right(take_markers(answer)[1]),
        marker_shown=cited is not None and right(take_markers(cited.text)[1]),
        prompt_tokens=prompt.tokens,
    )


def _answer(engine: Engine, prompt: Prompt, settings: AnswerSettings) -> str:
    stopper = Stopper(one_line=True)
    for _ in stopper.until_stop(engine.stream(prompt.turns, max_new_tokens=settings.max_new_tokens)):
        pass
    return stopper.text


def _share(flags: Sequence[bool]) -> dict[str, Any]:
    """Share with its interval, 0..1; both None of nothing."""
    found = wilson(sum(flags), len(flags))
    interval = [round(end / 100, 3) for end in found] if found else None
    return {"share": round(sum(flags) / len(flags), 3) if flags else None, "n": len(flags), "interval": interval}


def summary(scored: Sequence[Scored]) -> dict[str, Any]:
    """Every group's shares with their intervals."""
    groups: dict[str, Any] = {}
    for group in dict.fromkeys(each.group for each in scored):
        own = [each for each in scored if each.group == group]
        refused = _share([each.refused for each in own])
        if not own[0].accepted:
            groups[group] = {
                "refused": refused,
                "refused_by_model": _share([each.refused for each in own if each.asked]),
            }
            continue
        answered = [each for each in own if not each.refused]
        groups[group] = {
            "exact": _share([each.exact for each in own]),
            "exact_where_shown": _share([each.exact for each in own if each.shown]),
            "marker": _share([each.marker for each in answered]),
            "marker_shown": _share([each.marker_shown for each in answered]),
            "exact_and_marker": _share([each.exact and each.marker for each in own]),
            "refused": refused,
            "refused_where_shown": _share([each.refused for each in own if each.shown]),
            "shown": _share([each.shown for each in own]),
        }
        for part in sorted({each.part for each in own} - {""}):
            groups[group][f"exact, {part}"] = _share([each.exact for each in own if each.part == part])
    return groups


def run(cases: Sequence[tuple[Case, Any]], engine: Engine, settings: PromptSettings, dump: Path) -> dict[str, Any]:
    """Score all cases, write every answer to `dump`, and give the shares."""
    dump.parent.mkdir(parents=True, exist_ok=True)
    scored = []
    with dump.open("w", encoding="utf-8") as file:
        for number, (case, load_image) in enumerate(cases, 1):
            scored.append(score(case, engine, settings, load_image=load_image))
            file.write(json.dumps(asdict(scored[-1]), ensure_ascii=False) + "\n")
            if number % 25 == 0 or number == len(cases):
                sys.stderr.write(f"{dump.stem}: {number} of {len(cases)}\n")
    return summary(scored)


def gathered(arguments: argparse.Namespace) -> list[tuple[Case, Any]]:
    """The cases of the wanted sets, `--limit` of each group."""
    cases: list[tuple[Case, Any]] = []
    if "synthetic" in arguments.sets:
        cases += [(case, None) for case in synthetic(arguments.synthetic)]
    if "sample" in arguments.sets:
        bench = opened(arguments.libraries / "sample", [SAMPLE / "collection"])
        cases += [(case, bench.picture) for case in sample(bench)]
    if "receipts" in arguments.sets:
        bench = opened(arguments.libraries / "receipts", sorted(arguments.corpus.glob("*.jpg")))
        cases += [(case, None) for case in receipts(*receipt_texts(bench, arguments.corpus), order=by_search(bench))]
    return [each for group in _grouped(cases).values() for each in _spread(group, arguments.limit)]


def _grouped(cases: Sequence[tuple[Case, Any]]) -> dict[str, list[tuple[Case, Any]]]:
    groups: dict[str, list[tuple[Case, Any]]] = {}
    for each in cases:
        groups.setdefault(each[0].group, []).append(each)
    return groups


def _spread(group: list[tuple[Case, Any]], limit: int) -> list[tuple[Case, Any]]:
    """At most `limit` of them, from all over the group; 0 is all."""
    count = min(limit or len(group), len(group))
    return [group[place * len(group) // count] for place in range(count)]


def table(results: Mapping[str, Any]) -> str:
    """One line a share: run, group, what, share, interval, n."""
    rows = [f"{'':42}{'share':>7}  {'95 %':^15}{'n':>5}"]
    for name, result in results.items():
        for group, shares in result["groups"].items():
            rows.append(f"{name} · {group}")
            for what, each in shares.items():
                if each["n"]:
                    low, high = each["interval"]
                    rows.append(f"    {what:38}{each['share']:7.3f}  {low:.3f} … {high:.3f}{each['n']:>5}")
    return "\n".join(rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", default="pocket")
    parser.add_argument("--adapter", type=Path, help="LoRA that GROUND trained; without it the kit's model as it is")
    parser.add_argument("--projector", type=Path, help="projector, so that the model sees pictures")
    parser.add_argument("--untrained", action="store_true", help="score the kit's model without the adapter too")
    parser.add_argument(
        "--sets", nargs="+", default=["synthetic", "sample", "receipts"], choices=["synthetic", "sample", "receipts"]
    )
    parser.add_argument("--limit", type=int, default=0, help="most questions of each group; 0 asks all")
    parser.add_argument("--synthetic", type=int, default=400, help="how many made-up questions (400)")
    parser.add_argument("--corpus", type=Path, default=ROOT.parent / "shared" / "corpus" / "receipts")
    parser.add_argument("--libraries", type=Path, default=ROOT / "build" / "pocket-data" / "score")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "pocket" / "scores")
    parser.add_argument("--no-examples", action="store_true", help="no worked example in the prompt, as GROUND trains")
    parser.add_argument("--max-passages", type=int, default=PROMPT.max_passages)
    arguments = parser.parse_args()

    from llava_model.kits import find

    kit = find(arguments.kit)
    trained = replace(PROMPT, example=not arguments.no_examples, max_passages=arguments.max_passages)
    cases = gathered(arguments)
    runs = [("trained" if arguments.adapter else "untrained", arguments.adapter, trained)]
    if arguments.untrained and arguments.adapter:
        runs.append(("untrained", None, replace(PROMPT, example=True, max_passages=2)))
    results = {}
    for name, adapter, settings in runs:
        seeing = arguments.projector if name == runs[0][0] else None
        engine = Engine.load(
            kit.path("language"), vision=kit.path("vision") if seeing else None, projector=seeing, adapter=adapter
        )
        groups = run(cases, engine, settings, arguments.out / f"{name}.jsonl")
        results[name] = {"adapter": str(adapter or ""), "settings": asdict(settings), "groups": groups}
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (arguments.out / "ground.json").write_text(text, encoding="utf-8")
    sys.stdout.write(table(results) + "\n")


if __name__ == "__main__":
    main()
