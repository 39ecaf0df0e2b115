//! The keys of a server, and what seals with them.

use std::sync::Arc;

use super::session::Session;
use super::state::State;
use crate::secrets::keys::{KeyFile, KeyProvider};
use crate::secrets::{KeyError, Keyring, Sealer};

/// What a server seals with: on first start its key file is made.
pub fn sealer(session: &Session, state: &State) -> Result<Sealer, KeyError> {
    let file = KeyFile::open(&state.folder.join("secret.keys"))?;
    let keyring = Keyring::new(KeyProvider::File(file), Vec::new());
    Ok(Sealer::new(state.store.clone(), keyring, Arc::clone(&session.clock)))
}
