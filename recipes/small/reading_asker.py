"""Words questions about the facts of made-up documents as people type them, in any of the four languages."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from recipes.small.reading_pen import LANGUAGES, Pen, reading
from recipes.small.reading_sheets import Fact

_OTHER_LANGUAGE = 0.15
_KEYWORDS, _TYPO, _CASUAL = 0.08, 0.03, 0.05


def without_article(called: str) -> str:
    """Without its article: "the total" → "total"."""
    for article in ("the ", "der ", "die ", "das ", "el ", "la ", "le ", "l'"):
        called = called.removeprefix(article) if called.startswith(article) else called
    return called.removesuffix("/f")


def for_frames(called: str) -> dict[str, str]:
    """What frames need of "the total"."""
    which = "quelle" if called.startswith("la ") or called.endswith("/f") else "quel"
    return {"L": called.removesuffix("/f"), "l": without_article(called), "quel": which, "Quel": which.capitalize()}


class Asker:
    """Words questions in one language."""

    def __init__(self, chance: random.Random, language: str) -> None:
        self.random, self.language = chance, language
        self.pen = Pen(chance, language)
        self.words: Mapping[str, Any] = reading()[language]

    def of(self, fact: Fact, title: str = "") -> tuple[str, bool]:
        """A question for the fact, and whether it says which document it means (by `title`) or by its subject."""
        slots = {**fact.slots, **self.spoken(fact.slots)}
        inside = self.pen.choices(self.words["in"]).format(t=title) if title else ""
        patterns, called = self.patterns(fact)
        if called and self.random.random() < _KEYWORDS:
            return " ".join(filter(None, (without_article(called), slots.get("t", ""), title))) + self.random.choice(
                ("", "?")
            ), (bool(title) or "t" in slots)
        if called and (self.random.random() < 0.4 or not patterns):
            about = self.pen.choices(self.words["of"]).format(t=slots["t"]) if "t" in slots else ""
            text = self.pen.one(self.words["frames"]).format(of=about + inside, **for_frames(called))
            return text, bool(title) or "t" in slots
        pattern = self.pen.one(patterns)
        return pattern.format(**{**slots, "in": inside}), bool(title) or "{in}" not in pattern

    def patterns(self, fact: Fact) -> tuple[Sequence[str], str]:
        """How people ask for it, and what it is called ("" where no name fits)."""
        if "/" in fact.key:
            kind, _, rest = fact.key.partition(".")
            clause, _, name = rest.partition("/")
            said = reading()["clause"][kind][clause][self.language]
            return said[name], said.get(f"{name}_L", "")
        if fact.key in self.words["p"]:
            _, called, *patterns = self.words["p"][fact.key]
            return patterns, called
        return self.words["list_asks" if fact.key == "list" else fact.key], ""

    def spoken(self, slots: Mapping[str, str]) -> dict[str, str]:
        """Slots that differ by language: a place, a day, a thing in a picture."""
        spoken: dict[str, str] = {}
        if "place" in slots:
            day = self.words["days"][int(slots["day"])]
            spoken = {"x": f"{self.words['the'][int(slots['place'])]} {slots['name']}", "day": day}
            spoken["on"] = self.words["on"].format(day=day)
        if "of" in slots:
            spoken["things"] = reading()["names"]["seen"][slots["of"]][LANGUAGES.index(self.language)]
        return spoken

    def worn(self, question: str, kept: Sequence[str]) -> str:
        """As people type: now and then a slip in a word, no capital, no mark; what is `kept` stays as it is."""
        named = " ".join(kept)
        words = question.split()
        long = [at for at, word in enumerate(words) if word.isalpha() and len(word) > 4 and word not in named]
        if long and self.random.random() < _TYPO:
            at = self.random.choice(long)
            cut = self.random.randrange(1, len(words[at]) - 2)
            word = words[at]
            words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
        text = " ".join(words)
        if self.random.random() < _CASUAL:
            text = text.rstrip("?.").rstrip().lstrip("¿")
            text = text if text.split()[0] in named else text[0].lower() + text[1:]
        return text[0].upper() + text[1:] if self.random.random() > _KEYWORDS and words[0] not in named else text


def written_in(asker: Asker) -> Pen:
    """A pen for a document, in another language than the question now and then."""
    others = [each for each in LANGUAGES if each != asker.language]
    return Pen(asker.random, asker.language if asker.random.random() > _OTHER_LANGUAGE else asker.random.choice(others))
