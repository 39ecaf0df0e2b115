//! What a stage runs: shell steps, or one program.

use super::super::fields::{Fields, Read, wrong_type};
use super::super::image::ImageName;
use super::super::measure::Positive;
use super::super::scalar::{self, environment};
use crate::pipeline::Template;
use crate::pipeline::plan::Step;
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{Node, Value};

pub(crate) const KEYS: &[&str] = &["name", "run", "image", "if", "timeout", "env"];

/// Steps of one stage; more than anybody reads in a log.
const MOST_STEPS: usize = 200;

/// Bytes of one command: what fits into an argument of a Linux program.
const LONGEST_RUN: usize = 100_000;

/// Shell text.
#[derive(Debug, Clone)]
struct Shell(String);

impl Read for Shell {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let Some(text) = scalar::text(node).filter(|it| !it.trim().is_empty()) else {
            let help = if matches!(node.value, Value::Mapping(_)) {
                "a command with `: ` in it must be quoted, or written as a `|` block"
            } else {
                "quote it, or write it as a `|` block below the key"
            };
            wrong_type(node, label, "a command", reading, help);
            return None;
        };
        if text.contains("${{") {
            refuse_templates(node, text, reading);
            return None;
        }
        if text.len() > LONGEST_RUN {
            let message = format!("a command has {} bytes; the limit is {LONGEST_RUN}", text.len());
            reading.error("pipeline/too-long", node.place, message, "put it into a script file");
            return None;
        }
        Some(Self(text.to_owned()))
    }
}

/// Refuses every `${{ … }}` of a command, each where it stands.
fn refuse_templates(node: &Node, text: &str, reading: &Reading) {
    let file = reading.text_at(node.place);
    let mut searched = 0;
    for (start, _) in text.match_indices("${{") {
        let inner = text.get(start..).unwrap_or_default();
        let whole = inner.split_inclusive("}}").next().unwrap_or(inner);
        let shown: String = whole.chars().take(60).collect();
        let found = file.get(searched..).and_then(|it| it.find(&shown)).map(|it| it + searched);
        let place = found.map_or(node.place, |at| {
            searched = at + shown.len();
            let start = node.place.start + at;
            reading.place(node.place.source, start, start + shown.len())
        });
        let message = format!("`{shown}` is not replaced inside of a command");
        let help = variable_help(whole, &shown);
        reading.error("pipeline/template-in-run", place, message, help);
    }
}

fn variable_help(template: &str, shown: &str) -> String {
    let variable = variable_for(template);
    if let Some(secret) = variable.strip_prefix("SECRETS_") {
        return format!("add `secrets: [{secret}]` to the stage and write `${secret}` here");
    }
    let quote = if shown.contains('"') { '\'' } else { '"' };
    format!(
        "add `env: {{ {variable}: {quote}{shown}{quote} }}` to the stage and write `${variable}` here"
    )
}

/// A name for the variable that takes the place of `${{ git.sha }}`: `GIT_SHA`.
fn variable_for(template: &str) -> String {
    let inner = template.trim_start_matches("${{").trim_end_matches("}}").trim();
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let has_form =
        inner.starts_with(|c: char| c.is_ascii_alphabetic()) && inner.chars().all(is_path);
    if !has_form || inner.len() > 40 {
        return "VALUE".to_owned();
    }
    let bare = inner.strip_prefix("env.").unwrap_or(inner);
    bare.to_ascii_uppercase().replace(['-', '.'], "_")
}

/// Reads `run`: one command or a list.
pub(crate) fn read_run(node: &Node, reading: &Reading) -> Option<Vec<Step>> {
    let list = Vec::<Shell>::read(node, "`run`", reading)?;
    not_empty(&list, node, "`run`", reading)?;
    Some(list.into_iter().map(|it| plain_step(it.0)).collect())
}

/// Reads `steps`: commands with names, images and conditions of their own.
pub(crate) fn read_steps(node: &Node, reading: &Reading) -> Option<Vec<Step>> {
    let list = Vec::<Step>::read(node, "`steps`", reading)?;
    not_empty(&list, node, "`steps`", reading)?;
    Some(list)
}

fn not_empty<T>(list: &[T], node: &Node, label: &str, reading: &Reading) -> Option<()> {
    let written = match &node.value {
        Value::Sequence(items) => items.len(),
        Value::Scalar(_) | Value::Mapping(_) => 1,
    };
    if written == 0 {
        let message = format!("{label} is an empty list");
        reading.error("pipeline/nothing-to-run", node.place, message, "add a command");
        return None;
    }
    if written > MOST_STEPS {
        let message = format!("{label} has {written} steps; the limit is {MOST_STEPS}");
        reading.error("pipeline/limit", node.place, message, "put them into a script file");
        return None;
    }
    (list.len() == written).then_some(())
}

fn plain_step(run: String) -> Step {
    let name = first_line(&run);
    Step {
        name,
        run,
        image: None,
        condition: None,
        timeout: None,
        env: std::collections::BTreeMap::new(),
    }
}

fn first_line(run: &str) -> String {
    let line = run.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut name: String = line.chars().take(80).collect();
    if name.len() < line.len() {
        name.push('…');
    }
    name
}

impl Read for Step {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        if let Value::Scalar(_) = &node.value {
            return Some(plain_step(Shell::read(node, label, reading)?.0));
        }
        let fields = Fields::of(node, label, KEYS, reading)?;
        let name = fields.read::<scalar::Plain>("name");
        let image = fields.read::<ImageName>("image").map(|it| it.0);
        let condition = fields.read("if");
        let timeout = fields.read::<Positive>("timeout").map(|it| it.0);
        let env = fields.find("env").and_then(|it| environment(it, "`env`", reading));
        let run = fields.require::<Shell>("run", "make test")?.0;
        let name = name.map_or_else(|| first_line(&run), |it| it.0);
        Some(Self { name, run, image, condition, timeout, env: env.unwrap_or_default() })
    }
}

/// Reads `command`: one program with its arguments, without a shell.
pub(crate) fn read_command(node: &Node, reading: &Reading) -> Option<Vec<Template>> {
    let Value::Sequence(items) = &node.value else {
        let help = "such as `command: [/app, --check]`; for a shell use `run`";
        wrong_type(node, "`command`", "a list of a program and its arguments", reading, help);
        return None;
    };
    if items.is_empty() {
        let message = "`command` is an empty list";
        reading.error("pipeline/nothing-to-run", node.place, message, "name the program");
        return None;
    }
    let words: Vec<Template> = items
        .iter()
        .filter_map(|item| {
            let text = scalar::Loose::read(item, "an item of `command`", reading)?.0;
            super::super::occurrence::template(
                &text,
                super::super::occurrence::Use::Field,
                item,
                reading,
            )
        })
        .collect();
    (words.len() == items.len()).then_some(words)
}
