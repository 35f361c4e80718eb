"""What may be spent in tokens and money, counted before and after every request.

A request is begun only if its worst case (the prompt's estimate and the longest reply) still fits beside what was
spent and what is under way. So the limit can be passed only by as much as the estimates of prompts were too low.
"""

import threading
from dataclasses import dataclass

from llava_model.chat_client import Usage
from llava_model.errors import GenerationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """None is no limit. Prices are for a million tokens, in whatever money `max_cost` is in."""

    max_tokens_total: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    def __post_init__(self) -> None:
        if self.max_cost is not None and not (self.price_in > 0 or self.price_out > 0):
            missing = GenerationError(f"a cost limit of {self.max_cost:g} cannot be kept without prices")
            missing.add_note("Give them for a million tokens: --price-in and --price-out.")
            raise missing
        if min(self.price_in, self.price_out, self.max_cost or 0, self.max_tokens_total or 0) < 0:
            raise GenerationError("prices and limits cannot be below 0")

    def cost(self, usage: Usage) -> float:
        """In the money of the prices."""
        return (usage.tokens_in * self.price_in + usage.tokens_out * self.price_out) / 1_000_000

    def allow(self, usage: Usage) -> bool:
        """Whether so much may be spent altogether."""
        return (self.max_tokens_total is None or usage.tokens <= self.max_tokens_total) and (
            self.max_cost is None or self.cost(usage) <= self.max_cost
        )


class Budget:
    """Shared by all requests of a run; `spent` begins with what earlier runs in the folder spent."""

    def __init__(self, limits: Limits, spent: Usage | None = None) -> None:
        self.limits = limits
        self._spent, self._reserved = spent or Usage(), Usage()
        self._changed = threading.Condition()

    @property
    def spent(self) -> Usage:
        """What is known to be spent."""
        with self._changed:
            return self._spent

    def reserve(self, worst: Usage) -> bool:
        """Wait until the worst case fits or can never fit; False then, and nothing is reserved."""
        with self._changed:
            while not self.limits.allow(self._spent + self._reserved + worst):
                if self._reserved.tokens == 0 or not self.limits.allow(self._spent + worst):
                    return False
                self._changed.wait()
            self._reserved = self._reserved + worst
            return True

    def settle(self, worst: Usage, actual: Usage) -> None:
        """The request is over; free what it did not need."""
        with self._changed:
            self._reserved = self._reserved - worst
            self._spent = self._spent + actual
            self._changed.notify_all()
