//! Charts as SVG: lines, bars, stacked bars and sparklines, with the table of their values behind them. Pure: the
//! same values make the same text. Colours and fonts are the style sheet's; every text is escaped here.

mod draw;
mod scale;
mod spark;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::ui::shell::markup::escape_html;

pub(in crate::ui) use scale::Unit;
pub(in crate::ui) use spark::sparkline;

/// Values that one series may have; more are left out at the old end.
pub(in crate::ui) const POINTS_MAX: usize = 200;
/// Series that have a colour.
const SERIES_MAX: usize = 5;

/// How a chart is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ui) enum Kind {
    /// Lines through the values of each series; a missing value is a gap.
    Lines,
    /// As lines, with an axis that need not begin at zero.
    Detail,
    /// One bar beside the other.
    Bars,
    /// One bar on top of the other.
    Stacked,
}

/// A row of values, one for each label.
#[derive(Debug, Clone)]
pub(in crate::ui) struct Series {
    name: String,
    values: Vec<Option<f64>>,
    tone: Option<Tone>,
}

/// A colour that says something by itself; the others only tell series apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ui) enum Tone {
    Good,
    Bad,
    Warning,
}

impl Series {
    pub(in crate::ui) fn new(name: &str, values: Vec<Option<f64>>) -> Self {
        Self { name: name.to_owned(), values, tone: None }
    }

    pub(in crate::ui) fn in_tone(self, tone: Tone) -> Self {
        Self { tone: Some(tone), ..self }
    }

    /// The class that gives it its colour.
    fn class(&self, number: usize) -> String {
        match self.tone {
            Some(Tone::Good) => "t-good".to_owned(),
            Some(Tone::Bad) => "t-bad".to_owned(),
            Some(Tone::Warning) => "t-warn".to_owned(),
            None => format!("c{number}"),
        }
    }
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(in crate::ui) struct Chart {
    /// Unique on its page; letters and `-`.
    pub(in crate::ui) id: String,
    pub(in crate::ui) title: String,
    /// What is to be seen, as a sentence for those who do not see it.
    pub(in crate::ui) summary: String,
    pub(in crate::ui) kind: Kind,
    pub(in crate::ui) unit: Unit,
    /// What the columns are: `Day`, `Run`.
    pub(in crate::ui) over: String,
    /// One for each column, oldest first.
    pub(in crate::ui) labels: Vec<String>,
    pub(in crate::ui) series: Vec<Series>,
    /// A line across, with its name.
    pub(in crate::ui) threshold: Option<(String, f64)>,
}

impl Chart {
    /// The figure as HTML: heading, picture, legend and table.
    pub(in crate::ui) fn figure(&self) -> String {
        let chart = self.bounded();
        let id = id(&chart.id);
        let mut html = format!(
            "<figure class=\"chart\"><figcaption><h3 id=\"{id}-head\">{}</h3></figcaption>",
            escaped(&chart.title)
        );
        if chart.is_empty() {
            html.push_str("<p class=\"quiet\">Nothing to draw yet.</p></figure>");
            return html;
        }
        draw::draw(&mut html, &chart, &id);
        chart.push_legend(&mut html);
        chart.push_table(&mut html);
        html.push_str("</figure>");
        html
    }

    /// Only what can be drawn: so many columns and series, and numbers that are some.
    fn bounded(&self) -> Self {
        let first = self.labels.len().saturating_sub(POINTS_MAX);
        let labels = self.labels.get(first..).unwrap_or_default().to_vec();
        let series = self.series.iter().take(SERIES_MAX).map(|it| Series {
            name: it.name.clone(),
            tone: it.tone,
            values: (first..self.labels.len())
                .map(|place| it.values.get(place).copied().flatten().and_then(scale::drawable))
                .collect(),
        });
        Self {
            labels,
            series: series.collect(),
            threshold: self
                .threshold
                .as_ref()
                .and_then(|(name, at)| Some((name.clone(), scale::drawable(*at)?))),
            ..self.clone()
        }
    }

    fn is_empty(&self) -> bool {
        self.series.iter().flat_map(|it| &it.values).all(Option::is_none)
    }

    fn push_legend(&self, html: &mut String) {
        if self.series.len() < 2 && self.threshold.is_none() {
            return;
        }
        html.push_str("<ul class=\"legend\">");
        for (series, place) in self.series.iter().zip(1..) {
            push_entry(html, &series.class(place), &series.name);
        }
        if let Some((name, at)) = &self.threshold {
            push_entry(html, "limit", &format!("{name}: {}", self.unit.text(*at)));
        }
        html.push_str("</ul>");
    }

    fn push_table(&self, html: &mut String) {
        html.push_str("<details><summary>The numbers</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\"");
        let _ = write!(
            html,
            " aria-label=\"{}: the numbers\"><table><thead><tr>",
            escaped(&self.title)
        );
        let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(&self.over));
        for series in &self.series {
            let _ =
                write!(html, "<th scope=\"col\" class=\"number\">{}</th>", escaped(&series.name));
        }
        html.push_str("</tr></thead><tbody>");
        for (place, label) in self.labels.iter().enumerate().rev() {
            let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escaped(label));
            for series in &self.series {
                let value = series.values.get(place).copied().flatten();
                let text = value.map_or_else(|| "–".to_owned(), |it| self.unit.text(it));
                let _ = write!(html, "<td class=\"number\">{text}</td>");
            }
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table></div></details>");
    }
}

fn push_entry(html: &mut String, class: &str, name: &str) {
    let _ = write!(
        html,
        "<li><svg class=\"swatch {class}\" viewBox=\"0 0 24 12\" aria-hidden=\"true\"><path d=\"M1 6H23\"/></svg>{}</li>",
        escaped(name)
    );
}

/// Text as HTML and SVG take it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    escape_html(&mut safe, text);
    safe
}

/// Only what may stand in an id.
fn id(text: &str) -> String {
    text.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect()
}
