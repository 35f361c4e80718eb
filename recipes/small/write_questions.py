"""Questions about passages, written by a language model and kept where it finds the answer again.

    python -m recipes.small.write_questions --passages passages.jsonl --model FOLDER --out questions.jsonl

Words of a passage are drawn first (names, numbers, parts of a sentence); the model writes the question that they
answer. Then it reads passage and question without knowing the words: a question is kept where what it answers is nearly
these words (round-trip consistency: Alberti et al. 2019, arXiv 1906.05416). One in eight is asked in another language
than the passage's. Sampling is seeded; on a GPU 10,000 questions take two or three minutes.
"""

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recipes.small.draw import wording

NAMES = {"en": "English", "es": "Spanish", "de": "German", "fr": "French"}
TOKENS_AT_ONCE = 160_000
"""Positions of one batch on a GPU, padding counted; a CPU takes a fiftieth."""
_ACROSS = 0.125
_MOST_RARE = 0.01  # share of passages that may hold a word which begins or ends an answer
_WORD = re.compile(r"\w+(?:[-’'.]\w+)*")
_PARTS = re.compile(r"(?:[;!?()«»“”\n]|[,:.](?!\d))+\s*")
_MARKUP = set("[]{}<>=_\\/$|")
_MONTH = "|".join(month for code in NAMES for month in wording()[code]["months"])
_DAY = r"\d{1,2}(?:\.|st|nd|rd|th|er|º)?"
_DATE = rf"\b{_DAY} (?:de |of )?(?:{_MONTH})\b(?:,? (?:de |del )?\d{{3,4}}\b)?|\b(?:{_MONTH}) (?:{_DAY}, |de |del )?\d+"
_NUMBER = r"(?<![\w.,-])\d(?:[\d.,:/-]*\d)?(?![\w-]|[.,]\d)"
_COUNTED = re.compile(rf"(?P<date>{_DATE})|(?P<number>{_NUMBER})(?P<unit> ?(?:%|°C?|[€$£])| [^\W\d_]+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question about a passage; `answer` stands in it letter for letter."""

    language: str  # of the question
    passage_language: str
    document: str
    title: str
    text: str
    question: str
    answer: str
    read: str = ""  # what the model answered when it read


def spans(text: str, common: set[str], draw: random.Random) -> Iterator[str]:
    """Words of the text that a question could have for its answer, in a drawn order; no two overlap."""
    numbers = [_counted(found, common) for found in _COUNTED.finditer(text)]
    groups = [numbers[:], _names(text, common, " ".join(numbers)), _clauses(text, numbers)]
    for each in groups:
        draw.shuffle(each)
    taken: list[str] = []
    while any(groups):
        group = draw.choices(groups, [4, 4, 3])[0]
        span = group.pop() if group else ""
        plain = len(span) > 1 and not _MARKUP & set(span)
        if plain and text.count(span) == 1 and not any(span in other or other in span for other in taken):
            taken.append(span)
            yield span


def _names(text: str, common: set[str], numbers: str) -> list[str]:
    """Up to four neighbouring words that few passages hold, a capital first; no sentence begins with them."""
    names: list[str] = []
    for part in _PARTS.split(text):
        run: list[str] = []
        for word in [*part.split(), ""]:
            if word and word.strip("\"'’()").casefold() not in common and any(map(str.isalpha, word)):
                run.append(word)
                continue
            if 1 <= len(run) <= 4:
                names.append(" ".join(run).strip("\"'().,"))
            run = []
    capital = [each for each in names if each[:1].isupper() and each not in numbers]
    return [each for each in capital if not re.search(r"(?:^|[.!?\n]\s*)" + re.escape(each), text)]


def _clauses(text: str, numbers: Sequence[str]) -> list[str]:
    """Parts of a sentence; none that ends or begins in the middle of a number: "3. Mai 1817" → "3", "Mai 1817"."""
    halves = [_PARTS.split(number) for number in numbers if _PARTS.search(number)]
    begin, end = tuple(half[-1] for half in halves), tuple(half[0] for half in halves)
    parts = [each.strip() for each in _PARTS.split(text) if 4 <= len(each.split()) <= 12]
    return [each for each in parts if not (each.startswith(begin) or each.endswith(end))]


def _counted(found: re.Match[str], common: set[str]) -> str:
    """A date, or a number with its unit.

    "In May 1817 the" → "May 1817", "for 12 weeks" → "12 weeks", "In 1817 the" → "1817": a word that many passages hold
    is no unit, and a year has none.
    """
    if found["date"]:
        return found["date"]
    unit = found["unit"] or ""
    is_year = re.fullmatch(r"1\d{3}|20\d{2}", found["number"]) is not None
    no_unit = unit[:1] == " " and (is_year or unit.strip().casefold() in common)
    return found["number"] if no_unit else found["number"] + unit


def common_words(texts: Sequence[str]) -> set[str]:
    """Words that stand in more than `_MOST_RARE` of the passages."""
    held = Counter(word for text in texts for word in {found.casefold() for found in text.split()})
    return {word for word, count in held.items() if count > _MOST_RARE * len(texts)}


def planned(passages: Sequence[Mapping[str, str]], seed: int, each: int) -> Iterator[Asked]:
    """`each` answers for every passage, with the language of their question; the question is still to be written."""
    by_language: dict[str, list[str]] = {}
    for passage in passages:
        by_language.setdefault(passage["language"], []).append(passage["text"])
    common = {code: common_words(texts) for code, texts in by_language.items()}
    for number, passage in enumerate(passages):
        draw = random.Random(f"{seed}-{number}")
        code = passage["language"]
        others = ("es", "de", "fr") if code == "en" else ("en",)
        for _, span in zip(range(each), spans(passage["text"], common[code], draw), strict=False):
            language = draw.choice(others) if draw.random() < _ACROSS else code
            yield Asked(
                language=language,
                passage_language=code,
                document=passage["document"],
                title=passage["title"],
                text=passage["text"],
                question="",
                answer=span,
            )


class Writer:
    """A chat model that replies with one line, a batch of prompts at a time."""

    def __init__(self, folder: Path) -> None:
        import torch

        from llava_model.checkpoints.parts import load_language
        from llava_model.text.tokenize import load_tokenizer

        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = load_tokenizer(folder)
        self._tokenizer.padding_side = "left"
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        self._model: Any = load_language(folder, dtype=dtype).to(self._device).eval()
        self._stop = [number for token, number in self._tokenizer.get_vocab().items() if "Ċ" in token] + [
            self._tokenizer.eos_token_id
        ]

    def lines(self, prompts: Sequence[str], *, most: int, temperature: float, seed: int = 0) -> list[str]:
        """The first line of the reply to each prompt, at most `most` tokens; temperature 0 takes the likeliest word."""
        if not prompts:
            return []
        self._torch.manual_seed(seed)
        prompts = [
            self._tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
            for prompt in prompts
        ]
        lengths = [len(ids) for ids in self._tokenizer(list(prompts))["input_ids"]]
        order = sorted(range(len(prompts)), key=lengths.__getitem__)
        room = TOKENS_AT_ONCE if self._device == "cuda" else TOKENS_AT_ONCE // 50
        found = [""] * len(prompts)
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_p": 0.9} if temperature else {"do_sample": False}
        )
        while order:
            count = 1
            while count < min(len(order), 384) and (count + 1) * (lengths[order[count]] + most) <= room:
                count += 1
            batch, order = order[:count], order[count:]
            encoded = self._tokenizer([prompts[each] for each in batch], return_tensors="pt", padding=True)
            encoded = encoded.to(self._device)
            with self._torch.inference_mode():
                made = self._model.generate(
                    **encoded, max_new_tokens=most, eos_token_id=self._stop, pad_token_id=self._tokenizer.pad_token_id,
                    **sampling,
                )  # fmt: skip
            said = self._tokenizer.batch_decode(made[:, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
            for each, text in zip(batch, said, strict=True):
                found[each] = text.split("\n")[0].strip()
            sys.stderr.write(f"{len(prompts) - len(order)} of {len(prompts)}\n")
        return found


def writing_prompt(of: Asked) -> str:
    """What the model is asked for a question: the passage, and the words that answer it."""
    return (
        f"{' '.join(of.text.split())}\n\n"
        f"Write one question in {NAMES[of.language]} about this text whose answer is exactly: {of.answer}\n"
        f"The question does not contain the answer and can be understood without the text."
    )


def reading_prompt(of: Asked) -> str:
    """What it is asked for the answer, without the words."""
    titled = f"{of.title}\n" if of.title else ""
    return (
        f"{titled}{' '.join(of.text.split())}\n\nQuestion: {of.question}\n"
        "Answer with the exact words of the text, as few as will do, and nothing else."
    )


def well_formed(of: Asked) -> bool:
    """A question of its language that does not say its own answer."""
    question, answer = of.question.casefold(), of.answer.casefold()
    words = _WORD.findall(question)
    pointing = ("the text", "this passage", "el texto", "der text", "dem text", "le texte")
    return (
        question.endswith("?")
        and question.count("?") == 1
        and 5 <= len(words) <= 28
        and answer not in question
        and not any(each in question for each in pointing)
    )


def agreement(one: str, other: str) -> float:
    """F1 of the words, 0..1."""
    ours, theirs = (Counter(_WORD.findall(each.casefold())) for each in (one, other))
    common = sum((ours & theirs).values())
    return 2 * common / max(1, sum(ours.values()) + sum(theirs.values()))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--most", type=int, default=10_000, help="questions to write")
    parser.add_argument("--each", type=int, default=2, help="questions about one passage")
    parser.add_argument("--least", type=float, default=0.6, help="agreement of the answer that is read")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    passages = [json.loads(line) for line in arguments.passages.read_text(encoding="utf-8").splitlines()]
    wanted = list(planned(passages, arguments.seed, arguments.each))[: arguments.most]
    writer, start = Writer(arguments.model), time.monotonic()
    written = writer.lines([writing_prompt(each) for each in wanted], most=40, temperature=0.4)
    asked = [replace(each, question=text) for each, text in zip(wanted, written, strict=True)]
    asked = [each for each in asked if well_formed(each)]
    answers = writer.lines([reading_prompt(each) for each in asked], most=24, temperature=0.0)
    read = [replace(each, read=text) for each, text in zip(asked, answers, strict=True)]
    kept = [each for each in read if agreement(each.answer, each.read) >= arguments.least]
    with arguments.out.open("w", encoding="utf-8") as file:
        for each in kept:
            file.write(json.dumps(asdict(each), ensure_ascii=False) + "\n")
    sys.stdout.write(
        f"{len(wanted)} planned, {len(asked)} well formed, {len(kept)} kept; {time.monotonic() - start:.0f} s\n"
    )


if __name__ == "__main__":
    main()
