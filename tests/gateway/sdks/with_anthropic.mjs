// `@anthropic-ai/sdk` for Node.js, against the gateway.

import assert from "node:assert/strict";
import { answers, errors, gateway, installed, main, picture, raises, until } from "./cases.mjs";

const Anthropic = installed("@anthropic-ai/sdk").default;
const client = (key = "tl-good", more = {}) => new Anthropic({ apiKey: key, baseURL: gateway, ...more });
const messages = [{ role: "user", content: "Say something." }];
const tools = [{
  name: "weather", description: "How the weather is.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
}];
const fake = (text) => ({ headers: { "x-fake": text } });
const message = (more = {}, options = {}, by = client()) =>
  by.messages.create({ model: "m1", messages, max_tokens: 50, ...more }, options);
const words = (text) => text.trim().split(" ").length;

async function all(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

answers("a message has text, usage and what it cost", async () => {
  const { data, response } = await message().withResponse();
  assert.equal(words(data.content[0].text), 5);
  assert.equal(data.usage.output_tokens, 5);
  assert(Number(response.headers.get("x-trunkline-cost-usd")) > 0);
  assert.equal(response.headers.get("request-id"), data._request_id);
});

answers("a streamed message comes event by event", async () => {
  const kinds = (await all(message({ stream: true }))).map((it) => it.type);
  assert.deepEqual([kinds[0], kinds.at(-1)], ["message_start", "message_stop"]);
  assert.equal(kinds.filter((it) => it === "content_block_delta").length, 5);
});

answers("the stream helper gathers a message", async () => {
  const answer = await client().messages.stream({ model: "m1", messages, max_tokens: 50 }).finalMessage();
  assert.equal(words(answer.content[0].text), 5);
  assert.equal(answer.usage.output_tokens, 5);
});

answers("a tool is called and its result is answered", async () => {
  const answer = await message({ tools });
  const call = answer.content[0];
  assert.deepEqual([answer.stop_reason, call.name, call.input], ["tool_use", "weather", { city: "alpha" }]);
  const result = { type: "tool_result", tool_use_id: call.id, content: "20 degrees" };
  const talk = [...messages, { role: "assistant", content: answer.content }, { role: "user", content: [result] }];
  assert.equal(words((await message({ tools, messages: talk })).content[0].text), 5);
  const stream = client().messages.stream({ model: "m1", messages, max_tokens: 50, tools });
  assert.deepEqual((await stream.finalMessage()).content[0].input, { city: "alpha" });
});

answers("structured output is parsed", async () => {
  const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"], additionalProperties: false };
  const answer = await message({ output_config: { format: { type: "json_schema", schema } } });
  assert.deepEqual(JSON.parse(answer.content[0].text), { name: "alpha" });
});

answers("a picture passes", async () => {
  const part = { type: "image", source: { type: "base64", media_type: "image/png", data: picture } };
  const answer = await message({ messages: [{ role: "user", content: [part, { type: "text", text: "What is it?" }] }] });
  assert(answer.usage.input_tokens > picture.length / 8);
});

answers("tokens are counted and models listed", async () => {
  assert.equal((await client().messages.countTokens({ model: "m1", messages })).input_tokens, 42);
  assert.deepEqual((await all(client().models.list())).map((it) => it.id), ["m1", "m2", "text-embed"]);
  assert.equal((await client().models.retrieve("m1")).id, "m1");
  await raises(Anthropic.NotFoundError, () => client().models.retrieve("other"));
});

answers("many calls at the same time are answered", async () => {
  const by = client();
  const one = (number) => by.messages.stream({ model: "m1", messages: [{ role: "user", content: `${number}` }], max_tokens: 50 });
  const many = await Promise.all([...Array(40).keys()].map((it) => one(it).finalMessage()));
  assert(many.every((it) => it.stop_reason === "end_turn"));
});

errors("each refusal has its class", async () => {
  const error = await raises(Anthropic.AuthenticationError, () => message({}, {}, client("wrong")), 401);
  assert.equal(error.error.error.type, "authentication_error");
  await raises(Anthropic.PermissionDeniedError, () => message({}, {}, client("tl-narrow")), 403);
  await raises(Anthropic.NotFoundError, () => message({ model: "other" }), 404);
  await raises(Anthropic.BadRequestError, () => message({}, fake("status=400")), 400);
  await raises(Anthropic.UnprocessableEntityError, () => message({}, fake("status=422")), 422);
});

errors("a budget that is used up is not tried again", async () => {
  const begun = Date.now();
  const error = await raises(Anthropic.APIError, () => message({}, {}, client("tl-poor", { maxRetries: 5 })), 402);
  assert.equal(error.error.error.type, "billing_error");
  assert(Date.now() - begun < 2000);
});

errors("a giant body is refused though the client is still sending", async () => {
  const giant = [{ role: "user", content: "x".repeat(5_000_000) }];
  const once = client("tl-good", { maxRetries: 0 });
  await raises(Anthropic.APIError, () => message({ messages: giant }, {}, once), 413);
});

errors("a rate says when to come again, and the client does", async () => {
  const error = await until(Anthropic.RateLimitError, () => message({}, {}, client("tl-slow", { maxRetries: 0 })));
  assert(Number(error.headers.get("retry-after-ms")) <= 1000);
  assert((await message({}, {}, client("tl-slow", { maxRetries: 5 }))).content);
});

errors("a provider that fails is tried again by the gateway and then by the client", async () => {
  const { response } = await message({}, fake("status=529,name=once,times=1")).withResponse();
  assert.equal(response.headers.get("x-trunkline-attempts"), "2");
  assert((await message({}, fake("status=500,name=four,times=4"))).content);
  const once = client("tl-good", { maxRetries: 0 });
  await raises(Anthropic.InternalServerError, () => message({}, fake("status=529"), once), 529);
  assert((await message()).content, "the way is open again");
});

errors("a stream that breaks raises", async () => {
  const error = await raises(Anthropic.APIError, () => all(message({ stream: true }, fake("cut=3,chunk_ms=5"))));
  assert.equal(error.error.error.type, "api_error");
});

errors("a client that leaves a stream leaves nothing behind", async () => {
  const stream = await message({ stream: true }, fake("chunks=50,chunk_ms=50"));
  for await (const _ of stream) stream.controller.abort();
  const slow = client("tl-good", { maxRetries: 0, timeout: 300 });
  await raises(Anthropic.APIConnectionTimeoutError, () => message({}, fake("delay_ms=600"), slow));
});

await main();
