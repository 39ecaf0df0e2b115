//! The stages a person asks for, with everything they need.

use std::collections::BTreeMap;

use super::{Draft, Pipeline, Selection};
use crate::model::StageIndex;
use crate::pipeline::diagnostic::{Diagnostic, Severity, Span};
use crate::pipeline::plan::PlannedNeed;
use crate::pipeline::reading::Reading;

pub(super) fn select<'a>(
    pipeline: &Pipeline,
    drafts: Vec<Draft<'a>>,
    selection: &Selection,
) -> Result<Vec<Draft<'a>>, Vec<Diagnostic>> {
    let Selection::Stages(names) = selection else { return Ok(drafts) };
    let (mut todo, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        let is_asked = |it: &Draft<'_>| it.stage.name == *name || it.key == *name;
        let found = drafts.iter().enumerate().filter(|(_, it)| is_asked(it));
        let before = todo.len();
        todo.extend(found.map(|(index, _)| index));
        if todo.len() == before {
            unknown.push(refuse(name, pipeline, &drafts));
        }
    }
    if unknown.is_empty() { Ok(keep(drafts, todo)) } else { Err(unknown) }
}

/// Keeps these and what they need, and moves the places of needs along.
fn keep(drafts: Vec<Draft<'_>>, mut todo: Vec<usize>) -> Vec<Draft<'_>> {
    let mut kept = BTreeMap::new();
    while let Some(index) = todo.pop() {
        let is_new = kept.insert(index, StageIndex(0)).is_none();
        if let Some(draft) = drafts.get(index).filter(|_| is_new) {
            todo.extend(draft.needs.iter().map(|need| need.stage.as_usize()));
        }
    }
    for (place, index) in kept.values_mut().enumerate() {
        *index = StageIndex(u32::try_from(place).unwrap_or(u32::MAX));
    }
    let moved = |need: &PlannedNeed| {
        let stage = *kept.get(&need.stage.as_usize())?;
        Some(PlannedNeed { stage, ..*need })
    };
    let drafts = drafts.into_iter().enumerate().filter(|(index, _)| kept.contains_key(index));
    drafts
        .map(|(_, draft)| Draft { needs: draft.needs.iter().filter_map(moved).collect(), ..draft })
        .collect()
}

/// The name comes from a command line, so the problem points at the file as a whole.
fn refuse(name: &str, pipeline: &Pipeline, drafts: &[Draft<'_>]) -> Diagnostic {
    Diagnostic {
        code: "pipeline/unknown-stage",
        severity: Severity::Error,
        message: format!("the pipeline `{}` has no stage `{name}`", pipeline.name),
        help: Some(known(name, pipeline, drafts)),
        file: pipeline.source_names.first().cloned().unwrap_or_default(),
        span: Span { start: 0, len: 0 },
        line: 1,
        column: 1,
    }
}

/// The stage that was probably meant; for `unit (3.13)` the cells of `unit`.
fn known(name: &str, pipeline: &Pipeline, drafts: &[Draft<'_>]) -> String {
    let reading = Reading::default();
    let base = name.split(['(', ' ']).next().unwrap_or_default();
    let cells: Vec<&str> = drafts
        .iter()
        .filter(|it| it.stage.name == base && it.key != base)
        .map(|it| it.key.as_str())
        .collect();
    if !cells.is_empty() {
        return reading.suggest(name, "cells of its matrix", &cells);
    }
    let stages: Vec<&str> = pipeline.stage_names().collect();
    reading.suggest(name, "stages", &stages)
}
