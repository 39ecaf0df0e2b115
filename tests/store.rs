//! What every database must do. Each test runs on SQLite, and on Postgres where
//! `TEST_POSTGRES_URL` names one; in CI (`CI` is set) it has to.

#[path = "store/databases.rs"]
mod databases;
#[path = "store/samples.rs"]
mod samples;

#[path = "store/artifacts.rs"]
mod artifacts;
#[path = "store/caches.rs"]
mod caches;
#[path = "store/calls.rs"]
mod calls;
#[path = "store/commands.rs"]
mod commands;
#[path = "store/events.rs"]
mod events;
#[path = "store/fleet.rs"]
mod fleet;
#[path = "store/gateway_keys.rs"]
mod gateway_keys;
#[path = "store/groups.rs"]
mod groups;
#[path = "store/intake.rs"]
mod intake;
#[path = "store/leases.rs"]
mod leases;
#[path = "store/opening.rs"]
mod opening;
#[path = "store/outbox.rs"]
mod outbox;
#[path = "store/queue.rs"]
mod queue;
#[path = "store/reports.rs"]
mod reports;
#[path = "store/requests.rs"]
mod requests;
#[path = "store/results.rs"]
mod results;
#[path = "store/retention.rs"]
mod retention;
#[path = "store/runs.rs"]
mod runs;
#[path = "store/shadow.rs"]
mod shadow;
#[path = "store/sign_in.rs"]
mod sign_in;
#[path = "store/spans.rs"]
mod spans;
#[path = "store/spend.rs"]
mod spend;
#[path = "store/times.rs"]
mod times;
#[path = "store/traces.rs"]
mod traces;
#[path = "store/workers.rs"]
mod workers;
