//! The official clients of OpenAI and Anthropic, and OpenTelemetry's SDK, unchanged, against the built gateway in front of the fake provider.
//! Each script of `tests/gateway/sdks` is one client; what the gateway wrote down is compared with what was charged.

#[path = "gateway/world.rs"]
mod world;
#[path = "gateway/clients.rs"]
mod clients;
#[path = "gateway/batches.rs"]
mod batches;
#[path = "gateway/queue.rs"]
mod queue;
#[path = "gateway/shadow.rs"]
mod shadow;
#[path = "gateway/traced.rs"]
mod traced;
