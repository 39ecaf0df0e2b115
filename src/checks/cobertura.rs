//! Cobertura coverage XML, as written by coverage.py, cargo-llvm-cov, gcovr, Istanbul and others.

use std::collections::BTreeMap;

use super::xml::{Document, Element, Node, text_of};
use super::{Report, ReportError, number};

const LINES: (&str, &str, &str) =
    ("coverage_line", "coverage_lines_covered", "coverage_lines_total");
const BRANCHES: (&str, &str, &str) =
    ("coverage_branch", "coverage_branches_covered", "coverage_branches_total");

/// Reads a report; `file` names it in errors.
///
/// Metrics: `coverage_line` and `coverage_branch` as rates from 0 to 1, each only when the report has
/// any lines or branches, and `coverage_lines_covered`, `…_total`, `coverage_branches_covered`,
/// `…_total`, from which the rates of several reports are computed.
pub fn read(file: &str, bytes: &[u8]) -> Result<Report, ReportError> {
    let text = text_of(file, bytes)?;
    let mut document = Document::new(file, &text);
    let root = document.root(&["coverage"], "Cobertura")?;
    let rate = |name| root.number(name).filter(|it| *it <= 1.0);
    let (line_rate, branch_rate) = (rate("line-rate"), rate("branch-rate"));
    if line_rate.is_none() && root.attribute("lines-valid").is_none() {
        return Err(document.problem("is no Cobertura report: `coverage` has no `line-rate`"));
    }
    let stated_lines = root.whole("lines-covered").zip(root.whole("lines-valid"));
    let stated_branches = root.whole("branches-covered").zip(root.whole("branches-valid"));
    let counted = count(&mut document)?;
    let mut report = Report::default();
    set(&mut report.metrics, LINES, stated_lines.unwrap_or(counted.lines), line_rate);
    set(&mut report.metrics, BRANCHES, stated_branches.unwrap_or(counted.branches), branch_rate);
    Ok(report)
}

/// Whether this metric is computed, and must not be added up.
pub(super) fn is_rate(name: &str) -> bool {
    name == LINES.0 || name == BRANCHES.0
}

/// Sets the rates from the sums, after reports were added up.
pub(super) fn set_rates(metrics: &mut BTreeMap<String, f64>) {
    for (rate, covered, total) in [LINES, BRANCHES] {
        if let (Some(covered), Some(total)) = (metrics.get(covered), metrics.get(total)) {
            let value = (covered / total).clamp(0.0, 1.0);
            metrics.insert(rate.to_owned(), value);
        }
    }
}

type Names = (&'static str, &'static str, &'static str);

fn set(
    metrics: &mut BTreeMap<String, f64>,
    names: Names,
    (covered, total): (u64, u64),
    stated_rate: Option<f64>,
) {
    if total > 0 {
        metrics.insert(names.1.to_owned(), number(covered));
        metrics.insert(names.2.to_owned(), number(total));
        metrics.insert(names.0.to_owned(), (number(covered) / number(total)).clamp(0.0, 1.0));
    } else if let Some(rate) = stated_rate.filter(|it| *it > 0.0) {
        metrics.insert(names.0.to_owned(), rate);
    }
}

#[derive(Debug, Default)]
struct Counted {
    lines: (u64, u64),
    branches: (u64, u64),
}

/// Counts lines and branches of classes; those of methods are the same ones again.
fn count(document: &mut Document<'_>) -> Result<Counted, ReportError> {
    let (mut counted, mut methods) = (Counted::default(), 0_usize);
    while let Some(node) = document.next()? {
        match node {
            Node::Start(element) if element.name() == "methods" => methods += 1,
            Node::End(name) if name == "methods" => methods = methods.saturating_sub(1),
            Node::Start(element) if element.name() == "line" && methods == 0 => {
                counted.lines.0 += u64::from(element.whole("hits").is_some_and(|it| it > 0));
                counted.lines.1 += 1;
                if let Some((covered, total)) = branches_of(&element) {
                    counted.branches.0 += covered;
                    counted.branches.1 += total;
                }
            }
            Node::Start(_) | Node::End(_) | Node::Text(_) => (),
        }
    }
    Ok(counted)
}

/// `condition-coverage="50% (1/2)"`.
fn branches_of(line: &Element<'_>) -> Option<(u64, u64)> {
    let text = line.attribute("condition-coverage")?;
    let (covered, total) = text.split_once('(')?.1.split_once(')')?.0.split_once('/')?;
    Some((covered.trim().parse().ok()?, total.trim().parse().ok()?))
}
