//! From the trace of a call to a model to spans: the call, and each time that it was sent. Pure. The names are those
//! of OpenTelemetry's semantic conventions for generative AI, 1.41.0
//! (<https://github.com/open-telemetry/semantic-conventions/blob/v1.41.0/docs/gen-ai/gen-ai-spans.md>), and
//! `trunkline.*` where those have none. Use is told of what was sent alone: nobody who adds up spans counts it twice.

use serde_json::{Value, json};

use super::span::{Micros, Span, SpanKind, SpanStatus};
use crate::model::trace::CallAttempt;
use crate::model::{CallTrail, SpanId, Usage, UsageClass};
use crate::store::spend::calls::OF_REPORTS;
use crate::store::spend::requests::traces::TraceRow;

/// The spans of a call, its own first.
#[must_use]
pub fn call_spans(row: &TraceRow) -> Vec<Span> {
    let trail: CallTrail = serde_json::from_str(&row.detail).unwrap_or_default();
    let call = Call { row, trail: &trail };
    let attempts = (0..).zip(&trail.attempts).map(|(place, it)| call.attempt(place, it));
    std::iter::once(call.root()).chain(attempts).collect()
}

struct Call<'a> {
    row: &'a TraceRow,
    trail: &'a CallTrail,
}

impl Call<'_> {
    fn root(&self) -> Span {
        let (row, trail) = (self.row, self.trail);
        let mut span = self.span(row.span.clone(), row.parent.clone());
        span.kind = SpanKind::Server;
        (span.began, span.ended) = (self.at(0), self.at(micros(row.total_us)));
        span.status = if row.error.is_empty() {
            SpanStatus::Ok
        } else {
            SpanStatus::Error(trail.refusal.clone())
        };
        self.name(&mut span, &row.model);
        span.with("error.type", row.error.as_str());
        span.with("http.response.status_code", json!(row.status));
        span.with("gen_ai.request.stream", trail.is_stream);
        span.with("gen_ai.request.max_tokens", json!(trail.max_output));
        span.with("trunkline.request.id", row.id.as_str());
        span.with("trunkline.origin", row.origin.as_str());
        span.with("trunkline.attempts", row.attempts);
        if let Some(first) = trail.attempts.first() {
            span.with("trunkline.waited_ms", milliseconds(first.began_us));
        }
        self.owners(&mut span);
        self.events(&mut span);
        span
    }

    /// Whose it was.
    fn owners(&self, span: &mut Span) {
        let owner = &self.row.owner;
        for (name, value) in [
            ("trunkline.key", &self.row.key_name),
            ("trunkline.team", &owner.team),
            ("trunkline.project", &owner.project),
            ("cicd.pipeline.name", &owner.pipeline),
            ("cicd.pipeline.run.id", &owner.run),
            ("cicd.pipeline.task.name", &owner.stage),
            ("trunkline.endpoint", &owner.endpoint),
        ] {
            span.with(name, value.as_str());
        }
    }

    fn events(&self, span: &mut Span) {
        for step in &self.trail.cache {
            let name = format!("cache {}", step.what);
            span.events.push((self.at(step.at_us), name, Vec::new()));
        }
        for finding in &self.trail.findings {
            let at = if finding.way == "in" { span.began } else { span.ended };
            let more = vec![
                ("trunkline.guardrail.rule".into(), json!(finding.rule)),
                ("trunkline.guardrail.found".into(), json!(finding.what)),
                ("trunkline.guardrail.action".into(), json!(finding.action)),
                ("trunkline.guardrail.way".into(), json!(finding.way)),
                ("trunkline.guardrail.count".into(), json!(finding.count)),
            ];
            span.events.push((at, "guardrail".to_owned(), more));
        }
        span.events.sort_by_key(|it| it.0);
    }

    fn attempt(&self, place: usize, attempt: &CallAttempt) -> Span {
        let row = self.row;
        let id = SpanId::of_name(&format!("{}/{place}", row.id)).to_string();
        let mut span = self.span(id, row.span.clone());
        span.kind = SpanKind::Client;
        span.began = self.at(attempt.began_us);
        // One that never came to an end lasts as long as its call.
        let ended = attempt.ended_us.max(attempt.began_us);
        let ended = if attempt.ended_us == 0 { micros(row.total_us) } else { ended };
        span.ended = self.at(ended).max(span.began);
        span.status = if attempt.error.is_empty() {
            SpanStatus::Ok
        } else {
            SpanStatus::Error(attempt.why.clone())
        };
        self.name(&mut span, &attempt.model);
        span.with("gen_ai.provider.name", attempt.provider.as_str());
        span.with("gen_ai.response.model", attempt.answered_by.as_str());
        span.with("error.type", attempt.error.as_str());
        span.with("http.response.status_code", json!(attempt.status));
        if let Some(first) = attempt.first_us {
            let until = first.saturating_sub(attempt.began_us);
            #[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 us")]
            span.with("gen_ai.response.time_to_first_chunk", until as f64 / 1e6);
        }
        use_of(&mut span, &attempt.usage);
        span.with("trunkline.attempt", attempt.number);
        span.with("trunkline.origin", attempt.origin.as_str());
        span.with("trunkline.cost_usd", usd(attempt.cost.0));
        span.with("trunkline.avoided_usd", usd(attempt.avoided.0));
        span.with("trunkline.reserved_usd", usd(attempt.reserved.0));
        span.with("trunkline.price", attempt.price.as_str());
        span.with("trunkline.flags", attempt.flags.join(" "));
        if place + 1 == self.trail.attempts.len() {
            self.answer(&mut span);
        }
        span
    }

    /// What the last attempt said besides.
    fn answer(&self, span: &mut Span) {
        let trail = self.trail;
        span.with("gen_ai.response.id", trail.response.as_str());
        if !trail.finish.is_empty() {
            span.with("gen_ai.response.finish_reasons", json!(trail.finish));
        }
        for tool in &trail.tools {
            let mut more = vec![("gen_ai.tool.name".into(), json!(tool.name))];
            if !tool.id.is_empty() {
                more.push(("gen_ai.tool.call.id".into(), json!(tool.id)));
            }
            span.events.push((span.ended, "tool call".to_owned(), more));
        }
    }

    fn span(&self, span_id: String, parent_id: String) -> Span {
        Span {
            trace_id: self.row.trace.clone(),
            span_id,
            parent_id,
            name: String::new(),
            kind: SpanKind::Internal,
            began: Micros(0),
            ended: Micros(0),
            status: SpanStatus::Unset,
            attributes: Vec::new(),
            events: Vec::new(),
            maker: None,
        }
    }

    fn name(&self, span: &mut Span, model: &str) {
        if self.row.operation == OF_REPORTS {
            span.name = format!("use {model}");
            span.with("trunkline.index", model);
            return;
        }
        let operation = operation(&self.row.operation);
        span.name = format!("{operation} {model}");
        span.with("gen_ai.operation.name", operation);
        span.with("gen_ai.request.model", model);
    }

    /// So long after the call began.
    fn at(&self, after_us: u64) -> Micros {
        let began = Micros::from(self.row.at);
        Micros(began.0.saturating_add(i64::try_from(after_us).unwrap_or(i64::MAX)))
    }
}

/// The conventions' word for a path of the interface, or the path where they have none.
fn operation(path: &str) -> &str {
    match path {
        "chat/completions" | "responses" | "messages" => "chat",
        "completions" => "text_completion",
        other => other,
    }
}

/// Cached and thought tokens are parts of the totals here.
fn use_of(span: &mut Span, usage: &Usage) {
    for (name, tokens) in [
        ("gen_ai.usage.input_tokens", usage.input_tokens()),
        ("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens()),
        ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens()),
        ("gen_ai.usage.output_tokens", usage.output_tokens()),
        ("gen_ai.usage.reasoning.output_tokens", usage.get(UsageClass::Reasoning)),
        ("trunkline.usage.queries", usage.get(UsageClass::Queries)),
        ("trunkline.usage.read_units", usage.get(UsageClass::ReadUnits)),
        ("trunkline.usage.write_units", usage.get(UsageClass::WriteUnits)),
        ("trunkline.usage.search_units", usage.get(UsageClass::SearchUnits)),
        ("trunkline.usage.pages", usage.get(UsageClass::Pages)),
    ] {
        if tokens > 0 {
            span.with(name, tokens);
        }
    }
}

fn usd(nanos: i64) -> Value {
    if nanos == 0 {
        return Value::Null;
    }
    let text = crate::model::UsdNanos(nanos).to_string();
    json!(text.trim_end_matches(" USD"))
}

fn micros(us: i64) -> u64 {
    u64::try_from(us).unwrap_or_default()
}

fn milliseconds(us: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 us")]
    let ms = us as f64 / 1e3;
    ms
}
