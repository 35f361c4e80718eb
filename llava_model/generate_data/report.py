"""What a run made, what it left out and why, and what it cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llava_model.chat_client import Usage
from llava_model.generate_data.context import SourceProblem
from llava_model.generate_data.quality import Reason


@dataclass(kw_only=True, slots=True)
class Totals:
    """Counts and ids, in the order of the tasks."""

    made: Counter[str] = field(default_factory=Counter)
    by_file: dict[str, int] = field(default_factory=dict)
    dropped: dict[Reason, list[str]] = field(default_factory=dict)
    dropped_exchanges: Counter[Reason] = field(default_factory=Counter)
    repaired: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationProgress:
    """`done` of `total` samples, earlier runs included; `usage` and `cost` of the whole folder."""

    done: int
    total: int
    usage: Usage
    cost: float


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationReport:
    """The state of the folder after a run. Ids are of samples, except in `problems` (of pictures)."""

    files: tuple[Path, ...]
    totals: Totals
    problems: Sequence[SourceProblem]
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
        return self.totals.made.total()

    @property
    def is_clean(self) -> bool:
        """Nothing failed, nothing was left, and the input had no fault."""
        return not (self.totals.failed or self.totals.left or self.problems or self.stopped)

    def document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "made": self.samples,
            "made_by_kind": dict(self.totals.made),
            "files": {str(path): self.totals.by_file[path.name] for path in self.files},
            "dropped": {reason: {"count": len(ids), "ids": list(ids)} for reason, ids in self.totals.dropped.items()},
            "dropped_exchanges": dict(self.totals.dropped_exchanges),
            "repaired": {"count": len(self.totals.repaired), "ids": list(self.totals.repaired)},
            "refused": {"count": len(self.totals.refused), "ids": list(self.totals.refused)},
            "failed": [{"id": name, "reason": reason} for name, reason in self.totals.failed.items()],
            "left": len(self.totals.left),
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
            f"{sum(map(len, self.totals.dropped.values())):,} dropped"
            + _listed({reason: len(ids) for reason, ids in self.totals.dropped.items()}),
            f"{len(self.totals.repaired):,} repaired",
            f"{len(self.totals.refused):,} refused",
            f"{len(self.totals.failed):,} failed",
            *([f"{len(self.totals.left):,} left"] if self.totals.left else []),
            f"{about}{self.usage.tokens:,} tokens",
            *([f"cost {about}{self.cost:.4f}"] if self.cost else []),
        ]
        return ", ".join(parts)


def _listed(counts: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{count:,} {name}' for name, count in counts.items())})" if counts else ""
