"""Passages as chunks, and which of them stand beside the right one in a prompt."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256

from claims.passages import fold, sentences
from indexing.records import Chunk

_RARE = 0.02  # a word that more of the passages hold says nothing of what they are about
_TRIES = 40  # draws for each neighbour: a small collection may hold no other that fits


def chunk_of(title: str, lines: Sequence[str], name: str) -> Chunk:
    """A chunk of words as indexing would make it; a line each."""
    picture = name.rsplit(".", 1)[-1].casefold() in ("jpg", "jpeg", "png", "webp")
    return Chunk(
        content_hash=sha256("\n".join([name, *lines]).encode()).hexdigest(),
        path=f"/documents/{name}",
        kind="image" if picture else "text",
        ordinal=0,
        text="\n".join(lines),
        title=title,
    )


class Neighbours:
    """Passages that a search would bring beside the right one."""

    def __init__(self, passages: Sequence[Mapping[str, str]]) -> None:
        self._passages = passages
        self._of_document: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._of_language: dict[str, list[int]] = defaultdict(list)
        held: dict[str, set[int]] = defaultdict(set)
        for number, each in enumerate(passages):
            self._of_document[each["document"], each["language"]].append(number)
            self._of_language[each["language"]].append(number)
            for word in words_of(each["text"]):
                held[word].add(number)
        self._held = {word: found for word, found in held.items() if len(found) <= _RARE * len(passages)}

    def of(self, asked: Mapping[str, str], draw: random.Random, count: int) -> list[Chunk]:
        """Others that do not hold the answer: of the same document, with the same rare words, and any.

        All are of the passage's language: a translation of it would hold the answer in other words. There are `count`
        of them, or fewer where the collection has no more.
        """
        language = asked["passage_language"]
        shared = Counter(
            number
            for word in words_of(f"{asked['question']} {asked['text']}")
            for number in self._held.get(word, ())
            if self._passages[number]["language"] == language
        )
        near = [number for number, _ in shared.most_common(12)]
        own, every = self._of_document[asked["document"], language], self._of_language[language]
        chosen: list[int] = []
        for _ in range(_TRIES * count if every else 0):
            number = draw.choice(draw.choices([own, near, every], [4, 4, 1])[0] or every)
            each = self._passages[number]
            says = holds(f"{each['title']}\n{each['text']}", asked["answer"])
            if number not in chosen and each["text"] != asked["text"] and not says:
                chosen.append(number)
            if len(chosen) == count:
                break
        return [prose_chunk(self._passages[number]) for number in chosen]


def prose_chunk(passage: Mapping[str, str]) -> Chunk:
    """A passage, a sentence a line."""
    text = passage["text"]
    lines = [" ".join(text[start:end].split()) for start, end in sentences(text)]
    return chunk_of(passage["title"], [line for line in lines if line], f"{passage['document'].replace('/', '-')}.html")


def words_of(text: str) -> set[str]:
    """Its words of three letters and more."""
    return {word.casefold() for word in re.findall(r"\w{3,}", text)}


def holds(text: str, answer: str) -> bool:
    """Whether the answer stands in the text, whatever the capitals, accents and ends of lines."""
    return " ".join(fold(answer).split()) in " ".join(fold(text).split())
