"""`anthropic` for Python, against the gateway."""

import asyncio

import anthropic
from pydantic import BaseModel

from cases import GATEWAY, PICTURE, case, main, orders, raises, seconds, until

ASK = [{"role": "user", "content": "Say something."}]
TOOL = {
    "name": "weather",
    "description": "How the weather is.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Person(BaseModel):
    name: str
    age: int


def client(key="tl-good", **more):
    return anthropic.Anthropic(api_key=key, base_url=GATEWAY, **more)


def message(by=None, **more):
    return (by or client()).messages.create(**{"model": "m1", "messages": ASK, "max_tokens": 50, **more})


@case("answers")
def a_message_has_text_usage_and_what_it_cost():
    raw = client().messages.with_raw_response.create(model="m1", messages=ASK, max_tokens=50)
    answer = raw.parse()
    assert len(answer.content[0].text.split()) == 5 and answer.stop_reason == "end_turn", answer
    assert answer.usage.output_tokens == 5 and answer.usage.input_tokens > 5, answer
    assert float(raw.headers["x-trunkline-cost-usd"]) > 0
    assert raw.headers["request-id"] == answer._request_id


@case("answers")
def a_streamed_message_comes_event_by_event():
    kinds = [it.type for it in message(stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
    assert kinds.count("content_block_delta") == 5, kinds


@case("answers")
def the_stream_helper_gathers_a_message():
    with client().messages.stream(model="m1", messages=ASK, max_tokens=50) as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert answer.content[0].text == text and len(text.split()) == 5, answer
    assert answer.usage.output_tokens == 5, answer.usage


@case("answers")
def a_tool_is_called_and_its_result_is_answered():
    answer = message(tools=[TOOL])
    call = answer.content[0]
    assert (answer.stop_reason, call.name, call.input) == ("tool_use", "weather", {"city": "alpha"}), answer
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "20 degrees"}
    talk = ASK + [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    assert message(tools=[TOOL], messages=talk).content[0].text
    with client().messages.stream(model="m1", messages=ASK, max_tokens=50, tools=[TOOL]) as stream:
        assert stream.get_final_message().content[0].input == {"city": "alpha"}


@case("answers")
def structured_output_is_parsed():
    answer = client().messages.parse(model="m1", messages=ASK, max_tokens=50, output_format=Person)
    assert answer.parsed_output == Person(name="alpha", age=1), answer


@case("answers")
def a_picture_passes():
    part = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
    answer = message(messages=[{"role": "user", "content": [part, {"type": "text", "text": "What is it?"}]}])
    # The fake counts a token for eight bytes of the body that it was sent.
    assert answer.usage.input_tokens > len(PICTURE) / 8, answer.usage


@case("answers")
def tokens_are_counted_and_models_listed():
    assert client().messages.count_tokens(model="m1", messages=ASK).input_tokens == 42
    assert [it.id for it in client().models.list()] == ["m1", "m2", "text-embed"]
    assert client().models.retrieve("m1").id == "m1"
    raises(anthropic.NotFoundError, lambda: client().models.retrieve("other"))


@case("answers")
async def many_calls_at_the_same_time_are_answered():
    many = anthropic.AsyncAnthropic(api_key="tl-good", base_url=GATEWAY)

    async def one(number):
        talk = [{"role": "user", "content": str(number)}]
        async with many.messages.stream(model="m1", messages=talk, max_tokens=50) as stream:
            return await stream.get_final_message()

    answers = await asyncio.gather(*[one(it) for it in range(40)])
    assert all(it.stop_reason == "end_turn" for it in answers)


@case("errors")
def each_refusal_has_its_class():
    error = raises(anthropic.AuthenticationError, lambda: message(client("wrong")), 401)
    assert error.body["error"]["type"] == "authentication_error", error.body
    raises(anthropic.PermissionDeniedError, lambda: message(client("tl-narrow")), 403)
    raises(anthropic.NotFoundError, lambda: message(model="other"), 404)
    raises(anthropic.BadRequestError, lambda: message(extra_headers=orders("status=400")), 400)
    error = raises(anthropic.UnprocessableEntityError, lambda: message(extra_headers=orders("status=422")), 422)
    assert "the fake was asked for 422" in str(error)


@case("errors")
def a_budget_that_is_used_up_is_not_tried_again():
    poor = client("tl-poor", max_retries=5)
    error = raises(anthropic.APIStatusError, lambda: message(poor), 402)
    assert error.body["error"]["type"] == "billing_error", error.body
    assert seconds(lambda: raises(anthropic.APIStatusError, lambda: message(poor), 402)) < 2


@case("errors")
def a_giant_body_is_refused_though_the_client_is_still_sending():
    giant = [{"role": "user", "content": "x" * 5_000_000}]
    error = raises(anthropic.APIStatusError, lambda: message(client(max_retries=0), messages=giant), 413)
    assert error.body["error"]["type"] == "request_too_large", error.body


@case("errors")
def a_rate_says_when_to_come_again_and_the_client_does():
    error = until(anthropic.RateLimitError, lambda: message(client("tl-slow", max_retries=0)))
    assert 0 < float(error.response.headers["retry-after-ms"]) <= 1000, error.response.headers
    assert message(client("tl-slow", max_retries=5)).content


@case("errors")
def a_provider_that_fails_is_tried_again_by_the_gateway_and_then_by_the_client():
    once = client().messages.with_raw_response.create(
        model="m1", messages=ASK, max_tokens=50, extra_headers=orders("status=529,name=once,times=1")
    )
    assert once.headers["x-trunkline-attempts"] == "2", once.headers
    assert message(extra_headers=orders("status=500,name=four,times=4")).content
    failed = orders("status=529")
    error = raises(anthropic.InternalServerError, lambda: message(client(max_retries=0), extra_headers=failed))
    assert error.body["error"]["type"] == "overloaded_error", error.body
    assert message().content, "the way is open again"


@case("errors")
def a_stream_that_breaks_raises():
    def read():
        return list(message(stream=True, extra_headers=orders("cut=3,chunk_ms=5")))

    assert raises(anthropic.APIError, read).body["error"]["type"] == "api_error"


@case("errors")
def a_client_that_leaves_a_stream_leaves_nothing_behind():
    stream = message(stream=True, extra_headers=orders("chunks=50,chunk_ms=50"))
    next(iter(stream))
    stream.close()
    slow = client(max_retries=0, timeout=0.3)
    raises(anthropic.APITimeoutError, lambda: message(slow, extra_headers=orders("delay_ms=600")))


main()
