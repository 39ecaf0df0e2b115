//! `pg_dump` and `pg_restore` of this machine: they know every kind of object that a database may have.

use std::path::Path;
use std::process::{Command, Stdio};

use percent_encoding::percent_decode_str;

use super::BackupError;

/// As much of a complaint as is shown.
const COMPLAINT_CHARS_MAX: usize = 1000;

/// Writes a database to a file.
pub(super) fn dump(url: &str, file: &Path) -> Result<(), BackupError> {
    let mut command = Command::new("pg_dump");
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--file"]).arg(file);
    call("pg_dump", command, url)
}

/// Reads a file into an empty database: all of it, or nothing.
pub(super) fn restore(url: &str, file: &Path) -> Result<(), BackupError> {
    let mut command = Command::new("pg_restore");
    command.args(["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]);
    command.arg(file);
    call("pg_restore", command, url)
}

/// The password by the environment: others of this machine can read the arguments of a process.
fn call(program: &'static str, mut command: Command, url: &str) -> Result<(), BackupError> {
    let failed = |reason: String| BackupError::Program { program, reason };
    let mut address = reqwest::Url::parse(url)
        .map_err(|error| failed(format!("the address of the database cannot be read: {error}")))?;
    if let Some(password) = address.password() {
        command.env("PGPASSWORD", percent_decode_str(password).decode_utf8_lossy().as_ref());
    }
    // Fails only where there is no host, and then there is no password.
    let _no_host = address.set_password(None);
    command.arg(format!("--dbname={address}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).env("LC_ALL", "C");
    let output = command.output().map_err(|error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        failed(if is_missing { "it is not on this machine".to_owned() } else { error.to_string() })
    })?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(failed(complaint.trim().chars().take(COMPLAINT_CHARS_MAX).collect()))
}
