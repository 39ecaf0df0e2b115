//! The server over real HTTP: each test has a server of its own, on a port of its own, with a SQLite file.

#[path = "server/provider.rs"]
mod provider;
#[path = "server/support.rs"]
mod support;

#[path = "server/forge.rs"]
mod forge;
#[path = "server/remote.rs"]
mod remote;

#[path = "server/approvals.rs"]
mod approvals;
#[path = "server/badges.rs"]
mod badges;
#[path = "server/forks.rs"]
mod forks;
#[path = "server/notifications.rs"]
mod notifications;
#[path = "server/orders.rs"]
mod orders;
#[path = "server/ssh.rs"]
mod ssh;
#[path = "server/workload.rs"]
mod workload;

#[path = "server/access.rs"]
mod access;
#[path = "server/accounts.rs"]
mod accounts;
#[path = "server/deliveries.rs"]
mod deliveries;
#[path = "server/driven.rs"]
mod driven;
#[path = "server/remotes.rs"]
mod remotes;
#[path = "server/requests.rs"]
mod requests;
#[path = "server/api/answers.rs"]
mod answers;
#[path = "server/api/traced.rs"]
mod traced;
#[path = "server/api/spans.rs"]
mod spans;
#[path = "server/api/app_keys.rs"]
mod app_keys;
#[path = "server/api/budgets.rs"]
mod budgets;
#[path = "server/api/conventions.rs"]
mod conventions;
#[path = "server/api/described.rs"]
mod described;
#[path = "server/api/documentation.rs"]
mod documentation;
#[path = "server/api/downloads.rs"]
mod downloads;
#[path = "server/api/manual.rs"]
mod manual;
#[path = "server/api/projects.rs"]
mod projects;
#[path = "server/api/repeated.rs"]
mod repeated;
#[path = "server/api/streams.rs"]
mod streams;

#[path = "server/pages.rs"]
mod pages;

#[path = "server/command.rs"]
mod command;
#[path = "server/identity.rs"]
mod identity;
#[path = "server/oidc.rs"]
mod oidc;
#[path = "server/secrets.rs"]
mod secrets;
#[path = "server/sessions.rs"]
mod sessions;
#[path = "server/terminal.rs"]
mod terminal;

#[path = "support/docker.rs"]
#[expect(dead_code, reason = "other tests ask more")]
mod docker;
#[path = "server/traces.rs"]
mod traces;
#[path = "server/watched.rs"]
mod watched;
#[path = "server/retention.rs"]
mod retention;
#[path = "server/process.rs"]
mod process;
#[path = "support/process.rs"]
mod started;
#[path = "server/backup.rs"]
mod backup;
