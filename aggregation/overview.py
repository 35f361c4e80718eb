"""Questions about all files together, answered: recognised, planned, carried out, told in words and as a table.

The numbers are computed (`aggregation.collection`) and the sentences are Llavero's own; no model writes them. Where
the model makes no plan of the question, or no file fits, there is no overview: it is answered like any other.
"""

import logging
from collections.abc import Callable, Generator
from pathlib import PurePath

from aggregation.collection import CannotCarryOutError, Collection
from aggregation.plan import PlanError, QuestionPlan, Requirement
from aggregation.results import FoundFile, PlanResult, citations
from indexing.store.protocol import Filter
from rag.events import AnswerTable, ComputedAnswer, Looking
from rag.wording import Phrase, phrase

logger = logging.getLogger(__name__)


class Overview:
    """What answers questions about all files together."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        *,
        likelihood: Callable[[str], float],
        plan: Callable[[str], QuestionPlan],
        most_shown: int,
    ) -> None:
        """`collection` is called when it is needed; `likelihood` tells how likely a question is about all files;
        `plan` asks the model, and raises PlanError."""
        self.likelihood = likelihood
        self._collection, self._plan, self._most_shown = collection, plan, most_shown

    def events(self, question: str, filter: Filter) -> Generator[Looking, None, ComputedAnswer | None]:
        """Yields how far it is, returns the answer, or None where the question is one for a reader."""
        result: PlanResult | None = None
        try:
            for step in self._collection().carry_out(self._plan(question), filter):
                if isinstance(step, Looking):
                    yield step
                else:
                    result = step
        except (PlanError, CannotCarryOutError) as error:
            logger.info("no overview: %s", type(error).__name__)  # its words are those of the question
            return None
        if result is None or not result.found:
            return None
        sources = citations(result, self._most_shown)
        return ComputedAnswer(
            text=told(result, question, self._most_shown),
            citations=tuple(citation for citation, _ in sources),
            hits=tuple(hit for _, hit in sources),
            table=table_of(result, self._most_shown),
        )


def table_of(result: PlanResult, most: int) -> AnswerTable:
    """The files that fit, with what was read in each."""
    fields = result.plan.read
    return AnswerTable(
        columns=("", *(field.name for field in fields)) if fields else ("",),
        rows=tuple(
            (PurePath(each.path).name, *(_shown(each, field.name) for field in fields)) for each in result.found[:most]
        ),
        markers=tuple(range(1, len(result.found[:most]) + 1)),
    )


def told(result: PlanResult, question: str, most: int) -> str:
    """The answer in a sentence or two: the number or the best, and by what it was found."""
    plan, found = result.plan, result.found
    said: list[str] = []
    if plan.action in ("highest", "lowest"):
        best = [each for each in found if _value(each, plan) == _value(found[0], plan)]
        named = [_plain(f"{_value(each, plan)}: {PurePath(each.path).name}") for each in best]
        said += [f"{each} [{number}]" for number, each in enumerate(named, start=1)]
    elif result.values:
        together = ", ".join(" ".join(part for part in (amount, unit) if part) for amount, unit in result.values)
        kind: Phrase = "sum" if plan.action == "sum" else "average"
        said.append(_in_words(kind, question, value=together, files=str(len(found))))
    else:
        said.append(_in_words("count", question, value=str(len(found))))
    looked, files = str(result.looked_at), str(result.files)
    said.append(_in_words("looked", question, looked=looked, files=files, by=described(plan)))
    if result.undecided:
        said.append(_in_words("undecided", question, files=str(result.undecided)))
    if len(found) > most:
        said.append(_in_words("more", question, shown=str(most), files=str(len(found))))
    return "\n".join(said)


def described(plan: QuestionPlan) -> str:
    """What was looked for, in the plan's own words: `invoices · "fuel" · total > 80`."""
    words = f'{"≠ " if plan.without else ""}"{_plain(plan.words)}"' if plan.words else ""
    conditions = (_condition(each) for each in plan.requirements)
    return " · ".join(part for part in (_plain(plan.which) or plan.kind, words, *conditions) if part)


def _condition(wanted: Requirement) -> str:
    return f"{_plain(wanted.name)} {wanted.comparison} {_plain(wanted.value)}"


def _plain(text: str) -> str:
    """Words of a file without the brackets that would make a marker, a picture or a link of them."""
    return text.translate({ord("["): "(", ord("]"): ")", ord("<"): "(", ord(">"): ")"})


def _in_words(name: Phrase, question: str, **filled: str) -> str:
    return phrase(name, question).format(**filled)


def _shown(each: FoundFile, field: str) -> str:
    cell = each.cells[field]
    shown = " / ".join(cell.readings) or " ".join(part for part in (cell.value, cell.currency) if part)
    return shown if cell.state == "quoted" or not shown else f"{shown} (?)"


def _value(each: FoundFile, plan: QuestionPlan) -> str:
    return _shown(each, plan.field.name) if plan.field else ""
