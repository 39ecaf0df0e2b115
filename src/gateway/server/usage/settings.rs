//! The tables `index` of the gateway's file. Pure.

use serde::Deserialize;

use crate::gateway::prices::matcher::Matcher;

/// Who serves what apps report.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexSettings {
    /// Names of indexes, or of other things that apps report.
    pub name: Matcher,
    /// Who serves them, as the price files call it.
    pub provider: String,
}
