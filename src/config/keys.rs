//! Which keys a server seals with, and how it proves itself to those who hold them.

use std::fmt;
use std::path::PathBuf;

use super::{ConfigError, Environment};

/// A value that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What new data keys are wrapped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyHolder {
    /// A file in the state folder.
    #[default]
    File,
    /// The transit engine of OpenBao or Vault.
    Transit,
    /// AWS KMS.
    AwsKms,
}

/// Everything about keys. A holder that is set up and not chosen still unwraps what it has wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySettings {
    /// What new data keys are wrapped with.
    pub holder: KeyHolder,
    /// The key file, when it is not `secret.keys` in the state folder.
    pub file: Option<PathBuf>,
    /// OpenBao or Vault.
    pub transit: Option<TransitSettings>,
    /// AWS KMS.
    pub aws_kms: Option<AwsKmsSettings>,
}

/// A transit engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitSettings {
    /// Base address, such as `https://bao.example.com:8200`.
    pub address: String,
    /// Where the engine is mounted.
    pub mount: String,
    /// Name of the key.
    pub key: String,
    /// A token that may use the key.
    pub token: Hidden,
    /// The namespace, or empty.
    pub namespace: String,
}

/// A key of AWS KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKmsSettings {
    /// Id, ARN or alias of the key.
    pub key: String,
    /// Region of the key.
    pub region: String,
    /// Address of the service, when it is not that of the region.
    pub endpoint: Option<String>,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: Hidden,
    /// Session token of temporary credentials.
    pub session_token: Option<Hidden>,
}

impl KeySettings {
    pub(super) fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let holder = match environment.get("TRUNKLINE_KEYS") {
            None | Some("file") => KeyHolder::File,
            Some("transit") => KeyHolder::Transit,
            Some("aws-kms") => KeyHolder::AwsKms,
            Some(other) => {
                return Err(ConfigError::BadValue {
                    name: "TRUNKLINE_KEYS",
                    value: other.to_owned(),
                    expected: "`file`, `transit` or `aws-kms`",
                });
            }
        };
        let file = environment.get("TRUNKLINE_KEY_FILE").map(PathBuf::from);
        let transit = transit(environment, holder)?;
        let aws_kms = aws_kms(environment, holder)?;
        Ok(Self { holder, file, transit, aws_kms })
    }
}

/// Set up by its address, or because it is chosen. The variables of the vendors' own clients count too.
fn transit(
    environment: &Environment,
    holder: KeyHolder,
) -> Result<Option<TransitSettings>, ConfigError> {
    let first = |names: &[&str]| names.iter().find_map(|it| environment.get(it)).map(str::to_owned);
    let own = environment.get("TRUNKLINE_TRANSIT_URL");
    if own.is_none() && holder != KeyHolder::Transit {
        return Ok(None);
    }
    let address = first(&["TRUNKLINE_TRANSIT_URL", "BAO_ADDR", "VAULT_ADDR"]);
    let token = first(&["TRUNKLINE_TRANSIT_TOKEN", "BAO_TOKEN", "VAULT_TOKEN"]);
    Ok(Some(TransitSettings {
        address: address.ok_or(ConfigError::Missing { name: "TRUNKLINE_TRANSIT_URL" })?,
        mount: first(&["TRUNKLINE_TRANSIT_MOUNT"]).unwrap_or_else(|| "transit".to_owned()),
        key: first(&["TRUNKLINE_TRANSIT_KEY"]).unwrap_or_else(|| "trunkline".to_owned()),
        token: Hidden(token.ok_or(ConfigError::Missing { name: "TRUNKLINE_TRANSIT_TOKEN" })?),
        namespace: first(&["BAO_NAMESPACE", "VAULT_NAMESPACE"]).unwrap_or_default(),
    }))
}

fn aws_kms(
    environment: &Environment,
    holder: KeyHolder,
) -> Result<Option<AwsKmsSettings>, ConfigError> {
    let first = |names: &[&str]| names.iter().find_map(|it| environment.get(it)).map(str::to_owned);
    let needed = |name: &'static str| {
        environment.get(name).map(str::to_owned).ok_or(ConfigError::Missing { name })
    };
    if environment.get("TRUNKLINE_AWS_KMS_KEY").is_none() && holder != KeyHolder::AwsKms {
        return Ok(None);
    }
    let region = first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    Ok(Some(AwsKmsSettings {
        key: needed("TRUNKLINE_AWS_KMS_KEY")?,
        region: region.ok_or(ConfigError::Missing { name: "AWS_REGION" })?,
        endpoint: first(&["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"]),
        access_key: needed("AWS_ACCESS_KEY_ID")?,
        secret_key: Hidden(needed("AWS_SECRET_ACCESS_KEY")?),
        session_token: first(&["AWS_SESSION_TOKEN"]).map(Hidden),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_that_is_chosen_needs_its_settings() {
        let error = KeySettings::read(&[("TRUNKLINE_KEYS", "transit")].into()).unwrap_err();
        assert_eq!(error.to_string(), "`TRUNKLINE_TRANSIT_URL` is not set");
        let error = KeySettings::read(&[("TRUNKLINE_KEYS", "hsm")].into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`TRUNKLINE_KEYS` is `hsm`, and must be `file`, `transit` or `aws-kms`"
        );
    }

    #[test]
    fn the_variables_of_the_vendors_clients_count_and_tokens_are_not_shown() {
        let environment = [
            ("TRUNKLINE_KEYS", "transit"),
            ("BAO_ADDR", "http://bao:8200"),
            ("VAULT_TOKEN", "hunter2"),
        ];
        let settings = KeySettings::read(&environment.into()).unwrap();
        assert_eq!(settings.transit.as_ref().unwrap().key, "trunkline");
        assert!(!format!("{settings:?}").contains("hunter2"));
        let without_choice = KeySettings::read(&[("VAULT_ADDR", "http://bao:8200")].into());
        assert_eq!(without_choice.unwrap(), KeySettings::default());
    }
}
