// `openai` for Node.js, against the gateway.

import assert from "node:assert/strict";
import { answers, errors, gateway, installed, main, picture, raises, until } from "./cases.mjs";

const OpenAI = installed("openai").default;
const client = (key = "tl-good", more = {}) => new OpenAI({ apiKey: key, baseURL: `${gateway}/v1`, ...more });
const messages = [{ role: "user", content: "Say something." }];
const weather = {
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
};
const person = {
  type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name", "age"],
};
const fake = (text) => ({ headers: { "x-fake": text } });
const chat = (more = {}, options = {}, by = client()) =>
  by.chat.completions.create({ model: "m1", messages, max_tokens: 50, ...more }, options);
const words = (text) => text.trim().split(" ").length;

async function all(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

answers("a chat has text, usage and what it cost", async () => {
  const { data, response } = await chat().withResponse();
  assert.equal(words(data.choices[0].message.content), 5);
  assert.equal(data.usage.completion_tokens, 5);
  assert(Number(response.headers.get("x-trunkline-cost-usd")) > 0);
  assert.equal(response.headers.get("x-request-id"), data._request_id);
});

answers("a streamed chat has usage only when it is asked for", async () => {
  const plain = await all(chat({ stream: true }));
  assert(plain.every((it) => !it.usage) && plain.at(-1).choices[0].finish_reason === "stop");
  assert.equal(words(plain.map((it) => it.choices[0].delta.content ?? "").join("")), 5);
  const counted = await all(chat({ stream: true, stream_options: { include_usage: true } }));
  assert.equal(counted.at(-1).usage.completion_tokens, 5);
});

answers("the stream helper gathers a completion", async () => {
  const stream = client().chat.completions.stream({ model: "m1", messages, max_tokens: 50 });
  const answer = await stream.finalChatCompletion();
  assert.equal(words(answer.choices[0].message.content), 5);
});

answers("a tool is called and its result is answered", async () => {
  const tools = [{ type: "function", function: weather }];
  const { message, finish_reason } = (await chat({ tools })).choices[0];
  assert.equal(finish_reason, "tool_calls");
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "alpha" });
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "20 degrees" };
  const answer = await chat({ tools, messages: [...messages, message, result] });
  assert.equal(words(answer.choices[0].message.content), 5);
  const stream = client().chat.completions.stream({ model: "m1", messages, max_tokens: 50, tools });
  const gathered = (await stream.finalChatCompletion()).choices[0].message.tool_calls[0].function;
  assert.deepEqual(JSON.parse(gathered.arguments), { city: "alpha" });
});

answers("structured output is parsed", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "person", strict: true, schema: person } };
  const answer = await client().chat.completions.parse({ model: "m1", messages, max_tokens: 50, response_format });
  assert.deepEqual(JSON.parse(answer.choices[0].message.content), { name: "alpha", age: 1 });
});

answers("a picture passes", async () => {
  const part = { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } };
  const answer = await chat({ messages: [{ role: "user", content: [{ type: "text", text: "What is it?" }, part] }] });
  assert(answer.usage.prompt_tokens > picture.length / 8);
});

answers("a response comes whole and streamed, and calls tools", async () => {
  const ask = { model: "m1", input: "Say something.", max_output_tokens: 50 };
  const answer = await client().responses.create(ask);
  assert.equal(words(answer.output_text), 5);
  const kinds = (await all(client().responses.create({ ...ask, stream: true }))).map((it) => it.type);
  assert.equal(kinds.at(-1), "response.completed");
  assert.equal(kinds.filter((it) => it === "response.output_text.delta").length, 5);
  const gathered = await client().responses.stream(ask).finalResponse();
  assert.equal(words(gathered.output[0].content[0].text), 5);
  const tools = [{ type: "function", strict: true, ...weather }];
  const call = (await client().responses.stream({ ...ask, tools }).finalResponse()).output[0];
  assert.deepEqual([call.name, JSON.parse(call.arguments)], ["weather", { city: "alpha" }]);
});

answers("embeddings are the same as numbers and in base64", async () => {
  const ask = { model: "text-embed", input: ["one", "two"] };
  const short = await client().embeddings.create(ask);
  const numbers = await client().embeddings.create({ ...ask, encoding_format: "float" });
  const text = await client().embeddings.create({ ...ask, encoding_format: "base64" });
  assert.equal(typeof text.data[0].embedding, "string");
  assert.deepEqual(short.data.map((it) => [...it.embedding]), numbers.data.map((it) => it.embedding));
  assert.equal(short.data[1].embedding[1], 0.125);
});

answers("models are listed and one is looked up", async () => {
  assert.deepEqual((await all(client().models.list())).map((it) => it.id), ["m1", "m2", "text-embed"]);
  assert.equal((await client().models.retrieve("m1")).id, "m1");
  await raises(OpenAI.NotFoundError, () => client().models.retrieve("other"));
});

answers("completions and moderations pass", async () => {
  assert((await client().completions.create({ model: "m1", prompt: "Go on.", max_tokens: 9 })).choices[0].text);
  assert.equal((await client().moderations.create({ model: "m1", input: "hm" })).results[0].flagged, false);
});

errors("each refusal has its class", async () => {
  const error = await raises(OpenAI.AuthenticationError, () => chat({}, {}, client("wrong")), 401);
  assert.equal(error.code, "invalid_api_key");
  await raises(OpenAI.PermissionDeniedError, () => chat({}, {}, client("tl-narrow")), 403);
  await raises(OpenAI.NotFoundError, () => chat({ model: "other" }), 404);
  await raises(OpenAI.BadRequestError, () => chat({}, fake("status=400")), 400);
  await raises(OpenAI.UnprocessableEntityError, () => chat({}, fake("status=422")), 422);
});

errors("a budget that is used up is not tried again", async () => {
  const begun = Date.now();
  const error = await raises(OpenAI.APIError, () => chat({}, {}, client("tl-poor", { maxRetries: 5 })), 402);
  assert.deepEqual([error.type, error.code, error.param], ["insufficient_quota", "budget_exceeded", "the poor"]);
  assert(Date.now() - begun < 2000);
});

errors("a giant body is refused though the client is still sending", async () => {
  const giant = [{ role: "user", content: "x".repeat(5_000_000) }];
  const once = client("tl-good", { maxRetries: 0 });
  await raises(OpenAI.APIError, () => chat({ messages: giant }, {}, once), 413);
});

errors("a rate says when to come again, and the client does", async () => {
  const error = await until(OpenAI.RateLimitError, () => chat({}, {}, client("tl-slow", { maxRetries: 0 })));
  assert(Number(error.headers.get("retry-after-ms")) <= 1000);
  assert((await chat({}, {}, client("tl-slow", { maxRetries: 5 }))).choices);
});

errors("a provider that fails is tried again by the gateway and then by the client", async () => {
  const { response } = await chat({}, fake("status=500,name=once,times=1")).withResponse();
  assert.equal(response.headers.get("x-trunkline-attempts"), "2");
  assert((await chat({}, fake("status=503,name=four,times=4"))).choices);
  const once = client("tl-good", { maxRetries: 0 });
  await raises(OpenAI.InternalServerError, () => chat({}, fake("status=500"), once), 500);
  assert((await chat()).choices, "the way is open again");
});

errors("a stream that breaks raises", async () => {
  const cut = fake("cut=3,chunk_ms=5");
  const error = await raises(OpenAI.APIError, () => all(chat({ stream: true }, cut)));
  assert.match(error.message, /broke/);
  const ask = { model: "m1", input: "Say something.", max_output_tokens: 50, stream: true };
  await raises(OpenAI.APIError, () => all(client().responses.create(ask, cut)));
});

errors("a client that leaves a stream leaves nothing behind", async () => {
  const stream = await chat({ stream: true }, fake("chunks=50,chunk_ms=50"));
  for await (const _ of stream) stream.controller.abort();
  const slow = client("tl-good", { maxRetries: 0, timeout: 300 });
  await raises(OpenAI.APIConnectionTimeoutError, () => chat({}, fake("delay_ms=600"), slow));
});

await main();
