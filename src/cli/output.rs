//! Standard output: whole lines or JSON, with or without colours.

use std::io::{IsTerminal, Write as _};

use serde::Serialize;

use super::view::paint::Paint;
use super::view::terminal;
use crate::config::Settings;
use crate::model::Timestamp;

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where results are written to.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Colours, or none.
    pub paint: Paint,
    /// Whether the reader asked for JSON.
    pub json: bool,
    /// Whether a person watches on a terminal that can move its cursor.
    pub is_live: bool,
    /// Seconds that local time is ahead of UTC.
    pub utc_offset_seconds: i32,
}

impl Output {
    /// Standard output of this process.
    #[must_use]
    pub fn new(settings: &Settings, color: ColorChoice, json: bool) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let is_colored = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                settings.color.unwrap_or(is_terminal && !settings.is_dumb_terminal)
            }
        };
        Self {
            paint: Paint { is_on: is_colored && !json },
            json,
            is_live: is_terminal && !settings.is_dumb_terminal && !json,
            utc_offset_seconds: chrono::Local::now().offset().local_minus_utc(),
        }
    }

    /// Writes one line, or several, without what a terminal would obey.
    pub fn line(&self, text: &str) -> std::io::Result<()> {
        self.bytes(format!("{}\n", terminal::safe(text, self.paint)).as_bytes())
    }

    /// Says what was done; programs read `{"done": …}`.
    pub fn told(&self, text: &str) -> std::io::Result<()> {
        if self.json { self.json(&serde_json::json!({ "done": text })) } else { self.line(text) }
    }

    /// Writes one value as JSON in one line.
    pub fn json(&self, value: &impl Serialize) -> std::io::Result<()> {
        self.bytes(format!("{}\n", serde_json::to_string(value)?).as_bytes())
    }

    /// Writes bytes as they are.
    pub fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        written.map_err(|error| {
            std::io::Error::new(error.kind(), format!("the output cannot be written: {error}"))
        })
    }

    /// `UTC` or `UTC+02:00`: the zone of all times that are shown.
    #[must_use]
    pub fn zone(&self) -> String {
        let minutes = self.utc_offset_seconds / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        match (minutes.abs() / 60, minutes.abs() % 60) {
            (0, 0) => "UTC".to_owned(),
            (hours, minutes) => format!("UTC{sign}{hours:02}:{minutes:02}"),
        }
    }

    /// `2027-03-31 12:03:44`, in local time.
    #[must_use]
    pub fn date_time(&self, at: Timestamp) -> String {
        let local = at.0.saturating_add(i64::from(self.utc_offset_seconds) * 1000);
        let moment = chrono::DateTime::from_timestamp_millis(local).unwrap_or_default();
        moment.format("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// Tells a person something beside the results.
pub fn note(text: &str) {
    let text = terminal::safe(text, Paint::default());
    let _nobody_reads = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_said_as_what_it_differs_from_utc() {
        let zone = |utc_offset_seconds| {
            let paint = Paint::default();
            Output { paint, json: false, is_live: false, utc_offset_seconds }.zone()
        };
        let zones = [0, 7200, -12_600].map(zone);
        assert_eq!(zones, ["UTC", "UTC+02:00", "UTC-03:30"]);
    }
}
