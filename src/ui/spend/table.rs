//! Filters of the page of spend, its address, and the rows of its table. Pure.

use std::collections::HashMap;

use crate::desk::server::outlook::period::{Period, Span};
use crate::desk::server::spend::trend::{Asked, Trend};
use crate::desk::server::spend::{Wanted, nameless};
use crate::desk::server::traces::TraceQuery;
use crate::http::Problem;
use crate::model::UsdNanos;
use crate::store::runs::RunRow;
use crate::store::spend::sums::{SpendBy, SpendFilter, SpendRow};
use crate::ui::form::encoded;
use crate::ui::runs::{grouped, price};

/// Rows that are shown, the dearest.
pub(super) const ROWS_MAX: u32 = 100;
/// What can be told apart here, and its name.
pub(super) const GROUPS: [(SpendBy, &str); 8] = [
    (SpendBy::Team, "Team"),
    (SpendBy::Project, "Project"),
    (SpendBy::Pipeline, "Pipeline"),
    (SpendBy::Stage, "Stage"),
    (SpendBy::Run, "Run"),
    (SpendBy::Endpoint, "Endpoint"),
    (SpendBy::Model, "Model"),
    (SpendBy::Tag, "Tag"),
];

/// What stands in the address. What is empty is no filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(super) struct SpendQuery {
    pub(super) period: String,
    pub(super) by: String,
    pub(super) team: String,
    pub(super) project: String,
    pub(super) pipeline: String,
    pub(super) stage: String,
    pub(super) run: String,
    pub(super) endpoint: String,
    pub(super) model: String,
    pub(super) tag: String,
}

impl SpendQuery {
    /// The same, trimmed, with what is left out; refuses words that are not known.
    pub(super) fn checked(self) -> Result<Self, Problem> {
        if !self.period.is_empty() && Period::parse(&self.period).is_none() {
            let known = Period::ALL.map(Period::as_str);
            return Err(Problem::unknown_word("period", &self.period, &known));
        }
        if !self.by.is_empty() && !GROUPS.iter().any(|it| it.0.as_str() == self.by) {
            let known = GROUPS.map(|it| it.0.as_str());
            return Err(Problem::unknown_word("by", &self.by, &known));
        }
        Ok(self.cleaned())
    }

    /// The same, trimmed, with what is left out.
    pub(super) fn cleaned(mut self) -> Self {
        self.period().as_str().clone_into(&mut self.period);
        self.by().as_str().clone_into(&mut self.by);
        for it in self.filters_mut() {
            *it = it.trim().to_owned();
        }
        self
    }

    pub(super) fn period(&self) -> Period {
        Period::parse(&self.period).unwrap_or_default()
    }

    pub(super) fn by(&self) -> SpendBy {
        let known = SpendBy::parse(&self.by).filter(|it| *it != SpendBy::Day);
        known.unwrap_or(if self.team.trim().is_empty() { SpendBy::Team } else { SpendBy::Project })
    }

    /// Its filters, without period and groups.
    fn filters(&self) -> [(&'static str, &str); 8] {
        [
            ("team", &self.team),
            ("project", &self.project),
            ("pipeline", &self.pipeline),
            ("stage", &self.stage),
            ("run", &self.run),
            ("endpoint", &self.endpoint),
            ("model", &self.model),
            ("tag", &self.tag),
        ]
    }

    fn filters_mut(&mut self) -> [&mut String; 8] {
        let Self { period: _, by: _, team, project, pipeline, stage, run, endpoint, model, tag } =
            self;
        [team, project, pipeline, stage, run, endpoint, model, tag]
    }

    pub(super) fn is_filtered(&self) -> bool {
        self.filters().iter().any(|it| !it.1.is_empty())
    }

    /// What is asked of the ledger.
    pub(super) fn asked(&self) -> Asked {
        let wanted = Wanted {
            by: self.by().as_str().to_owned(),
            team: Some(self.team.clone()).filter(|it| !it.is_empty()),
            of: SpendFilter {
                project: self.project.clone(),
                pipeline: self.pipeline.clone(),
                run: self.run.clone(),
                stage: self.stage.clone(),
                endpoint: self.endpoint.clone(),
                model: self.model.clone(),
                tag: self.tag.clone(),
                limit: ROWS_MAX + 1,
                ..SpendFilter::default()
            },
            ..Wanted::default()
        };
        Asked { period: self.period(), wanted }
    }

    /// The traces of the same calls, for one name of what is told apart; none where traces do not know it.
    fn traces(&self, name: &str, span: Span) -> Option<String> {
        let inner = self.within(name);
        if name.is_empty() || !inner.tag.is_empty() {
            return None;
        }
        let some = |it: &str| Some(it.to_owned());
        let query = TraceQuery {
            team: some(&inner.team),
            project: some(&inner.project),
            pipeline: some(&inner.pipeline),
            run: some(&inner.run),
            stage: some(&inner.stage),
            endpoint: some(&inner.endpoint),
            model: some(&inner.model),
            since: some(&span.from.0.to_string()),
            until: some(&span.to.0.to_string()),
            ..TraceQuery::default()
        };
        Some(address("/traces", query.pairs()))
    }

    /// The address of the page, below `path`.
    pub(super) fn address(&self, path: &str) -> String {
        let own = [("period", self.period.as_str()), ("by", self.by.as_str())];
        address(path, own.into_iter().chain(self.filters()))
    }

    /// The same for one name of what is told apart, by what that consists of.
    fn within(&self, name: &str) -> Self {
        let mut inner = self.clone();
        let (place, next) = match self.by() {
            SpendBy::Team => (&mut inner.team, SpendBy::Project),
            SpendBy::Project => (&mut inner.project, SpendBy::Pipeline),
            SpendBy::Pipeline => (&mut inner.pipeline, SpendBy::Stage),
            SpendBy::Stage => (&mut inner.stage, SpendBy::Run),
            SpendBy::Run => (&mut inner.run, SpendBy::Stage),
            SpendBy::Endpoint => (&mut inner.endpoint, SpendBy::Model),
            SpendBy::Tag => (&mut inner.tag, SpendBy::Model),
            SpendBy::Model | SpendBy::Day => (&mut inner.model, SpendBy::Team),
        };
        name.clone_into(place);
        next.as_str().clone_into(&mut inner.by);
        inner
    }
}

/// An address with what is not empty.
fn address<'a>(path: &str, pairs: impl IntoIterator<Item = (&'static str, &'a str)>) -> String {
    let set = pairs.into_iter().filter(|it| !it.1.is_empty());
    let pairs: Vec<_> = set.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// One row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// What it is called; of a run its pipeline and number.
    pub(super) name: String,
    /// Where that is looked into; empty for calls that belong to none.
    pub(super) inner: String,
    /// The run itself, where it is one that is still there.
    pub(super) run: Option<String>,
    /// The traces of its calls, where they can be told apart like this.
    pub(super) traces: Option<String>,
    pub(super) attempts: String,
    pub(super) answered_here: i64,
    pub(super) input: String,
    pub(super) output: String,
    pub(super) cost: String,
    /// Percent of all.
    pub(super) share: i64,
    /// What caches and recordings saved, where that is something.
    pub(super) avoided: Option<String>,
    /// Reports of use elsewhere, and what they cost, where there are any.
    pub(super) reported: Option<(i64, String)>,
    /// What dead processes may have spent, where that is something.
    pub(super) lost: Option<String>,
}

/// The rows of a table. `runs` are those whose names are known.
pub(super) fn rows(query: &SpendQuery, trend: &Trend, runs: &HashMap<String, RunRow>) -> Vec<Row> {
    let all = trend.total(|it| it.cost.0).max(1);
    let some = |it: UsdNanos| (it.0 > 0).then(|| price(it));
    let row = |it: &SpendRow| {
        let run = runs.get(&it.name).filter(|_| trend.by == SpendBy::Run);
        let name = match (run, it.name.is_empty()) {
            (Some(run), _) => format!("{} #{}", run.pipeline, run.number),
            (None, true) => nameless(it).to_owned(),
            (None, false) => it.name.clone(),
        };
        Row {
            name,
            inner: if it.name.is_empty() {
                String::new()
            } else {
                query.within(&it.name).address("/spend")
            },
            run: run.map(|it| format!("/runs/{}", encoded(&it.id.0))),
            traces: query.traces(&it.name, trend.span).filter(|_| it.attempts > 0),
            attempts: grouped(it.attempts),
            answered_here: it.answered_here,
            input: grouped(it.input_tokens),
            output: grouped(it.output_tokens),
            cost: price(it.cost),
            share: i64::try_from(i128::from(it.cost.0) * 100 / i128::from(all)).unwrap_or(100),
            avoided: some(it.avoided),
            reported: (it.reports > 0).then(|| (it.reports, price(it.reported))),
            lost: some(it.lost),
        }
    };
    trend.sums.iter().take(ROWS_MAX as usize).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn query(team: &str) -> SpendQuery {
        SpendQuery { team: team.to_owned(), ..SpendQuery::default() }.cleaned()
    }

    #[test]
    fn the_address_has_what_is_set_and_nothing_unknown() {
        assert_eq!(query(" ").address("/spend"), "/spend?period=month&by=team");
        assert_eq!(query("a&b").address("/spend"), "/spend?period=month&by=project&team=a%26b");
        let period = SpendQuery { period: "ever".to_owned(), ..SpendQuery::default() };
        let by = SpendQuery { by: "day".to_owned(), ..SpendQuery::default() };
        for odd in [period, by] {
            assert!(odd.checked().unwrap_err().title().ends_with("is not known"));
        }
    }

    #[test]
    fn a_name_leads_to_what_it_consists_of() {
        let inner = query("").within("shop");
        assert_eq!(inner.address("/spend"), "/spend?period=month&by=project&team=shop");
        let inner = inner.within("shop/web");
        assert!(inner.address("").ends_with("by=pipeline&team=shop&project=shop%2Fweb"));
        assert!(inner.is_filtered() && !query("").is_filtered());
    }

    #[test]
    fn calls_lead_to_their_traces_where_those_can_be_told_apart() {
        let now = Timestamp(1_795_000_000_000);
        let span = Period::Today.span(now);
        let told = format!("since={}&until={}", span.from.0, span.to.0);
        let by = |by: &str| SpendQuery { by: by.to_owned(), ..query("a&b") }.cleaned();
        let traces = by("model").traces("gpt 5", span).unwrap();
        assert_eq!(traces, format!("/traces?team=a%26b&model=gpt%205&{told}"));
        assert_eq!(by("model").traces("", span), None, "calls of none");
        assert_eq!(by("tag").traces("beta", span), None, "traces have no tags");
        let tagged = SpendQuery { tag: "beta".to_owned(), ..by("model") };
        assert_eq!(tagged.traces("gpt 5", span), None);
    }
}
