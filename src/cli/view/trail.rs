//! Calls to models and spans of apps: a line each, and those of a trace as a tree.

use serde_json::Value;

use crate::cli::output::Output;
use crate::desk::server::traces::{
    ContentView, EventView, Message, Part, SpanView, TraceView, TreeView,
};
use crate::model::Timestamp;

/// `2027-03-31 12:03:44  req_…  m1 at test  200  12.3 ms  5+9 tokens  0.000095 USD  cache`
#[must_use]
pub fn line(row: &TraceView, output: Output) -> String {
    if !row.is_call() {
        return span_of_app(row, output);
    }
    let mut parts = vec![
        output.date_time(Timestamp(row.at)),
        row.id.clone(),
        if row.provider.is_empty() {
            row.model.clone()
        } else {
            format!("{} at {}", row.model, row.provider)
        },
        ending(&row.error, row.status, output),
        milliseconds(row.total_ms),
        format!("{}+{} tokens", row.input_tokens, row.output_tokens),
        format!("{} USD", row.cost_usd),
    ];
    parts.extend((row.origin != "live").then(|| row.origin.clone()));
    parts.extend((row.attempts > 1).then(|| format!("{} attempts", row.attempts)));
    parts.extend((!row.stage.is_empty()).then(|| format!("stage {}", row.stage)));
    parts.extend((!row.endpoint.is_empty()).then(|| format!("endpoint {}", row.endpoint)));
    parts.join("  ")
}

/// `2027-03-31 12:03:44  spn_…  shop  agent plan  ok  12.3 ms`
fn span_of_app(row: &TraceView, output: Output) -> String {
    let mut parts = vec![output.date_time(Timestamp(row.at)), row.id.clone()];
    parts.extend([row.service.clone(), named(&row.operation, &row.name)]);
    parts.push(ending(&row.error, row.status, output));
    parts.retain(|it| !it.is_empty());
    parts.push(milliseconds(row.total_ms));
    parts.extend((!row.stage.is_empty()).then(|| format!("stage {}", row.stage)));
    parts.extend((!row.endpoint.is_empty()).then(|| format!("endpoint {}", row.endpoint)));
    parts.join("  ")
}

/// `tool search`.
fn named(operation: &str, name: &str) -> String {
    format!("{operation} {name}").trim_start().to_owned()
}

fn ending(error: &str, status: Option<i64>, output: Output) -> String {
    let status = status.map(|it| it.to_string()).unwrap_or_default();
    match (error, status.as_str()) {
        ("", _) => output.paint.green(&status),
        (_, "") => output.paint.red(error),
        (error, status) if error == status => output.paint.red(status),
        (error, status) => output.paint.red(&format!("{status} {error}")),
    }
}

/// All spans, each below the one that it is part of, with what happened in it.
#[must_use]
pub fn tree(tree: &TreeView, output: Output) -> Vec<String> {
    let mut lines = vec![format!("trace {}", tree.trace)];
    if tree.is_cut {
        let of_apps = tree.of_apps();
        lines.push(format!(
            "there is more: only the newest {} calls and the first {of_apps} spans of apps are shown",
            tree.calls.len()
        ));
    }
    let is_top = |it: &&SpanView| !tree.spans.iter().any(|other| other.span == it.parent);
    let mut tops: Vec<_> = tree.spans.iter().filter(is_top).collect();
    tops.sort_by_key(|it| it.at_us);
    for span in tops {
        below(tree, span, 0, (&mut lines, output));
    }
    lines
}

fn below(
    tree: &TreeView,
    span: &SpanView,
    depth: usize,
    (lines, output): (&mut Vec<String>, Output),
) {
    let indent = "  ".repeat(depth);
    lines.push(format!("{indent}{}", span_line(tree, span, output)));
    lines.extend(span.events.iter().map(|it| format!("{indent}  - {}", event(it, span))));
    // A span whose ids go round in a circle is told once.
    if depth < 32 {
        let mut children: Vec<_> = tree.spans.iter().filter(|it| it.parent == span.span).collect();
        children.sort_by_key(|it| it.at_us);
        for child in children {
            below(tree, child, depth + 1, (lines, output));
        }
    }
    let id = if span.is_of_app() { span.id.clone() } else { word(span, "trunkline.request.id") };
    if let Some(content) = tree.contents.get(&id).filter(|_| !id.is_empty()) {
        lines.extend(said(content).into_iter().map(|it| format!("{indent}  {it}")));
    }
}

fn span_line(tree: &TreeView, span: &SpanView, output: Output) -> String {
    if span.is_of_app() {
        return app_line(span, output);
    }
    let mut parts = vec![span.name.clone()];
    let error = word(span, "error.type");
    let status = span.attributes.get("http.response.status_code").and_then(Value::as_i64);
    let ended = ending(&error, status, output);
    parts.extend((!ended.is_empty()).then_some(ended));
    let id = word(span, "trunkline.request.id");
    if let Some(call) = tree.calls.iter().find(|it| it.id == id) {
        parts.insert(0, id);
        parts.push(milliseconds(call.total_ms));
        parts.extend(call.first_token_ms.map(|it| format!("first token {}", milliseconds(it))));
        parts.push(format!("{}+{} tokens", call.input_tokens, call.output_tokens));
        parts.push(format!("{} USD", call.cost_usd));
        parts.extend(
            (call.avoided_usd != "0.00").then(|| format!("avoided {} USD", call.avoided_usd)),
        );
    } else {
        let provider = word(span, "gen_ai.provider.name");
        parts.insert(0, format!("#{} {provider}", word(span, "trunkline.attempt")));
        #[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 us")]
        parts.push(milliseconds(span.took_us as f64 / 1000.0));
        let finish = word(span, "gen_ai.response.finish_reasons");
        parts.extend((!finish.is_empty()).then(|| format!("finish {finish}")));
    }
    parts.extend((!span.message.is_empty()).then(|| span.message.clone()));
    parts.join("  ")
}

/// `shop  tool search  timeout  12.3 ms  why`.
fn app_line(span: &SpanView, output: Output) -> String {
    let error = match (word(span, "error.type"), span.status.as_str()) {
        (error, "error") if error.is_empty() => "error".to_owned(),
        (error, _) => error,
    };
    let status = span.attributes.get("http.response.status_code").and_then(Value::as_i64);
    let more = ["db.system.name", "db.system", "gen_ai.request.model"];
    let more = more.into_iter().map(|it| word(span, it)).find(|it| !it.is_empty());
    let mut parts = vec![span.service.clone(), named(&span.operation, &span.name)];
    parts.extend(more);
    parts.push(ending(&error, status, output));
    #[expect(clippy::cast_precision_loss, reason = "a span is far shorter than 2^53 us")]
    parts.push(milliseconds(span.took_us as f64 / 1000.0));
    parts.push(span.message.clone());
    parts.retain(|it| !it.is_empty());
    parts.join("  ")
}

fn event(event: &EventView, span: &SpanView) -> String {
    let after = event.at_us.saturating_sub(span.at_us);
    #[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 us")]
    let after = milliseconds(after as f64 / 1000.0);
    format!("{after}  {} {}", event.name, event.words()).trim_end().to_owned()
}

fn said(content: &ContentView) -> Vec<String> {
    let all = &content.content;
    let mut lines = Vec::new();
    let messages =
        all.input.iter().map(|it| ('>', it)).chain(all.output.iter().map(|it| ('<', it)));
    for (mark, message) in messages {
        lines.extend(message_lines(mark, message));
    }
    lines.extend(content.is_cut.then(|| "(cut)".to_owned()));
    lines
}

fn message_lines(mark: char, message: &Message) -> Vec<String> {
    let part = |it: &Part| match it {
        Part::Text { content } => content.clone(),
        Part::ToolCall { name, arguments, .. } => format!("{name}({arguments})"),
        Part::ToolCallResponse { response, .. } => format!("= {response}"),
        Part::Other { kind } => format!("[{kind}]"),
    };
    let texts = message.parts.iter().map(part);
    let lines = texts.flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.map(|it| format!("{mark} {}: {it}", message.role)).collect()
}

fn word(span: &SpanView, name: &str) -> String {
    span.attributes.get(name).map(text).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// `0.4 ms`, `128 ms`, `2.1 s`.
fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}
