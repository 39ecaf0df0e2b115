//! Runs of a server.

mod approval;
mod queue;

use reqwest::Response;

use super::{Call, Remote};
use crate::cli::failure::Usage;
use crate::cli::output::note;
use crate::cli::remote::RemoteError;
use crate::runs::view::{RunRowView, RunView};

/// Which runs.
#[derive(Debug, Clone, Default)]
pub struct RunsQuery<'a> {
    /// Only those of this project: `team/name`.
    pub project: &'a str,
    /// Only those of this pipeline.
    pub pipeline: &'a str,
    /// Only those of this branch.
    pub branch: &'a str,
    /// Only those that this started.
    pub event: &'a str,
    /// Only those of this commit.
    pub revision: &'a str,
    /// Only those that stand so: words with commas between.
    pub statuses: String,
}

impl Remote {
    /// Runs, newest first.
    pub async fn list_runs(
        &self,
        query: &RunsQuery<'_>,
        limit: usize,
    ) -> Result<Vec<RunRowView>, RemoteError> {
        let call = Call::get(&["runs"])
            .query("project", query.project)
            .query("pipeline", query.pipeline)
            .query("branch", query.branch)
            .query("event", query.event)
            .query("revision", query.revision)
            .query("status", &query.statuses);
        self.client.list(&call, limit).await
    }

    /// The run a person means: `last` (the newest that they may see), its number, or the beginning of its id.
    pub async fn find_run(&self, reference: &str) -> anyhow::Result<RunView> {
        if reference != "last" {
            let reference = reference.strip_prefix('#').unwrap_or(reference);
            return Ok(self.client.fetch(&Call::get(&["runs", reference])).await?);
        }
        let newest = self.list_runs(&RunsQuery::default(), 1).await?.pop();
        let none = || {
            let message = format!("there is no run yet at `{}`", self.client.address());
            Usage::new(message, "`trunkline run --project team/name` starts one there")
        };
        let newest = newest.ok_or_else(none)?;
        let (number, repository) = (newest.number, &newest.repository);
        note(&format!("`last` is run #{number} of `{repository}`, the newest that you may see"));
        Ok(self.load_run(&newest.id.0).await?)
    }

    /// A run as it stands now.
    pub async fn load_run(&self, id: &str) -> Result<RunView, RemoteError> {
        self.client.fetch(&Call::get(&["runs", id])).await
    }

    /// The picture of a run's graph.
    pub async fn graph(&self, id: &str) -> anyhow::Result<String> {
        let response: Response = self.client.send(&Call::get(&["runs", id, "graph"])).await?;
        Ok(response.text().await?)
    }

    /// A command that a person may give about a run of this server.
    #[must_use]
    pub fn command(&self, words: &str) -> String {
        crate::cli::view::command(words, &self.hint)
    }
}
