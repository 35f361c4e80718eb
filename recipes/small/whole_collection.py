"""Train the recogniser of questions about a whole collection: a network of one hidden layer on the question's vector.

    python -m recipes.small.whole_collection --packages PACKAGES --embedder "$(llavero kit path small)/text" \\
        --out whole_collection.safetensors

    whole_collection.toml ─ drawn, seeded ─► questions ─ text embedder ─► vectors (N, D) ─► layers (`Layers`)

PACKAGES holds the unpacked Debian packages of `recipes.small.prose`: their sentences give themes and questions about
sentences. Every fold holds back whole wordings, so what calibrates the layers are wordings that the fit never saw.
`--negatives` are other questions that one passage answers, one a line; they choose the threshold.

Legend: N questions, D width of a vector, H width of the hidden layer.
"""

import argparse
import json
import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from indexing.embedding.text import SentenceEncoder
from recipes.calibrate import Array, area
from recipes.calibrate import fit as fit_logistic
from recipes.small.prose import paragraphs
from recipes.small.reading_tasks import cases

LANGUAGES = ("en", "es", "de", "fr", "it", "pt")
FOLDS = 5
HIDDEN, EPOCHS = 64, 20
RARE = 0.1
"""Share of questions that are about the whole collection, which the probability is calibrated for."""
FALSE_POSITIVES = 0.005
"""Share of the questions that one passage answers which the threshold may take for the other kind."""

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_TYPO, _CASUAL, _POLITE = 0.06, 0.2, 0.06
_THEMES, _FROM_PROSE = ("word", "topic", "thing", "term", "figure"), 0.5

Prose = Mapping[str, Sequence[Sequence[str]]]
"""Language → paragraphs → sentences."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was drawn, and from which wording."""

    question: str
    collection: bool
    language: str
    wording: str


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What `aggregation.scope` reads: constant + weights · max(0, hidden constant + hidden · vector) are log-odds."""

    hidden_HD: Array
    hidden_constant_H: Array
    weights_H: Array
    constant: float


@cache
def whole_collection() -> Mapping[str, Any]:
    """whole_collection.toml, read once."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def draw(seed: int, count: int, prose: Prose) -> list[Asked]:
    """About `count` different questions of each kind and language, each wording as often as any other.

    Of those that one passage answers there are half as many more about sentences of `prose`, and a third as many about
    made-up documents.
    """
    drawn = []
    for language in LANGUAGES:
        chance = random.Random(f"{seed} {language}")
        written = prose.get(language, ())
        for kind, asked in whole_collection()[language]["asked"].items():
            for wording in asked:
                for _ in range(max(1, round(count / len(asked)))):
                    question = typed(filled(wording, language, chance, written), language, chance)
                    drawn.append((question, kind == "collection", language, wording))
        for _ in range(count // 2 if written else 0):
            sentence = chance.choice(chance.choice(written))
            drawn.append((typed(asked_of(sentence, language, chance), language, chance), False, language, sentence))
    for case in cases(seed, len(prose) * count // 3):
        drawn.append((case.question, False, case.language, case.question))
    return [Asked(*each) for each in dict.fromkeys(drawn)]


def filled(wording: str, language: str, chance: random.Random, written: Sequence[Sequence[str]] = ()) -> str:
    """A wording with its choices and slots drawn: "How many {docs} {cond}?" → "How many receipts from ACME?".

    What a question is about is taken from `written` every second time, so that no theme tells the kind.
    """
    words = {**whole_collection()["names"], **whole_collection()[language]}

    def drawn(found: re.Match[str]) -> str:
        if written and found[1] in _THEMES and chance.random() < _FROM_PROSE:
            return phrase(chance.choice(chance.choice(written)), language, chance)
        return str(chance.choice(words[found[1]].split("|")))

    text = wording
    while "[" in text or "{" in text:
        text = _CHOICE.sub(lambda found: chance.choice(found[1].split("|")), text)
        text = _SLOT.sub(drawn, text)
    return " ".join(text.split())


def phrase(sentence: str, language: str, chance: random.Random) -> str:
    """Two to four words of a sentence, from an article or preposition on where it has one."""
    words = _bare(sentence).split()
    before = whole_collection()[language]["before_noun"].split("|")
    starts = [at for at, word in enumerate(words[:-2]) if word.lower() in before]
    start = chance.choice(starts or range(len(words) - 2))
    return " ".join(words[start : start + chance.choice((2, 3, 4))])


def asked_of(sentence: str, language: str, chance: random.Random) -> str:
    """A question that a sentence answers: the end of it after a word that asks."""
    words = _bare(sentence).split()
    asks = chance.choice(whole_collection()[language]["opening"].split("|"))
    asks = asks.replace("{w}", chance.choice([word for word in words if len(word) > 3] or words))
    start = chance.randrange(0, max(1, len(words) - 4))
    return f"{asks} {' '.join(words[start : start + chance.randrange(4, 14)])}?"


def _bare(sentence: str) -> str:
    return re.sub(r"[\[\]{}|.:;()\"]", "", sentence)


def typed(question: str, language: str, chance: random.Random) -> str:
    """As people type: now and then a word before it, two letters in the wrong order, no capitals and no marks."""
    if chance.random() < _POLITE:
        before = chance.choice(whole_collection()[language]["polite"].split("|"))
        question = before + question[:1].lower() + question[1:]
    words = question.split()
    long = [at for at, word in enumerate(words) if word.isalpha() and len(word) > 4]
    if long and chance.random() < _TYPO:
        at = chance.choice(long)
        word, cut = words[at], chance.randrange(1, len(words[at]) - 2)
        words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    question = " ".join(words)
    return question.lower().strip(" ?¿.!") if chance.random() < _CASUAL else question


def held_back(asked: Sequence[Asked], seed: int) -> Array:
    """(N,): the fold of each question, the same for all of one wording."""
    names = sorted({each.wording for each in asked})
    random.Random(seed).shuffle(names)
    fold = {name: number % FOLDS for number, name in enumerate(names)}
    return np.array([fold[each.wording] for each in asked], dtype=np.float64)


def fit(vectors_ND: Array, whole_N: Array, *, hidden: int, epochs: int, seed: int) -> Layers:
    """A network of one hidden layer; what the vectors are standardised with is folded into its first layer."""
    torch.manual_seed(seed)
    middle_D, scale_D = vectors_ND.mean(0), vectors_ND.std(0) + 1e-9
    inputs_ND = torch.tensor((vectors_ND - middle_D) / scale_D, dtype=torch.float32)
    wanted_N = torch.tensor(whole_N, dtype=torch.float32) * 0.98 + 0.01
    first, second = torch.nn.Linear(vectors_ND.shape[1], hidden), torch.nn.Linear(hidden, 1)
    network = torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Dropout(0.3), second)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.3)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs_ND)).split(128):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                network(inputs_ND[rows]).squeeze(1), wanted_N[rows]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        first_HD = first.weight.double().numpy() / scale_D
        return Layers(
            hidden_HD=first_HD,
            hidden_constant_H=first.bias.double().numpy() - first_HD @ middle_D,
            weights_H=second.weight[0].double().numpy(),
            constant=float(second.bias),
        )


def log_odds(layers: Layers, vectors_ND: Array) -> Array:
    """What the layers say of each vector."""
    hidden_NH = np.maximum(vectors_ND @ layers.hidden_HD.T + layers.hidden_constant_H, 0)
    odds_N: Array = layers.constant + hidden_NH @ layers.weights_H
    return odds_N


def calibrated(layers: Layers, unseen_N: Array, whole_N: Array) -> Layers:
    """The last layer scaled and shifted so that it gives probabilities where `RARE` of the questions are of the kind.

    `unseen_N` are log-odds of wordings that were not fitted.
    """
    shift, scale = fit_logistic(unseen_N[:, None], whole_N, ridge=0.0)
    share = whole_N.mean()
    constant = scale * layers.constant + shift + np.log(RARE / (1 - RARE)) - np.log(share / (1 - share))
    return replace(layers, weights_H=scale * layers.weights_H, constant=float(constant))


def chances(layers: Layers, vectors_ND: Array) -> Array:
    """The probability for each vector."""
    found_N: Array = 1 / (1 + np.exp(-log_odds(layers, vectors_ND)))
    return found_N


def train(
    embedder: SentenceEncoder, *, seed: int, count: int, prose: Prose, hidden: int = HIDDEN, epochs: int = EPOCHS
) -> Layers:
    """The calibrated layers; prints how well wordings are told apart that were not fitted."""
    asked = draw(seed, count, prose)
    vectors_ND = embedder.encode([each.question for each in asked]).astype(np.float64)
    whole_N = np.array([float(each.collection) for each in asked])
    folds_N, unseen_N = held_back(asked, seed), np.empty(len(asked))
    for fold in range(FOLDS):
        own_N = folds_N == fold
        layers = fit(vectors_ND[~own_N], whole_N[~own_N], hidden=hidden, epochs=epochs, seed=seed)
        unseen_N[own_N] = log_odds(layers, vectors_ND[own_N])
    print(f"AUROC {area(unseen_N, whole_N):.4f} of wordings not fitted, {len(asked)} questions")
    for language in LANGUAGES:
        own_N = np.array([each.language == language for each in asked])
        print(f"  # {language}: AUROC {area(unseen_N[own_N], whole_N[own_N]):.4f} of {own_N.sum()}", flush=True)
    return calibrated(fit(vectors_ND, whole_N, hidden=hidden, epochs=epochs, seed=seed), unseen_N, whole_N)


def save(layers: Layers, path: Path, **made: Any) -> None:
    """The layers in float32; how they were made is in the file's metadata."""
    tensors = {name: np.atleast_1d(value).astype(np.float32) for name, value in vars(layers).items()}
    save_file(tensors, path, metadata={"made": json.dumps(made)})


def questions(path: Path) -> Iterator[str]:
    """One a line."""
    yield from filter(None, path.read_text(encoding="utf-8").splitlines())


def main() -> None:
    """Read the options, train, save, and say what the weights do on other questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="unpacked packages of recipes.small.prose")
    parser.add_argument("--embedder", type=Path, required=True, help="folder of the kit's text model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=500, help="questions of each kind and language")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--positives", type=Path, action="append", default=[], help="about the whole, one a line")
    parser.add_argument("--negatives", type=Path, action="append", default=[], help="about one passage, one a line")
    chosen = parser.parse_args()
    embedder = SentenceEncoder(chosen.embedder)
    prose = paragraphs(chosen.packages, "train")
    layers = train(embedder, seed=chosen.seed, count=chosen.count, prose=prose)
    save(layers, chosen.out, seed=chosen.seed, count=chosen.count)
    kinds = ((True, chosen.positives), (False, chosen.negatives))
    given = [(path, list(questions(path)), kind) for kind, paths in kinds for path in paths]
    found = [(path, asked, kind, chances(layers, embedder.encode(asked))) for path, asked, kind in given]
    no = [odds for *_, kind, odds in found if not kind]
    threshold = float(np.quantile(np.concatenate(no), 1 - FALSE_POSITIVES)) if no else 0.5
    print(f"threshold = {threshold:.3f}")
    for path, asked, kind, odds in found:
        print(f"{path}: {(odds > threshold).mean():.4f} of {len(asked)} taken for questions about the whole collection")
        wrong = sorted((round(float(one), 3), each) for one, each in zip(odds, asked, strict=True)
                       if (one > threshold) != kind)  # fmt: skip
        for one, each in wrong:
            print(f"  {one:.3f} {each}")


if __name__ == "__main__":
    main()
