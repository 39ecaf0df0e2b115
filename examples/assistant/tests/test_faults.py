import pytest

from model_server.faults import Fault, Faults


def test_a_rate_limit_lets_through_what_it_allows_and_names_the_wait():
    now = [0.0]
    faults = Faults(requests_per_minute=2, clock=lambda: now[0])
    faults.check("", "a")
    now[0] = 10.0
    faults.check("", "b")
    with pytest.raises(Fault) as refused:
        faults.check("", "c")
    assert refused.value.retry_after == 50.0
    now[0] = 60.0
    faults.check("", "c")


def test_a_slow_answer_waits_as_long_as_asked_and_no_longer_than_half_a_minute():
    waits = []
    faults = Faults(sleep=waits.append)
    faults.check("slow:250", "a")
    faults.check("slow:999999", "a")
    assert waits == [0.25, 30.0]


def test_each_request_has_its_own_count_of_tries():
    faults = Faults()
    for request in ("a", "b"):
        with pytest.raises(Fault):
            faults.check("flaky:1", request)
        faults.check("flaky:1", request)
