"""The map from one encoder's vectors to another's, on vectors whose map is known."""

from pathlib import Path

import numpy as np

from recipes.small.word_map import LANGUAGES, Pair, emoji_names, fit, score, synsets


def test_a_linear_map_and_its_shift_are_found_again() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.normal(size=(500, 6)).astype(np.float32) + 3
    true_map, true_shift = rng.normal(size=(6, 6)), rng.normal(size=6)
    ours = (theirs @ true_map + true_shift).astype(np.float32)
    ours[400:] = 9  # of no weight
    found_map, found_shift = fit(theirs, ours, np.array([1.0] * 400 + [0.0] * 100, np.float32))
    np.testing.assert_allclose(theirs[:400] @ found_map + found_shift, ours[:400], atol=0.3)
    assert found_map.dtype == found_shift.dtype == np.float32


def test_names_in_every_language_are_paired_with_the_english_one(tmp_path: Path) -> None:
    folder = tmp_path / "common" / "annotations"
    folder.mkdir(parents=True)
    for language in LANGUAGES:
        cat = {"en": "cat face", "de": "Katzengesicht"}.get(language, f"{language} cat")
        entries = f'<annotation cp="🐱">x | y</annotation><annotation cp="🐱" type="tts">{cat}</annotation>'
        entries += '<annotation cp="🦓" type="tts">Zebra</annotation>' if language == "de" else ""
        (folder / f"{language}.xml").write_text(f"<ldml><annotations>{entries}</annotations></ldml>", "utf-8")
    pairs = emoji_names(tmp_path)
    assert Pair(text="Katzengesicht", english="cat face", emoji="🐱", language="de") in pairs
    assert len(pairs) == len(LANGUAGES)  # the zebra has no English name here


def test_imagenets_names_stand_once_and_none_is_empty() -> None:
    texts = [pair.text for pair in synsets()]
    assert len(set(texts)) == len(texts) > 20_000 and all(texts)


def test_a_name_counts_as_found_when_its_own_english_one_is_nearest() -> None:
    pairs = [
        Pair(text="cat", english="cat"),
        Pair(text="dog", english="dog"),
        Pair(text="Hund", english="dog", language="de"),
        Pair(text="Katze", english="cat", language="de"),
    ]
    english = np.array([[1, 0], [0, 1], [0, 1], [1, 0]], np.float32)
    mapped = np.array([[2, 0.1], [0.1, 1], [0.2, 0.9], [0.1, 0.9]], np.float32)
    assert score(pairs, mapped, english, range(4)) == {"en": 1.0, "de": 0.5}
