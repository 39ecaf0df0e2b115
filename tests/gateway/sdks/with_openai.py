"""`openai` for Python, against the gateway."""

import asyncio
import json

import openai
from pydantic import BaseModel

from cases import GATEWAY, PICTURE, case, main, orders, raises, seconds, until

ASK = [{"role": "user", "content": "Say something."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    name: str
    age: int


def client(key="tl-good", **more):
    return openai.OpenAI(api_key=key, base_url=f"{GATEWAY}/v1", **more)


def chat(by=None, **more):
    return (by or client()).chat.completions.create(**{"model": "m1", "messages": ASK, "max_tokens": 50, **more})


@case("answers")
def a_chat_has_text_usage_and_what_it_cost():
    raw = client().chat.completions.with_raw_response.create(model="m1", messages=ASK, max_tokens=50)
    answer = raw.parse()
    assert len(answer.choices[0].message.content.split()) == 5, answer
    assert answer.usage.completion_tokens == 5 and answer.usage.prompt_tokens > 5, answer
    assert float(raw.headers["x-trunkline-cost-usd"]) > 0
    assert raw.headers["x-ratelimit-remaining-requests"] == "99"
    assert raw.headers["x-request-id"] == answer._request_id


@case("answers")
def a_streamed_chat_has_the_same_text_and_usage_only_when_it_is_asked_for():
    whole = chat().choices[0].message.content
    plain = list(chat(stream=True))
    assert all(it.usage is None for it in plain) and plain[-1].choices[0].finish_reason == "stop", plain
    assert len("".join(it.choices[0].delta.content or "" for it in plain).split()) == len(whole.split())
    counted = list(chat(stream=True, stream_options={"include_usage": True}))
    assert counted[-1].usage.completion_tokens == 5 and counted[-1].choices == [], counted[-1]


@case("answers")
def the_stream_helper_gathers_a_completion():
    with client().chat.completions.stream(model="m1", messages=ASK, max_tokens=50) as stream:
        deltas = [it.delta for it in stream if it.type == "content.delta"]
        answer = stream.get_final_completion()
    assert answer.choices[0].message.content == "".join(deltas) and len(deltas) == 5, deltas


@case("answers")
def a_tool_is_called_and_its_result_is_answered():
    answer = chat(tools=[TOOL])
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "alpha"})
    talk = ASK + [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "20 degrees"}]
    assert chat(tools=[TOOL], messages=talk).choices[0].message.content
    pieces = [it.choices[0].delta.tool_calls for it in chat(tools=[TOOL], stream=True)]
    arguments = "".join(it[0].function.arguments for it in pieces if it)
    assert json.loads(arguments) == {"city": "alpha"} and len(pieces) > 2, pieces


@case("answers")
def structured_output_is_parsed():
    answer = client().chat.completions.parse(model="m1", messages=ASK, max_tokens=50, response_format=Person)
    assert answer.choices[0].message.parsed == Person(name="alpha", age=1), answer


@case("answers")
def a_picture_passes():
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    talk = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]
    answer = chat(messages=talk)
    # The fake counts a token for eight bytes of the body that it was sent.
    assert answer.usage.prompt_tokens > len(PICTURE) / 8, answer.usage


@case("answers")
def a_response_comes_whole_and_streamed():
    ask = {"model": "m1", "input": "Say something.", "max_output_tokens": 50}
    answer = client().responses.create(**ask)
    assert len(answer.output_text.split()) == 5 and answer.usage.output_tokens == 5, answer
    kinds = [it.type for it in client().responses.create(**ask, stream=True)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert kinds.count("response.output_text.delta") == 5, kinds
    with client().responses.stream(**ask) as stream:
        deltas = [it.delta for it in stream if it.type == "response.output_text.delta"]
        answer = stream.get_final_response()
    assert answer.output_text == "".join(deltas), (answer, deltas)


@case("answers")
def a_response_calls_tools_and_is_parsed():
    tool = {"type": "function", "strict": True, **TOOL["function"]}
    answer = client().responses.create(model="m1", input="Weather?", tools=[tool], max_output_tokens=50)
    assert json.loads(answer.output[0].arguments) == {"city": "alpha"}, answer
    with client().responses.stream(model="m1", input="Weather?", tools=[tool], max_output_tokens=50) as stream:
        streamed = stream.get_final_response()
    assert streamed.output[0].arguments == answer.output[0].arguments, streamed
    parsed = client().responses.parse(model="m1", input="Who?", text_format=Person, max_output_tokens=50)
    assert parsed.output_parsed == Person(name="alpha", age=1), parsed


@case("answers")
def embeddings_are_the_same_as_numbers_and_in_base64():
    ask = {"model": "text-embed", "input": ["one", "two"]}
    short = client().embeddings.create(**ask)
    numbers = client().embeddings.create(**ask, encoding_format="float")
    text = client().embeddings.create(**ask, encoding_format="base64")
    assert isinstance(text.data[0].embedding, str), text
    assert [it.embedding for it in short.data] == [it.embedding for it in numbers.data] and len(short.data) == 2
    assert short.data[0].embedding[1] == 0.125, short


@case("answers")
def models_are_listed_and_one_is_looked_up():
    assert [it.id for it in client().models.list()] == ["m1", "m2", "text-embed"]
    assert client().models.retrieve("m1").id == "m1"
    raises(openai.NotFoundError, lambda: client().models.retrieve("other"))


@case("answers")
def completions_and_moderations_pass():
    assert client().completions.create(model="m1", prompt="Go on.", max_tokens=9).choices[0].text
    assert client().moderations.create(model="m1", input="hm").results[0].flagged is False


@case("answers")
async def many_calls_at_the_same_time_are_answered():
    many = openai.AsyncOpenAI(api_key="tl-good", base_url=f"{GATEWAY}/v1")

    async def one(number):
        stream = await many.chat.completions.create(
            model="m1", messages=[{"role": "user", "content": str(number)}], max_tokens=50, stream=True
        )
        return [it async for it in stream]

    answers = await asyncio.gather(*[one(it) for it in range(40)])
    assert all(it[-1].choices[0].finish_reason == "stop" for it in answers)


@case("errors")
def each_refusal_has_its_class():
    assert raises(openai.AuthenticationError, lambda: chat(client("wrong")), 401).code == "invalid_api_key"
    raises(openai.PermissionDeniedError, lambda: chat(client("tl-narrow")), 403)
    raises(openai.NotFoundError, lambda: chat(model="other"), 404)
    raises(openai.BadRequestError, lambda: chat(extra_headers=orders("status=400")), 400)
    error = raises(openai.UnprocessableEntityError, lambda: chat(extra_headers=orders("status=422")), 422)
    assert "the fake was asked for 422" in error.message


@case("errors")
def a_budget_that_is_used_up_is_not_tried_again():
    poor = client("tl-poor", max_retries=5)
    error = raises(openai.APIStatusError, lambda: chat(poor), 402)
    assert (error.type, error.code, error.param) == ("insufficient_quota", "budget_exceeded", "the poor"), error.body
    assert seconds(lambda: raises(openai.APIStatusError, lambda: chat(poor), 402)) < 2
    raises(openai.APIStatusError, lambda: chat(poor, stream=True), 402)


@case("errors")
def a_giant_body_is_refused_though_the_client_is_still_sending():
    giant = [{"role": "user", "content": "x" * 5_000_000}]
    error = raises(openai.APIStatusError, lambda: chat(client(max_retries=0), messages=giant), 413)
    assert error.code == "request_too_large", error.body
    raises(openai.AuthenticationError, lambda: chat(client("wrong", max_retries=0), messages=giant), 401)


@case("errors")
def a_rate_says_when_to_come_again_and_the_client_does():
    error = until(openai.RateLimitError, lambda: chat(client("tl-slow", max_retries=0)))
    assert 0 < float(error.response.headers["retry-after-ms"]) <= 1000, error.response.headers
    assert error.response.headers["x-ratelimit-limit-requests"] == "60"
    assert chat(client("tl-slow", max_retries=5)).choices


@case("errors")
def a_provider_that_fails_is_tried_again_by_the_gateway_and_then_by_the_client():
    once = client().chat.completions.with_raw_response.create(
        model="m1", messages=ASK, max_tokens=50, extra_headers=orders("status=500,name=once,times=1")
    )
    assert once.headers["x-trunkline-attempts"] == "2", once.headers
    assert chat(extra_headers=orders("status=503,name=four,times=4")).choices
    error = raises(openai.InternalServerError, lambda: chat(client(max_retries=0), extra_headers=orders("status=500")))
    assert error.status_code == 500
    assert chat().choices, "the way is open again"


@case("errors")
def a_stream_that_breaks_raises():
    cut = orders("cut=3,chunk_ms=5")
    assert "broke" in raises(openai.APIError, lambda: list(chat(stream=True, extra_headers=cut))).message
    ask = {"model": "m1", "input": "Say something.", "max_output_tokens": 50, "stream": True}
    raises(openai.APIError, lambda: list(client().responses.create(**ask, extra_headers=cut)))


@case("errors")
def a_client_that_leaves_a_stream_leaves_nothing_behind():
    stream = chat(stream=True, extra_headers=orders("chunks=50,chunk_ms=50"))
    next(iter(stream))
    stream.close()
    slow = client(max_retries=0, timeout=0.3)
    raises(openai.APITimeoutError, lambda: chat(slow, extra_headers=orders("delay_ms=600")))


main()
