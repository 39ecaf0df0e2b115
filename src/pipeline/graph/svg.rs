//! The picture for a page. It brings colours for light and dark; a page overrides them with the custom
//! properties `--graph-…`. Renderers that know no custom properties take the light ones.

use std::fmt::Write as _;

use super::most_urgent;
use super::picture::{Measures, Picture, PictureBox};
use super::text::counted;
use crate::model::{StageIndex, StageStatus, is_turning};

const STYLE: &str = include_str!("svg/style.css");

const HEIGHT: f64 = 34.0;
pub(super) const MEASURES: Measures =
    Measures { box_height: HEIGHT, column_gap: 52.0, row_gap: 14.0, bend_gap: 8.0, margin: 16.0 };
const PADDING: f64 = 14.0;
const ICON: f64 = 20.0;
/// Average advance of a sans-serif letter at 13 px, rounded up.
const LETTER: f64 = 7.6;
const NAME_LETTERS_MAX: usize = 32;

/// Draws; `keys` and `statuses` are in the order of the plan.
pub(super) fn draw(
    pipeline: &str,
    picture: &Picture,
    keys: &[&str],
    statuses: Option<&[StageStatus]>,
) -> String {
    let mut svg = opening(pipeline, picture);
    for line in &picture.lines {
        let source = statuses.and_then(|it| Some(status_of(picture.boxes.get(line.from)?, it)));
        let optional = if line.is_optional { " optional" } else { "" };
        let done = source.filter(|it| it.is_finished()).map_or("", |_| " done");
        let path = &line.path;
        write_to(&mut svg, format_args!("<path class=\"line{optional}{done}\" d=\"{path}\"/>\n"));
    }
    for shown in &picture.boxes {
        draw_box(&mut svg, shown, keys, statuses);
    }
    svg.push_str("</svg>\n");
    svg
}

fn opening(pipeline: &str, picture: &Picture) -> String {
    let stages = picture.boxes.iter().map(|it| it.stages.len()).sum();
    let title = escaped(&format!("Graph of {pipeline}: {}", counted(stages, "stage")));
    let (width, height) = (picture.width, picture.height);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" role=\"img\" \
         aria-label=\"{title}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n"
    )
}

fn draw_box(svg: &mut String, block: &PictureBox, keys: &[&str], statuses: Option<&[StageStatus]>) {
    let shown = statuses.map(|it| status_of(block, it));
    let class = shown.map_or("", StageStatus::as_str);
    let shape = if block.kind.as_deref() == Some("approval") { HEIGHT / 2.0 } else { 7.0 };
    let (x, y, width) = (block.x, block.y, block.width);
    let middle = y + HEIGHT / 2.0;
    write_to(
        svg,
        format_args!(
            "<g class=\"stage {class}\"><title>{}</title>",
            escaped(&told(block, keys, statuses))
        ),
    );
    if block.stages.len() > 1 {
        let (x, y) = (x + 3.0, y + 3.0);
        write_to(
            svg,
            format_args!(
                "<rect class=\"behind\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"{shape}\"/>"
            ),
        );
    }
    write_to(
        svg,
        format_args!(
            "<rect class=\"box\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"{shape}\"/>"
        ),
    );
    let mut text_x = x + PADDING;
    if let Some(status) = shown {
        draw_icon(svg, status, x + PADDING + 4.0, middle);
        text_x += ICON;
    }
    let text_y = middle + 4.5;
    write_to(
        svg,
        format_args!(
            "<text x=\"{text_x:.1}\" y=\"{text_y:.1}\">{}</text>",
            escaped(&shown_name(block))
        ),
    );
    if let Some(count) = cell_count(block) {
        let end = x + width - PADDING;
        write_to(
            svg,
            format_args!("<text class=\"count\" x=\"{end:.1}\" y=\"{text_y:.1}\">{count}</text>"),
        );
    }
    svg.push_str("</g>\n");
}

/// Each state has a shape of its own, so that nobody has to tell colours apart.
fn draw_icon(svg: &mut String, status: StageStatus, x: f64, y: f64) {
    let drawn = match status {
        StageStatus::Passed => "<path d=\"M-5 0l3.5 3.5L5-4\"/>",
        StageStatus::Failed => "<path d=\"M-4-4L4 4M4-4L-4 4\"/>",
        StageStatus::Running => "<path d=\"M0-5a5 5 0 1 1-5 5\"/><circle class=\"dot\" r=\"1.6\"/>",
        StageStatus::Delayed => "<circle r=\"5\"/><path d=\"M0-2.5V0L2 1.5\"/>",
        StageStatus::Waiting => "<path d=\"M-2.5-4V4M2.5-4V4\"/>",
        StageStatus::Skipped => "<path d=\"M-4-4L0 0L-4 4M1-4L5 0L1 4\"/>",
        StageStatus::Cancelled => "<circle r=\"5\"/><path d=\"M-3.5 3.5L3.5-3.5\"/>",
        StageStatus::Ready => "<circle r=\"5\"/><circle class=\"dot\" r=\"1.6\"/>",
        StageStatus::Pending => "<circle r=\"5\"/>",
    };
    write_to(
        svg,
        format_args!("<g class=\"icon\" transform=\"translate({x:.1} {y:.1})\">{drawn}</g>"),
    );
}

/// How wide a box must be; with an icon where states are shown.
pub(super) fn width(block: &PictureBox, has_icon: bool) -> f64 {
    let count = cell_count(block).map_or(0.0, |it| letters(&it) + 8.0);
    let icon = if has_icon { ICON } else { 0.0 };
    letters(&shown_name(block)) + count + 2.0 * PADDING + icon
}

#[expect(clippy::cast_precision_loss, reason = "at most a few letters")]
fn letters(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

fn shown_name(block: &PictureBox) -> String {
    if block.name.chars().count() <= NAME_LETTERS_MAX {
        return block.name.clone();
    }
    block.name.chars().take(NAME_LETTERS_MAX - 1).chain(['…']).collect()
}

fn cell_count(block: &PictureBox) -> Option<String> {
    (block.stages.len() > 1).then(|| format!("×{}", block.stages.len()))
}

/// What a screen reader and the tip of a pointer say.
fn told(block: &PictureBox, keys: &[&str], statuses: Option<&[StageStatus]>) -> String {
    let kind = block.kind.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
    let cell = |stage: &StageIndex| {
        let key = keys.get(stage.as_usize()).copied().unwrap_or("?");
        match statuses.and_then(|it| it.get(stage.as_usize())) {
            Some(status) => format!("{key}: {status}"),
            None => key.to_owned(),
        }
    };
    match block.stages.as_slice() {
        [stage] => format!("{}{kind}", cell(stage)),
        cells => {
            let lines: Vec<_> = cells.iter().map(cell).collect();
            format!("{}{kind}, {}\n{}", block.name, counted(cells.len(), "cell"), lines.join("\n"))
        }
    }
}

/// The state of a whole matrix: what most wants to be seen.
fn status_of(block: &PictureBox, statuses: &[StageStatus]) -> StageStatus {
    let cells = block.stages.iter().filter_map(|it| statuses.get(it.as_usize()).copied());
    most_urgent(cells).unwrap_or(StageStatus::Pending)
}

/// Text for XML; signs that XML 1.0 cannot carry are replaced.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(sign),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ if sign.is_control() || is_turning(sign) => safe.push('\u{fffd}'),
            _ => safe.push(sign),
        }
    }
    safe
}

/// Writing to a `String` cannot fail.
fn write_to(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).unwrap_or_default();
}
