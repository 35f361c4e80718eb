"""Many replies at once: the same words as alone, in fair turns, and nobody's fault or leaving touches another.

Most tests take the steps themselves, so that they know who is under way at each.
"""

import gc
import random
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from llava_model.errors import ContextOverflowError, EngineBusyError, ReplyFailedError
from llava_model.serving.batching import Batcher, BatchLimits, Request, memory_for_requests
from llava_model.serving.engine import Engine, Turn
from llava_model.serving.generate import EncodedPrompt, Memory, Sampling, reply_ids

FLOAT = {"dtype": "float32", "device": "cpu"}
NO_STOPS: frozenset[int] = frozenset()
EVIDENCE = list(range(20, 160))


@pytest.fixture(scope="module")
def folder(save_language: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    save_language(folder)
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Engine.load(folder, **FLOAT)


class Stepped:
    """A batcher whose steps the test takes; it counts the positions of every pass."""

    def __init__(self, engine: Engine, **limits: int) -> None:
        self.model = engine._model
        self.batcher = Batcher(self.model, BatchLimits(**limits))

    def ask(self, ids: Sequence[int], tokens: int = 12, stop: frozenset[int] = NO_STOPS, **sampling: Any) -> Request:
        prompt = EncodedPrompt(ids=ids, keys=ids)
        request = Request(prompt=prompt, max_new_tokens=tokens, stop_ids=stop, sampling=Sampling(**sampling))
        self.batcher._door.put(request)
        return request

    def run(self) -> None:
        while self.batcher.step():
            pass

    def alone(self, ids: Sequence[int], tokens: int = 12, **sampling: Any) -> list[int]:
        """The same reply from the plain path, with a memory of its own."""
        return list(
            reply_ids(
                self.model, EncodedPrompt(ids=ids, keys=ids), Memory(), max_new_tokens=tokens, stop_ids=NO_STOPS,
                sampling=Sampling(**sampling), cancelled=lambda: False,
            )
        )  # fmt: skip

    @property
    def under_way(self) -> int:
        return len(self.batcher._running)


def said(request: Request) -> tuple[list[int], Any]:
    """All tokens that came, and what came last."""
    given = []
    while not request.out.empty():
        given.append(request.out.get())
    tokens = [one for one in given if isinstance(one, int)]
    return tokens, next((one for one in given if not isinstance(one, int)), None)


@pytest.mark.parametrize("attention", ["side by side", "in turns"])
def test_who_joins_and_leaves_midway_says_what_he_says_alone(attention: str, folder: Path) -> None:
    engine = Engine.load(folder, **FLOAT)
    if attention == "in turns":  # a model that knows nothing of rows
        engine._model.language.set_attn_implementation("eager")
    stepped, rng = Stepped(engine, most_running=4), random.Random(5)
    asked: list[tuple[Request, list[int], int]] = []
    for _ in range(14):
        ids = EVIDENCE[: rng.choice([0, 70, 140])] + [rng.randrange(20, 200) for _ in range(rng.randrange(2, 40))]
        tokens = rng.randrange(1, 30)
        asked.append((stepped.ask(ids, tokens), ids, tokens))
        for _ in range(rng.randrange(4)):
            stepped.batcher.step()
    stepped.run()
    assert stepped.batcher._together is (attention == "side by side")
    for request, ids, tokens in asked:
        assert said(request) == (stepped.alone(ids, tokens), "length")


def test_the_first_row_may_leave_after_the_table_has_grown(engine: Engine) -> None:
    stepped = Stepped(engine)
    asked = [(stepped.ask(EVIDENCE[:20], 70), 70), (stepped.ask(EVIDENCE[:20], 150), 150)]
    stepped.run()
    for request, tokens in asked:
        assert said(request) == (stepped.alone(EVIDENCE[:20], tokens), "length")


def test_a_seed_draws_the_same_whether_others_run_or_not(engine: Engine) -> None:
    ids, drawing = EVIDENCE[:30], {"temperature": 1.0, "top_p": 0.9, "seed": 7}
    stepped = Stepped(engine)
    others = [stepped.ask(EVIDENCE[:number], 20, temperature=1.0, seed=number) for number in range(9, 15)]
    asked = stepped.ask(ids, 20, **drawing)
    stepped.run()
    assert said(asked)[0] == stepped.alone(ids, 20, **drawing)
    assert len({tuple(said(other)[0]) for other in others}) == len(others)


def test_a_step_advances_everybody_in_one_pass(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped = Stepped(engine)
    for number in range(4):
        stepped.ask(EVIDENCE[number : number + 9], 20)
    while len(stepped.batcher.table.rows) < 4:
        stepped.batcher.step()
    shapes, whole = [], stepped.model.run
    monkeypatch.setattr(
        stepped.model, "run", lambda rows, **more: shapes.append(tuple(rows.shape[:2])) or whole(rows, **more)
    )
    stepped.batcher.step()
    assert shapes == [(4, 1)]


def test_an_end_mark_ends_one_reply_and_the_others_go_on(engine: Engine) -> None:
    stepped = Stepped(engine)
    ids, other = EVIDENCE[:30], EVIDENCE[5:50]
    words = stepped.alone(ids, 12)
    end = next(word for place, word in enumerate(words) if place > 2 and word not in words[:place])
    ends, goes_on = stepped.ask(ids, 12, frozenset([end])), stepped.ask(other, 12)
    stepped.run()
    assert said(ends) == (words[: words.index(end)], "stop")
    assert said(goes_on) == (stepped.alone(other, 12), "length")


def test_who_is_given_up_leaves_before_the_next_step_and_frees_its_memory(engine: Engine) -> None:
    stepped = Stepped(engine, most_kept_bytes=0)
    leaves, stays = stepped.ask(EVIDENCE[:100], 100), stepped.ask(EVIDENCE[50:90], 30)
    while len(stepped.batcher.table.rows) < 2:
        stepped.batcher.step()
    table = stepped.batcher.table
    held = weakref.ref(table.rows[0].path[0][0].layers[0][0])
    stepped.batcher.give_up(leaves)
    stepped.batcher.step()
    assert stepped.under_way == len(table.rows) == 1 and held() is None
    assert said(leaves)[1] == "cancelled"
    stepped.run()
    assert said(stays) == (stepped.alone(EVIDENCE[50:90], 30), "length")
    assert table.bytes == 0 and stepped.batcher.pool.bytes == 0


def test_who_is_given_up_while_it_waits_is_never_read(engine: Engine) -> None:
    stepped = Stepped(engine, most_running=1)
    first, waits = stepped.ask(EVIDENCE[:20]), stepped.ask(EVIDENCE[:30])
    stepped.batcher.step()
    stepped.batcher.give_up(waits)
    stepped.run()
    assert said(first)[1] == "length" and said(waits) == ([], None)


def test_a_short_request_that_comes_late_ends_before_a_long_one(engine: Engine) -> None:
    stepped = Stepped(engine)
    long = stepped.ask(EVIDENCE[:40], 100)
    for _ in range(10):
        stepped.batcher.step()
    short = stepped.ask(EVIDENCE[60:70], 5)
    for _ in range(8):
        stepped.batcher.step()
    assert said(short)[1] == "length" and said(long)[1] is None


def test_a_long_prompt_is_read_in_stretches_between_the_words_of_others(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llava_model.serving.batching.STRETCH_BESIDE_OTHERS", 10)
    stepped = Stepped(engine)
    writes = stepped.ask(EVIDENCE[:5], 60)
    stepped.batcher.step()
    long = stepped.ask(EVIDENCE[1:101], 5)
    for _ in range(9):
        stepped.batcher.step()
    assert len(said(writes)[0]) >= 9 and said(long) == ([], None)
    short = stepped.ask(EVIDENCE[2:10], 1)
    for _ in range(2):
        stepped.batcher.step()
    assert said(short)[1] == "length"
    stepped.run()
    assert said(long)[0] == stepped.alone(EVIDENCE[1:101], 5)


def test_many_short_prompts_do_not_keep_a_long_one_waiting(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llava_model.serving.generate.PREFILL_TOKENS", 10)
    stepped = Stepped(engine)
    long = stepped.ask(EVIDENCE[:100], 1)
    for number in range(24):
        stepped.ask(EVIDENCE[number + 1 : number + 9], 1)
        stepped.batcher.step()
    assert said(long)[1] == "length"


def test_shared_evidence_is_read_once_by_requests_side_by_side(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped, read, whole = Stepped(engine), [], engine._model.run
    monkeypatch.setattr(engine._model, "run", lambda rows, **more: read.append(rows.shape[1]) or whole(rows, **more))
    questions = [[*EVIDENCE, 170 + number, 180] for number in range(4)]
    asked = [stepped.ask(ids, 20) for ids in questions]
    while len(stepped.batcher.table.rows) < 4:
        stepped.batcher.step()
    assert sorted(length for length in read if length > 1) == [2, 2, 2, len(EVIDENCE) + 2]
    held = {id(row.stretches[0][0]) for row in stepped.batcher.table.rows}
    assert len(held) == 1
    stepped.run()
    assert [said(request)[0] for request in asked] == [stepped.alone(ids, 20) for ids in questions]


def test_several_conversations_are_kept_and_a_reply_is_part_of_what_follows(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped, starts = Stepped(engine), [EVIDENCE[:60], EVIDENCE[80:140], EVIDENCE[30:90]]
    replies = []
    for ids in starts:
        asked = stepped.ask(ids, 10)
        stepped.run()
        replies.append(said(asked)[0])
    follow_ups = [[*ids, *reply, 33, 44] for ids, reply in zip(starts, replies, strict=True)]
    read, whole = [], engine._model.run
    monkeypatch.setattr(engine._model, "run", lambda rows, **more: read.append(rows.shape[1]) or whole(rows, **more))
    asked_again = [stepped.ask(ids, 8) for ids in follow_ups]
    stepped.run()
    assert sorted(length for length in read if length > 1) == [3, 3, 3]  # a reply's last token was never read
    monkeypatch.undo()
    assert [said(request)[0] for request in asked_again] == [stepped.alone(ids, 8) for ids in follow_ups]


def test_a_pass_that_fails_ends_those_in_it_with_a_clear_error_and_others_go_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped = Stepped(engine, most_running=2)
    fail = [stepped.ask(EVIDENCE[:20], 20), stepped.ask(EVIDENCE[5:30], 20)]
    while len(stepped.batcher.table.rows) < 2:
        stepped.batcher.step()
    goes_on = stepped.ask(EVIDENCE[:25], 9)
    with monkeypatch.context() as patch:

        def no_room(*_: Any, **__: Any) -> Any:
            raise MemoryError("no room")

        patch.setattr(stepped.model, "run", no_room)
        stepped.batcher.step()
    stepped.run()
    errors = [said(request)[1] for request in fail]
    assert not any(kept.readers for kept in stepped.batcher.pool._kept)
    assert errors[0] is not errors[1]
    for error in errors:
        assert isinstance(error, ReplyFailedError) and isinstance(error.__cause__, MemoryError)
        assert str(error) == "the model failed while it wrote 2 replies at once: no room"
        assert "let fewer run" in error.__notes__[0]
    assert said(goes_on) == (stepped.alone(EVIDENCE[:25], 9), "length")


def test_a_fault_of_one_request_reaches_that_one_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped, whole = Stepped(engine), Sampling.choose

    def choose(self: Sampling, logits_L: torch.Tensor, reply: Sequence[int], dice: Any = None) -> int:
        if self.seed == 13 and len(reply) == 3:
            raise RuntimeError("no probabilities")
        return whole(self, logits_L, reply, dice)

    monkeypatch.setattr(Sampling, "choose", choose)
    fails, goes_on = stepped.ask(EVIDENCE[:20], 10, seed=13), stepped.ask(EVIDENCE[:22], 10)
    stepped.run()
    tokens, error = said(fails)
    assert len(tokens) == 3 and isinstance(error, ReplyFailedError) and "no probabilities" in str(error)
    assert said(goes_on) == (stepped.alone(EVIDENCE[:22], 10), "length")


def test_a_prompt_that_cannot_be_read_fails_alone(engine: Engine) -> None:
    stepped = Stepped(engine)
    stepped.ask(EVIDENCE, 1)
    stepped.run()
    beyond = [20, 10_000_000]  # no such row in the table of embeddings
    fails, goes_on = stepped.ask(beyond), stepped.ask(EVIDENCE[:22], 10)
    stepped.run()
    assert isinstance(said(fails)[1], ReplyFailedError) and said(goes_on)[1] == "length"
    assert len(stepped.batcher.pool.find(EVIDENCE)) == 1, "memory was not short, so what was kept stays"


def test_the_line_is_bounded(engine: Engine) -> None:
    stepped = Stepped(engine, most_running=1, most_waiting=2)
    for _ in range(3):
        stepped.ask(EVIDENCE[:20])
    with pytest.raises(EngineBusyError, match="3 replies wait"):
        stepped.ask(EVIDENCE[:20])


def test_the_table_is_as_wide_as_what_was_written_and_gets_narrow_again(engine: Engine) -> None:
    stepped = Stepped(engine, most_running=2)
    long = stepped.ask(EVIDENCE, 90)
    while len(said(long)[0]) == 0:
        stepped.batcher.step()
    narrow = stepped.batcher.table.bytes
    for _ in range(70):
        stepped.batcher.step()
    wide = stepped.batcher.table.bytes
    stepped.run()
    assert wide == 2 * narrow and stepped.batcher.table.bytes == 0


def test_memory_decides_how_many_run_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    context_bytes = 2 * 2 * 2 * 12 * 4 * 256  # keys and values, layers, key heads, width, bytes, positions
    for contexts, running in ((100, 8), (6, 3), (1, 1)):
        monkeypatch.setattr(
            "llava_model.serving.batching._memory_bytes", lambda device, contexts=contexts: contexts * context_bytes
        )
        limits = memory_for_requests(engine._model.language, context_tokens=256)
        assert limits.most_running == running
        assert limits.most_kept_bytes <= contexts * context_bytes // 8
    assert memory_for_requests(engine._model.language, context_tokens=256, most_running=5).most_running == 5


# -- through the engine, with its own thread --------------------------------------------------------------------------


def test_twenty_threads_that_ask_and_leave_as_they_like_get_what_one_gets(folder: Path) -> None:
    engine, alone = Engine.load(folder, max_running=4, **FLOAT), Engine.load(folder, max_running=1, **FLOAT)
    system = Turn(role="system", text="The factory made chairs and tables in Springfield.")
    questions = [[system, Turn(role="user", text=f"Number {number}?" * (number + 1))] for number in range(5)]
    options = {"max_new_tokens": 12, "temperature": 1.0}
    expected = [["".join(alone.stream(turns, seed=seed, **options)) for seed in range(2)] for turns in questions]

    def one(number: int) -> None:
        rng = random.Random(number)
        for _ in range(6):
            place, seed, leaves = rng.randrange(5), rng.randrange(2), rng.random() < 0.3
            with closing(engine.stream(questions[place], seed=seed, **options)) as reply:
                text = next(reply, "") if leaves else "".join(reply)
            whole = expected[place][seed]
            assert whole.startswith(text) if leaves else whole == text
            if rng.random() < 0.2:
                engine.next_words(questions[place], ["yes", "no"])

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(one, range(20)))
    assert "".join(engine.stream(questions[0], seed=0, **options)) == expected[0][0]
    assert all(not kept.readers for kept in engine._batcher.pool._kept)


def test_words_ahead_are_asked_beside_a_reply_that_is_being_written(folder: Path) -> None:
    engine, turns = Engine.load(folder, **FLOAT), [Turn(role="user", text="How many chairs?")]
    expected = Engine.load(folder, **FLOAT).next_words(turns, ["yes", "no"])
    with closing(engine.stream([Turn(role="user", text="Go on!")], max_new_tokens=200)) as reply:
        next(reply)
        assert engine.next_words(turns, ["yes", "no"]) == pytest.approx(expected, rel=1e-4)


def test_the_chances_of_a_reply_are_those_of_each_of_its_tokens(folder: Path) -> None:
    engine, turns = Engine.load(folder, **FLOAT), [Turn(role="user", text="How many chairs?")]
    tokens = engine._encoder.tokenizer("tables and chairs", add_special_tokens=False)["input_ids"]
    ids = [*engine._encode(turns).ids, *tokens]
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits_TL = plain(input_ids=torch.tensor([ids])).logits[0]
    logits_TL[:, engine._model.image_token_id] = -torch.inf  # no reply says it
    chances_TL = logits_TL.softmax(-1)
    expected = [float(chances_TL[len(ids) - len(tokens) - 1 + place, token]) for place, token in enumerate(tokens)]
    assert engine.chances(turns, "tables and chairs") == pytest.approx(expected, rel=1e-4)
    assert engine.chances(turns, "") == []
    written = "".join(engine.stream(turns, max_new_tokens=4))
    assert (
        min(engine.chances(turns, written), default=1) >= 0
        and "".join(engine.stream(turns, max_new_tokens=4)) == written
    )
    with pytest.raises(ContextOverflowError):
        engine.chances(turns, "chairs " * engine.context_tokens)


def test_an_engine_that_nobody_holds_any_more_is_freed_and_its_thread_ends(folder: Path) -> None:
    engine = Engine.load(folder, **FLOAT)
    list(engine.stream([Turn(role="user", text="Hi")], max_new_tokens=3))
    thread, model = engine._batcher._thread, weakref.ref(engine._model)
    assert thread is not None and thread.daemon
    del engine
    gc.collect()
    thread.join(timeout=60)
    assert not thread.is_alive() and model() is None


def test_a_reply_that_is_dropped_unread_leaves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, left = Engine.load(folder, **FLOAT), list[Request]()
    whole = engine._batcher.give_up
    monkeypatch.setattr(engine._batcher, "give_up", lambda request: left.append(request) or whole(request))
    reply = engine.stream([Turn(role="user", text="Go on!")], max_new_tokens=200, temperature=1.0, seed=3)
    next(reply)
    assert not left
    del reply
    gc.collect()
    assert [request.given_up for request in left] == [True]
