"""The wire format of Anthropic: messages, at once and streamed."""

import hashlib
import json
from collections.abc import Iterator

from . import mind
from .faults import Fault
from .openai import shorten, text_of

STATUS = {"invalid": 400, "authentication": 401, "rate_limit": 429, "error": 500, "overloaded": 529}
TYPE = {
    "invalid": "invalid_request_error",
    "authentication": "authentication_error",
    "rate_limit": "rate_limit_error",
    "error": "api_error",
    "overloaded": "overloaded_error",
}


def complete(body: dict) -> dict:
    text, reason, asked, answered = think(body)
    usage = {"input_tokens": asked, "output_tokens": answered}
    content = [{"type": "text", "text": text}]
    return envelope(body) | {"content": content, "stop_reason": reason, "stop_sequence": None, "usage": usage}


def stream(body: dict) -> Iterator[str]:
    text, reason, asked, answered = think(body)
    usage = {"input_tokens": asked, "output_tokens": 1}
    start = envelope(body) | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield event("message_start", message=start)
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for place, word in enumerate(text.split(" ")):
        delta = {"type": "text_delta", "text": word if place == 0 else f" {word}"}
        yield event("content_block_delta", index=0, delta=delta)
    yield event("content_block_stop", index=0)
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield event("message_delta", delta=delta, usage={"output_tokens": answered})
    yield event("message_stop")


def event(kind: str, **fields) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | fields)}\n\n"


def think(body: dict) -> tuple[str, str, int, int]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Fault("invalid", "messages: at least one message is required")
    if not isinstance(body.get("max_tokens"), int):
        raise Fault("invalid", "max_tokens: Field required")
    system = text_of({"content": body.get("system")})
    prompt = next((text_of(it) for it in reversed(messages) if it.get("role") == "user"), "")
    text, cut = shorten(mind.reply(system, prompt), body["max_tokens"])
    asked = mind.count_tokens(system) + sum(4 + mind.count_tokens(text_of(it)) for it in messages)
    return text, "max_tokens" if cut else "end_turn", asked, mind.count_tokens(text)


def envelope(body: dict) -> dict:
    if not body.get("model"):
        raise Fault("invalid", "model: Field required")
    digest = hashlib.sha256(json.dumps(body.get("messages"), sort_keys=True).encode()).hexdigest()
    return {"id": f"msg_{digest[:24]}", "type": "message", "role": "assistant", "model": body["model"]}


def error(fault: Fault) -> tuple[int, dict]:
    return STATUS[fault.kind], {"type": "error", "error": {"type": TYPE[fault.kind], "message": fault.message}}
