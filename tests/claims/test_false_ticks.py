"""Some hundred true and false sentences about the sample's documents and about rows, receipts and reports in four
languages: how many get a tick. `benchmarks/citations.py` does it with a thousand, from documents of others."""

from functools import cache
from pathlib import Path

import pytest

from claims.settings import CitationSettings
from claims.verifier import load_verifier
from llava_model.kits import KitError, find, shipped_weights
from recipes.small.pairs import FALSE, TRUE, Pair, make
from recipes.small.prose import sentences
from recipes.small.score import interval, probability, report

SAMPLE = Path(__file__).parents[2] / "examples" / "sample" / "collection"
OTHERS = {
    "es": [
        ["El museo abre a las nueve.", "El taller de Vigo cierra los lunes, día de descanso."],
        ["Si llueve en la costa, el barco no sale del puerto.", "El viaje dura 40 minutos y cuesta 12 euros."],
        ["La campana de Toledo es más antigua que la torre.", "Los guías pueden llevar grupos de 15 personas."],
    ],
    "de": [
        ["Das Museum ist am Montag nicht geöffnet.", "Die Werkstatt in Bremen kann nur mit Anmeldung besucht werden."],
        ["Wenn es an der Küste stürmt, bleibt das Schiff im Hafen.", "Die Fahrt dauert 40 Minuten und kostet 12 Euro."],
        ["Die Glocke, die im Turm hängt, ist älter als die Kirche.", "Jede Gruppe hat 15 Plätze vor der Bühne."],
    ],
    "fr": [
        ["Le musée est toujours ouvert le dimanche.", "L'atelier de Nantes, qui date de 1927, est fermé au public."],
        ["Si la mer est forte, le bateau ne peut pas sortir.", "Le trajet dure 40 minutes et coûte 12 euros."],
        ["La cloche de Lille est plus ancienne que la tour du port.", "Les guides doivent venir avec 15 enfants."],
    ],
}  # fmt: skip


def of_sample() -> list[list[str]]:
    texts = [(SAMPLE / "notes" / name).read_text(encoding="utf-8") for name in (
        "volunteer-handbook.md", "interview-17-adela-quint.txt")]  # fmt: skip
    paragraphs = [sentences(" ".join(part.split())) for text in texts for part in text.split("\n\n")]
    return [each for each in paragraphs if each]


@cache
def pairs() -> tuple[Pair, ...]:
    return tuple(make({"en": of_sample(), **OTHERS}, seed=7, count=400, held_out=True))


def test_code_alone_ticks_less_than_two_false_sentences_in_a_hundred() -> None:
    false = [pair for pair in pairs() if not pair.true]
    ticked = [pair for pair in false if probability(pair, None) > 0]
    assert len(false) > 150 and len(ticked) / len(false) < 0.02, ticked


def test_code_alone_ticks_every_sentence_in_its_own_words_and_a_third_of_all_true_ones() -> None:
    true = [pair for pair in pairs() if pair.true]
    ticked = {pair for pair in true if probability(pair, None) > 0}
    assert {pair for pair in true if pair.kind in ("form", "one_of_two")} <= ticked
    assert len(ticked) / len(true) > 0.3


@pytest.mark.slow
def test_the_small_kit_ticks_four_true_sentences_of_five_and_two_false_ones_of_a_hundred() -> None:
    try:
        embedder = find("small").path("text")
    except KitError:
        pytest.skip("the kit small is not installed")
    weights = shipped_weights("small").verifier
    assert weights is not None
    verifier, least = load_verifier(embedder, weights), CitationSettings().least_support
    ticked: dict[bool, list[bool]] = {True: [], False: []}
    for pair in pairs():
        ticked[pair.true].append(probability(pair, verifier) >= least)
    assert sum(ticked[False]) / len(ticked[False]) < 0.02
    assert sum(ticked[True]) / len(ticked[True]) >= 0.8


def test_pairs_are_drawn_from_a_seed_and_every_kind_and_language_comes() -> None:
    again = list(make({"en": of_sample(), **OTHERS}, seed=7, count=400, held_out=True))
    assert again == list(pairs())
    assert {pair.language for pair in again} == {"en", "es", "de", "fr"}
    assert len({pair.kind for pair in again}) >= len(TRUE) + len(FALSE) - 2
    assert not any(kind.kind.startswith("new_") for kind in make({"en": of_sample()}, seed=7, count=100))


@pytest.mark.parametrize(("hits", "count", "low", "high"), [(0, 100, 0.0, 0.037), (50, 100, 0.404, 0.596)])
def test_intervals_are_wilson_s(hits: int, count: int, low: float, high: float) -> None:
    assert interval(hits, count) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


def test_a_report_counts_by_kind_and_language() -> None:
    found = report(pairs()[:50], [True] * 50)
    assert sum(int(counts.split("/")[1]) for counts in found["kind"].values()) == 50
    assert sum(int(counts.split("/")[0]) for counts in found["language"].values()) == 50
