import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_model.chat_client import Usage
from llava_model.errors import GenerationError
from llava_model.synthesis.runner import Budget, Limits


def usage(tokens_in: int, tokens_out: int = 0) -> Usage:
    return Usage(tokens_in=tokens_in, tokens_out=tokens_out)


def test_many_threads_together_never_pass_the_limit() -> None:
    budget = Budget(Limits(max_tokens_total=1000))
    draw = random.Random(0)
    plans = [[(worst := draw.randint(1, 60), draw.randint(0, worst)) for _ in range(40)] for _ in range(8)]

    def work(plan: list[tuple[int, int]]) -> None:
        for worst, actual in plan:
            if not budget.reserve(usage(worst)):
                return
            time.sleep(0.0001)
            budget.settle(usage(worst), usage(actual))

    threads = [threading.Thread(target=work, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert 900 <= budget.spent.tokens <= 1000


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=30), st.integers(0, 3000))
def test_what_is_spent_never_passes_what_estimates_allow(requests: list[tuple[int, int]], limit: int) -> None:
    budget = Budget(Limits(max_tokens_total=limit))
    for worst, actual in requests:
        if budget.reserve(usage(worst)):
            budget.settle(usage(worst), usage(min(worst, actual)))
    assert budget.spent.tokens <= limit


def test_cost_counts_prompts_and_replies_at_their_prices() -> None:
    assert Limits(price_in=2.0, price_out=8.0).cost(usage(500_000, 250_000)) == pytest.approx(3.0)


def test_a_cost_limit_without_prices_is_refused() -> None:
    with pytest.raises(GenerationError, match="without prices") as caught:
        Limits(max_cost=1.0)
    assert "--price-in" in caught.value.__notes__[0]
