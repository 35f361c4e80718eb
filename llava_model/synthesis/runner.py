"""Many tasks at once against one server: back-off with jitter, Retry-After, budget, and a stop that loses nothing."""

import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from llava_model.chat_client import ChatClient, ChatReply, NoReply, worst_case
from llava_model.errors import JudgeError, WriterError
from llava_model.synthesis.ledger import Budget, ReplyLedger, key_of
from llava_model.synthesis.samples import Asking, Outcome, SampleTask, outcome_of


class BudgetSpentError(Exception):
    """Not a fault: the limit is reached, and nothing more is sent. Never leaves this package."""


class _StoppedError(Exception):
    """Another task found a reason to stop."""


class _FailedError(Exception):
    """This task cannot be done; the others go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a server in trouble is waited for."""

    tries: int = 6
    """How often a request is sent that times out or meets a fault of the server."""
    first_wait_seconds: float = 1.0
    """Doubled after every try, then drawn between half of it and all of it."""
    longest_wait_seconds: float = 60.0
    """The most that a doubled wait, or a server's own Retry-After, may be."""
    give_up_after: int = 5
    """So many tasks in a row that the server failed: it is not there, and the run stops."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """One finished task: its outcome, or why it failed."""

    task: SampleTask
    outcome: Outcome | None
    failure: str = ""


class Runner:
    """One run over tasks. Iterate `run()`; what it raised for stopping stands in `stopped` afterwards."""

    def __init__(
        self,
        client: ChatClient,
        ledger: ReplyLedger,
        budget: Budget,
        asking: Asking,
        *,
        concurrency: int,
        patience: Patience | None = None,
    ) -> None:
        self._client, self._ledger, self._budget, self._asking = client, ledger, budget, asking
        self._concurrency, self._patience = concurrency, patience or Patience()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._failed_in_a_row = 0
        self.requests = 0
        """Sent in this run, vain ones included."""
        self.kept = 0
        """Replies that were there from before."""
        self.stopped: BudgetSpentError | WriterError | None = None

    def run(self, tasks: Sequence[SampleTask]) -> Iterator[Done]:
        """Each task that comes to an end, in the order in which they do. Raises OSError (a full disk)."""
        waiting, running = deque(tasks), dict[Future[Outcome], SampleTask]()
        failure: BaseException | None = None
        with ThreadPoolExecutor(max_workers=self._concurrency, thread_name_prefix="generate") as pool:
            try:
                while (waiting and not self._stop.is_set()) or running:
                    while waiting and not self._stop.is_set() and len(running) < 2 * self._concurrency:
                        task = waiting.popleft()
                        running[pool.submit(outcome_of, task, self._asking, self._reply)] = task
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        task = running.pop(done)
                        try:
                            yield Done(task=task, outcome=done.result())
                        except _FailedError as error:
                            yield Done(task=task, outcome=None, failure=str(error))
                        except _StoppedError:
                            pass
                        except (BudgetSpentError, WriterError) as error:
                            self.stopped = self.stopped or error
                            self._stop.set()
                        except OSError as error:
                            failure = error
                            self._stop.set()
            finally:
                self._stop.set()
        if failure is not None:
            raise failure

    # -- in the workers' threads ------------------------------------------------------------------------------------

    def _reply(self, request: Mapping[str, Any]) -> ChatReply:
        key = key_of({"model": self._client.server.model, **request})
        kept = self._ledger.get(key)
        if kept is not None:
            with self._lock:
                self.kept += 1
            return kept
        return self._ask(key, request)

    def _ask(self, key: str, request: Mapping[str, Any]) -> ChatReply:
        tries, wait_seconds = 0, self._patience.first_wait_seconds
        while True:
            self._pause()
            answer = self._send(key, request)
            if isinstance(answer, ChatReply):
                self._failed_in_a_row = 0
                return answer
            if answer.hopeless:
                raise self._gone(answer.reason)
            if not answer.again:
                raise _FailedError(answer.reason)
            if answer.wait_seconds is not None:
                self._hold(answer)  # the server says when: no try is used up
                continue
            tries += 1
            if tries >= self._patience.tries:
                raise self._given_up(answer.reason)
            self._sleep(random.uniform(wait_seconds / 2, wait_seconds))
            wait_seconds = min(2 * wait_seconds, self._patience.longest_wait_seconds)

    def _send(self, key: str, request: Mapping[str, Any]) -> ChatReply | NoReply:
        worst = worst_case(request)
        if not self._budget.reserve(worst):
            raise BudgetSpentError
        if self._stop.is_set():
            self._budget.settle(worst, worst - worst)
            raise _StoppedError
        usage = worst
        try:
            self._ledger.sent(key, worst)
            with self._lock:
                self.requests += 1
            answer = self._client.send(request)
            usage = answer.usage
            if isinstance(answer, ChatReply):
                self._ledger.replied(key, answer)
            else:
                self._ledger.failed(key, answer.reason, usage)
        except OSError:
            self._stop.set()  # a full disk: what is asked for now could not be kept
            raise
        finally:
            self._budget.settle(worst, usage)
        return answer

    def _hold(self, answer: NoReply) -> None:
        """Make all workers wait: a server that is too busy for one is too busy for all."""
        seconds = answer.wait_seconds or 0.0
        if seconds > self._patience.longest_wait_seconds:
            raise self._gone(f"it asks to wait {seconds:,.0f} s ({answer.reason})")
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _pause(self) -> None:
        """Until the server wants to be asked again, and not all at the same moment."""
        late = random.random()
        while (left := self._not_before - time.monotonic()) > 0:
            self._sleep(left + late * min(0.5, left / 4))

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _StoppedError

    def _given_up(self, reason: str) -> Exception:
        with self._lock:
            self._failed_in_a_row += 1
            many = self._failed_in_a_row >= self._patience.give_up_after
        return self._gone(reason) if many else _FailedError(reason)

    def _gone(self, reason: str) -> JudgeError | WriterError:
        self._stop.set()
        error = self._client.server.silent(reason)
        error.add_note("What it has written is kept; the same command goes on from there.")
        return error
