//! `/traces/{trace}`: what happened in a call to a model, or in all calls of a trace.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::milliseconds;
use super::waterfall::{self, Waterfall};
use crate::desk::server::traces::{
    self, ContentView, EventView, Message, Part, SpanView, TraceView, TreeView,
};
use crate::http::{App, Path, Problem};
use crate::model::Timestamp;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::{Value, Words};

#[derive(Template)]
#[template(path = "traces/show.html")]
struct TracePage {
    shell: Shell,
    words: Words,
    /// What the address names.
    name: String,
    tree: TreeView,
    waterfall: Waterfall,
    calls: Vec<Shown>,
    /// Places of spans of apps among the spans of the tree, by when they began.
    of_apps: Vec<usize>,
}

/// A call and its spans.
struct Shown {
    call: TraceView,
    /// Places among the spans of the tree.
    spans: Vec<usize>,
}

impl TracePage {
    /// The only call, where there is but one.
    fn only(&self) -> Option<&TraceView> {
        match self.tree.calls.as_slice() {
            [call] if self.of_apps.is_empty() => Some(call),
            _ => None,
        }
    }

    fn span(&self, place: impl Value<usize>) -> Option<&SpanView> {
        self.tree.spans.get(place.value())
    }

    fn content(&self, call: &TraceView) -> Option<&ContentView> {
        self.tree.contents.get(&call.id)
    }

    fn said_in(&self, span: &SpanView) -> Option<&ContentView> {
        self.tree.contents.get(&span.id)
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn took_span(&self, span: &SpanView) -> String {
        waterfall::took(span.took_us)
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn at(&self, call: &TraceView) -> Timestamp {
        Timestamp(call.at)
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn took(&self, call: &TraceView) -> String {
        milliseconds(call.total_ms)
    }

    /// So long after its span began.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn after(&self, event: &EventView, span: &SpanView) -> String {
        waterfall::took(event.at_us.saturating_sub(span.at_us))
    }

    /// `id call_1, name search`.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn more(&self, event: &EventView) -> String {
        event.words()
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn value(&self, value: &serde_json::Value) -> String {
        said(value)
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn text<'a>(&self, part: &'a Part) -> &'a str {
        match part {
            Part::Text { content } => content,
            Part::ToolCall { arguments, .. } => arguments,
            Part::ToolCallResponse { response, .. } => response,
            Part::Other { kind } => kind,
        }
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn kind(&self, part: &Part) -> String {
        match part {
            Part::Text { .. } => String::new(),
            Part::ToolCall { name, id, .. } => format!("asks for {name} {id}"),
            Part::ToolCallResponse { id, .. } => format!("the answer of a tool {id}"),
            Part::Other { .. } => "not kept".to_owned(),
        }
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn messages<'a>(&self, content: &'a ContentView) -> Vec<(&'static str, &'a Message)> {
        let (input, output) = (&content.content.input, &content.content.output);
        let asked = input.iter().map(|it| ("asked", it));
        asked.chain(output.iter().map(|it| ("answered", it))).collect()
    }
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let tree = traces::show(&app, &visit.visitor, &name).await?;
    let of_call = |call: &TraceView| {
        let is_its =
            |it: &SpanView| !it.is_of_app() && (it.span == call.span || it.parent == call.span);
        let spans = tree.spans.iter().enumerate().filter(|it| is_its(it.1));
        Shown { call: call.clone(), spans: spans.map(|it| it.0).collect() }
    };
    let calls = tree.calls.iter().map(of_call).collect();
    let places = tree.spans.iter().enumerate().filter(|it| it.1.is_of_app());
    let mut of_apps: Vec<_> = places.map(|it| (it.1.at_us, it.0)).collect();
    of_apps.sort_unstable();
    let of_apps = of_apps.into_iter().map(|it| it.1).collect();
    page(&TracePage {
        shell: visit.shell(Section::Traces, format!("Trace {name}")),
        words: visit.words(),
        waterfall: Waterfall::of(&tree),
        name,
        calls,
        of_apps,
        tree,
    })
}

fn said(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(said).collect::<Vec<_>>().join(", "),
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Object(_) => value.to_string(),
    }
}
