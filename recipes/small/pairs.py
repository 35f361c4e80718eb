"""True and false claims about passages: what the verifier of citations learns from and is measured on.

    Pair(claim="The tank weighs 62 kg.", passage="The tank holds 1.8 litres. The machine weighs 62 kg.", true=False,
         kind="halves joined", language="en")

From sentences of real documents (`prose`) and from rows, receipts and short reports made here out of wording.toml.
`make` draws kinds and languages in turn, from a seed. The kinds of HELD_OUT are never drawn for training.
"""

import random
from collections.abc import Callable, Iterator

from recipes.small.draw import Draw, Drawn, Pair, Prose
from recipes.small.of_sentences import (
    clause,
    condition_dropped,
    form,
    halves,
    name,
    names_swapped,
    negation_added,
    negation_removed,
    number,
    numbers_swapped,
    one_of_two,
    opposite,
    order,
    reordered,
    unit,
    unrelated,
    wrapped,
)  # fmt: skip
from recipes.small.of_sheets import (
    cell_changed,
    cell_negated,
    column,
    date,
    date_of_other,
    date_unclear,
    new_report,
    new_roles,
    other_row,
    receipt,
    receipt_line,
    report,
    roles,
    row,
    two_cells,
)  # fmt: skip

__all__ = ["FALSE", "HELD_OUT", "TRUE", "Draw", "Pair", "make"]

TRUE: tuple[Callable[[Draw], Drawn], ...] = (
    form, one_of_two, clause, reordered, wrapped, row, two_cells, receipt, date, report,
)  # fmt: skip
FALSE: tuple[Callable[[Draw], Drawn], ...] = (
    number, numbers_swapped, names_swapped, name, order, negation_added, negation_removed, opposite, unit, halves,
    unrelated, condition_dropped, column, other_row, cell_negated, cell_changed, receipt_line, date_unclear,
    date_of_other, roles,
)  # fmt: skip
HELD_OUT: tuple[Callable[[Draw], Drawn], ...] = (new_report, new_roles)


def make(prose: Prose, *, seed: int, count: int, held_out: bool = False, share_true: float = 0.5) -> Iterator[Pair]:
    """`count` pairs, half of them true, the kinds and languages in turn; `held_out` adds the kinds of HELD_OUT."""
    draws = {language: Draw(seed, language, paragraphs) for language, paragraphs in prose.items() if paragraphs}
    chance = random.Random(seed)
    true = [*TRUE, *(HELD_OUT[:1] if held_out else ())]
    false = [*FALSE, *(HELD_OUT[1:] if held_out else ())]
    turn = {True: 0, False: 0}
    made = 0
    while made < count:
        wanted = chance.random() < share_true
        kinds = true if wanted else false
        language = list(draws)[turn[wanted] // len(kinds) % len(draws)]
        kind = kinds[turn[wanted] % len(kinds)]
        turn[wanted] += 1
        for _ in range(400):
            drawn = kind(draws[language])
            if drawn is not None and (wanted or drawn[0].casefold() != drawn[1].casefold()):
                made += 1
                claim, passage = drawn
                yield Pair(claim=claim, passage=passage, true=wanted, kind=kind.__name__, language=language)
                break
