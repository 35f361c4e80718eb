"""The page in a browser, a terminal, an agent and an uploading program on one Milvus Lite library at the same time.

    python benchmarks/every_door_at_once.py [--minutes 10]

The sample collection in a new library, `llavero ui` with its interface for programs. First each door asks the same
questions by itself: the page in Chromium, `llavero ask` in a terminal, the tool `ask` over stdio as agents start it.
Then all three ask them in a loop, while a program uploads a new file every two seconds and has it indexed. The uploaded
files are about nothing in the sample collection, and each is taken out again.

Expected, and the exit code is 1 where it is not so:
- no error at any door, and every upload is indexed
- no wrong answer: an answer that was right alone (the sample's questions say what is right) is right now; answers that
  are as right in other words are counted and shown. In bfloat16, which processors with its instructions use, a reply
  that is written beside others can differ where two words are nearly as likely: with --kit pocket that is seen
- the page answers within twice the median of the time that it takes alone

Needs Chromium (`apt-get install chromium`); with --without-page the other doors alone.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from llavero_processes import COMMAND, ROOT, SAMPLE, Service, environment, llavero

from ui.wording import attempt

QUESTIONS = ("q15", "q20", "q25", "q35", "q37")
"""Ids of `examples/sample/questions.jsonl`: a manual, a table in it, a scan, a web page, a mail."""
_CHROMIUM = Path("/usr/bin/chromium")
_ENDED = re.compile("in all [0-9,]+ ms|no model was asked")
_ROUNDS_ALONE = 2
Ask = Callable[[str], str]
"""A question → the text of the answer."""


@dataclass
class Door:
    """What one way of asking has answered, alone and together."""

    name: str
    alone: dict[str, str] = field(default_factory=dict)
    seconds_alone: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    other_words: int = 0
    errors: list[str] = field(default_factory=list)

    def by_itself(self, ask: Ask, questions: dict[str, Any]) -> None:
        """Every question, twice; the first round loads what is needed."""
        for number in range(_ROUNDS_ALONE):
            for name, known in questions.items():
                began = time.monotonic()
                self.alone[name] = ask(known["question"])
                if number:
                    self.seconds_alone.append(time.monotonic() - began)

    def among_others(self, ask: Ask, questions: dict[str, Any], ended: threading.Event) -> None:
        """The same again and again until the end."""
        while not ended.is_set():
            for name, known in questions.items():
                began = time.monotonic()
                text = attempt(partial(ask, known["question"]))
                if isinstance(text, Exception):
                    self.errors.append(f"{name}: {type(text).__name__}: {text}"[:300])
                    continue
                self.seconds.append(time.monotonic() - began)
                self.other_words += text != self.alone[name]
                if is_right(self.alone[name], known) and not is_right(text, known):
                    self.wrong.append(f"{name}: {text[:200]!r}, alone {self.alone[name][:200]!r}")


def is_right(text: str, known: dict[str, Any]) -> bool:
    """Whether one of the accepted answers stands in it."""
    accepted = [known["answer"], *known.get("accept", ())]
    return any(each.casefold() in text.casefold() for each in accepted)


def main() -> int:
    """Print what each door saw, and which expectation failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--without-page", action="store_true", help="leave the browser out")
    asked = parser.parse_args()
    known = (json.loads(line) for line in (ROOT / "examples" / "sample" / "questions.jsonl").read_text().splitlines())
    questions = {each["id"]: each for each in known if each["id"] in QUESTIONS}
    with tempfile.TemporaryDirectory(prefix="llavero-doors-") as scratch:
        library = Path(scratch) / "library"
        llavero("index", SAMPLE, library=library)
        service = Service(library, keys=Path(scratch) / "nokeys.json", page=True)
        try:
            return run(service, questions, asked.minutes * 60, with_page=not asked.without_page)
        finally:
            service.end()


def run(service: Service, questions: dict[str, Any], seconds: float, *, with_page: bool) -> int:
    """Alone, then together → the exit code. Each door lives in a thread of its own."""
    doors = [Door("terminal"), Door("agent (MCP, stdio)"), *([Door("page (Chromium)")] if with_page else [])]
    makers = [terminal(service), agent(service), *([browser(service)] if with_page else [])]
    turn, together, ended = threading.Lock(), threading.Barrier(len(doors) + 1), threading.Event()

    def live(door: Door, maker: Any) -> None:
        with maker as ask:
            with turn:  # one after the other: each by itself
                door.by_itself(ask, questions)
            together.wait(600)
            door.among_others(ask, questions, ended)

    def lived(door: Door, maker: Any) -> None:
        if isinstance(fault := attempt(partial(live, door, maker)), Exception):
            door.errors.append(f"{type(fault).__name__}: {fault}"[:500])
            together.abort()

    threads = [threading.Thread(target=lived, args=pair, daemon=True) for pair in zip(doors, makers, strict=True)]
    for each in threads:
        each.start()
    uploads: list[str] = []
    try:
        together.wait(900)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            uploads.append(uploaded(service, len(uploads)))
            time.sleep(2)
    except threading.BrokenBarrierError:
        pass
    ended.set()
    for each in threads:
        each.join(300)
    return judged(doors, uploads, service)


def uploaded(service: Service, number: int) -> str:
    """A new file in two parts, indexed, and taken out again → "" or what went wrong."""
    data = f"Moss number {number} grows on bark and humus; its fronds are {number + 3} mm long.\n".encode() * 20
    status, begun = service.asked("POST", "uploads", {"name": f"moss-{number}.txt", "size": len(data)})
    if status != 201:
        return f"upload {number}: {status} {begun}"
    place = f"uploads/{begun['upload']}"
    service.asked("PATCH", f"{place}?offset=0", data[:100])
    status, done = service.asked("PATCH", f"{place}?offset=100", data[100:])
    if status != 200:
        return f"upload {number}: {status} {done}"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        status, job = service.asked("GET", f"jobs/{done['job']}", None)
        if status != 200 or job["state"] in ("done", "failed", "stopped"):
            break
        time.sleep(0.2)
    report = job.get("report") or {}
    if job.get("state") != "done" or report.get("added") != 1:
        return f"upload {number}: {job}"[:300]
    status, removed = service.asked("POST", "remove", {"what": done["path"]})
    return "" if status == 200 and removed["removed"] == 1 else f"remove {number}: {status} {removed}"


# -- the doors ---------------------------------------------------------------------------------------------------------


@contextmanager
def terminal(service: Service) -> Iterator[Ask]:
    """`llavero ask` as a process for each question."""

    def ask(question: str) -> str:
        return str(json.loads(llavero("ask", question, "--json", library=service.library).stdout)["answer"])

    yield ask


@contextmanager
def agent(service: Service) -> Iterator[Ask]:
    """The protocol's own client, over stdio to `llavero mcp`."""
    from anyio.from_thread import start_blocking_portal
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    words = [*COMMAND[1:], "mcp", "--library", str(service.library)]
    started = StdioServerParameters(command=COMMAND[0], args=words, env=environment())
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(stdio_client(started))) as client:

        def ask(question: str) -> str:
            result = portal.call(client.call_tool, "ask", {"question": question})
            text = "".join(part.text for part in result.content if part.type == "text")
            if result.is_error:
                raise RuntimeError(text)
            return str(json.loads(text)["answer"])

        yield ask


@contextmanager
def browser(service: Service) -> Iterator[Ask]:
    """The page in Chromium: opened anew for each question, until the line that says how long the answer took."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=["--no-sandbox"])

        def ask(question: str) -> str:
            context = chromium.new_context()  # nobody's cookies, so that no earlier conversation is kept
            try:
                context.set_default_timeout(180_000)
                page = context.new_page()
                page.goto(f"http://127.0.0.1:{service.page_port}")
                page.get_by_text("Ask your pictures and documents").wait_for()
                page.get_by_test_id("stChatInputTextArea").fill(question)
                page.keyboard.press("Enter")
                page.get_by_text(_ENDED).first.wait_for(state="attached")
                page.get_by_text("Looking in the library").wait_for(state="detached")  # drawn anew, at its end
                said = page.get_by_test_id("stChatMessage").last.inner_text()
            finally:
                context.close()
            return re.sub(r"[0-9,.]+ m?s\b", "", said)  # how long it took is no part of the answer

        yield ask
        chromium.close()


def judged(doors: list[Door], uploads: list[str], service: Service) -> int:
    """Print the figures → 1 where an expectation failed."""
    expectations: dict[str, bool] = {}
    for door in doors:
        alone = statistics.median(door.seconds_alone or [0.0])
        now = statistics.median(door.seconds or [0.0])
        print(f"{door.name}: {len(door.seconds)} answers, median {now:.2f} s, alone {alone:.2f} s, "
              f"{door.other_words} in other words")  # fmt: skip
        expectations[f"{door.name}: no error {door.errors[:3]}"] = not door.errors and bool(door.seconds)
        expectations[f"{door.name}: no wrong answer {door.wrong[:3]}"] = not door.wrong
        if door.name.startswith("page"):
            expectations[f"the page takes {now / alone if alone else 0:.1f} times as long, at most 2"] = (
                now <= 2 * alone
            )
    faults = [each for each in uploads if each]
    print(f"uploads: {len(uploads)}, each indexed and taken out again")
    expectations[f"no upload went wrong {faults[:3]}"] = not faults and bool(uploads)
    expectations["the service's log has no traceback"] = "Traceback" not in service.log()
    for words, holds in expectations.items():
        print(f"{'held  ' if holds else 'FAILED'}  {words}")
    return 0 if all(expectations.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
