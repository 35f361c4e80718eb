"""Train the verifier of the kit `small` on pairs of `recipes.small.pairs`.

    python -m recipes.small.train_verifier --packages PACKAGES --embedder FOLDER --out verifier.safetensors

PACKAGES holds the unpacked Debian packages of `recipes.small.prose`. First the head learns over
the frozen encoder, then LoRA and head together on other pairs.
The development set, from documents that training does not see, decides the threshold: see `recipes.small.score`.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from claims.support import is_quoted, is_shortened, keeps_values
from claims.verifier import CrossVerifier, Network, encode, has_bfloat16
from recipes.small.pairs import Pair, make
from recipes.small.prose import paragraphs
from recipes.small.score import scores

MAX_TOKENS = 128
_LONGEST = 230  # signs of claim and passage in training: about 65 tokens


def is_asked(pair: Pair) -> bool:
    """Whether the verifier is asked about it at all, not where code decides alone; and it is short."""
    claim, passage = pair.claim, pair.passage
    return (
        len(claim) + len(passage) < _LONGEST
        and keeps_values(claim, passage)
        and not is_quoted(claim, passage)
        and not is_shortened(claim, passage)
    )


def batches(pairs: Sequence[Pair], size: int) -> list[list[Pair]]:
    """Batches of pairs of like length, so that little is computed for padding."""
    ordered = sorted(pairs, key=lambda pair: len(pair.claim) + len(pair.passage))
    return [list(ordered[i : i + size]) for i in range(0, len(ordered), size)]


def train_head(network: Network, tokenizer: Any, groups: Sequence[Sequence[Pair]], epochs: int, rate: float) -> None:
    """The head alone, over what the frozen encoder makes of every pair once."""
    stored = []
    for number, group in enumerate(groups):
        inputs = encode([(pair.claim, pair.passage) for pair in group], tokenizer, MAX_TOKENS)
        with torch.inference_mode():
            hidden = network.hidden(inputs[0], inputs[1], inputs[3]).half()
        stored.append((hidden.clone(), *inputs[1:], torch.tensor([float(pair.true) for pair in group])))
        if number % 50 == 49:
            print(f"{number + 1} of {len(groups)} batches read", flush=True)
    parameters = [*network.word.parameters(), *network.word_marks.parameters(), *network.head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.02)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * len(stored), pct_start=0.1)
    for epoch in range(epochs):
        total = 0.0
        for at in torch.randperm(len(stored)).tolist():
            hidden, marks, in_claim, mask, features, wanted = stored[at]
            logits = network.judged(hidden.float(), marks, in_claim, mask, features)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, 0.98 * wanted + 0.01)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
            total += loss.item()
        print(f"head, epoch {epoch + 1}: loss {total / len(stored):.3f}", flush=True)


def train_all(network: Network, tokenizer: Any, groups: Sequence[Sequence[Pair]], minutes: float, rate: float) -> int:
    """LoRA, marks and head together, one pass or `minutes`, the rate falling to its end; the steps that it took."""
    learned = [value for value in network.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=rate, weight_decay=0.01)
    started, running = time.monotonic(), 0.0
    order = torch.randperm(len(groups)).tolist()
    for step, at in enumerate(order):
        done = max(step / len(order), (time.monotonic() - started) / (60 * minutes))
        if done >= 1:
            return step
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 20) * max(0.02, 1 - done)
        inputs = encode([(pair.claim, pair.passage) for pair in groups[at]], tokenizer, MAX_TOKENS)
        wanted = torch.tensor([float(pair.true) for pair in groups[at]])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(*inputs), 0.98 * wanted + 0.01)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        running = loss.item() if step == 0 else 0.95 * running + 0.05 * loss.item()
        if step % 20 == 19:
            print(
                f"step {step + 1} of {len(order)}: loss {running:.3f}, {time.monotonic() - started:.0f} s", flush=True
            )
    return len(order)


def train(args: argparse.Namespace) -> None:
    """Train the head, then all, save, and score on the development set."""
    from transformers import AutoModel, AutoTokenizer

    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.embedder)
    encoder = AutoModel.from_pretrained(args.embedder, dtype=torch.float32, attn_implementation="eager")
    network = Network(encoder, layers=args.layers, rank=args.rank).eval()  # no dropout: few pairs are seen twice
    if has_bfloat16():
        network.compute_in(torch.bfloat16)
    print(f"{sum(value.numel() for value in network.trained().values()):,} trained numbers")
    drawn = make(paragraphs(args.packages, "train"), seed=args.seed, count=args.pairs)
    pairs = [pair for pair in drawn if is_asked(pair)]
    print(f"the verifier is asked about {len(pairs)} of {args.pairs} pairs", flush=True)
    first = int(len(pairs) * args.head_share)
    train_head(network, tokenizer, batches(pairs[:first], args.batch), args.epochs, args.head_rate)
    save(network, args, 0)
    steps = train_all(network, tokenizer, batches(pairs[first:], args.batch), args.minutes, args.rate)
    save(network, args, steps)
    dev = list(make(paragraphs(args.packages, "dev"), seed=args.seed + 1, count=args.dev))
    print(json.dumps(scores(CrossVerifier(network, tokenizer, max_tokens=MAX_TOKENS), dev), indent=1))


def save(network: Network, args: argparse.Namespace, steps: int) -> None:
    """What was learned, in float16, with its configuration."""
    config = {"layers": args.layers, "rank": args.rank, "max_tokens": MAX_TOKENS, "temperature": 1.0}
    made = {name: value for name, value in vars(args).items() if isinstance(value, int | float)} | {"steps": steps}
    tensors = {name: value.half().contiguous() for name, value in network.trained().items()}
    save_file(tensors, args.out, metadata={"config": json.dumps(config), "made": json.dumps(made)})


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=26_000, help="drawn; the verifier is asked about two thirds")
    parser.add_argument("--head-share", type=float, default=0.6, help="of the pairs, for the head alone")
    parser.add_argument("--epochs", type=int, default=12, help="of the head alone")
    parser.add_argument("--head-rate", type=float, default=3e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=15.0, help="at most, for LoRA and head together")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--dev", type=int, default=1200)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
