"""Cases of a client: functions named as sentences, run one after the other, all of them."""

import inspect
import os
import sys
import time
import traceback

GATEWAY = os.environ["GATEWAY"]
CASES = {"answers": [], "errors": []}
# A picture that is larger than a buffer and smaller than the gateway's limit.
PICTURE = "iVBORw0KGgo" + "A0b9" * 50_000


def case(group):
    def add(function):
        CASES[group].append(function)
        return function

    return add


def orders(text):
    return {"x-fake": text}


def raises(kind, call, status=None):
    try:
        call()
    except kind as error:
        assert status is None or error.status_code == status, (error.status_code, status)
        return error
    raise AssertionError(f"no {kind.__name__}")


def seconds(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def until(kind, call):
    """Calls until the rate is used up."""
    for _ in range(100):
        try:
            call()
        except kind as error:
            return error
    raise AssertionError(f"no {kind.__name__} in 100 calls")


def main():
    failed = 0
    for function in CASES[sys.argv[1]]:
        name = function.__name__.replace("_", " ")
        try:
            result = function()
            if inspect.iscoroutine(result):
                import asyncio

                asyncio.run(result)
            print("ok    ", name, flush=True)
        except Exception:
            failed += 1
            print("FAILED", name, traceback.format_exc(), sep="\n", flush=True)
    sys.exit(1 if failed else 0)
