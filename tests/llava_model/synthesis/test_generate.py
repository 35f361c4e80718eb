"""Runs against a scripted server of this machine: what is sent, what is kept, what is written."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from generating_world import coco, records, run
from writing_server import Trouble, good, serving

from llava_model.chat_client import WRITER, ChatServer
from llava_model.data.samples import parse_sample
from llava_model.data.validate import validate
from llava_model.errors import GenerationInUseError, SourceError, WriterError
from llava_model.jsonl_log import JsonlLog
from llava_model.synthesis.generate import GenerationSettings, plan
from llava_model.synthesis.runner import Limits, Patience, ReplyLedger
from llava_model.synthesis.sources import Item, TextLine


def test_every_picture_gets_a_sample_of_each_kind_that_validates_clean(tmp_path: Path) -> None:
    coco(tmp_path, 5)
    with serving() as server:
        report = run(tmp_path, server.url, tmp_path / "out")
    made = records(tmp_path / "out")
    assert Counter(one["id"].split("-")[1] for one in made) == {"conversation": 5, "detail": 5, "complex": 5}
    assert report.is_clean and report.samples == 15 and report.usage.tokens == 15 * 150
    for position, one in enumerate(made):
        parse_sample(one, root=tmp_path / "images", position=position)
    found = validate([tmp_path / "out/train.json"], image_root=tmp_path / "images")
    assert not found.problems and found.pictures == 15
    assert json.loads((tmp_path / "out/report.json").read_text())["made"] == 15


def test_the_model_sees_sentences_and_boxes_but_no_name_of_the_picture(tmp_path: Path) -> None:
    coco(tmp_path, 1)
    with serving() as server:
        run(tmp_path, server.url, tmp_path / "out", kinds=("conversation",))
    told = server.bodies[0]["messages"][-1]["content"]
    assert "dog: [0.100, 0.100, 0.300, 0.900]" in told and "take 1." in told and "1.png" not in told


def test_a_second_run_sends_nothing_and_writes_the_same(tmp_path: Path) -> None:
    coco(tmp_path, 4)
    with serving() as server:
        run(tmp_path, server.url, tmp_path / "out")
        before = (tmp_path / "out/train.json").read_bytes()
        again = run(tmp_path, server.url, tmp_path / "out")
        assert len(server.bodies) == 12 and again.requests == 0 and again.kept_replies == 12
    assert (tmp_path / "out/train.json").read_bytes() == before


def test_only_what_changed_is_asked_again(tmp_path: Path) -> None:
    coco(tmp_path, 4)
    with serving() as server:
        run(tmp_path, server.url, tmp_path / "out", kinds=("detail",))
        coco(tmp_path, 6)
        run(tmp_path, server.url, tmp_path / "out", kinds=("detail", "complex"))
        assert len(server.bodies) == 4 + 2 + 6
    assert len(records(tmp_path / "out")) == 12


class Misbehaving:
    """Each sample's first four requests go wrong, in four of seven ways, whoever else asks meanwhile."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any], number: int) -> str | Trouble:
        told = [turn["content"] for turn in body["messages"] if turn["content"].startswith("Sentences:")]
        sample = body["messages"][0]["content"] + told[-1]
        with self.lock:
            tries = self.asked[sample]
            self.asked[sample] += 1
        if tries > 3:
            return good(body)
        troubles = (
            Trouble(status=500),
            Trouble(status=429, retry_after="0.05"),
            Trouble(raw=b'{"choices": [{"message": {"content": "cut in the mid'),
            Trouble(text="Sure! I would love to help you with your pictures"),
            Trouble(text="I'm sorry, but I cannot help with that."),
            Trouble(text=good(body), delay_seconds=0.2),
            Trouble(text=good(body)[:40], finish="length"),
        )
        return troubles[(zlib.crc32(sample.encode()) + tries) % len(troubles)]


def test_a_server_that_misbehaves_in_every_way_still_brings_every_sample(tmp_path: Path) -> None:
    coco(tmp_path, 10)
    patience = Patience(tries=9, first_wait_seconds=0.01, give_up_after=50)
    with serving(Misbehaving()) as server:
        report = run(tmp_path, server.url, tmp_path / "out", patience=patience)
    ids = [one["id"] for one in records(tmp_path / "out")]
    assert len(ids) == len(set(ids)) == 30
    assert report.samples == 30 and report.totals.repaired and not report.totals.refused and not report.totals.failed


def test_retry_after_is_obeyed_by_all_workers(tmp_path: Path) -> None:
    coco(tmp_path, 4)
    busy = Trouble(status=429, retry_after="0.6")
    with serving(lambda body, number: busy if number == 1 else good(body)) as server:
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), concurrency=1)
    assert report.is_clean and server.times[1] - server.times[0] >= 0.6


def test_a_wait_longer_than_we_have_patience_for_stops_the_run_and_says_so(tmp_path: Path) -> None:
    coco(tmp_path, 4)
    with serving(lambda body, number: Trouble(status=429, retry_after="86400")) as server:
        report = run(tmp_path, server.url, tmp_path / "out")
    assert "86,400 s" in report.stopped and len(report.totals.left) == 12 and records(tmp_path / "out") == []


@pytest.mark.parametrize("status", [401, 404, 302])
def test_a_wrong_key_model_or_address_stops_at_once(tmp_path: Path, status: int) -> None:
    coco(tmp_path, 8)
    with serving() as other, serving(lambda *_: Trouble(status=status, location=other.url)) as server:
        report = run(tmp_path, server.url, tmp_path / "out")
        assert f"HTTP {status}" in report.stopped and len(server.bodies) <= 4 and not other.bodies


def test_one_request_that_the_server_rejects_fails_alone(tmp_path: Path) -> None:
    coco(tmp_path, 4)

    def reply(body: dict[str, Any], number: int) -> str | Trouble:
        return Trouble(status=400, raw=b"too long") if "take 3" in body["messages"][-1]["content"] else good(body)

    with serving(reply) as server:
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",))
    assert (
        list(report.totals.failed) == ["3-detail"]
        and "too long" in report.totals.failed["3-detail"]
        and report.samples == 3
    )


def test_a_server_that_is_not_there_is_given_up_and_the_rest_is_left(tmp_path: Path) -> None:
    coco(tmp_path, 30)
    patience = Patience(tries=2, first_wait_seconds=0.01, give_up_after=3)
    report = run(tmp_path, "http://127.0.0.1:9/v1", tmp_path / "out", patience=patience)
    assert "does not answer" in report.stopped and report.totals.left and report.usage.tokens == 0


def test_a_run_that_stops_early_keeps_the_samples_of_earlier_runs(tmp_path: Path) -> None:
    coco(tmp_path, 30)
    with serving() as server:
        run(tmp_path, server.url, tmp_path / "out", kinds=("detail",))
    with serving(lambda *_: Trouble(status=401)) as server:
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("complex", "detail"))
    assert report.stopped and len(report.totals.left) == 30 and report.samples == len(records(tmp_path / "out")) == 30


def test_a_count_is_drawn_from_pictures_that_something_can_be_made_of() -> None:
    text = (TextLine(text="Total 17.00 EUR"),)
    items = [
        Item(id=str(number), image=f"{number}.png", lines=text if number % 10 == 0 else ()) for number in range(60)
    ]
    tasks = plan(items, GenerationSettings(kinds=("reading",), count=4))
    assert len(tasks) == 4 and all(task.item.lines for task in tasks)
    assert (
        tasks
        == plan(items, GenerationSettings(kinds=("reading",), count=4))
        != plan(items, GenerationSettings(kinds=("reading",), count=4, seed=1))
    )


def test_a_server_that_counts_more_than_was_estimated_overspends_by_the_requests_in_flight_at_most(
    tmp_path: Path,
) -> None:
    coco(tmp_path, 30)
    usage = {"prompt_tokens": 4_000, "completion_tokens": 1_000}  # about four times the estimate
    with serving(lambda body, number: Trouble(text=good(body), usage=usage, delay_seconds=0.02)) as server:
        limits = Limits(max_tokens_total=30_000)
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), limits=limits, concurrency=4)
    assert report.stopped == "budget" and 30_000 < report.usage.tokens <= 30_000 + 4 * 5_000
    assert report.usage.tokens == 5_000 * len(server.bodies)


def test_a_model_that_always_refuses_is_counted_by_id(tmp_path: Path) -> None:
    coco(tmp_path, 2)
    with serving(lambda *_: "I'm sorry, I can't help with that.") as server:
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("conversation", "detail"))
        assert len(server.bodies) == 4 * 3
    assert set(report.totals.refused) == {f"{n}-{kind}" for n in (1, 2) for kind in ("conversation", "detail")}


def test_the_same_words_about_another_picture_are_dropped_as_duplicates(tmp_path: Path) -> None:
    coco(tmp_path, 3)
    with serving(lambda body, number: good(body).replace("1", "").replace("2", "").replace("3", "")) as server:
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",))
    assert report.totals.dropped == {"duplicate": ["2-detail", "3-detail"]} and len(records(tmp_path / "out")) == 1


@pytest.mark.parametrize("tokens", [1, 4_000, 9_000, 20_000])
def test_the_token_budget_is_never_overspent(tmp_path: Path, tokens: int) -> None:
    coco(tmp_path, 20)
    limits = Limits(max_tokens_total=tokens)
    usage = {"prompt_tokens": 900, "completion_tokens": 300}
    with serving(lambda body, number: Trouble(text=good(body), usage=usage)) as server:
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), limits=limits)
        again = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), limits=limits)
    assert len(server.bodies) * 1200 == report.usage.tokens == again.usage.tokens <= tokens
    assert report.stopped == "budget" or report.samples == 20
    assert again.requests == 0 and report.samples + len(report.totals.left) == 20


def test_the_cost_budget_stops_and_a_higher_one_goes_on(tmp_path: Path) -> None:
    coco(tmp_path, 10)
    prices = {"price_in": 1.0, "price_out": 10.0}
    with serving() as server:  # 100 in, 50 out: 0.0006 each
        low = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), limits=Limits(max_cost=0.012, **prices))
        assert low.stopped == "budget" and 0 < low.cost <= 0.012
        high = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), limits=Limits(max_cost=1.0, **prices))
        assert len(server.bodies) == 10
    assert high.samples == 10 and high.cost == pytest.approx(0.006)


def test_a_second_run_on_the_same_folder_is_refused_and_names_the_first(tmp_path: Path) -> None:
    coco(tmp_path, 1)
    with ReplyLedger(tmp_path / "out"), pytest.raises(GenerationInUseError, match=str(os.getpid())):
        run(tmp_path, "http://127.0.0.1:9/v1", tmp_path / "out")


def test_a_ledger_that_somebody_else_wrote_is_left_alone(tmp_path: Path) -> None:
    coco(tmp_path, 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/replies.jsonl").write_text('["mine"]\n')
    with pytest.raises(SourceError, match="line 1"):
        run(tmp_path, "http://127.0.0.1:9/v1", tmp_path / "out")
    assert (tmp_path / "out/replies.jsonl").read_text() == '["mine"]\n'


@pytest.mark.parametrize("url", ["", "ftp://host/v1", "host:80", "http://user:secret@host/v1"])
def test_without_a_usable_address_nothing_begins(url: str) -> None:
    with pytest.raises(WriterError) as caught:
        ChatServer(url=url, model="m", role=WRITER)
    assert url or "--endpoint" in str(caught.value)
    assert url or "LLAVERO_GENERATE_KEY" in caught.value.__notes__[0]


def test_proxies_of_the_environment_are_not_used_and_the_key_goes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coco(tmp_path, 1)
    monkeypatch.setenv("LLAVERO_GENERATE_KEY", "k-1")
    with serving() as proxy, serving() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        run(tmp_path, server.url, tmp_path / "out", kinds=("detail",))
        assert not proxy.bodies and server.headers[0]["authorization"] == "Bearer k-1"


def test_a_full_disk_ends_the_run_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coco(tmp_path, 6)
    whole = JsonlLog.append

    def full(log: JsonlLog, record: Any) -> int:
        if "picture 4" in str(record.get("text")):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(log, record)

    with serving() as server:
        with monkeypatch.context() as patch:
            patch.setattr(JsonlLog, "append", full)
            with pytest.raises(OSError, match="No space"):
                run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), concurrency=1)
        assert not (tmp_path / "out/train.json").exists()
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), concurrency=1)
    assert report.samples == 6 and report.kept_replies == 3


def killed_runs(folder: Path, kills: int, seed: int) -> None:
    """Kill a run at random moments; afterwards every sample is there once and nothing was asked without need."""
    coco(folder, 40)
    draw = random.Random(seed)

    def slowly(body: dict[str, Any], number: int) -> Trouble:
        return Trouble(text=good(body), delay_seconds=0.03)

    with serving() as calm:
        run(folder, calm.url, folder / "undisturbed")
    with serving(slowly) as server:
        command = [sys.executable, str(Path(__file__).parents[1] / "generating_world.py")]
        for _ in range(kills):
            process = subprocess.Popen([*command, str(folder), server.url, str(folder / "out")])
            asked = len(server.bodies)
            ends = time.monotonic() + 30
            while len(server.bodies) == asked and process.poll() is None and time.monotonic() < ends:
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.6 / kills))
            process.send_signal(signal.SIGKILL)
            process.wait()
        report = run(folder, server.url, folder / "out")
        sent = Counter(json.dumps(body, sort_keys=True) for body in server.bodies)
    assert (folder / "out/train.json").read_bytes() == (folder / "undisturbed/train.json").read_bytes()
    assert len(records(folder / "out")) == 120 and report.is_clean
    assert len(server.bodies) - len(sent) <= kills * 4  # what was under way at a kill is asked again, and no more
    assert report.kept_replies > 0 and report.usage.tokens >= 120 * 150


def test_three_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    killed_runs(tmp_path, kills=3, seed=1)


@pytest.mark.slow
def test_ten_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    killed_runs(tmp_path, kills=10, seed=2)


def test_half_a_last_line_is_cut_off_and_its_request_counts_as_spent(tmp_path: Path) -> None:
    coco(tmp_path, 2)
    with serving() as server:
        run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), concurrency=1)
        file = tmp_path / "out/replies.jsonl"
        file.write_bytes(file.read_bytes()[:-30])
        report = run(tmp_path, server.url, tmp_path / "out", kinds=("detail",), concurrency=1)
        assert len(server.bodies) == 3
    assert report.samples == 2 and report.usage.estimated and report.usage.tokens > 2 * 150
