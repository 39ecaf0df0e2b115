//! Where the secrets of a stage come from: given by hand, or kept by the server.

use std::collections::BTreeMap;

use super::team::{SecretRequest, TeamSecrets, TeamSecretsError};

/// Where secrets come from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Given on the command line, by name. Every one is masked everywhere.
    Given(Given),
    /// Kept by the server for teams; each stage sees and masks what it names.
    Team(TeamSecrets),
}

/// Secrets by name, not shown.
#[derive(Clone, Default)]
pub struct Given(pub BTreeMap<String, String>);

/// What a stage gets.
#[derive(Clone, Default)]
pub struct Delivered {
    /// The values it asked for, in the order of their names.
    pub values: Vec<String>,
    /// Everything that must not be seen in what it writes.
    pub masked: Vec<String>,
}

impl SecretSource {
    /// What stages may not write, before any has asked for a secret.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        let given = match self {
            Self::Given(Given(given)) => Some(given.values().map(String::as_str)),
            Self::Team(_) => None,
        };
        given.into_iter().flatten()
    }

    /// The values a stage asks for; all or none.
    pub async fn deliver(&self, request: &SecretRequest) -> Result<Delivered, TeamSecretsError> {
        match self {
            Self::Given(Given(given)) => {
                let value = |name: &String| {
                    let not_set = || TeamSecretsError::NotSet { name: name.clone() };
                    given.get(name).cloned().ok_or_else(not_set)
                };
                let values = request.names.iter().map(value).collect::<Result<_, _>>()?;
                Ok(Delivered { values, masked: given.values().cloned().collect() })
            }
            Self::Team(team) => {
                let values = team.deliver(request).await?;
                Ok(Delivered { masked: values.clone(), values })
            }
        }
    }

    /// What to do about a secret that is not set.
    #[must_use]
    pub fn help(&self, error: &TeamSecretsError) -> Option<String> {
        match (self, error) {
            (Self::Given(_), TeamSecretsError::NotSet { name }) => {
                Some(format!("give it with `--secret {name}=…`, or in a `--secrets-file`"))
            }
            _ => error.help().map(str::to_owned),
        }
    }
}

impl std::fmt::Debug for Given {
    /// Never shows a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl std::fmt::Debug for Delivered {
    /// Never shows a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivered").field("values", &self.values.len()).finish_non_exhaustive()
    }
}
