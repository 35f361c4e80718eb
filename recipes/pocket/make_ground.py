"""Write the GROUND stage's samples from made-up documents.

    python recipes/pocket/make_ground.py --count 6400 --seed 1 --validation 400 --out build/pocket-data/ground

writes train.jsonl and validation.jsonl (other documents, drawn from another seed), and prints how many questions
were answered, refused and left out, and how long the samples are in SmolLM2's tokens.
"""

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script from anywhere

from claims.markers import take_markers
from llava_model.data.samples import Sample, to_record
from llava_model.text.templates import Message
from rag.prompt import CountTokens
from rag.settings import PromptSettings
from recipes.pocket.documents.questions import plan, question
from training_data.grounded import SampleTally, as_hits, ground
from training_data.synthetic_questions import PROMPT

_TRIES = 40


def samples(count: int, seed: int, count_tokens: CountTokens, tally: SampleTally, *, prefix: str) -> Iterator[Sample]:
    """`count` samples; the same for the same seed.

    What a sample is about is drawn first, then documents until one fits: what `ground` leaves out changes neither the
    shares of the kinds nor how often is refused.
    """
    made = number = 0
    while made < count:
        number += 1
        planned = plan(random.Random(f"{seed}-{number}"))
        for attempt in range(_TRIES):
            draw = random.Random(f"{seed}-{number}-{attempt}")
            settings, drawn = near_the_default(draw, behind=planned.behind), question(planned, draw)
            if drawn is None:
                continue
            known, chunks = drawn
            name = f"{prefix}-{number:06}"
            found = ground(name, known, as_hits(chunks), count_tokens=count_tokens, settings=settings, tally=tally)
            if found.sample is None:
                continue
            if planned.behind and _names_the_first(found.sample):
                tally.leave_out("not behind")
                continue
            made += 1
            yield found.sample
            break


def _names_the_first(sample: Sample) -> bool:
    return 1 in take_markers(str(sample.messages[-1].parts[0]))[1]


def near_the_default(draw: random.Random, *, behind: bool) -> PromptSettings:
    """Two to a dozen passages, so that the model depends on no one setting; at least four where the answer stands
    `behind` the first file. No worked example: a trained model needs none."""
    counts, weights = ([4, 6, 8, 12], [20, 25, 15, 10]) if behind else ([2, 3, 4, 6, 8, 12], [15, 15, 20, 25, 15, 10])
    return replace(PROMPT, max_passages=draw.choices(counts, weights)[0])


def token_counter() -> CountTokens:
    """Counts as the engine does, with the pocket kit's tokenizer and chat template."""
    from llava_model.kits import find
    from llava_model.text.tokenize import PromptEncoder, load_tokenizer

    encoder = PromptEncoder(load_tokenizer(find("pocket").path("language")))
    return lambda turns: len(encoder.encode([Message.of(turn.role, turn.text) for turn in turns], open_reply=False).ids)


def write(path: Path, made: Iterator[Sample]) -> None:
    """One sample a line; the file appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for count, sample in enumerate(made, 1):
                file.write(json.dumps(to_record(sample, root=path.parent), ensure_ascii=False) + "\n")
                if count % 500 == 0:
                    sys.stderr.write(f"{path.name}: {count} samples\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=6000, help="training samples (6000)")
    parser.add_argument("--validation", type=int, default=400, help="validation samples (400)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/pocket-data/ground"))
    arguments = parser.parse_args()
    count_tokens = token_counter()
    for name, count, seed in (
        ("train", arguments.count, arguments.seed),
        ("validation", arguments.validation, arguments.seed + 1_000_000),
    ):
        tally = SampleTally()
        write(arguments.out / f"{name}.jsonl", samples(count, seed, count_tokens, tally, prefix=f"ground-{name}"))
        sys.stdout.write(report(name, tally) + "\n")


def report(name: str, tally: SampleTally) -> str:
    """What came of the questions, in one line."""
    lengths = sorted(tally.tokens)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.most_common())
    mean, p95 = sum(lengths) / max(1, len(lengths)), lengths[int(0.95 * (len(lengths) - 1))] if lengths else 0
    return (
        f"{name}: {len(lengths)} samples ({outcomes}; {tally.repaired} said in a later wording); "
        f"tokens mean {mean:.0f}, 95 % up to {p95}, longest {lengths[-1] if lengths else 0}"
    )


if __name__ == "__main__":
    main()
