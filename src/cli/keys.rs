//! The keys of a server, and what seals with them.

use std::sync::Arc;

use super::session::Session;
use super::state::State;
use crate::config::keys::KeyHolder;
use crate::secrets::keys::{AwsKms, KeyFile, KeyProvider, Transit};
use crate::secrets::{KeyError, Keyring, Sealer};

/// What a server seals with. A key file is made on the first start, where it is what keys are in.
pub fn sealer(session: &Session, state: &State) -> Result<Sealer, KeyError> {
    let settings = &session.settings.keys;
    let of_state = state.folder.join("secret.keys");
    let path = settings.file.as_deref().unwrap_or(&of_state);
    let mut providers = Vec::new();
    if settings.holder == KeyHolder::File || path.exists() {
        providers.push((KeyHolder::File, KeyProvider::File(KeyFile::open(path)?)));
    }
    if let Some(transit) = settings.transit.clone() {
        providers.push((KeyHolder::Transit, KeyProvider::Transit(Transit::new(transit)?)));
    }
    if let Some(kms) = settings.aws_kms.clone() {
        let kms = AwsKms::new(kms, Arc::clone(&session.clock))?;
        providers.push((KeyHolder::AwsKms, KeyProvider::AwsKms(kms)));
    }
    providers.sort_by_key(|(holder, _)| *holder != settings.holder);
    let mut providers = providers.into_iter().map(|(_, provider)| provider);
    let not_set_up = || KeyError::NotSetUp(format!("{:?}", settings.holder));
    let primary = providers.next().ok_or_else(not_set_up)?;
    let keyring = Keyring::new(primary, providers.collect());
    Ok(Sealer::new(state.store.clone(), keyring, Arc::clone(&session.clock)))
}
