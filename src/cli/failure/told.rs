//! Errors as a person or a program sees them, and the exit code of each.

use std::io::Write as _;

use super::{AlreadyShown, Broken, Exit, Usage, is_elsewhere};
use crate::auth::PersonError;
use crate::cli::remote::RemoteError;
use crate::cli::view::paint::Paint;
use crate::cli::view::terminal;
use crate::config::{ConfigError, Unreadable};
use crate::engine::Refused;
use crate::runs::RunsError;
use crate::secrets::{KeyError, SealError};
use crate::source::SourceError;
use crate::store::StoreError;
use crate::worker::WorkerError;

/// Shows an error and gives the exit code. A reader that went away (`trunkline logs | head`) is none.
pub fn report(error: &anyhow::Error, json: bool) -> Exit {
    if error.chain().any(is_broken_pipe) {
        return Exit::Passed;
    }
    let exit = exit_of(error);
    if error.is::<AlreadyShown>() {
        return exit;
    }
    let text = if json { as_json(error, exit) } else { as_text(error) };
    let text = terminal::safe(&text, Paint::default());
    let _nobody_reads = writeln!(std::io::stderr().lock(), "{text}");
    exit
}

/// Writes an error into the log of a long process, whose messages a program reads, and gives the exit code.
pub fn log(error: &anyhow::Error) -> Exit {
    let exit = exit_of(error);
    if !error.is::<AlreadyShown>() {
        let (because, help) = (causes(error).join("; "), help_of(error));
        let exit_code = exit.code();
        tracing::error!(because, help, exit_code, "{error}");
    }
    exit
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let io = cause.downcast_ref::<std::io::Error>();
    io.is_some_and(|it| it.kind() == std::io::ErrorKind::BrokenPipe)
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(remote) = error.downcast_ref::<RemoteError>() {
        return remote.exit();
    }
    let is_usage = error.is::<Usage>() || error.is::<AlreadyShown>() || error.is::<ConfigError>();
    let is_usage = is_usage || error.is::<Unreadable>();
    let is_wrong_source = matches!(
        error.downcast_ref::<SourceError>(),
        Some(SourceError::NotARepository(_) | SourceError::NotFound(_))
    );
    let is_wrong_person = error.downcast_ref::<PersonError>().is_some_and(is_wrong_name);
    let is_refused =
        matches!(error.downcast_ref(), Some(StoreError::Taken { .. } | StoreError::Last { .. }));
    let is_usage = is_usage || is_wrong_person || is_refused;
    let is_wrong_run = is_elsewhere(error) || runs_error(error).is_some_and(is_wrong_reference);
    if is_usage || is_wrong_source || is_wrong_run { Exit::Usage } else { Exit::Broken }
}

fn runs_error(error: &anyhow::Error) -> Option<&RunsError> {
    error.downcast_ref::<RunsError>().or_else(|| match error.downcast_ref::<WorkerError>() {
        Some(WorkerError::Runs(inner)) => Some(inner),
        _ => None,
    })
}

fn is_wrong_reference(error: &RunsError) -> bool {
    matches!(
        error,
        RunsError::NotFound(_)
            | RunsError::Ambiguous { .. }
            | RunsError::NoStage { .. }
            | RunsError::Refused(_)
    )
}

fn is_wrong_name(error: &PersonError) -> bool {
    match error {
        PersonError::Unknown { .. }
        | PersonError::BadLogin
        | PersonError::TooLong { .. }
        | PersonError::Password(_) => true,
        PersonError::Store(error) => {
            matches!(error, StoreError::Taken { .. } | StoreError::Last { .. })
        }
    }
}

fn as_text(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            text = text + "\n  because: " + &cause;
            said.push_str(&cause);
        }
    }
    let help = help_of(error);
    if !help.is_empty() {
        text = text + "\nhelp: " + &help;
    }
    text
}

fn causes(error: &anyhow::Error) -> Vec<String> {
    error.chain().skip(1).map(ToString::to_string).collect()
}

fn as_json(error: &anyhow::Error, exit: Exit) -> String {
    serde_json::json!({
        "error": error.to_string(),
        "because": causes(error),
        "help": help_of(error),
        "exit_code": exit.code(),
    })
    .to_string()
}

fn help_of(error: &anyhow::Error) -> String {
    if let Some(usage) = error.downcast_ref::<Usage>() {
        return usage.help.clone();
    }
    if let Some(broken) = error.downcast_ref::<Broken>() {
        return broken.help.clone();
    }
    if let Some(remote) = error.downcast_ref::<RemoteError>() {
        return remote.help();
    }
    if let Some(source) = error.downcast_ref::<SourceError>() {
        return source.help().unwrap_or_default().to_owned();
    }
    if let Some(seal) = error.downcast_ref::<SealError>() {
        return seal.help().unwrap_or_default().to_owned();
    }
    if let Some(key) = error.downcast_ref::<KeyError>() {
        return key.help().unwrap_or_default().to_owned();
    }
    if let Some(PersonError::Store(store)) = error.downcast_ref() {
        return store.help().unwrap_or_default().to_owned();
    }
    if let Some(store) = error.downcast_ref::<StoreError>() {
        return store.help().unwrap_or_default().to_owned();
    }
    match runs_error(error) {
        Some(RunsError::NotFound(reference)) if reference == "last" => {
            "no run was made here yet; `trunkline run` makes one, `trunkline runs --all` lists those \
             of all repositories"
                .to_owned()
        }
        Some(RunsError::NotFound(_)) => "`trunkline runs --all` lists the runs there are".to_owned(),
        Some(RunsError::Ambiguous { .. }) => "give more of the id, or the number of the run".to_owned(),
        Some(RunsError::NoStage { known, .. }) => format!("known are `{}`", known.join("`, `")),
        Some(RunsError::Unreadable { .. }) => {
            "read it with the version of `trunkline` that made it".to_owned()
        }
        Some(RunsError::Store(store)) => store.help().unwrap_or_default().to_owned(),
        None if is_elsewhere(error) => {
            "`trunkline logs --follow` follows it, `trunkline cancel` stops it".to_owned()
        }
        Some(RunsError::Refused(refused)) => help_of_refused(refused).to_owned(),
        None => String::new(),
    }
}

fn help_of_refused(refused: &Refused) -> &'static str {
    match refused {
        Refused::AlreadyFinished => "`trunkline show` says how; `trunkline rerun` runs it again",
        Refused::NotFinished => {
            "wait for its end, stop it with `trunkline cancel`, or go on with `trunkline resume`"
        }
        Refused::NothingToRerun => "`trunkline rerun` without `--failed` runs every stage again",
        Refused::WrongStatus { .. }
        | Refused::NoSuchStage(_)
        | Refused::Duplicate
        | Refused::StaleEpoch
        | Refused::MayNotApprove(_)
        | Refused::NotInterruptible
        | Refused::NotReusable(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_not_there_is_a_wrong_command() {
        let error = anyhow::Error::from(RunsError::NotFound("99".to_owned()));
        assert_eq!(exit_of(&error), Exit::Usage);
        assert_eq!(
            as_text(&error),
            "error: there is no run `99`\nhelp: `trunkline runs --all` lists the runs there are"
        );
    }

    #[test]
    fn what_a_run_refuses_names_the_way_on() {
        let error = anyhow::Error::from(RunsError::Refused(Refused::NothingToRerun));
        assert_eq!(exit_of(&error), Exit::Usage);
        assert_eq!(
            as_text(&error),
            "error: no stage of the run failed\n\
             help: `trunkline rerun` without `--failed` runs every stage again"
        );
    }

    #[test]
    fn a_failing_machine_is_our_fault_and_names_its_causes() {
        let disk = std::io::Error::other("no space left");
        let error = anyhow::Error::from(disk).context("`state.db` could not be opened");
        assert_eq!(exit_of(&error), Exit::Broken);
        assert_eq!(
            as_text(&error),
            "error: `state.db` could not be opened\n  because: no space left"
        );
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(report(&anyhow::Error::from(pipe).context("writing"), false), Exit::Passed);
    }
}
