//! `/projects/{team}/{name}/metrics`: how long runs take and wait, how many pass, what they cost; and gates.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{SPANS, gates, number, path_of, short_day};
use crate::desk::projects;
use crate::desk::reports::trends::{self, DayMetrics, GatesAsked, MetricsAsked, MetricsTrend};
use crate::http::{App, Path, Problem, Query};
use crate::store::access::projects::ProjectRow;
use crate::ui::reports::chart::{Chart, Kind, Series, Tone, Unit};
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// Gates that are drawn.
const GATES_MAX: usize = 12;

/// Of which runs. What is missing is chosen; what is empty means all.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct MetricsQuery {
    pipeline: Option<String>,
    branch: Option<String>,
    days: Option<u32>,
}

#[derive(Template)]
#[template(path = "reports/metrics.html")]
struct MetricsPage {
    shell: Shell,
    words: Words,
    project: ProjectRow,
    path: String,
    tab: &'static str,
    pipelines: Vec<String>,
    pipeline: String,
    branch: String,
    days: u32,
    spans: [u32; 4],
    /// Runs that were looked at.
    count: u64,
    is_cut: bool,
    charts: Vec<String>,
    gates: Vec<String>,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path((team, name)): Path<(String, String)>,
    Query(query): Query<MetricsQuery>,
) -> Result<Response, Problem> {
    let slug = format!("{team}/{name}");
    let project = projects::find(&app, &visit.visitor, &slug).await?;
    let pipelines = trends::pipelines(&app, &project).await?;
    let asked = asked(&query, &project, &pipelines);
    let (project, trend) = trends::metrics(&app, &visit.visitor, &slug, &asked).await?;
    let of_gates = GatesAsked {
        pipeline: asked.pipeline.clone(),
        branch: asked.branch.clone(),
        days: asked.days,
        limit: trends::GATE_RUNS,
    };
    let found = trends::gates_of(&app, &project, &of_gates).await?;
    let drawn = found.iter().take(GATES_MAX).enumerate();
    page(&MetricsPage {
        shell: visit.shell(Section::Home, format!("Metrics of {}", project.slug())),
        words: visit.words(),
        path: path_of(&project),
        project,
        tab: "metrics",
        pipelines,
        pipeline: asked.pipeline.unwrap_or_default(),
        branch: asked.branch.unwrap_or_default(),
        days: asked.days,
        spans: SPANS,
        count: trend.days.iter().map(|it| it.count).sum(),
        is_cut: trend.days.iter().any(|it| it.is_cut),
        charts: charts(&trend),
        gates: drawn.map(|(place, it)| gates::chart(it, place).figure()).collect(),
    })
}

fn asked(query: &MetricsQuery, project: &ProjectRow, pipelines: &[String]) -> MetricsAsked {
    let is_some = |it: &String| !it.is_empty();
    let pipeline = query.pipeline.clone().or_else(|| pipelines.first().cloned());
    let branch = query.branch.clone().unwrap_or_else(|| project.default_branch.clone());
    MetricsAsked {
        pipeline: pipeline.filter(is_some),
        branch: Some(branch).filter(is_some),
        days: query.days.unwrap_or(trends::DAYS).clamp(1, trends::DAYS_MAX),
    }
}

fn charts(trend: &MetricsTrend) -> Vec<String> {
    let column = |it: fn(&DayMetrics) -> Option<f64>| -> Vec<Option<f64>> {
        trend.days.iter().map(it).collect()
    };
    let took = |it: fn(&DayMetrics) -> Option<u64>| -> Vec<Option<f64>> {
        trend.days.iter().map(|day| it(day).map(number)).collect()
    };
    let many = |it: fn(&DayMetrics) -> u64| -> Vec<Option<f64>> {
        trend.days.iter().map(|day| Some(number(it(day)))).collect()
    };
    let rate = column(|it| it.success_rate);
    let mut charts = vec![
        Drawn::of("Duration", "How long runs that passed took from their start on, by day").chart(
            trend,
            Unit::Time,
            of_times(took(|it| it.duration_p50_ms), took(|it| it.duration_p95_ms)),
        ),
        Drawn::of("Success", "How many of the runs that passed or failed have passed, by day")
            .chart(trend, Unit::Share, vec![Series::new("passed", rate).in_tone(Tone::Good)]),
        Drawn::of("Waiting", "How long runs waited for their first start, by day").chart(
            trend,
            Unit::Time,
            of_times(took(|it| it.queue_p50_ms), took(|it| it.queue_p95_ms)),
        ),
    ];
    // Where some runs were left out, nobody knows how many there were, nor what all of them cost.
    if trend.days.iter().any(|it| it.is_cut) {
        return charts;
    }
    let summary = "How many runs passed, failed, or ended otherwise or not yet, by day";
    let series = vec![
        Series::new("passed", many(|it| it.passed)).in_tone(Tone::Good),
        Series::new("failed", many(|it| it.failed)).in_tone(Tone::Bad),
        Series::new("others", many(|it| it.count - it.passed - it.failed)),
    ];
    charts.push(Drawn::stacked("Runs", summary).chart(trend, Unit::Count, series));
    if trend.days.iter().any(|it| it.cost_usd.is_some()) {
        let series = vec![Series::new("cost", column(|it| it.cost_usd))];
        let drawn = Drawn::of("Cost", "What runs cost together, by day");
        let drawn = Drawn { kind: Kind::Bars, ..drawn };
        charts.push(drawn.chart(trend, Unit::Usd, series));
    }
    charts
}

fn of_times(half: Vec<Option<f64>>, most: Vec<Option<f64>>) -> Vec<Series> {
    vec![Series::new("median", half), Series::new("p95", most)]
}

/// How a chart by day is called and drawn.
struct Drawn {
    title: &'static str,
    summary: &'static str,
    kind: Kind,
}

impl Drawn {
    fn of(title: &'static str, summary: &'static str) -> Self {
        Self { title, summary, kind: Kind::Lines }
    }

    fn stacked(title: &'static str, summary: &'static str) -> Self {
        Self { title, summary, kind: Kind::Stacked }
    }

    fn chart(self, trend: &MetricsTrend, unit: Unit, series: Vec<Series>) -> String {
        let chart = Chart {
            id: self.title.to_lowercase(),
            title: self.title.to_owned(),
            summary: self.summary.to_owned(),
            kind: self.kind,
            unit,
            over: "Day".to_owned(),
            labels: trend.days.iter().map(|it| short_day(&it.day)).collect(),
            series,
            threshold: None,
        };
        chart.figure()
    }
}
