//! Where stages and what belongs to them are. Keys and paths of users may have any letters.

pub(super) use crate::ui::form::encoded as encode;

/// A stage, as its page, its live parts and the JSON interface find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    run: String,
    stage: String,
}

impl Address {
    pub(super) fn new(run: &str, stage: &str) -> Self {
        Self { run: encode(run), stage: encode(stage) }
    }

    pub(super) fn run(&self) -> String {
        format!("/runs/{}", self.run)
    }

    pub(super) fn page(&self) -> String {
        format!("/runs/{}/stages/{}", self.run, self.stage)
    }

    pub(super) fn live(&self) -> String {
        format!("/live{}", self.page())
    }

    pub(super) fn api(&self) -> String {
        format!("/api/v1{}/log", self.page())
    }

    /// Every byte of a log.
    pub(super) fn raw(&self, attempt: u32) -> String {
        format!("{}?attempt={attempt}&format=text", self.api())
    }

    pub(super) fn artifacts(&self) -> String {
        format!("/runs/{}/artifacts", self.run)
    }

    /// Another stage of the same run.
    pub(super) fn sibling(&self, stage: &str) -> String {
        format!("/runs/{}/stages/{}", self.run, encode(stage))
    }
}
