//! The file format as types. Read from a tree of YAML nodes by hand-written readers that record
//! every problem and go on; the readers know no other file.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::Template;
use super::diagnostic::Place;
use super::plan::{Budget, OnNew, Release};
use crate::model::Milliseconds;

pub(crate) mod fields;
pub(crate) mod image;
pub mod input;
pub(crate) mod measure;
pub(crate) mod occurrence;
pub(crate) mod reference;
pub(crate) mod scalar;
pub(crate) mod stage;
pub(crate) mod top;
pub mod trigger;

pub use input::{Input, InputKind};
pub(crate) use stage::{Defaults, Stage};
pub use trigger::{
    ForkPolicy, ManualTrigger, Missed, PullRequestTrigger, PushTrigger, Schedule, Triggers,
};

use occurrence::Occurrence;

/// A pipeline that has been checked: it has no errors.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub(crate) name: String,
    /// Where it is called that; the beginning of a file that names it only by its own name.
    pub(crate) name_place: Place,
    pub(crate) team: Option<String>,
    pub(crate) triggers: Triggers,
    pub(crate) timeout: Option<Milliseconds>,
    pub(crate) release: Option<Release>,
    pub(crate) budget: Option<Budget>,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) occurrences: Vec<Occurrence>,
    pub(crate) source_names: Vec<String>,
}

impl Pipeline {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The team that owns it.
    #[must_use]
    pub fn team(&self) -> Option<&str> {
        self.team.as_deref()
    }

    /// What starts it.
    #[must_use]
    pub fn triggers(&self) -> &Triggers {
        &self.triggers
    }

    /// Names of the stages in the order of the file, included ones first.
    pub fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|stage| stage.name.as_str())
    }

    /// Globs of each `hash(…)` call of any expression, sorted, each once.
    #[must_use]
    pub fn hash_calls(&self) -> Vec<Vec<String>> {
        let mut calls: Vec<_> =
            self.occurrences.iter().flat_map(|it| it.hashes.iter().cloned()).collect();
        calls.sort();
        calls.dedup();
        calls
    }

    /// The inputs that a person may give, by name.
    #[must_use]
    pub fn declared_inputs(&self) -> &BTreeMap<String, Input> {
        &self.triggers.manual.inputs
    }

    /// The values of inputs that nobody gave: their defaults, or the empty value of their type.
    #[must_use]
    pub fn default_inputs(&self) -> BTreeMap<String, Json> {
        let inputs = self.declared_inputs().iter();
        inputs.map(|(name, input)| (name.clone(), input.default_value())).collect()
    }

    /// Values of all inputs from what a person wrote (`--input name=value`); all problems at once.
    pub fn read_inputs(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Json>, Vec<String>> {
        input::read_given(self.declared_inputs(), given)
    }
}

/// The group in which runs wait for each other, before its name is known.
#[derive(Debug, Clone)]
pub(crate) struct Concurrency {
    pub(crate) group: Template,
    /// By event; the empty name is for all others.
    pub(crate) on_new: BTreeMap<String, OnNew>,
}

/// A name and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// The defaults that hold for a stage, nearest file first.
pub(crate) type DefaultsChain = Vec<Arc<Defaults>>;
