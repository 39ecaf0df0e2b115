"""The HTTP side: `POST /ask` with a question, at once or streamed, and `GET /healthz`."""

import json
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .answers import Answer, Assistant
from .model import ModelError

MAX_BODY = 64 << 10


class Handler(BaseHTTPRequestHandler):
    assistant: Assistant

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.send_json(200, {"status": "ok", "passages": len(self.assistant.index.chunks)})
        else:
            self.send_json(404, {"problem": f"no such path `{self.path}`"})

    def do_POST(self) -> None:
        if self.path != "/ask":
            self.send_json(404, {"problem": f"no such path `{self.path}`"})
            return
        try:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(min(length, MAX_BODY)))
            question = body["question"]
            if body.get("stream"):
                self.send_stream(question)
            else:
                self.send_json(200, asdict(self.assistant.ask(question)))
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            self.send_json(400, {"problem": f"send a JSON object with `question`: {problem}"})
        except ModelError as problem:
            self.send_json(502, {"problem": f"the model did not answer: {problem}"})

    def send_stream(self, question: str) -> None:
        parts = self.assistant.ask_stream(question)
        first = next(parts)  # a model that is down is still an answer with a status
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.send_event(first)
        try:
            for part in parts:
                self.send_event(part)
        except ModelError as problem:
            self.wfile.write(f"event: error\ndata: {json.dumps({'problem': str(problem)})}\n\n".encode())

    def send_event(self, part: str | Answer) -> None:
        name, data = ("answer", asdict(part)) if isinstance(part, Answer) else ("word", {"text": part})
        self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def send_json(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args) -> None:
        print(f"assistant: {format % args}", flush=True)


def make_server(address: tuple[str, int], assistant: Assistant) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(address, type("BoundHandler", (Handler,), {"assistant": assistant}))
