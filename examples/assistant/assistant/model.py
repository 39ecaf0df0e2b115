"""Talks to a model over the OpenAI wire format: retries what may be retried, counts tokens and money."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field


class ModelError(Exception):
    """The model did not answer; `status` is 0 when nobody did."""

    def __init__(self, status: int, message: str):
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass
class Usage:
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


@dataclass
class Model:
    url: str
    key: str
    prices: dict
    tries: int = 5
    timeout: float = 20.0
    headers: dict[str, str] = field(default_factory=dict)
    sleep: Callable[[float], None] = time.sleep

    def chat(self, prompt: str) -> tuple[str, Usage]:
        with self.post("/v1/chat/completions", self.question(prompt)) as response:
            body = json.load(response)
        return body["choices"][0]["message"]["content"], self.usage(body["usage"])

    def chat_stream(self, prompt: str) -> Iterator[str | Usage]:
        """The words as they come, and the usage at the end. A stream that breaks off is an error."""
        body = self.question(prompt) | {"stream": True, "stream_options": {"include_usage": True}}
        with self.post("/v1/chat/completions", body) as response:
            for line in response:
                data = line.decode().removeprefix("data: ").strip()
                if data == "[DONE]":
                    return
                if data:
                    yield from self.parts(json.loads(data))
        raise ModelError(0, "the stream ended before it was complete")

    def parts(self, chunk: dict) -> Iterator[str | Usage]:
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                yield choice["delta"]["content"]
        if chunk.get("usage"):
            yield self.usage(chunk["usage"])

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        body = {"model": self.prices["embedding"]["model"], "input": list(texts)}
        with self.post("/v1/embeddings", body) as response:
            return [it["embedding"] for it in json.load(response)["data"]]

    def question(self, prompt: str) -> dict:
        rules, _, rest = prompt.partition("---\n")
        messages = [{"role": "system", "content": rules.strip()}, {"role": "user", "content": rest.strip()}]
        return {"model": self.prices["chat"]["model"], "messages": messages, "temperature": 0, "seed": 7}

    def usage(self, counted: dict) -> Usage:
        asked, answered = counted["prompt_tokens"], counted["completion_tokens"]
        price = self.prices["chat"]
        cost = asked * price["prompt_usd_per_million"] + answered * price["completion_usd_per_million"]
        return Usage(1, asked, answered, cost / 1e6)

    def post(self, path: str, body: dict):
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"} | self.headers
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        for attempt in range(1, self.tries + 1):
            try:
                return urllib.request.urlopen(request, timeout=self.timeout)
            except urllib.error.HTTPError as answer:
                with answer:
                    problem = ModelError(answer.code, answer.read(1000).decode(errors="replace"))
                    wait = float(answer.headers.get("retry-after") or 0.2 * 2**attempt)
                if answer.code not in (429, 500, 502, 503, 529) or attempt == self.tries:
                    raise problem from None
            except (urllib.error.URLError, TimeoutError, ConnectionError) as lost:
                if attempt == self.tries:
                    raise ModelError(0, str(lost)) from lost
                wait = 0.2 * 2**attempt
            self.sleep(min(wait, 30.0))
        raise ModelError(0, "no tries were allowed")
