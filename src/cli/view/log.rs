//! Lines of logs, as text or JSON.

use super::{format, line, terminal};
use crate::cli::output::Output;
use crate::model::{StageIndex, Timestamp};
use crate::runs::view::{LogLineView, RunView};

/// How lines of logs look.
#[derive(Debug, Clone)]
pub struct LogStyle {
    /// Where they go.
    pub output: Output,
    /// How the key of the stage stands before each, where there are several stages.
    pub keys: Option<line::Style>,
    /// Whether the time stands before each.
    pub timestamps: bool,
}

impl LogStyle {
    /// A line, with its line feed.
    pub fn line(
        &self,
        run: &RunView,
        (stage, attempt): (StageIndex, u32),
        (text, at): (&str, Option<Timestamp>),
    ) -> serde_json::Result<String> {
        if self.output.json {
            let line = LogLineView::new(run, (stage, attempt), (text, at));
            return Ok(serde_json::to_string(&line)? + "\n");
        }
        let at = at.filter(|_| self.timestamps).map(|it| self.output.date_time(it) + " ");
        let time = at.map(|it| self.output.paint.dim(&it)).unwrap_or_default();
        let text = format::overwritten(text);
        let text = terminal::safe(&text, self.output.paint);
        let text = match &self.keys {
            Some(style) => style.log_line(run.key_of(stage), &text),
            None => text.into_owned(),
        };
        Ok(time + &text + "\n")
    }
}
