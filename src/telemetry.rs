//! The engine's own messages: structured, to standard error, so that output stays clean.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::Settings;

/// Starts writing messages that pass the filter of the settings, or else `usual`; `verbosity` counts the
/// `-v`s of the command line and lets more of ours through. A second call changes nothing.
pub fn start(settings: &Settings, usual: &str, verbosity: u8) {
    let filter = settings.log_filter.as_deref().unwrap_or(usual);
    let filter = EnvFilter::builder().parse_lossy(directives(filter, verbosity));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(settings.color.unwrap_or_else(|| std::io::stderr().is_terminal()));
    let _already_started =
        if settings.log_json { builder.json().try_init() } else { builder.compact().try_init() };
}

fn directives(filter: &str, verbosity: u8) -> String {
    match verbosity {
        0 => filter.to_owned(),
        1 => format!("{filter},trunkline=info"),
        2 => format!("{filter},trunkline=debug"),
        _ => format!("{filter},trunkline=trace"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_v_lets_more_of_ours_through() {
        assert_eq!(directives("warn", 0), "warn");
        assert_eq!(directives("warn", 1), "warn,trunkline=info");
        assert_eq!(directives("warn", 3), "warn,trunkline=trace");
    }
}
