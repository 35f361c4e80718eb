"""Several steps for capable models: the model searches, opens pages, lists files and reads fields until it can answer.

Off unless `[answer] steps` says how many times it may call a tool. What the tools find is numbered through the whole
question, so that its markers are checked like those of any other answer.
"""

import contextvars
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.tools import tool
from PIL import Image

from claims.passages import passages
from indexing.records import Hit
from indexing.store.protocol import Filter
from llava_model.serving.engine import Turn
from rag.answer import Answerer, Asked, Clock, refuses
from rag.errors import GeneratorReplyError
from rag.events import Event, Retrieved, Token
from rag.langchain import messages_of, trace_nothing
from rag.prompt import Evidence, Prompt, as_data, fenced, instructions
from rag.retrieve import SearchRequest
from rag.stopping import Stopper

_MOST_EVIDENCE = 60
_FOUND_AT_ONCE = 6
_BESIDE = 4
_MOST_FILES = 200
_OVER = "(the limit of evidence for one question is reached: answer with what you have)"


@dataclass(frozen=True, kw_only=True)
class Files:
    """What an agent may ask of a library beyond its search."""

    paths: Callable[[], Sequence[str]]
    """Of every file that can be found."""
    extract: Callable[[str, Sequence[str]], Mapping[str, Any]]
    """(path, names of fields) → what one file says of them."""


@dataclass
class _Seen:
    """The evidence so far, in the order of its numbers."""

    hits: list[Hit] = field(default_factory=list)

    def add(self, hits: Sequence[Hit]) -> str:
        """The hits as numbered evidence for the model; what it has seen keeps its number."""
        shown: list[str] = []
        for hit in hits:
            known = next((n for n, each in enumerate(self.hits, 1) if each.chunk.id == hit.chunk.id), 0)
            if not known and len(self.hits) >= _MOST_EVIDENCE:
                return "\n".join([*shown, _OVER])
            if not known:
                self.hits.append(hit)
            shown.append(fenced(_evidence(known or len(self.hits), hit)))
        return "\n".join(shown) or "(nothing was found)"

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All of it, as citations are checked against it."""
        return tuple(_evidence(number, hit) for number, hit in enumerate(self.hits, 1))


def _evidence(marker: int, hit: Hit) -> Evidence:
    return Evidence(marker=marker, hit=hit, shown=tuple(passages(hit.chunk)), left_out=0)


class StepwiseAnswerer(Answerer):
    """An `Answerer` whose model may look again; questions with a picture of their own are answered at once."""

    def __init__(self, *given: Any, files: Files, **named: Any) -> None:
        super().__init__(*given, **named)
        self._files = files

    def _ask(
        self, question: str, *, images: Sequence[Image.Image], history: Sequence[Turn], k: int, filter: Filter
    ) -> Iterator[Event]:
        """As `Answerer.ask`; `Retrieved` is the first search, on which the model goes on by itself."""
        steps = self._settings.answer.steps
        if not steps or images:
            yield from super()._ask(question, images=images, history=history, k=k, filter=filter)
            return
        clock = Clock()
        retrieval = self.retriever.search(SearchRequest(text=question, k=k, filter=filter))
        clock.retrieved()
        yield Retrieved(retrieval=retrieval)
        asked = Asked(question=question, retrieval=retrieval, clock=clock)
        seen = _Seen()
        text = f"{seen.add(retrieval.hits[:_FOUND_AT_ONCE])}\n\nQuestion: {question.strip()}"
        turns = (*history, Turn(role="user", text=text))
        stopper = Stopper(one_line=False)
        for piece in stopper.until_stop(self._steps(turns, self._tools(question, seen, filter), steps)):
            clock.spoke()
            yield Token(text=piece)
        prompt = Prompt(turns=turns, evidence=seen.evidence, tokens=self.count_tokens(turns))
        if refuses(stopper.text):
            yield self._refusal(asked, "not_in_evidence", prompt=prompt)
        else:
            yield self._answer(asked, stopper, prompt, retrieval.verdict.best)

    def _tools(self, question: str, seen: _Seen, within: Filter) -> list[Any]:
        @tool
        def search(query: str) -> str:
            """Find evidence by words; numbered, best first."""
            return seen.add(self.retriever.search(SearchRequest(text=query, k=_FOUND_AT_ONCE, filter=within)).hits)

        @tool
        def open_page(number: int) -> str:
            """What else stands on the page (or in the file) of the evidence with this number."""
            if not 1 <= number <= len(seen.hits):
                return f"(there is no evidence [{number}])"
            return seen.add(self.retriever.beside(seen.hits[number - 1], question, most=_BESIDE))

        @tool
        def list_files(name_contains: str = "") -> str:
            """Names of the files, all or those whose path contains a word; how many there are."""
            wanted = name_contains.casefold()
            paths = [path for path in self._files.paths() if wanted in path.casefold()]
            more = f"\n(and {len(paths) - _MOST_FILES:,} more)" if len(paths) > _MOST_FILES else ""
            names = "\n".join(as_data(path) for path in paths[:_MOST_FILES])
            return f"<evidence>\n{len(paths):,} files\n{names}{more}\n</evidence>"

        @tool
        def extract(file: str, fields: list[str]) -> str:
            """What one file says of fields, such as ["company", "total"]; `file` is its path or name."""
            path = next((each for each in self._files.paths() if file in (each, PurePath(each).name)), "")
            if not path:
                return f"(there is no file '{as_data(file)}')"
            told = self._files.extract(path, fields)
            return (
                "<evidence>\n"
                + "\n".join(f"{as_data(k)}: {as_data(str(v))}" for k, v in told.items())
                + "\n</evidence>"
            )

        return [search, open_page, list_files, extract]

    def _steps(self, turns: Sequence[Turn], tools: list[Any], steps: int) -> Generator[str, None, None]:
        """The words of the model's last message; what it says before a tool is called is not part of the answer."""
        from langchain.agents import create_agent
        from langgraph.errors import GraphRecursionError

        context = contextvars.copy_context()
        context.run(trace_nothing)
        run: Any = context.run  # the functions below have more forms than its type can say
        agent = run(create_agent, self.chat, tools, system_prompt=instructions("steps")[0])
        given = {"messages": messages_of(turns)}
        stream = run(agent.stream, given, {"recursion_limit": 2 * steps + 2}, stream_mode="values")
        last: Any = None
        done = object()
        try:
            while True:
                state: Any = context.run(next, stream, done)
                if state is done:
                    break
                last = state["messages"][-1]
        except GraphRecursionError:
            pass
        if not isinstance(last, AIMessage | AIMessageChunk) or last.tool_calls:
            problem = GeneratorReplyError(self._url(), f"it has not answered after {steps} steps")
            problem.add_note("Allow more ([answer] steps in llavero.toml), or ask for less at once.")
            raise problem
        yield str(last.text)

    def _url(self) -> str:
        generator = getattr(self.chat, "generator", None)
        return str(getattr(generator, "url", "") or self._model)
