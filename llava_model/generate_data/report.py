"""What a run made, what it left out and why, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_model.generate_data.budget import Usage
from llava_model.generate_data.context import Problem
from llava_model.generate_data.quality import Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """`done` of `total` samples, earlier runs included; `usage` and `cost` of the whole folder."""

    done: int
    total: int
    usage: Usage
    cost: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The state of the folder after a run. Ids are of samples, except in `problems` (of pictures)."""

    files: tuple[Path, ...]
    made: Mapping[str, int]
    """Samples by kind."""
    made_by_file: Mapping[str, int]
    dropped: Mapping[Reason, Sequence[str]]
    dropped_exchanges: Mapping[Reason, int]
    """Questions with answers that were taken out of samples that were kept."""
    repaired: Sequence[str]
    refused: Sequence[str]
    failed: Mapping[str, str]
    left: Sequence[str]
    """Not asked for, because the run stopped."""
    problems: Sequence[Problem]
    requests: int
    """Sent by this run."""
    kept_replies: int
    """Taken from earlier runs instead of asking."""
    usage: Usage
    """Of all runs in the folder."""
    cost: float
    seconds: float
    stopped: str = ""
    """Why the run ended early: "budget", or what the server said."""

    @property
    def samples(self) -> int:
        """All that were made."""
        return sum(self.made.values())

    @property
    def drops(self) -> int:
        """All that were made and thrown away."""
        return sum(map(len, self.dropped.values()))

    @property
    def is_clean(self) -> bool:
        """Nothing failed, nothing was left, and the input had no fault."""
        return not (self.failed or self.left or self.problems or self.stopped)

    def document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "made": self.samples,
            "made_by_kind": dict(self.made),
            "files": {str(path): self.made_by_file[path.name] for path in self.files},
            "dropped": {reason: {"count": len(ids), "ids": list(ids)} for reason, ids in self.dropped.items()},
            "dropped_exchanges": dict(self.dropped_exchanges),
            "repaired": {"count": len(self.repaired), "ids": list(self.repaired)},
            "refused": {"count": len(self.refused), "ids": list(self.refused)},
            "failed": [{"id": name, "reason": reason} for name, reason in self.failed.items()],
            "left": len(self.left),
            "problems": [{"kind": one.kind, "id": one.id, "reason": one.reason} for one in self.problems],
            "requests": self.requests,
            "kept_replies": self.kept_replies,
            "tokens": {
                "in": self.usage.tokens_in,
                "out": self.usage.tokens_out,
                "total": self.usage.tokens,
                "estimated": self.usage.estimated,
            },
            "cost": round(self.cost, 6),
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
        }

    def line(self) -> str:
        """The same on one line."""
        about = "about " if self.usage.estimated else ""
        parts = [
            f"{self.samples:,} samples made",
            f"{self.drops:,} dropped" + _listed({reason: len(ids) for reason, ids in self.dropped.items()}),
            f"{len(self.repaired):,} repaired",
            f"{len(self.refused):,} refused",
            f"{len(self.failed):,} failed",
            *([f"{len(self.left):,} left"] if self.left else []),
            f"{about}{self.usage.tokens:,} tokens",
            *([f"cost {about}{self.cost:.4f}"] if self.cost else []),
        ]
        return ", ".join(parts)


def _listed(counts: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{count:,} {name}' for name, count in counts.items())})" if counts else ""
