//! `/projects/{team}/{name}/start`: a person starts a pipeline, with its inputs.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::path_of;
use crate::desk::projects::remote::{self, BrokenTrunk};
use crate::desk::runs::{self, StartOrder};
use crate::http::{App, Path, Problem, Query};
use crate::pipeline::file::{Input, InputKind};
use crate::store::access::projects::ProjectRow;
use crate::triggers::Startable;
use crate::ui::form::{Posted, onward};
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// Before the name of an input in the form.
const INPUT: &str = "input.";

/// What stands in the address.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct StartQuery {
    /// Name of the pipeline whose inputs are asked for.
    #[serde(default)]
    pipeline: String,
}

#[derive(Template)]
#[template(path = "places/start.html")]
struct StartPage {
    shell: Shell,
    words: Words,
    project: ProjectRow,
    /// Why the newest commit of the trunk could not be read: what it has cannot be chosen.
    broken: Option<BrokenTrunk>,
    path: String,
    tab: &'static str,
    /// Names of what can be started; empty when nothing is known yet.
    pipelines: Vec<String>,
    chosen: String,
    fields: Vec<Field>,
    /// Makes one run of this form, however often it is sent.
    key: String,
}

/// An input.
struct Field {
    name: String,
    kind: InputKind,
    is_required: bool,
    value: String,
    description: String,
    options: Vec<String>,
}

impl Field {
    fn of((name, input): (&String, &Input)) -> Self {
        let value = match &input.default {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        Self {
            name: name.clone(),
            kind: input.kind,
            is_required: input.required && input.default.is_none(),
            value,
            description: input.description.clone().unwrap_or_default(),
            options: match input.kind {
                InputKind::Boolean => vec!["false".to_owned(), "true".to_owned()],
                InputKind::Choice => input.options.clone(),
                InputKind::String | InputKind::Number => Vec::new(),
            },
        }
    }

    fn is_number(&self) -> bool {
        self.kind == InputKind::Number
    }
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path((team, name)): Path<(String, String)>,
    Query(query): Query<StartQuery>,
) -> Result<Response, Problem> {
    let slug = format!("{team}/{name}");
    let (project, startable) = runs::startable(&app, &visit.visitor, &slug).await?;
    let chosen = startable.iter().find(|it| it.pipeline == query.pipeline);
    if chosen.is_none() && !query.pipeline.is_empty() && !startable.is_empty() {
        let known: Vec<_> = startable.iter().map(|it| it.pipeline.as_str()).collect();
        return Err(Problem::unknown_word("pipeline", &query.pipeline, &known));
    }
    let chosen = chosen.or(startable.first());
    let broken = remote::find(&app, &project).await?.1.as_ref().and_then(BrokenTrunk::of);
    page(&StartPage {
        words: visit.words(),
        broken,
        shell: visit.shell(Section::Home, format!("Start a run of {slug}")),
        path: path_of(&project),
        tab: "",
        project,
        chosen: chosen.map(|it| it.pipeline.clone()).unwrap_or_default(),
        fields: chosen.map(fields).unwrap_or_default(),
        pipelines: startable.iter().map(|it| it.pipeline.clone()).collect(),
        key: app.new_id(),
    })
}

fn fields(startable: &Startable) -> Vec<Field> {
    startable.inputs.iter().map(Field::of).collect()
}

pub(super) async fn send(
    State(app): State<App>,
    Path((team, name)): Path<(String, String)>,
    Posted(visitor, pairs): Posted<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let order = order(pairs);
    if order.pipeline.is_empty() {
        return Err(
            Problem::bad_request("no pipeline is named").with_help("Name one, and send it again.")
        );
    }
    let row = runs::start(&app, &visitor, &format!("{team}/{name}"), order).await?;
    let to = onward(&format!("/runs/{}?done=started", row.id));
    Ok((Extension(runs::noted_start(&row)), to).into_response())
}

/// Empty inputs are left to their defaults.
fn order(pairs: Vec<(String, String)>) -> StartOrder {
    let mut order = StartOrder::default();
    let mut inputs = BTreeMap::new();
    for (name, value) in pairs {
        match name.as_str() {
            "pipeline" => value.trim().clone_into(&mut order.pipeline),
            "ref" => value.trim().clone_into(&mut order.revision),
            "key" => order.key = Some(value),
            _ => {
                if let Some(name) = name.strip_prefix(INPUT).filter(|_| !value.is_empty()) {
                    inputs.insert(name.to_owned(), value);
                }
            }
        }
    }
    StartOrder { inputs, ..order }
}
