//! What an app reports that it has used, and what is wrong with a report. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::gateway::budget::scope::{OF_ENDPOINTS, is_endpoint};
use crate::model::{TraceParent, Usage, UsageClass};

/// Reports of one request.
pub(in crate::gateway) const REPORTS_AT_MOST: usize = 500;
/// Letters of an id, and of other names.
const ID_LETTERS: usize = 128;
const NAME_LETTERS: usize = 200;
/// The most of a unit that one report may have.
const COUNT_AT_MOST: u64 = 1_000_000_000_000;
/// The longest time that something may have taken.
const TOOK_AT_MOST: u64 = 24 * 3600 * 1000;

/// What can be reported: everything that is no part of an answer of a model. Tokens that were read are `input`.
pub(super) const UNITS: [(&str, UsageClass); 10] = [
    ("queries", UsageClass::Queries),
    ("read_units", UsageClass::ReadUnits),
    ("write_units", UsageClass::WriteUnits),
    ("search_units", UsageClass::SearchUnits),
    ("pages", UsageClass::Pages),
    ("requests", UsageClass::Requests),
    ("input", UsageClass::Input),
    ("web_searches", UsageClass::WebSearches),
    ("file_searches", UsageClass::FileSearches),
    ("code_sessions", UsageClass::CodeSessions),
];

/// Something that was used elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Report {
    /// Names the report: one of the same name counts once.
    pub(in crate::gateway) id: Option<String>,
    /// What was used, such as an index.
    pub(in crate::gateway) name: String,
    /// Who served it, where the gateway's file does not say.
    pub(in crate::gateway) provider: Option<String>,
    /// How much.
    pub(in crate::gateway) usage: Usage,
    /// The endpoint of the app, where its key does not say.
    pub(in crate::gateway) endpoint: Option<String>,
    /// How long it took.
    pub(in crate::gateway) took_ms: u64,
    /// The span that it was used in.
    pub(in crate::gateway) parent: Option<TraceParent>,
}

/// A report as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    id: Option<String>,
    name: String,
    provider: Option<String>,
    units: BTreeMap<String, u64>,
    endpoint: Option<String>,
    #[serde(default)]
    took_ms: u64,
    traceparent: Option<String>,
}

/// The body of a request: several, or one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Body {
    Several(Several),
    One(Sent),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Several {
    reports: Vec<Sent>,
}

/// The reports of a body; or what is wrong with it.
pub(super) fn read(body: &[u8], needs_ids: bool) -> Result<Vec<Report>, String> {
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|it| format!("the body is not JSON: {it}"))?;
    if !value.is_object() {
        return Err("the body is JSON, but no object, such as `{\"reports\": […]}`".to_owned());
    }
    // An untagged one would not say what is wrong.
    let body = if value.get("reports").is_some() {
        serde_json::from_value(value).map(Body::Several)
    } else {
        serde_json::from_value(value).map(Body::One)
    };
    let sent = match body.map_err(|it| format!("the body is not understood: {it}"))? {
        Body::Several(it) => it.reports,
        Body::One(it) => vec![it],
    };
    if sent.is_empty() || sent.len() > REPORTS_AT_MOST {
        return Err(format!("`reports` has 1 to {REPORTS_AT_MOST} of them, not {}", sent.len()));
    }
    let mut reports = Vec::with_capacity(sent.len());
    for (place, it) in sent.into_iter().enumerate() {
        let report = of_sent(it).and_then(|it| it.checked(needs_ids));
        let report = report.map_err(|why| format!("report {}: {why}", place + 1))?;
        let is_twice = report.id.is_some() && reports.iter().any(|it: &Report| it.id == report.id);
        if is_twice {
            return Err(format!("report {}: its `id` is there twice", place + 1));
        }
        reports.push(report);
    }
    Ok(reports)
}

fn of_sent(sent: Sent) -> Result<Report, String> {
    let parent = sent
        .traceparent
        .map(|it| TraceParent::parse(&it).ok_or_else(|| format!("`traceparent` is none: `{it}`")));
    Ok(Report {
        id: sent.id,
        name: sent.name,
        provider: sent.provider,
        usage: usage_of(&sent.units)?,
        endpoint: sent.endpoint,
        took_ms: sent.took_ms,
        parent: parent.transpose()?,
    })
}

/// What was used, by words.
pub(in crate::gateway) fn usage_of(units: &BTreeMap<String, u64>) -> Result<Usage, String> {
    let mut usage = Usage::default();
    for (unit, count) in units {
        usage.set(class(unit)?, *count);
    }
    Ok(usage)
}

/// The class of a unit.
pub(super) fn class(unit: &str) -> Result<UsageClass, String> {
    let known = UNITS.into_iter().find(|it| it.0 == unit);
    known.map(|it| it.1).ok_or_else(|| {
        let all = UNITS.map(|it| format!("`{}`", it.0)).join(", ");
        format!("`{unit}` is not a unit; there are {all}")
    })
}

impl Report {
    /// The report, if it is one that can be charged.
    pub(in crate::gateway) fn checked(self, needs_id: bool) -> Result<Self, String> {
        let is_text = |it: &str, most: usize| {
            !it.is_empty() && it.len() <= most && !it.chars().any(char::is_control)
        };
        if needs_id && self.id.is_none() {
            return Err("`id` is missing: it names the report, so that it counts once".to_owned());
        }
        let texts = [
            ("id", self.id.as_deref(), ID_LETTERS),
            ("name", Some(&*self.name), NAME_LETTERS),
            ("provider", self.provider.as_deref(), NAME_LETTERS),
        ];
        for (what, text, most) in texts {
            if text.is_some_and(|it| !is_text(it, most)) {
                return Err(format!("`{what}` has 1 to {most} bytes, and no control characters"));
            }
        }
        if self.endpoint.as_deref().is_some_and(|it| !is_endpoint(it)) {
            return Err(format!("`endpoint` has {OF_ENDPOINTS}"));
        }
        if self.usage.iter().next().is_none() {
            return Err("it has no unit of which anything was used".to_owned());
        }
        if self.usage.iter().any(|it| it.1 > COUNT_AT_MOST) {
            return Err(format!("a unit is at most {COUNT_AT_MOST}"));
        }
        if self.took_ms > TOOK_AT_MOST {
            return Err("`took_ms` is at most a day".to_owned());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: &str) -> String {
        read(body.as_bytes(), true).unwrap_err()
    }

    #[test]
    fn one_report_or_several_are_read() {
        let one = r#"{"id":"a","name":"docs","units":{"queries":3,"read_units":12},"took_ms":7}"#;
        let read_one = read(one.as_bytes(), true).unwrap();
        let usage = Usage::default().with(UsageClass::Queries, 3).with(UsageClass::ReadUnits, 12);
        assert_eq!((read_one[0].usage, read_one[0].took_ms), (usage, 7));
        let several = format!("{{\"reports\":[{one}]}}");
        assert_eq!(read(several.as_bytes(), true).unwrap(), read_one);
    }

    #[test]
    fn what_is_wrong_is_said_of_the_report_that_it_is_wrong_with() {
        assert!(wrong("{").contains("not JSON"));
        assert!(wrong("[]").contains("no object"));
        assert!(wrong(r#"{"reports":[]}"#).contains("1 to 500"));
        assert!(wrong(r#"{"id":"a","name":"docs","units":{"querys":1}}"#).contains("`querys`"));
        assert!(wrong(r#"{"id":"a","name":"docs","units":{"output":1}}"#).contains("`output`"));
        assert!(wrong(r#"{"id":"a","name":"docs","units":{"queries":0}}"#).contains("no unit"));
        assert!(wrong(r#"{"id":"a","name":"docs","units":{"queries":-1}}"#).contains("-1"));
        assert!(wrong(r#"{"id":"a","name":"docs","units":{"queries":1.5}}"#).contains("1.5"));
        assert!(wrong(r#"{"id":"a","name":"d","units":{"queries":1},"cost":1}"#).contains("cost"));
        assert!(wrong(r#"{"name":"docs","units":{"queries":1}}"#).contains("`id` is missing"));
        let (one, huge) = (r#"{"id":"a","name":"d","units":{"queries":1}}"#, u64::MAX);
        assert!(wrong(&format!("{{\"reports\":[{one},{one}]}}")).starts_with("report 2"));
        let many = format!(r#"{{"id":"a","name":"d","units":{{"queries":{huge}}}}}"#);
        assert!(wrong(&many).contains("at most"));
        let nowhere = r#"{"id":"a","name":"d","units":{"queries":1},"traceparent":"00-x"}"#;
        assert!(wrong(nowhere).contains("traceparent"));
    }
}
