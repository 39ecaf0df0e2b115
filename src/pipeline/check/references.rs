//! Checks of the names in expressions: needs that are needed, axes and inputs that exist.

use std::collections::BTreeMap;

use super::include::Merged;
use crate::pipeline::file::occurrence::{Occurrence, Use};
use crate::pipeline::file::reference::{Reference, inner_expressions, references};
use crate::pipeline::file::stage::{Stage, StageWork, builtin};
use crate::pipeline::reading::Reading;

pub(super) fn check(merged: &Merged, inputs: &[&str], reading: &Reading) {
    let stages = merged.stages.iter().map(|it| (it.name.as_str(), it)).collect();
    let check = Check { merged, stages, inputs, reading };
    let occurrences = reading.occurrences.borrow();
    for occurrence in occurrences.iter() {
        check.occurrence(occurrence);
    }
}

struct Check<'a> {
    merged: &'a Merged,
    stages: BTreeMap<&'a str, &'a Stage>,
    inputs: &'a [&'a str],
    reading: &'a Reading,
}

impl Check<'_> {
    fn occurrence(&self, occurrence: &Occurrence) {
        let source = occurrence.source.as_str();
        let ranges = match occurrence.used_as {
            Use::Condition | Use::Gate => vec![(0, source.len())],
            Use::Field | Use::Early => inner_expressions(source),
        };
        for (start, end) in ranges {
            for mut reference in references(source.get(start..end).unwrap_or_default()) {
                reference.start += start;
                reference.end += start;
                self.reference(&reference, occurrence);
            }
        }
    }

    fn reference(&self, reference: &Reference, occurrence: &Occurrence) {
        let stage = occurrence.stage.as_deref();
        match (reference.root.as_str(), &reference.member) {
            // Inputs of included files have been put in, or refused, before.
            ("inputs", _) if occurrence.spot.whole().source != 0 => {}
            ("inputs", Some(name)) if !self.inputs.contains(&name.as_str()) => {
                let message = format!("there is no input `{name}`");
                let help = if self.inputs.is_empty() {
                    format!(
                        "declare it: `on: {{ manual: {{ inputs: {{ {name}: {{ type: string }} }} }} }}`"
                    )
                } else {
                    self.reading.suggest(name, "inputs", self.inputs)
                };
                self.refuse("pipeline/unknown-input", reference, occurrence, (message, help));
            }
            ("needs" | "matrix", _) if stage.is_none() && occurrence.used_as == Use::Early => {
                let message =
                    format!("`{}` belongs to a stage and is not known here", reference.root);
                let help = "use `git`, `event`, `pull_request` or `inputs`".to_owned();
                self.refuse("pipeline/not-known-here", reference, occurrence, (message, help));
            }
            ("needs", _) if occurrence.used_as == Use::Early => {
                let message = "`needs` is not known when the run is created".to_owned();
                let help = "use `git`, `event`, `pull_request`, `inputs` or `matrix`".to_owned();
                self.refuse("pipeline/not-known-here", reference, occurrence, (message, help));
            }
            ("matrix", member) => self.axis(member.as_deref(), reference, occurrence),
            ("needs", Some(name)) => self.need(name, reference, occurrence),
            _ => {}
        }
    }

    fn axis(&self, name: Option<&str>, reference: &Reference, occurrence: &Occurrence) {
        let Some(stage) = occurrence.stage.as_deref().and_then(|it| self.stages.get(it)) else {
            return;
        };
        let names = match &stage.matrix {
            Some(matrix) if matrix.is_broken => return,
            Some(matrix) => matrix.names(),
            None => Vec::new(),
        };
        let Some(name) = name else { return };
        if names.contains(&name) {
            return;
        }
        let message = format!("the matrix of stage `{}` has no axis `{name}`", stage.name);
        let help = if names.is_empty() {
            format!("the stage has no `matrix`; add `matrix: {{ {name}: [\"1\", \"2\"] }}`")
        } else {
            self.reading.suggest(name, "axes", &names)
        };
        self.refuse("pipeline/unknown-axis", reference, occurrence, (message, help));
    }

    fn need(&self, name: &str, reference: &Reference, occurrence: &Occurrence) {
        let Some(stage) = occurrence.stage.as_deref().and_then(|it| self.stages.get(it)) else {
            return;
        };
        let needs: Vec<&str> = stage.needs.iter().map(|it| it.stage.name.as_str()).collect();
        if needs.contains(&name) {
            self.output(name, reference, occurrence);
            return;
        }
        let dashed = self.dashed(name, &reference.rest);
        let (message, help) = if let Some(dashed) = dashed {
            let message = format!("`needs.{dashed}` is a subtraction in an expression");
            (message, format!("write `needs[\"{dashed}\"]`"))
        } else if self.merged.names.contains_key(name) {
            let message = format!("`needs.{name}`: stage `{}` does not need `{name}`", stage.name);
            (message, format!("add `{name}` to its `needs`"))
        } else {
            let message = format!("`needs.{name}`: there is no stage `{name}`");
            let all: Vec<&str> = self.merged.names.keys().map(String::as_str).collect();
            let others = all.into_iter().filter(|it| *it != stage.name).collect();
            let known = if needs.is_empty() { others } else { needs };
            (message, self.reading.suggest(name, "stages", &known))
        };
        self.refuse("pipeline/not-needed", reference, occurrence, (message, help));
    }

    /// What a built-in publishes is known.
    fn output(&self, name: &str, reference: &Reference, occurrence: &Occurrence) {
        let work = self.stages.get(name).map(|it| &it.work);
        let Some(StageWork::Builtin(builtin)) = work else { return };
        let Some(rest) = reference.rest.strip_prefix(".outputs.") else { return };
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let output = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let known = builtin::outputs_of(builtin.name);
        if known.is_empty() || output.is_empty() || known.contains(&output) {
            return;
        }
        let message =
            format!("`{name}` uses `builtin/{}`, which has no output `{output}`", builtin.name);
        let help = self.reading.suggest(output, "outputs", known);
        let mut whole = reference.clone();
        whole.end += ".outputs.".len() + output.len();
        self.refuse("pipeline/unknown-output", &whole, occurrence, (message, help));
    }

    /// `unit-tests` when `needs.unit-tests` is written and there is such a stage.
    fn dashed(&self, name: &str, rest: &str) -> Option<String> {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let tail = rest.get(..end.unwrap_or(rest.len()))?;
        let full = format!("{name}{tail}");
        (tail.starts_with('-') && self.merged.names.contains_key(&full)).then_some(full)
    }

    fn refuse(
        &self,
        code: &'static str,
        reference: &Reference,
        occurrence: &Occurrence,
        (message, help): (String, String),
    ) {
        let place = occurrence.spot.part(&occurrence.source, reference.start, reference.end);
        self.reading.error(code, place, message, help);
    }
}
