//! `trunkline backup`: everything that a server keeps, as one file.

use std::path::PathBuf;

use crate::backup::{Backup, KEY_FILE};
use crate::cli::access;
use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::cli::view::format;
use crate::config::keys::KeyHolder;

/// Arguments of `trunkline backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works while the server runs. The file holds the database, logs and artifacts; a Postgres database by `pg_dump`.
It can be read by its owner alone: keep it so.

Examples:
  trunkline backup /srv/backup/2026-11-28.tar
  trunkline backup --with-keys /srv/backup/all.tar")]
pub struct BackupArgs {
    /// The file to write; it must not be there yet
    pub file: PathBuf,
    /// Also save the key file: whoever has this backup then can read all secrets
    #[arg(long)]
    pub with_keys: bool,
}

/// Writes it.
pub async fn execute(session: &Session, args: &BackupArgs) -> anyhow::Result<Exit> {
    let state = State::open_present(&session.settings, Needed::Folder).await?;
    let target = session.folder.join(&args.file);
    if target.starts_with(&state.folder) {
        let message = format!("`{}` is in the state folder", target.display());
        return Err(Usage::new(message, "name a file elsewhere, best on another disk").into());
    }
    let own = state.folder.join(KEY_FILE);
    let keys = session.settings.keys.file.clone().unwrap_or(own);
    let has_keys = keys.exists();
    let backup = Backup {
        folder: state.folder.clone(),
        files: state.files.clone(),
        store: state.store.clone(),
        database_url: session.settings.database_url.clone(),
        keys: Some(keys.clone()).filter(|_| has_keys && args.with_keys),
        at: session.now(),
    };
    let packed = backup.write(&target).await?;
    access::note(session, &state, ("backup.write", &target.display().to_string())).await?;
    if session.output.json {
        session.output.json(&packed)?;
        return Ok(Exit::Passed);
    }
    let (files, size) = (format::count(packed.files, "file"), format::bytes(packed.bytes));
    session.output.line(&format!("`{}`: {files}, {size}", target.display()))?;
    let paint = session.output.paint;
    if packed.manifest.has_keys {
        let warning = "the key file is in it: whoever reads this backup can read every secret";
        session.output.line(&paint.yellow(&format!("warning: {warning}")))?;
    } else if session.settings.keys.holder == KeyHolder::File {
        let keys = keys.display();
        let warning = format!("`{keys}` is not in it, and without it no secret can be read again");
        session.output.line(&paint.yellow(&format!("warning: {warning}")))?;
        session.output.line("help: save that file apart from the backup, or use `--with-keys`")?;
    }
    Ok(Exit::Passed)
}
