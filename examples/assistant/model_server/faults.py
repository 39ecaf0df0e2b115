"""Faults on demand, asked for by the header `x-model-fault`, and a rate limit.

    rate_limit        429 with retry-after       error        500
    overloaded        503 (529 for Anthropic)    slow:250     250 ms before the first byte
    flaky:2           the first two tries of a request fail with 429
    cut               a stream ends in the middle
"""

import threading
import time


class Fault(Exception):
    def __init__(self, kind: str, message: str, retry_after: float | None = None):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after


class Faults:
    """Decides whether a request fails. Counts tries, so it is the one part with a memory."""

    def __init__(self, requests_per_minute: int = 0, clock=time.monotonic, sleep=time.sleep):
        self.requests_per_minute = requests_per_minute
        self.clock = clock
        self.sleep = sleep
        self.lock = threading.Lock()
        self.tries: dict[str, int] = {}
        self.window: list[float] = []

    def check(self, wanted: str, request_key: str) -> None:
        """Raises the wanted fault, or the one that the rate limit asks for."""
        self.check_rate()
        kind, _, argument = wanted.partition(":")
        if kind == "slow":
            self.sleep(min(float(argument or 0), 30_000) / 1000)
        elif kind == "flaky":
            with self.lock:
                tries = self.tries[request_key] = self.tries.get(request_key, 0) + 1
            if tries <= int(argument or 1):
                raise Fault("rate_limit", f"try {tries} of this request fails", retry_after=0)
        elif kind == "rate_limit":
            raise Fault("rate_limit", "too many requests", retry_after=1)
        elif kind in ("error", "overloaded"):
            raise Fault(kind, f"asked for by x-model-fault: {kind}")
        elif kind not in ("", "cut"):
            raise Fault("invalid", f"there is no fault `{kind}`")

    def check_rate(self) -> None:
        if not self.requests_per_minute:
            return
        with self.lock:
            now = self.clock()
            self.window = [at for at in self.window if now - at < 60]
            if len(self.window) >= self.requests_per_minute:
                wait = 60 - (now - self.window[0])
                raise Fault("rate_limit", f"more than {self.requests_per_minute} requests a minute", wait)
            self.window.append(now)
