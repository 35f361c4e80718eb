"""One answer beside those that are accepted, and one search beside the sources that are known: scores from 0 to 1."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from claims.markers import take_markers
from llava_model.benchmarks.figures import words as english_words
from llava_model.errors import MissingPackageError

_WITHOUT_BLANKS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORDS = re.compile(rf"[{_WITHOUT_BLANKS}]|[^\s{_WITHOUT_BLANKS}]+")  # Thai to Khmer, kana, Chinese: by character
_GOOD_F1 = 0.8


def answer_words(text: str, language: str) -> Sequence[str]:
    """The words of an answer without Llavero's markers. For English as SQuAD's script reads them; for others as MLQA's,
    without punctuation of any script and with all articles.

    >>> answer_words("The Panthers' defense [1].", "en")
    ['panthers', 'defense']
    """
    text, _ = take_markers(text)
    if language == "en":
        return english_words(text)
    kept = (c for c in text.lower() if c not in string.punctuation and unicodedata.category(c)[0] != "P")
    return _WORDS.findall("".join(kept))


def answer_scores(text: str, accepted: Sequence[str], language: str) -> dict[str, float]:
    """Against the accepted answer that fits best: exact, f1, and whether one stands in the text, word by word."""
    said, exact, f1, contains = answer_words(text, language), 0.0, 0.0, 0.0
    for wanted in (answer_words(one, language) for one in accepted):
        common = sum((Counter(said) & Counter(wanted)).values())
        exact = max(exact, float(said == wanted))
        f1 = max(f1, 2 * common / (len(said) + len(wanted)) if common else float(said == wanted))
        starts = range(len(said) - len(wanted) + 1)
        contains = max(contains, float(bool(wanted) and any(said[i : i + len(wanted)] == wanted for i in starts)))
    return {"exact": exact, "f1": f1, "f1 at least 0.8": float(f1 >= _GOOD_F1), "contains accepted": contains}


def same_file(path: str, source: str) -> bool:
    """Whether a path is the source's: equal, or ending with it."""
    parts, wanted = PurePath(path).parts, PurePath(source).parts
    return bool(wanted) and parts[-len(wanted) :] == wanted


def ranking_scores(wanted: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """recall@1, 5 and 10, nDCG@10 and MRR (pytrec_eval's) of what was found, best first, for one question."""
    try:
        import ir_measures
        from ir_measures import RR, R, nDCG
    except ImportError as error:
        raise MissingPackageError("ir-measures", purpose="measuring a search", install="'llavero[eval]'") from error

    names = {R @ 1: "recall@1", R @ 5: "recall@5", R @ 10: "recall@10", nDCG @ 10: "nDCG@10", RR: "MRR"}
    run = [ir_measures.ScoredDoc("q", one, -place) for place, one in enumerate(dict.fromkeys(found))]
    values = ir_measures.iter_calc(list(names), [ir_measures.Qrel("q", one, 1) for one in wanted], run)
    scores = {names[metric.measure]: float(metric.value) for metric in values}
    return {name: scores[name] for name in names.values()}
