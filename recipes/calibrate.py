"""Fit `RelevanceSettings` (with --model also the weights of `AnswerSettings`) and print what goes into a kit's file.

    llavero eval prepare xquad xquad.en.json /tmp/en --articles 0:24
    llavero index /tmp/en/documents --library /tmp/en-library --kit small
    python -m recipes.calibrate --pair /tmp/en-library /tmp/en/questions.jsonl --pair …

Each question is looked at twice: with its file in the library, and as if the file were not there. What the best hit
has then (cosine, share of the question's words, late interaction) is an answer in the first case and none in the
second. Every second question of each pair is fitted on, the others say how good the fit is: area under the curve, and
how many of either kind the threshold refuses.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script from anywhere

from indexing.records import Hit
from rag.prompt import REFUSAL
from rag.retrieve import SearchRequest
from ui.settings import Settings
from ui.workbench import Workbench

Array = npt.NDArray[np.float64]
ANSWERABLE_REFUSED = 0.02
"""Share of the answerable questions that the threshold may refuse."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The best hit of one question, with its file in the library or without."""

    pair: str
    number: int
    there: bool
    cosine: float
    share: float
    interaction: float
    yes: float = 0.5  # the model's own judgement, where it was asked
    looks: float = 0.0  # cosine with the picture


def looks(bench: Workbench, questions: Path, limit: int, ask_model: bool) -> Iterator[Look]:
    """Two for each question of a pair."""
    asked = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    random.Random(5).shuffle(asked)
    for number, each in enumerate(asked[:limit]):
        found = bench.search(SearchRequest(text=each["question"], k=60)).hits
        for there in (True, False):
            hits = [hit for hit in found if there or Path(hit.chunk.path).name not in each["sources"]]
            hits = [hit for hit in hits if hit.chunk.text and "text" in hit.channels]
            if hits:
                yield _look(bench, str(questions), number, each["question"], hits, there, ask_model)


def pictures(bench: Workbench, questions: Path, limit: int) -> Iterator[Look]:
    """The best picture for each description; with the right one there, only where it is the best."""
    asked = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    random.Random(5).shuffle(asked)
    for number, each in enumerate(asked[:limit]):
        found = [hit for hit in bench.search(SearchRequest(text=each["question"], k=60)).hits if "clip" in hit.channels]
        for there in (True, False):
            hits = [hit for hit in found if there or Path(hit.chunk.path).name not in each["sources"]]
            best = max(hits, key=lambda hit: hit.channels["clip"].score, default=None)
            if best is None or (there and Path(best.chunk.path).name not in each["sources"]):
                continue
            cosine = best.channels["text"].score if "text" in best.channels else 0.0
            looked = best.channels["clip"].score
            share = best.channels["bm25"].score if "bm25" in best.channels else 0.0
            yield Look(
                pair=str(questions),
                number=number,
                there=there,
                cosine=cosine,
                share=share,
                interaction=0.0,
                looks=looked,
            )


def _look(
    bench: Workbench, pair: str, number: int, question: str, hits: Sequence[Hit], there: bool, ask_model: bool
) -> Look:
    first = sorted(hits, key=lambda hit: -hit.channels["text"].score)[:8]
    reranker = bench.retriever.reranker
    scores = reranker.scores(question, [hit.chunk for hit in first]) if reranker else [0.0] * len(first)
    order = sorted(range(len(first)), key=lambda index: -scores[index])
    best = first[order[0]]
    share = best.channels["bm25"].score if "bm25" in best.channels else 0.0
    yes = _yes(bench, question, [first[index] for index in order]) if ask_model else 0.5
    return Look(
        pair=pair,
        number=number,
        there=there,
        cosine=best.channels["text"].score,
        share=share,
        interaction=scores[order[0]],
        yes=yes,
    )


def _yes(bench: Workbench, question: str, hits: Sequence[Hit]) -> float:
    answerer: Any = bench.answerer
    prompt = answerer._prompt(question, "", hits, (), ())
    return 1 - float(bench.engine.next_words(prompt.turns, [REFUSAL])[0])


def fit(features_NF: Array, there_N: Array, *, ridge: float = 1e-3) -> Array:
    """Logistic regression by Newton's method: constant first, then one weight for each feature."""
    middle_F, scale_F = features_NF.mean(0), features_NF.std(0) + 1e-9
    design_NG = np.c_[np.ones(len(features_NF)), (features_NF - middle_F) / scale_F]
    weights_G = np.zeros(design_NG.shape[1])
    penalty_G = np.r_[0, np.full(len(weights_G) - 1, ridge)]
    for _ in range(50):
        chances_N = 1 / (1 + np.exp(-design_NG @ weights_G))
        slope_G = design_NG.T @ (there_N - chances_N) / len(there_N) - penalty_G * weights_G
        curve_GG = (design_NG * (chances_N * (1 - chances_N))[:, None]).T @ design_NG / len(there_N)
        weights_G += np.linalg.solve(curve_GG + np.diag(penalty_G + 1e-9), slope_G)
    slopes_F = weights_G[1:] / scale_F
    raw_G: Array = np.r_[weights_G[0] - slopes_F @ middle_F, slopes_F]
    return raw_G


def probabilities(weights_G: Array, features_NF: Array) -> Array:
    """What `fit` found, applied."""
    chances_N: Array = 1 / (1 + np.exp(-(weights_G[0] + features_NF @ weights_G[1:])))
    return np.asarray(chances_N)


def area(scores_N: Array, there_N: Array) -> float:
    """Area under the curve: how often a question with its file gets more than one without."""
    yes, no = scores_N[there_N == 1], scores_N[there_N == 0]
    return float((yes[:, None] > no).mean() + 0.5 * (yes[:, None] == no).mean())


def _features(found: Sequence[Look], names: Sequence[str]) -> Array:
    return np.array([[getattr(each, name) for name in names] for each in found], dtype=np.float64)


def _there(found: Sequence[Look]) -> Array:
    return np.array([float(each.there) for each in found])


def _log_odds(chances: Array) -> Array:
    bounded = np.clip(chances, 1e-6, 1 - 1e-6)
    odds: Array = np.log(bounded / (1 - bounded))
    return odds


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pair", nargs=2, action="append", default=[], metavar=("LIBRARY", "QUESTIONS"))
    parser.add_argument("--pictures", nargs=2, action="append", default=[], metavar=("LIBRARY", "QUESTIONS"))
    parser.add_argument("--limit", type=int, default=400, help="most questions of each pair")
    parser.add_argument("--model", action="store_true", help="ask the kit's language model, too (slow)")
    parser.add_argument("--looks", type=Path, help="keep what was seen here, or take it from here")
    chosen = parser.parse_args()
    seen = [each for library, questions in chosen.pictures for each in _seen(Path(library), Path(questions), chosen)]
    if seen:
        weights = fit(_features(seen, ("looks", "cosine", "share")), _there(seen))
        print(f"looks = [{', '.join(f'{weight:.2f}' for weight in weights)}]")
        for pair in dict.fromkeys(each.pair for each in seen):
            own = [each for each in seen if each.pair == pair]
            chances = probabilities(weights, _features(own, ("looks", "cosine", "share")))
            print(f"  # {pair}: AUROC {area(chances, _there(own)):.3f} of {len(own)}")
    found: list[Look] = []
    if not chosen.pair:
        return
    if chosen.looks and chosen.looks.is_file():
        found = [Look(**json.loads(line)) for line in chosen.looks.read_text().splitlines()]
    else:
        for library, questions in chosen.pair:
            bench = Workbench.open(Settings.load(Path(library)))
            for look in looks(bench, Path(questions), chosen.limit, chosen.model):
                found.append(look)
                if chosen.looks:
                    with chosen.looks.open("a") as file:
                        file.write(json.dumps(look.__dict__) + "\n")
            bench.close()
    fitted, others = ([each for each in found if each.number % 2 == rest] for rest in (0, 1))
    report = {}
    for name, features in (("seen", ("cosine", "share")), ("read", ("cosine", "interaction"))):
        weights = fit(_features(fitted, features), _there(fitted))
        report[name] = weights
        print(f"{name} = [{', '.join(f'{weight:.2f}' for weight in weights)}]")
        for pair in dict.fromkeys(each.pair for each in others):
            own = [each for each in others if each.pair == pair]
            print(f"  # {pair}: AUROC {area(probabilities(weights, _features(own, features)), _there(own)):.3f}")
    read = probabilities(report["read"], _features(fitted, ("cosine", "interaction")))
    _threshold("threshold", read, fitted, report["read"], others)
    if chosen.model:
        _with_model(report["read"], fitted, others)


def _seen(library: Path, questions: Path, chosen: argparse.Namespace) -> list[Look]:
    bench = Workbench.open(Settings.load(library))
    try:
        return list(pictures(bench, questions, chosen.limit))
    finally:
        bench.close()


def _threshold(name: str, chances: Array, fitted: Sequence[Look], weights: Array, others: Sequence[Look]) -> None:
    threshold = float(np.quantile(chances[_there(fitted) == 1], ANSWERABLE_REFUSED))
    print(f"{name} = {threshold:.3f}")
    _say_refused(threshold, probabilities(weights, _features(others, ("cosine", "interaction"))), others)


def _say_refused(threshold: float, chances: Array, others: Sequence[Look]) -> None:
    for pair in dict.fromkeys(each.pair for each in others):
        own = np.array([each.pair == pair for each in others])
        refused = chances[own] < threshold
        there = _there(others)[own] == 1
        print(f"  # {pair}: refused {refused[there].mean():.3f} with the file, {refused[~there].mean():.3f} without")


def _with_model(weights: Array, fitted: Sequence[Look], others: Sequence[Look]) -> None:
    def both(looked: Sequence[Look]) -> Array:
        found = probabilities(weights, _features(looked, ("cosine", "interaction")))
        both_N2: Array = np.c_[_log_odds(found), _log_odds(np.array([each.yes for each in looked]))]
        return both_N2

    together = fit(both(fitted), _there(fitted))
    chances = probabilities(together, both(others))
    print(f"weights = [{', '.join(f'{weight:.3f}' for weight in together)}]")
    for pair in dict.fromkeys(each.pair for each in others):
        own = np.array([each.pair == pair for each in others])
        print(f"  # {pair}: AUROC {area(chances[own], _there(others)[own]):.3f}")
    least = float(np.quantile(probabilities(together, both(fitted))[_there(fitted) == 1], 0.06))
    print(f"least_confidence = {least:.3f}")
    _say_refused(least, chances, others)


if __name__ == "__main__":
    main()
