//! Numbers, times and log lines as a person reads them.

use std::borrow::Cow;

use super::terminal;
use crate::cli::view::paint::Paint;
use crate::model::{Milliseconds, Timestamp};

/// What a run is called that has not ended and that nobody goes on with.
pub const INTERRUPTED: &str = "interrupted";

/// `0.3s`, `12.3s`, `2m05s`, `1h02m`.
#[must_use]
pub fn duration(span: Milliseconds) -> String {
    let tenths = span.0 / 100;
    let seconds = span.0 / 1000;
    match seconds {
        0..60 => format!("{}.{}s", tenths / 10, tenths % 10),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `512 B`, `12.3 kB`, `4.0 GB`: powers of 1,000.
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut unit = 1u64;
    for name in ["B", "kB", "MB", "GB", "TB"] {
        if count < unit * 1000 || name == "TB" {
            let tenths = count.saturating_mul(10) / unit;
            return match name {
                "B" => format!("{count} B"),
                _ => format!("{}.{} {name}", tenths / 10, tenths % 10),
            };
        }
        unit *= 1000;
    }
    format!("{count} B")
}

/// `1 file`, `2 files`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `12:03:44`, this many seconds ahead of UTC.
#[must_use]
pub fn time_of_day(at: Timestamp, utc_offset_seconds: i32) -> String {
    let seconds = at.0.div_euclid(1000) + i64::from(utc_offset_seconds);
    let day = seconds.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", day / 3600, day % 3600 / 60, day % 60)
}

/// A metric's value without needless digits.
#[must_use]
pub fn number(value: f64) -> String {
    let rounded = format!("{value:.*}", decimals(value));
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Four, and for what is less than one (a price, say) as many as show four digits.
fn decimals(value: f64) -> usize {
    let mut decimals = 4;
    let mut scaled = value.abs() * 10.0;
    while scaled > 0.0 && scaled < 1.0 && decimals < 15 {
        scaled *= 10.0;
        decimals += 1;
    }
    decimals
}

/// The text cut to this many columns, colours kept.
#[must_use]
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    console::truncate_str(text, columns, "…")
}

/// A name from elsewhere on one line of at most so many columns, without what would play with the terminal.
#[must_use]
pub fn name(text: &str, columns: usize) -> String {
    let line = terminal::safe(text, Paint::default()).replace(['\n', '\t'], " ");
    fit(&line, columns).into_owned()
}

/// The text filled up with spaces to this many columns, colours not counted.
#[must_use]
pub fn pad(text: &str, columns: usize) -> Cow<'_, str> {
    console::pad_str(text, columns, console::Alignment::Left, None)
}

/// Columns that the text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// What is left on a terminal of a line whose parts were written over each other, as progress bars do.
#[must_use]
pub fn overwritten(line: &str) -> Cow<'_, str> {
    let line = line.trim_end_matches(['\r', '\n']);
    if !line.contains('\r') {
        return Cow::Borrowed(line);
    }
    let mut shown = String::new();
    for part in line.split('\r').filter(|it| !it.is_empty()) {
        let rest = if ERASERS.iter().any(|it| part.contains(it)) {
            String::new()
        } else {
            behind(&shown, width(part))
        };
        shown = format!("{part}{rest}");
    }
    Cow::Owned(shown)
}

/// The text from this column on, without colours.
fn behind(text: &str, columns: usize) -> String {
    let plain = console::strip_ansi_codes(text);
    let mut column = 0;
    let is_before = |it: &char| {
        let is_before = column < columns;
        column += width(it.encode_utf8(&mut [0; 4]));
        is_before
    };
    plain.chars().skip_while(is_before).collect()
}

/// Sequences that erase the rest of a line, or all of it (ECMA-48, 8.3.41).
const ERASERS: [&str; 3] = ["\x1b[K", "\x1b[0K", "\x1b[2K"];

/// A log line that cannot move the cursor or change colours: what a progress bar overwrote is left
/// out, as a terminal would.
#[must_use]
pub fn tame(line: &str) -> String {
    terminal::safe(&overwritten(line), Paint::default()).replace('\t', "    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_two_units_at_most() {
        let shown = [0, 340, 59_990, 60_000, 125_000, 3_599_999, 3_720_000];
        let shown = shown.map(|it| duration(Milliseconds(it))).join(" ");
        assert_eq!(shown, "0.0s 0.3s 59.9s 1m00s 2m05s 59m59s 1h02m");
    }

    #[test]
    fn sizes_are_in_powers_of_a_thousand() {
        let shown = [0, 999, 1000, 12_345, 4_000_000_000, u64::MAX].map(bytes).join(", ");
        assert_eq!(shown, "0 B, 999 B, 1.0 kB, 12.3 kB, 4.0 GB, 1844674.4 TB");
    }

    #[test]
    fn a_log_line_cannot_play_with_the_terminal() {
        assert_eq!(tame("\x1b[31mred\x1b[0m\ttext\x07\n"), "red    text");
        assert_eq!(tame("10 %\r20 %\rdone\r\n"), "done");
    }

    #[test]
    fn a_name_is_one_line_of_so_many_columns_and_plays_with_nothing() {
        assert_eq!(
            name("gpt\n\x1b[31mred\x1b[0m\x1b]0;title\x07\t!\u{202e}", 40),
            "gpt red ![U+202E]"
        );
        assert_eq!(name(&"模".repeat(50), 11), "模模模模模…");
        assert_eq!(name("claude", 6), "claude");
    }

    #[test]
    fn a_line_that_was_written_over_is_as_a_terminal_shows_it() {
        for (line, shown) in [
            ("plain", "plain"),
            ("dos\r", "dos"),
            ("10 %\r20 %\r100 %", "100 %"),
            ("loading 90 %\rdone", "doneing 90 %"),
            ("loading 90 %\r\x1b[Kdone", "\x1b[Kdone"),
            ("\x1b[31mred and long\x1b[0m\rblue", "blueand long"),
            ("模型评估\rab", "ab型评估"),
            ("\rfirst\r\r", "first"),
        ] {
            assert_eq!(overwritten(line), shown, "{line:?}");
        }
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(fit("模型评估通过", 7), "模型评…");
        assert_eq!(width("✓ 模型"), 6);
    }

    #[test]
    fn the_time_of_day_is_local() {
        let at = Timestamp(1_700_000_000_000);
        assert_eq!(time_of_day(at, 0), "22:13:20");
        assert_eq!(time_of_day(at, 7200), "00:13:20");
    }
}
