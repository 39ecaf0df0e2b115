//! From a checked pipeline to the plan of one run: defaults filled in, matrices expanded, texts
//! folded with the facts of the run, in an order that is always the same.

use std::collections::BTreeMap;

use super::context::{Context, Scope};
use super::diagnostic::{Diagnostic, Severity, Span};
use super::file::Pipeline;
use super::file::stage::Stage;
use super::file::stage::matrix::Cell;
use super::plan::{Plan, PlannedNeed, RunConcurrency};
use super::{ExpressionError, Template};
use crate::model::StageIndex;

mod select;
mod stage;

#[cfg(test)]
mod tests;

/// Which stages of a pipeline to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// These, by name or by key (`unit (3.11)`), with everything they need.
    Stages(Vec<String>),
}

/// A stage, or one cell of its matrix, before its texts are folded.
struct Draft<'a> {
    stage: &'a Stage,
    key: String,
    cell: Cell,
    /// Whether the matrix has no cell for this event, so that the stage is skipped.
    is_absent: bool,
    needs: Vec<PlannedNeed>,
}

impl Pipeline {
    /// The plan of a run with these facts; all problems at once.
    pub fn plan(&self, context: &Context, selection: &Selection) -> Result<Plan, Vec<Diagnostic>> {
        let mut drafts = self.drafts(&context.event);
        connect(&mut drafts);
        let drafts = select::select(self, drafts, selection)?;
        let mut problems = Vec::new();
        let mut stages = Vec::with_capacity(drafts.len());
        for draft in drafts {
            stages.extend(stage::plan(self, draft, context, &mut problems));
        }
        let concurrency = self.run_concurrency(context, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Plan {
            pipeline: self.name.clone(),
            team: self.team.clone(),
            timeout: self.timeout,
            concurrency,
            budget: self.budget.clone(),
            release: self.release.clone(),
            stages,
        })
    }

    fn drafts(&self, event: &str) -> Vec<Draft<'_>> {
        let mut drafts = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let cells = match &stage.matrix {
                Some(matrix) => matrix.cells(event),
                None => vec![Cell::new()],
            };
            if cells.is_empty() {
                let key = stage.name.clone();
                drafts.push(Draft {
                    stage,
                    key,
                    cell: Cell::new(),
                    is_absent: true,
                    needs: Vec::new(),
                });
            }
            for cell in cells {
                let key = key_of(stage, &cell);
                drafts.push(Draft { stage, key, cell, is_absent: false, needs: Vec::new() });
            }
        }
        drafts
    }

    fn run_concurrency(
        &self,
        context: &Context,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<RunConcurrency> {
        let concurrency = self.concurrency.as_ref()?;
        let scope = Scope { context: Some(context), ..Scope::default() };
        let on_new = &concurrency.on_new;
        let on_new = on_new.get(&context.event).or_else(|| on_new.get("")).copied();
        match concurrency.group.resolve(&scope) {
            Ok(group) => Some(RunConcurrency { group, on_new: on_new.unwrap_or_default() }),
            Err(error) => {
                problems.push(self.unresolved(None, &concurrency.group, &error));
                None
            }
        }
    }

    /// A text that has no value in this run, shown where it stands.
    fn unresolved(
        &self,
        stage: Option<&Stage>,
        template: &Template,
        error: &ExpressionError,
    ) -> Diagnostic {
        let name = stage.map(|it| it.name.as_str());
        let is_it = |it: &&super::file::occurrence::Occurrence| {
            it.source == template.source() && (it.stage.as_deref() == name || it.stage.is_none())
        };
        let found = self.occurrences.iter().find(is_it);
        let place = found.map(|it| match error.span {
            Some((start, end)) => it.spot.part(&it.source, start, end),
            None => it.spot.whole(),
        });
        let place = place.or_else(|| stage.map(|it| it.place)).unwrap_or_default();
        Diagnostic {
            code: "pipeline/no-value",
            severity: Severity::Error,
            message: format!("`{}` has no value in this run: {}", template.source(), error.message),
            help: error.help.clone(),
            file: self.source_names.get(place.source).cloned().unwrap_or_default(),
            span: Span { start: place.start, len: place.len },
            line: place.line,
            column: place.column,
        }
    }
}

/// `unit`, or `unit (3.11, linux)`.
fn key_of(stage: &Stage, cell: &Cell) -> String {
    if cell.is_empty() {
        return stage.name.clone();
    }
    let values: Vec<&str> = cell.iter().map(|(_, value)| value.as_str()).collect();
    format!("{} ({})", stage.name, values.join(", "))
}

/// Turns names of needs into places; a need on a matrix is one on each of its cells.
fn connect(drafts: &mut [Draft<'_>]) {
    let mut places: BTreeMap<&str, Vec<StageIndex>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        let index = StageIndex(u32::try_from(index).unwrap_or(u32::MAX));
        places.entry(draft.stage.name.as_str()).or_default().push(index);
    }
    for draft in drafts {
        for need in &draft.stage.needs {
            let found = places.get(need.stage.name.as_str()).into_iter().flatten();
            let optional = need.optional;
            draft.needs.extend(found.map(|stage| PlannedNeed { stage: *stage, optional }));
        }
    }
}
