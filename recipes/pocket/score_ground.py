"""How well a model answers from evidence: made-up documents, the sample collection, scanned receipts.

    python recipes/pocket/score_ground.py --adapter build/pocket/ground/adapter --no-examples --out build/pocket/scores

Four sets, each with questions whose evidence was taken away:

synthetic   documents of a seed that no training used, evidence as the training makes it
sample      the sample collection's 40 questions and 15 unanswerable ones, evidence from the real retrieval
receipts    company, date and total of 50 scanned receipts as Llavero's OCR reads them, each among two others
            (`gone`: only the two others are left; `cut`: the lines that answer are taken out of the receipt)

The model is asked as the product asks it: `build_prompt`, greedy decoding, `Stopper`, `refuses`, `cite`.

**exact** (of all answerable questions): one of the accepted answers is contained in the model's answer after both are
normalised by `normal`: NFKC, lower case, no white space, no currency mark beside a number, no leading zeros of a whole
number. An accepted answer that holds a letter is then compared by its letters and digits alone; one of digits and
signs (`9.00`, `25/12/2018`) as it is, and it may not be a part of a longer number or date.
**marker** (of the questions that were answered): the answer has markers, and all of them name evidence from a right
file. `marker` is the model's own; `marker_shown` is after `cite` has checked and repaired it, as users see it.
**refused** has the words of a refusal (`rag.stopping.refuses`), is empty, or retrieval refused before the model.
**shown** is the ceiling: an accepted answer could be read in the evidence that was shown.
Intervals are Wilson's, 95 %.
"""

import argparse
import json
import math
import random
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script from anywhere

from indexing.records import Chunk, Hit
from llava_model.serving.engine import Engine
from rag.citations import cite, take_markers
from rag.prompt import Prompt, build_prompt
from rag.settings import AnswerSettings, PromptSettings
from rag.stopping import Stopper, refuses
from rag.terms import content_terms, terms
from rag.training_data import as_hits

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "examples" / "sample"
SYNTHETIC_SEED = 9_000_001

Order = Callable[[str, Sequence[Chunk]], list[Chunk]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One question with its evidence. Nothing accepted: it must be refused."""

    id: str
    group: str
    question: str
    hits: tuple[Hit, ...]
    accepted: tuple[str, ...] = ()
    right: frozenset[str] = frozenset()  # paths of the files that answer
    topic: str = ""
    part: str = ""  # of the group, counted by itself too: company, date, total; photo, text


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


# -- what counts as the same answer ------------------------------------------------------------------------------------

_CURRENCY = r"(?:rm|myr|eur|usd|gbp|chf|euros?|dollars?|[€$£¥])"


def normal(text: str) -> str:
    """See the module's docstring.

    >>> normal("RM 09.00 on 05 MAR 2018")
    '9.00on5mar2018'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = re.sub(rf"{_CURRENCY}\s*(?=\d)|(?<=\d)\s*{_CURRENCY}(?![a-z])", "", folded)
    bare = re.sub(r"(?<![\d.,])0+(?=\d)", "", bare)
    return re.sub(r"\s+", "", re.sub(r"(?<=\d)\s+(?=\d)", "|", bare))  # two numbers side by side stay two


def holds(answer: str, accepted: str) -> bool:
    """Whether the accepted answer is contained in this one.

    >>> holds("The total is RM31.00 [1].", "31.00"), holds("It is 131.00.", "31.00")
    (True, False)
    """
    answer, wanted = take_markers(answer)[0], normal(accepted)
    if any(sign.isalpha() for sign in wanted):
        return _letters(wanted) in _letters(normal(answer)) if _letters(wanted) else False
    if not wanted:
        return False
    return re.search(rf"(?<!\d)(?<!\d[.,/:-]){re.escape(wanted)}(?![.,/:-]?\d)", normal(answer)) is not None


def _letters(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())


# -- the sets ----------------------------------------------------------------------------------------------------------


def synthetic(limit: int) -> Iterator[Case]:
    """Held-out documents: questions answered and refused as the training data has them."""
    from recipes.pocket.documents.questions import plan, question

    for number in range(limit):
        planned = plan(random.Random(f"{SYNTHETIC_SEED}-{number}"))
        drawn = (question(planned, random.Random(f"{SYNTHETIC_SEED}-{number}-{attempt}")) for attempt in range(1000))
        known, chunks = next(found for found in drawn if found is not None)
        hits = as_hits(chunks)
        paths = frozenset(hit.chunk.path for hit in hits if hit.chunk.id in known.evidence)
        yield Case(
            id=f"synthetic-{number:04}",
            group="synthetic" if known.evidence else "synthetic, taken away",
            question=known.question,
            topic=known.topic,
            hits=hits,
            accepted=known.values[:1],
            right=paths,
        )


def sample(bench: Any) -> Iterator[Case]:
    """The sample collection's questions, with and without the files that answer them."""
    from rag.retrieve import SearchRequest

    for each in _json_lines(SAMPLE / "questions.jsonl"):
        found = bench.search(SearchRequest(text=each["question"], k=8)).evidence
        right = frozenset(str(SAMPLE / "collection" / source) for source in each["sources"])
        rest = tuple(hit for hit in found if hit.chunk.path not in right)
        asked = Case(
            id=each["id"],
            group="sample",
            part="photo" if each["kind"] == "photo" else "text",
            question=each["question"],
            hits=tuple(found),
            accepted=(each["answer"], *each["accept"]),
            right=right,
        )
        yield asked
        gone = f"{each['id']}-gone"
        yield replace(asked, id=gone, group="sample, taken away", hits=rest, accepted=(), right=frozenset())
    for each in _json_lines(SAMPLE / "unanswerable.jsonl"):
        found = bench.search(SearchRequest(text=each["question"], k=8)).evidence
        yield Case(id=each["id"], group="sample, unanswerable", question=each["question"], hits=tuple(found))


_RECEIPT_QUESTIONS = {
    "company": (
        "Which company issued the receipt of {date} over {total}?",
        "Who issued the receipt dated {date} with the total {total}?",
        "From which company is the receipt of {date} over {total}?",
    ),
    "date": (
        "What is the date of the receipt from {company} over {total}?",
        "When was the receipt from {company} over {total} issued?",
        "What is the date on the {company} receipt over {total}?",
    ),
    "total": (
        "What is the total on the receipt from {company} of {date}?",
        "How much was paid in total on the {company} receipt of {date}?",
        "What is the total amount of the receipt from {company} dated {date}?",
    ),
}


def receipts(
    texts: Mapping[str, Sequence[Chunk]], labels: Mapping[str, Mapping[str, str]], *, order: Order
) -> Iterator[Case]:
    """`texts`: the text chunks of each receipt by its name; `labels`: what people read on it. The right receipt and
    the two others stand in the order that `order` gives them."""
    names = sorted(texts)
    for number, name in enumerate(names):
        draw = random.Random(f"receipts-{name}")
        label = labels[name]
        foreign = [other for other in names if labels[other]["company"] != label["company"]]
        others = [chunk for other in draw.sample(foreign, 2) for chunk in texts[other]]
        for field, questions in _RECEIPT_QUESTIONS.items():
            question = questions[number % len(questions)].format_map(label)
            ranked = order(question, [*others, *texts[name]])
            for group, found in (
                ("receipts", ranked),
                ("receipts, gone", [chunk for chunk in ranked if chunk in others]),
                ("receipts, cut", [chunk if chunk in others else _without(chunk, label[field]) for chunk in ranked]),
            ):
                yield Case(
                    id=f"{name}-{field}{group.removeprefix('receipts').replace(', ', '-')}",
                    group=group,
                    part=field,
                    question=question,
                    hits=as_hits(found),
                    accepted=(label[field],) if group == "receipts" else (),
                    right=frozenset(chunk.path for chunk in texts[name]) if group == "receipts" else frozenset(),
                )


def _without(chunk: Chunk, value: str) -> Chunk:
    """The chunk without its lines that say the value: written the same, the same date or number in another writing,
    or, for words, most of them (OCR misreads some)."""
    wanted, named = set(terms(value)), set(content_terms(value))
    wordy = any(sign.isalpha() for sign in value) and not re.search(r"\d{2,}", value)

    def says(row: str) -> bool:
        held = set(terms(row))
        most = wordy and 10 * len(named & held) >= 6 * len(named)
        return holds(row, value) or wanted <= held or bool(named and most)

    return replace(
        chunk,
        text="\n".join(row for row in chunk.text.split("\n") if not says(row)),
        lines=tuple(line for line in chunk.lines if not says(line.text)),
    )


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines() if row.strip()]


# -- libraries, made once ----------------------------------------------------------------------------------------------


def opened(folder: Path, sources: Sequence[Path]) -> Any:
    """The workbench of a library that holds `sources`; it is indexed now if it is not there yet."""
    from ui.engine import Workbench
    from ui.settings import Settings

    bench = Workbench.open(Settings.load(folder), create=True)
    if not bench.files():
        sys.stderr.write(f"Indexing {len(sources)} files and folders into {folder} …\n")
        bench.index(sources)
    return bench


def by_search(bench: Any) -> Order:
    """Chunks in the order in which the library's own search ranks them; what it does not find comes last."""
    from rag.retrieve import SearchRequest

    def order(question: str, chunks: Sequence[Chunk]) -> list[Chunk]:
        hits = bench.search(SearchRequest(text=question, k=100)).hits
        places = {hit.chunk.id: place for place, hit in enumerate(hits)}
        return sorted(chunks, key=lambda chunk: places.get(chunk.id, len(places)))

    return order


def receipt_texts(bench: Any, folder: Path) -> tuple[dict[str, list[Chunk]], dict[str, dict[str, str]]]:
    """The text chunks of each receipt that OCR found words in, and everybody's labels."""
    texts: dict[str, list[Chunk]] = {}
    labels: dict[str, dict[str, str]] = {}
    for entry in bench.files():
        path = Path(entry.path)
        found = [chunk for chunk in bench.chunks(entry.path) if chunk.kind == "text"]
        label = json.loads((folder / f"{path.stem}.json").read_text(encoding="utf-8")) if found else {}
        if all(label.get(field) for field in _RECEIPT_QUESTIONS):
            texts[path.stem], labels[path.stem] = found, label
    return texts, labels


# -- asking and counting -----------------------------------------------------------------------------------------------


def score(case: Case, engine: Engine, settings: PromptSettings, *, load_image: Any = None) -> Scored:
    """Ask as the product does, and judge."""
    answer_settings = AnswerSettings()
    prompt = build_prompt(
        case.question,
        case.hits,
        topic=case.topic,
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
        else cite(answer, prompt.evidence, question=f"{case.question} {case.topic}", settings=answer_settings)
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


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share.

    >>> wilson(8, 10)
    (0.49, 0.943)
    """
    if not of:
        return (0.0, 1.0)
    z, share = 1.959964, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (round(max(0.0, middle - half), 3), round(min(1.0, middle + half), 3))


def _share(flags: Sequence[bool]) -> dict[str, Any]:
    return {
        "share": round(sum(flags) / len(flags), 3) if flags else None,
        "n": len(flags),
        "interval": wilson(sum(flags), len(flags)),
    }


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
                low, high = each["interval"]
                share = "–" if each["share"] is None else f"{each['share']:.3f}"
                rows.append(f"    {what:38}{share:>7}  {low:.3f} … {high:.3f}{each['n']:>5}")
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
    parser.add_argument("--max-passages", type=int, default=PromptSettings().max_passages)
    parser.add_argument("--later-file", type=float, default=PromptSettings().later_file)
    parser.add_argument("--least-gain", type=float, default=PromptSettings().least_gain)
    arguments = parser.parse_args()

    from llava_model.kits import find

    kit = find(arguments.kit)
    trained = PromptSettings(
        examples=not arguments.no_examples,
        max_passages=arguments.max_passages,
        later_file=arguments.later_file,
        least_gain=arguments.least_gain,
    )
    cases = gathered(arguments)
    runs = [("trained" if arguments.adapter else "untrained", arguments.adapter, trained)]
    if arguments.untrained and arguments.adapter:
        runs.append(("untrained", None, PromptSettings()))
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
