"""Traces: what is told of a question, an answer and an indexing job, to whom, and that nobody waits for it."""

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from indexing import spans
from ui import logs, telemetry
from ui.api.libraries import OpenLibrary
from ui.settings import Settings, SettingsError
from ui.workbench import Workbench

ROOT = Path(__file__).parents[2]
WORDS = "The bilge pump of the Zanzibar needs 4.2 litres of oil every spring.\n"
QUESTION = "How much oil does the bilge pump of the Zanzibar need?"


@contextmanager
def watched(exporter: SpanExporter, processor: Any = SimpleSpanProcessor) -> Iterator[None]:
    provider = telemetry._watch(processor(exporter))
    try:
        yield
    finally:
        spans.watch_with(None)
        provider.shutdown()


def told(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def parents(found: dict[str, ReadableSpan]) -> dict[str, str]:
    names = {span.context.span_id: span.name for span in found.values() if span.context}
    return {name: names[span.parent.span_id] if span.parent else "" for name, span in found.items()}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, ReadableSpan], dict[str, ReadableSpan], str]:
    """A library that is made by a job, and a question → the spans of both, and all that was told as text."""
    folder = tmp_path_factory.mktemp("traced")
    (folder / "pump.txt").write_text(WORDS)
    job, asking = InMemorySpanExporter(), InMemorySpanExporter()
    library = OpenLibrary("boats", Workbench.open(Settings.load(folder / "boats", environ={}), create=True))
    try:
        with watched(job), logs.for_request("request-of-the-job"):
            library.jobs.submit([folder / "pump.txt"])
            assert library.jobs.wait_until_idle(120)
        with watched(asking), logs.for_request("request-of-the-question"):
            *_, answer = library.service.bench.ask(QUESTION)
    finally:
        library.close()
    assert type(answer).__name__ == "Answer"
    everything = [span.to_json() for exporter in (job, asking) for span in exporter.get_finished_spans()]
    return told(job), told(asking), "\n".join(everything)


def test_a_question_is_told_from_search_to_citations(traced: Any) -> None:
    above = parents(traced[1])
    assert above["answer"] == "" and above["search"] == "answer" and above["prompt"] == "answer"
    for channel, found in (("clip", 0), ("text", 1), ("bm25", 1)):  # the passage has no picture
        assert above[f"search.{channel}"] == "search"
        assert traced[1][f"search.{channel}"].attributes["llavero.found"] == found
    assert above["generate"] == above["generate.first_token"] == above["citations"] == "answer"
    whole, first = traced[1]["generate"], traced[1]["generate.first_token"]
    assert first.start_time <= first.end_time < whole.end_time
    assert whole.attributes["llavero.pieces"] >= 1 and traced[1]["prompt"].attributes["llavero.tokens"] > 20


def test_a_job_is_told_in_its_stages_and_belongs_to_the_request_that_handed_it_in(traced: Any) -> None:
    above = parents(traced[0])
    stages = ("recover", "read", "embed_passages", "write", "tidy")
    assert {above[f"index.{stage}"] for stage in stages} == {"index"}
    assert [each.attributes["llavero.rows"] for name, each in traced[0].items() if name == "index.write"] == [1]
    assert traced[0]["index"].attributes["llavero.request"] == "request-of-the-job"
    assert traced[1]["search.bm25"].attributes["llavero.request"] == "request-of-the-question"


def test_nothing_of_a_question_a_document_or_a_name_is_told(traced: Any) -> None:
    for word in ("oil", "bilge", "Zanzibar", "pump", "4.2 litres", "litres", "boats", "/tmp"):
        assert word not in traced[2], word


def test_an_error_is_told_by_its_type_alone() -> None:
    exporter = InMemorySpanExporter()
    with watched(exporter), pytest.raises(ValueError), spans.span("search"):
        raise ValueError("who is ill?")
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None and span.attributes["error.type"] == "ValueError" and not span.events
    assert "ill" not in span.to_json()


def test_a_log_line_names_the_trace_that_it_belongs_to() -> None:
    import logging

    with watched(InMemorySpanExporter()), spans.span("request") as work:
        line = json.loads(logs.JsonLines().format(logging.LogRecord("x", 20, "f", 1, "said", (), None)))
        assert work._stretch is not None and line["trace"] == work._stretch.ids["trace"]
    assert "trace" not in json.loads(logs.JsonLines().format(logging.LogRecord("x", 20, "f", 1, "said", (), None)))


def test_a_request_belongs_to_no_other_even_in_the_context_of_one() -> None:
    exporter = InMemorySpanExporter()
    with watched(exporter), spans.first_span("request"), spans.first_span("next request"), spans.span("search"):
        pass
    assert parents(told(exporter)) == {"search": "next request", "next request": "", "request": ""}


def test_the_steps_of_a_generator_belong_to_it_in_whichever_threads_they_run() -> None:
    exporter = InMemorySpanExporter()

    def steps() -> Iterator[int]:
        for number in range(3):
            with spans.span(f"step {number}"):
                pass
            yield number

    with watched(exporter):
        events = spans.steps_of("answer", steps())
        for _ in range(2):
            thread = threading.Thread(target=next, args=(events,))
            thread.start()
            thread.join()
        events.close()
    assert parents(told(exporter)) == {"step 0": "answer", "step 1": "answer", "answer": ""}
    assert told(exporter)["answer"].status.is_ok or told(exporter)["answer"].status.is_unset


class _Stuck(SpanExporter):
    """A collector that never answers."""

    def export(self, spans: Any) -> SpanExportResult:
        time.sleep(3600)
        return SpanExportResult.FAILURE


def test_a_collector_that_never_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = telemetry._watch(BatchSpanProcessor(_Stuck(), max_queue_size=16, max_export_batch_size=4))
    try:
        began = time.monotonic()
        for _ in range(2000):
            with spans.span("search"):
                pass
        assert time.monotonic() - began < 5  # a hundredth of it is usual; an hour would be one batch
        monkeypatch.setattr(telemetry, "_END_SECONDS", 0.2)
        began = time.monotonic()
        telemetry._end(provider)
        assert time.monotonic() - began < 5
    finally:
        spans.watch_with(None)


def test_without_an_endpoint_nothing_is_loaded() -> None:
    code = (
        "import sys; from ui import telemetry; from indexing import spans; assert not telemetry.begin({});"
        "w = spans.begin('x'); w.count(n=1); w.end(); print([m for m in sys.modules if 'opentelemetry' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_protocol_that_is_not_spoken_is_refused() -> None:
    with pytest.raises(SettingsError, match="http/protobuf"):
        telemetry.begin({telemetry.ENDPOINT: "http://localhost:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert not telemetry.begin({telemetry.ENDPOINT: "http://localhost:4318", "OTEL_SDK_DISABLED": "true"})


class _Collector(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP."""

    got: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


SENDS = """
import sys, time
from ui import telemetry
from indexing import spans
assert telemetry.begin()
with spans.span("search", found=3):
    pass
print("done", flush=True)
"""


def run_sender(endpoint: str) -> tuple[float, "subprocess.CompletedProcess[str]"]:
    environment = {**os.environ, telemetry.ENDPOINT: endpoint}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SENDS],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=120,
        check=True,
    )
    return time.monotonic() - began, done


def test_a_collector_gets_the_spans_over_http_before_the_process_ends() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    _Collector.got = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _, done = run_sender(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert done.stdout == "done\n" and [path for path, _ in _Collector.got] == ["/v1/traces"]
    sent = ExportTraceServiceRequest.FromString(_Collector.got[0][1])
    (resource,) = sent.resource_spans
    assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "llavero"
    (span,) = resource.scope_spans[0].spans
    assert (span.name, span.attributes[0].key, span.attributes[0].value.int_value) == ("search", "llavero.found", 3)


def test_a_process_ends_at_once_where_no_collector_answers() -> None:
    seconds, done = run_sender("http://127.0.0.1:9")
    assert done.stdout == "done\n" and seconds < 30
