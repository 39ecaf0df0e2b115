"""OpenTelemetry's SDK, set up by its environment variables alone: an agent that uses a tool, asks a database and calls a
model through the gateway."""

import logging
import os
import sys

from openai import OpenAI
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import inject
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

# What the exporters complain of.
complaints = []


class Complaints(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


logging.getLogger("opentelemetry").addHandler(Complaints(logging.WARNING))

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(compression=Compression.Gzip)))
trace.set_tracer_provider(provider)
meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
metrics.set_meter_provider(meters)
tracer = trace.get_tracer("agents")
client = OpenAI(base_url=os.environ["GATEWAY"] + "/v1", api_key=os.environ["KEY"])

with tracer.start_as_current_span(
    "invoke_agent planner",
    attributes={
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"I am Ada"}]}]',
    },
):
    with tracer.start_as_current_span(
        "execute_tool search", attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    ):
        with tracer.start_as_current_span(
            "SELECT docs",
            kind=trace.SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.query.text": "SELECT 'Ada'"},
        ):
            pass
    with tracer.start_as_current_span("ask", kind=trace.SpanKind.CLIENT):
        headers = {}
        inject(headers)
        messages = [{"role": "user", "content": "Say something."}]
        client.chat.completions.create(model="m1", messages=messages, max_tokens=50, extra_headers=headers)
    try:
        with tracer.start_as_current_span("execute_tool broken"):
            raise ValueError("it is broken")
    except ValueError:
        pass

metrics.get_meter("agents").create_counter("asked").add(1)
meters.force_flush()
if not provider.force_flush():
    complaints.append("the spans were not taken")
provider.shutdown()
meters.shutdown()
if complaints:
    sys.exit("\n".join(complaints))
