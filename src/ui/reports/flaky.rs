//! `/projects/{team}/{name}/tests`: which tests fail, and which are flaky, over time.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{SPANS, path_of, short_day, signed};
use crate::desk::reports::trends::{self, CaseTrend, TestDay, TestTrend};
use crate::http::{App, Path, Problem, Query};
use crate::store::access::projects::ProjectRow;
use crate::ui::reports::chart::{Chart, Kind, Series, Tone, Unit, sparkline};
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// How far back.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct TestsQuery {
    #[serde(default)]
    days: Option<u32>,
}

#[derive(Template)]
#[template(path = "reports/tests.html")]
struct TestsPage {
    shell: Shell,
    words: Words,
    project: ProjectRow,
    path: String,
    tab: &'static str,
    days: u32,
    spans: [u32; 4],
    charts: Vec<String>,
    flaky: Vec<CaseTrend>,
    failing: Vec<CaseTrend>,
    attempts: i64,
    is_cut: bool,
}

impl TestsPage {
    #[expect(clippy::unused_self, reason = "the template calls it so")]
    fn spark(&self, case: &CaseTrend) -> String {
        let values: Vec<_> = case.by_day.iter().map(|it| Some(signed(*it))).collect();
        let days = case.by_day.iter().filter(|it| **it > 0).count();
        sparkline(&format!("on {days} days"), &values, None)
    }
}

impl CaseTrend {
    /// The name with its suite before it, unless that is said already.
    pub(super) fn full_name(&self) -> String {
        if self.suite.is_empty() || self.name.starts_with(&self.suite) {
            return self.name.clone();
        }
        format!("{} › {}", self.suite, self.name)
    }
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path((team, name)): Path<(String, String)>,
    Query(query): Query<TestsQuery>,
) -> Result<Response, Problem> {
    let days = query.days.unwrap_or(trends::DAYS).clamp(1, trends::DAYS_MAX);
    let slug = format!("{team}/{name}");
    let (project, trend) = trends::tests(&app, &visit.visitor, &slug, days).await?;
    let charts = charts(&trend);
    let attempts = trend.days.iter().map(|it| it.attempts).sum();
    let (flaky, failing) = trend.items.into_iter().partition(|it| it.flaky > 0);
    page(&TestsPage {
        shell: visit.shell(Section::Home, format!("Tests of {}", project.slug())),
        words: visit.words(),
        path: path_of(&project),
        project,
        tab: "tests",
        days,
        spans: SPANS,
        charts,
        flaky,
        failing,
        attempts,
        is_cut: trend.is_cut,
    })
}

fn charts(trend: &TestTrend) -> Vec<String> {
    let column = |it: fn(&TestDay) -> i64| -> Vec<Option<f64>> {
        trend.days.iter().map(|day| Some(signed(it(day)))).collect()
    };
    let sum = |it: fn(&TestDay) -> i64| trend.days.iter().map(it).sum::<i64>();
    let chart = |id: &str, title: &str, summary: String, series| Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        summary,
        kind: Kind::Stacked,
        unit: Unit::Count,
        over: "Day".to_owned(),
        labels: trend.days.iter().map(|it| short_day(&it.day)).collect(),
        series,
        threshold: None,
    };
    let (flaky, failed) = (sum(|it| it.flaky), sum(|it| it.failed));
    let failures = chart(
        "failures",
        "Failures of test cases",
        format!("{flaky} were flaky, {failed} were not"),
        vec![
            Series::new("flaky", column(|it| it.flaky)).in_tone(Tone::Warning),
            Series::new("failed", column(|it| it.failed)).in_tone(Tone::Bad),
        ],
    );
    let (all, bad) = (sum(|it| it.attempts), sum(|it| it.failed_attempts));
    let attempts = chart(
        "attempts",
        "Tries of stages with tests",
        format!("{bad} of {all} had failures"),
        vec![
            Series::new("all passed", column(|it| it.attempts - it.failed_attempts))
                .in_tone(Tone::Good),
            Series::new("with failures", column(|it| it.failed_attempts)).in_tone(Tone::Bad),
        ],
    );
    vec![failures.figure(), attempts.figure()]
}
