//! Notes how providers do: for the circuit breakers, and for people, whom the log tells once a minute at most.

use super::UpstreamError;
use crate::gateway::call::Call;
use crate::gateway::route::{Fate, Step};
use crate::model::Milliseconds;

/// Letters of a reason that the log has.
const WHY_MAX: usize = 200;

impl Call {
    /// Notes that the client gets what has come this way.
    pub(in crate::gateway) fn note_answer(&self, step: &Step<'_>) {
        let (now, (way, model)) = (self.core.clock.now(), self.lane(step));
        let mut breakers = self.breakers();
        breakers.note((way, model), Fate::Answered, None, now);
        let failed_for = breakers.outages.answered((way.provider, model), now);
        drop(breakers);
        if let Some(failed_for) = failed_for {
            let (provider, failed_ms) = (self.provider_name(step), failed_for.0);
            tracing::info!(provider, model, failed_ms, "a provider answers again");
        }
    }

    /// Notes a status that lets another way be tried.
    pub(in crate::gateway) fn note_status(
        &self,
        step: &Step<'_>,
        (status, fate): (u16, Fate),
        retry_after: Option<Milliseconds>,
    ) {
        let now = self.core.clock.now();
        self.breakers().note(self.lane(step), fate, retry_after, now);
        match fate {
            Fate::Failed => self.failed(step, "status", &format!("it answers {status}")),
            Fate::Limited => self.failed(step, "limited", &format!("it answers {status}")),
            // A key that is refused is told of where its refusal is read.
            Fate::Answered
            | Fate::Unreachable
            | Fate::KeyRefused
            | Fate::ModelRefused
            | Fate::Elsewhere => {}
        }
    }

    /// Notes that no answer has come, or not all of it.
    pub(in crate::gateway) fn note_loss(&self, step: &Step<'_>, error: &UpstreamError) {
        let fate = if matches!(error, UpstreamError::Unreachable(_)) {
            Fate::Unreachable
        } else if matches!(error, UpstreamError::TooLarge { .. }) {
            // It has done its work: what one client asks for closes nothing for others.
            Fate::Answered
        } else {
            Fate::Failed
        };
        self.breakers().note(self.lane(step), fate, None, self.core.clock.now());
        self.failed(step, error.kind(), &error.to_string());
    }

    fn failed(&self, step: &Step<'_>, kind: &str, why: &str) {
        let (now, (way, model)) = (self.core.clock.now(), self.lane(step));
        let due = self.breakers().outages.failed((way.provider, model), now);
        if let Some(failures) = due {
            tell((self.provider_name(step), model), (kind, why), failures);
        }
    }

    fn provider_name(&self, step: &Step<'_>) -> &str {
        self.core.known.get(step.way.provider).map_or("", |it| &it.name)
    }
}

/// A reason is shortened, and its control characters are written as such.
fn tell((provider, model): (&str, &str), (kind, why): (&str, &str), failures: u64) {
    let why: String = why.chars().take(WHY_MAX).collect();
    tracing::warn!(provider, model, kind, ?why, failures, "calls to a provider fail");
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failure_is_one_line_of_a_bounded_length() {
        let log = Log::default();
        let writer = log.clone();
        let builder =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let error = UpstreamError::Broken(format!("a\nb{}", "x".repeat(5000)));
        tracing::subscriber::with_default(builder.finish(), || {
            tell(("openai", "gpt-5"), (error.kind(), &error.to_string()), 7);
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in [
            "WARN",
            "calls to a provider fail",
            "\"openai\"",
            "\"gpt-5\"",
            "\"broken\"",
            "failures=7",
            "a\\nb",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.len() < 600, "{text}");
    }
}
