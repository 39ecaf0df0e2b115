"""What the app relies on at its model: status codes, fields and the order of stream events."""

import json
import urllib.error
import urllib.request

import pytest

CHAT = {"model": "harbour-small", "messages": [{"role": "user", "content": "One. Two. Three."}]}
MESSAGE = CHAT | {"max_tokens": 100}
ANTHROPIC = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
OPENAI = {"authorization": "Bearer key"}


@pytest.fixture
def call(model_url):
    def call(path, body, headers):
        data = json.dumps(body).encode()
        request = urllib.request.Request(model_url + path, data, {"content-type": "application/json"} | headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.headers, response.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, answer.read().decode()

    return call


def events_of(stream):
    return [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]


def test_a_chat_completion_has_an_answer_a_reason_and_usage(call):
    status, _, body = call("/v1/chat/completions", CHAT, OPENAI)
    answer = json.loads(body)
    [choice] = answer["choices"]
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert choice["message"] == {"role": "assistant", "content": "One. Two."}
    assert choice["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]


def test_the_same_request_has_the_same_answer_byte_for_byte(call):
    assert call("/v1/chat/completions", CHAT, OPENAI)[2] == call("/v1/chat/completions", CHAT, OPENAI)[2]


def test_a_chat_stream_ends_with_a_reason_then_the_usage_then_done(call):
    wanted = CHAT | {"stream": True, "stream_options": {"include_usage": True}}
    _, headers, body = call("/v1/chat/completions", wanted, OPENAI)
    events = events_of(body)
    assert headers["content-type"] == "text/event-stream"
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(it["choices"][0]["delta"].get("content", "") for it in events[:-1]) == "One. Two."
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["choices"] == [] and events[-1]["usage"]["completion_tokens"] == 4
    assert body.endswith("data: [DONE]\n\n")


def test_a_message_stream_has_the_events_in_their_order(call):
    _, _, body = call("/v1/messages", MESSAGE | {"stream": True}, ANTHROPIC)
    kinds = list(dict.fromkeys(it["type"] for it in events_of(body)))
    assert kinds == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_a_message_that_is_cut_says_so(call):
    _, _, body = call("/v1/messages", MESSAGE | {"max_tokens": 2}, ANTHROPIC)
    answer = json.loads(body)
    assert answer["content"] == [{"type": "text", "text": "One."}]
    assert (answer["stop_reason"], answer["usage"]["output_tokens"]) == ("max_tokens", 2)


def test_embeddings_have_length_one_and_the_asked_dimensions(call):
    _, _, body = call("/v1/embeddings", {"model": "e", "input": ["a bike", "a boat"], "dimensions": 64}, OPENAI)
    vectors = [it["embedding"] for it in json.loads(body)["data"]]
    assert [len(it) for it in vectors] == [64, 64]
    assert all(sum(value * value for value in it) == pytest.approx(1, abs=1e-4) for it in vectors)


@pytest.mark.parametrize(
    ("path", "headers", "fault", "status", "kind"),
    [
        ("/v1/chat/completions", OPENAI, "rate_limit", 429, "requests"),
        ("/v1/chat/completions", OPENAI, "overloaded", 503, "server_error"),
        ("/v1/chat/completions", OPENAI, "error", 500, "server_error"),
        ("/v1/chat/completions", {}, "", 401, "invalid_request_error"),
        ("/v1/messages", ANTHROPIC, "rate_limit", 429, "rate_limit_error"),
        ("/v1/messages", ANTHROPIC, "overloaded", 529, "overloaded_error"),
        ("/v1/messages", {"x-api-key": "key"}, "", 400, "invalid_request_error"),
    ],
)
def test_a_fault_has_the_status_and_form_of_its_vendor(call, path, headers, fault, status, kind):
    got, answer, body = call(path, MESSAGE, headers | {"x-model-fault": fault})
    assert (got, json.loads(body)["error"]["type"]) == (status, kind)
    assert (answer["retry-after"] == "1") == (fault == "rate_limit")


def test_a_body_that_is_not_json_is_refused(model_url):
    request = urllib.request.Request(f"{model_url}/v1/chat/completions", b"{", OPENAI)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=10)
