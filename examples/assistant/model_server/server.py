"""HTTP around the two wire formats."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import anthropic, openai
from .faults import Fault, Faults

MAX_BODY = 4 << 20


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: Faults

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.send_json(200, {"status": "ok"})
        elif self.path == "/v1/models":
            self.send_json(200, openai.models())
        else:
            self.send_json(404, {"error": {"message": f"no such path `{self.path}`"}})

    def do_POST(self) -> None:
        routes = {
            "/v1/chat/completions": (openai, openai.complete, openai.stream),
            "/v1/embeddings": (openai, openai.embeddings, None),
            "/v1/messages": (anthropic, anthropic.complete, anthropic.stream),
        }
        raw = self.rfile.read(min(int(self.headers.get("content-length") or 0), MAX_BODY))
        if self.path not in routes:
            self.send_json(404, {"error": {"message": f"no such path `{self.path}`"}})
            return
        form, complete, stream = routes[self.path]
        try:
            body = self.admit(form, raw)
            if stream and body.get("stream"):
                self.send_stream(stream(body))
            else:
                self.send_json(200, complete(body))
        except Fault as fault:
            status, problem = form.error(fault)
            wait = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
            self.send_json(status, problem, wait)

    def admit(self, form, raw: bytes) -> dict:
        """The request's body, if it has a key, is JSON, and no fault was asked for."""
        key = self.headers.get("x-api-key") if form is anthropic else self.headers.get("authorization")
        if not (key or "").removeprefix("Bearer").strip():
            raise Fault("authentication", "no API key was given")
        if form is anthropic and not self.headers.get("anthropic-version"):
            raise Fault("invalid", "anthropic-version: header is required")
        self.faults.check(self.headers.get("x-model-fault") or "", hashlib.sha256(raw).hexdigest())
        try:
            body = json.loads(raw)
        except ValueError as problem:
            raise Fault("invalid", f"the body is not JSON: {problem}") from problem
        if not isinstance(body, dict):
            raise Fault("invalid", "the body must be an object")
        return body

    def send_json(self, status: int, body: dict, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def send_stream(self, events: Iterator[str]) -> None:
        events = list(events)  # a fault while thinking is still an answer with a status
        cut = self.headers.get("x-model-fault") == "cut"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events[: len(events) // 2] if cut else events:
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        if cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args) -> None:
        print(f"model: {format % args}", flush=True)


def make_server(address: tuple[str, int], faults: Faults | None = None) -> ThreadingHTTPServer:
    handler = type("BoundHandler", (Handler,), {"faults": faults or Faults()})
    return ThreadingHTTPServer(address, handler)
