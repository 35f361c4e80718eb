"""Traces over OpenTelemetry, where an endpoint is named (OTEL_EXPORTER_OTLP_ENDPOINT); else nothing is loaded or sent.

    indexing.spans ─► this watcher ─► a bounded queue ─► a thread that sends (OTLP over HTTP)

Whoever answers only ever puts into the queue: what does not fit is dropped, and a collector that cannot be reached
costs a line in the log. Only our own spans go out, with counts, times and names of ours; the tracer that other
libraries would find is left as it is.
"""

import atexit
import logging
import os
import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from indexing import spans
from indexing.spans import Count, Stretch
from ui import logs
from ui.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_QUEUE_SPANS = 2048
_BATCH_SPANS = 256
_SEND_SECONDS = 5.0
_EVERY_SECONDS = 2.0
_END_SECONDS = 2.0
_LONGEST_WORD = 100


def begin(environ: Mapping[str, str] = os.environ) -> bool:
    """Begin to send, if the environment names where to → whether it does. Raises SettingsError."""
    if not (environ.get(ENDPOINT) or environ.get(TRACES_ENDPOINT)) or environ.get("OTEL_SDK_DISABLED") == "true":
        return False
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise SettingsError(f"traces are sent as http/protobuf; '{protocol}' is not supported (port 4318, not 4317)")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        fault = SettingsError(f"{ENDPOINT} is set, and a package that traces need is missing: {error.name}")
        fault.add_note("Install it: pip install 'llavero[telemetry]'")
        raise fault from error
    _watch(
        BatchSpanProcessor(
            OTLPSpanExporter(timeout=_SEND_SECONDS),
            max_queue_size=_QUEUE_SPANS,
            max_export_batch_size=_BATCH_SPANS,
            schedule_delay_millis=_EVERY_SECONDS * 1000,
        )
    )
    logging.getLogger(__name__).info("traces are sent")
    return True


def _watch(processor: "SpanProcessor") -> Any:
    """Hand our spans to a processor → the provider."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = {"service.name": "llavero", "service.version": version("llavero")}
    named |= {"service.name": os.environ["OTEL_SERVICE_NAME"]} if os.environ.get("OTEL_SERVICE_NAME") else {}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    spans.watch_with(_Watcher(provider.get_tracer("llavero")))
    atexit.register(_end, provider)
    return provider


def _end(provider: Any) -> None:
    """Send what waits, within a moment: a collector that is gone holds nobody up."""
    spans.watch_with(None)
    ending = threading.Thread(target=provider.shutdown, name="llavero-traces", daemon=True)
    ending.start()
    ending.join(_END_SECONDS)


class _Watcher:
    """Makes a span of each stretch."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def begin(self, name: str, parent: Stretch | None, counts: Mapping[str, Count]) -> Stretch:
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        above = set_span_in_context(parent.span, Context()) if isinstance(parent, _OpenSpan) else Context()
        stretch = _OpenSpan(self._tracer.start_span(name, context=above))
        if request := logs.request_id():
            stretch.count({"request": request})
        stretch.count(counts)
        return stretch


class _OpenSpan:
    def __init__(self, span: Any) -> None:
        self.span = span
        context = span.get_span_context()
        self.ids: Mapping[str, str] = {"trace": f"{context.trace_id:032x}", "span": f"{context.span_id:016x}"}

    def count(self, counts: Mapping[str, Count]) -> None:
        for name, value in counts.items():
            self.span.set_attribute(f"llavero.{name}", value[:_LONGEST_WORD] if isinstance(value, str) else value)

    def end(self, failure: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        if failure and failure != "GeneratorExit":  # a reader that left is no fault
            self.span.set_attribute("error.type", failure)
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()
