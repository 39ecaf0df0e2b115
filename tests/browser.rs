//! People at the pages of a real server: each test starts one, with Docker and SQLite or Postgres, and drives a real
//! Chromium through a journey of `tests/browser/journeys`. What is wrong is told with address, picture, console and page.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests ask more")]
mod bench;
#[path = "support/database.rs"]
mod database;
#[path = "support/docker.rs"]
#[expect(dead_code, reason = "other tests ask more")]
mod docker;
#[expect(dead_code, reason = "other tests ask more")]
#[path = "support/models.rs"]
mod models;
#[path = "support/process.rs"]
#[expect(dead_code, reason = "other tests ask more")]
mod started;
#[path = "support/repository.rs"]
#[expect(dead_code, reason = "other tests make more")]
mod repository;

#[path = "browser/installation.rs"]
mod installation;
#[path = "browser/node.rs"]
mod node;

#[path = "browser/shop.rs"]
mod shop;

#[path = "browser/people.rs"]
mod people;
#[path = "browser/live.rs"]
mod live;
#[path = "browser/runs.rs"]
mod runs;
#[path = "browser/secrets.rs"]
mod secrets;
#[path = "browser/markup.rs"]
mod markup;
#[path = "browser/pages.rs"]
mod pages;
