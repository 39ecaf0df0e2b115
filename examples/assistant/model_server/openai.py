"""The wire format of OpenAI: chat completions, embeddings, models. Requests in, JSON or stream events out."""

import base64
import hashlib
import json
import struct
from collections.abc import Iterator

from . import mind
from .faults import Fault

CREATED = 1_700_000_000  # a fixed moment, so that equal requests have equal answers
STATUS = {"invalid": 400, "authentication": 401, "rate_limit": 429, "error": 500, "overloaded": 503}
TYPE = {"invalid": "invalid_request_error", "authentication": "invalid_request_error", "rate_limit": "requests"}


def complete(body: dict) -> dict:
    text, finish, usage = think(body)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish, "logprobs": None}
    return envelope(body, "chat.completion") | {"choices": [choice], "usage": usage}


def stream(body: dict) -> Iterator[str]:
    """Server-sent events: one word each, then the reason, then the usage if it was asked for."""
    text, finish, usage = think(body)
    base = envelope(body, "chat.completion.chunk")

    def chunk(delta: dict, reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return f"data: {json.dumps(base | {'choices': [choice]})}\n\n"

    yield chunk({"role": "assistant", "content": ""})
    for place, word in enumerate(text.split(" ")):
        yield chunk({"content": word if place == 0 else f" {word}"})
    yield chunk({}, finish)
    if (body.get("stream_options") or {}).get("include_usage"):
        yield f"data: {json.dumps(base | {'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


def think(body: dict) -> tuple[str, str, dict]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Fault("invalid", "`messages` must be a list with at least one message")
    system = "\n".join(text_of(it) for it in messages if it.get("role") in ("system", "developer"))
    prompt = next((text_of(it) for it in reversed(messages) if it.get("role") == "user"), "")
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
    text, finish = shorten(mind.reply(system, prompt), limit)
    asked = sum(4 + mind.count_tokens(text_of(it)) for it in messages)
    return text, "length" if finish else "stop", usage_of(asked, mind.count_tokens(text))


def shorten(text: str, limit: int) -> tuple[str, bool]:
    """The words that fit into `limit` tokens, and whether some did not."""
    words = text.split(" ")
    while len(words) > 1 and mind.count_tokens(" ".join(words)) > limit:
        words.pop()
    return " ".join(words), len(words) < len(text.split(" "))


def text_of(message: dict) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if part.get("type") == "text")


def usage_of(asked: int, answered: int) -> dict:
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def envelope(body: dict, kind: str) -> dict:
    if not body.get("model"):
        raise Fault("invalid", "you must provide a `model`")
    digest = hashlib.sha256(json.dumps(body.get("messages"), sort_keys=True).encode()).hexdigest()
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": kind,
        "created": CREATED,
        "model": body["model"],
        "system_fingerprint": "fp_deterministic",
    }


def embeddings(body: dict) -> dict:
    wanted = body.get("input")
    texts = [wanted] if isinstance(wanted, str) else wanted
    if not texts or not all(isinstance(it, str) for it in texts):
        raise Fault("invalid", "`input` must be a text or a list of texts")
    dimensions = body.get("dimensions") or mind.DIMENSIONS
    encode = as_base64 if body.get("encoding_format") == "base64" else list
    data = [
        {"object": "embedding", "index": place, "embedding": encode(mind.embed(text, dimensions))}
        for place, text in enumerate(texts)
    ]
    tokens = sum(mind.count_tokens(text) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model", ""), "usage": usage}


def as_base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def models() -> dict:
    names = ["harbour-small", "harbour-large", "harbour-embed"]
    data = [{"id": it, "object": "model", "created": CREATED, "owned_by": "example"} for it in names]
    return {"object": "list", "data": data}


def error(fault: Fault) -> tuple[int, dict]:
    kind = TYPE.get(fault.kind, "server_error")
    code = {"authentication": "invalid_api_key", "rate_limit": "rate_limit_exceeded"}.get(fault.kind)
    return STATUS[fault.kind], {"error": {"message": fault.message, "type": kind, "param": None, "code": code}}
