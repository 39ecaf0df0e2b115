//! What a stage runs in its container, and what surrounds that: services, caches, artifacts, ceilings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::yes;
use crate::model::Milliseconds;
use crate::pipeline::{Expression, Template};

/// Commands in a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerWork {
    /// Image reference, such as `python:3.12-slim`.
    pub image: Template,
    /// When the image is pulled.
    #[serde(default)]
    pub pull: PullPolicy,
    /// Steps, or the image's program with arguments for an image without a shell.
    pub program: Program,
    /// `uid[:gid]` or a name of the image, instead of the image's user.
    #[serde(default)]
    pub user: Option<String>,
    /// Whether the root file system is read-only.
    #[serde(default)]
    pub read_only: bool,
    /// What it may reach.
    #[serde(default)]
    pub network: Network,
    /// Ceilings.
    #[serde(default)]
    pub resources: Resources,
    /// Containers beside it.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    /// Files kept between runs.
    #[serde(default)]
    pub caches: Vec<Cache>,
    /// Files handed on.
    #[serde(default)]
    pub artifacts: Option<Artifacts>,
}

/// What runs in the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// Shell commands, one after the other.
    Steps(Vec<Step>),
    /// One program, started without a shell.
    Command(Vec<Template>),
}

/// One command of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, or the first line of the command.
    pub name: String,
    /// Shell text. Never a template: values reach it as environment variables.
    pub run: String,
    /// Another image for this step, with the same workspace.
    #[serde(default)]
    pub image: Option<Template>,
    /// Whether to run it. `always()` and `failed()` speak of the steps before it.
    #[serde(default, rename = "if")]
    pub condition: Option<Expression>,
    /// The longest it may take.
    #[serde(default)]
    pub timeout: Option<Milliseconds>,
    /// Environment on top of the stage's.
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
}

/// When an image is pulled.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// When it is not here.
    #[default]
    IfMissing,
    /// Before every attempt.
    Always,
    /// Never: it must be here.
    Never,
}

/// What a stage may reach.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Everything.
    #[default]
    Full,
    /// The LLM gateway and its own services.
    Gateway,
    /// Nothing.
    None,
}

/// Ceilings of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a CPU; `None` is unlimited.
    #[serde(default)]
    pub cpu_millis: Option<u64>,
    /// Bytes of memory, swap included; `None` is unlimited.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Processes and threads; `None` is the executor's default.
    #[serde(default)]
    pub pids: Option<u32>,
}

/// A container that runs beside a stage, reachable by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Image reference.
    pub image: Template,
    /// Environment.
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    /// Arguments instead of the image's.
    #[serde(default)]
    pub command: Vec<Template>,
    /// When it counts as ready; started is enough without.
    #[serde(default)]
    pub ready: Option<Readiness>,
}

/// When a service counts as ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// What must work.
    pub probe: Probe,
    /// How long it may take.
    pub timeout: Milliseconds,
}

/// How a service is asked whether it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A TCP port accepts a connection.
    Tcp(u16),
    /// An HTTP GET answers below 400.
    Http {
        /// Port.
        port: u16,
        /// Path, with its slash.
        path: String,
    },
    /// A command in the service's container exits with 0.
    Exec(Vec<String>),
}

/// Files kept between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// The exact key.
    pub key: Template,
    /// Prefixes to fall back to, the newest entry first.
    #[serde(default)]
    pub fallback: Vec<Template>,
    /// Paths, relative to the workspace or absolute.
    pub paths: Vec<String>,
}

/// Files handed on to the stages that need this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifacts {
    /// Globs or folders, relative to the workspace.
    pub paths: Vec<String>,
    /// How long they are kept.
    pub expire: Milliseconds,
    /// Files to read for metrics, by kind: `junit`, `sarif`, `cobertura`.
    #[serde(default)]
    pub reports: BTreeMap<ReportKind, Vec<String>>,
    /// Whether they are kept when the attempt fails too.
    #[serde(default = "yes")]
    pub on_failure: bool,
}

/// A kind of report.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// `JUnit` XML, as written by pytest, nextest and most others.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
    /// Cobertura coverage XML.
    Cobertura,
}
