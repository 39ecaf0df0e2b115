//! `trunkline restore`: a state folder from a backup.

use std::path::{Path, PathBuf};

use crate::backup::{self, KEY_FILE, SQLITE_FILE, Target, Unpacked};
use crate::cli::access;
use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::format;
use crate::config::keys::KeyHolder;

/// Arguments of `trunkline restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The state folder must be empty, and so must the Postgres database that `DATABASE_URL` names, for a backup of one.

Examples:
  trunkline restore --state /var/lib/trunkline /srv/backup/2026-11-28.tar
  DATABASE_URL=postgres://ci@db/new trunkline restore --state /var/lib/trunkline all.tar")]
pub struct RestoreArgs {
    /// The backup
    pub file: PathBuf,
}

/// Restores it.
pub async fn execute(session: &Session, args: &RestoreArgs) -> anyhow::Result<Exit> {
    let settings = &session.settings;
    let file = session.folder.join(&args.file);
    let is_postgres = fits(session, &file).await?;
    let to = Target {
        folder: settings.state_folder.clone(),
        shared: settings.fleet.shared_folder.clone(),
        database_url: settings.database_url.clone(),
    };
    let unpacked = backup::restore(&file, to).await?;
    if !is_postgres {
        let database = settings.state_folder.join(SQLITE_FILE);
        backup::check_sqlite(&database).await?;
    }
    let state = State::open_server(settings).await?;
    access::note(session, &state, ("backup.restore", &file.display().to_string())).await?;
    if session.output.json {
        session.output.json(&unpacked)?;
        return Ok(Exit::Passed);
    }
    tell(session, &unpacked)?;
    Ok(Exit::Passed)
}

/// Whether a backup is of Postgres, if it is of the kind of database that is set up here.
async fn fits(session: &Session, file: &Path) -> anyhow::Result<bool> {
    let settings = &session.settings;
    let is_postgres = settings.database_url.as_deref().is_some_and(|it| it.starts_with("postgres"));
    if settings.database_url.as_deref().is_some_and(|it| it.starts_with("sqlite")) {
        let message = "SQLite is restored to `state.db` of the state folder, and `DATABASE_URL` names another file";
        return Err(Usage::new(message, "unset it; the file can be moved afterwards").into());
    }
    let manifest = backup::manifest(file).await?;
    if (manifest.database == "Postgres") != is_postgres {
        let message = format!("this is a backup of {}", manifest.database);
        let help = if is_postgres {
            "unset `DATABASE_URL`"
        } else {
            "set `DATABASE_URL` to an empty Postgres database"
        };
        return Err(Usage::new(message, help).into());
    }
    Ok(is_postgres)
}

fn tell(session: &Session, unpacked: &Unpacked) -> anyhow::Result<()> {
    let settings = &session.settings;
    let files = format::count(unpacked.files, "file");
    session.output.line(&format!("`{}`: {files}", settings.state_folder.display()))?;
    for name in &unpacked.damaged {
        let warning = format!("`{name}` was damaged before it was saved, and cannot be read");
        session.output.line(&session.output.paint.yellow(&format!("warning: {warning}")))?;
    }
    let own = settings.state_folder.join(KEY_FILE);
    let keys = settings.keys.file.clone().unwrap_or(own);
    if settings.keys.holder == KeyHolder::File && !keys.exists() {
        let keys = keys.display();
        let warning = format!("the key file `{keys}` is not there, so no secret can be read");
        session.output.line(&session.output.paint.yellow(&format!("warning: {warning}")))?;
        session
            .output
            .line("help: put it back before the server starts, which else makes a new one")?;
    }
    Ok(())
}
