//! The picture of a badge. Pure.

/// How a branch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its last run has passed.
    Passing,
    /// Its last run has failed.
    Failing,
    /// Nothing of it has run.
    Unknown,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
        }
    }

    fn color(self) -> &'static str {
        match self {
            Self::Passing => "#2e7d32",
            Self::Failing => "#c62828",
            Self::Unknown => "#616161",
        }
    }
}

/// Two boxes: what it is, and how it stands.
pub(super) fn draw(label: &str, standing: Standing) -> String {
    let (word, color) = (standing.word(), standing.color());
    let (left, right) = (width(label), width(word));
    let total = left + right;
    let (middle, end) = (left / 2, left + right / 2);
    let label = escaped(label);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"20\" role=\"img\" \
         aria-label=\"{label}: {word}\"><title>{label}: {word}</title>\
         <clipPath id=\"r\"><rect width=\"{total}\" height=\"20\" rx=\"3\"/></clipPath>\
         <g clip-path=\"url(#r)\"><rect width=\"{left}\" height=\"20\" fill=\"#424242\"/>\
         <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{color}\"/></g>\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\" \
         text-anchor=\"middle\"><text x=\"{middle}\" y=\"14\">{label}</text>\
         <text x=\"{end}\" y=\"14\">{word}</text></g></svg>\n"
    )
}

/// Roughly what a text takes in that font, with some air.
fn width(text: &str) -> usize {
    text.chars().count() * 7 + 12
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_is_an_image_with_its_words() {
        let picture = draw("ci", Standing::Passing);
        assert!(picture.contains("aria-label=\"ci: passing\""), "{picture}");
        assert!(picture.contains("width=\"87\""), "{picture}");
        assert!(!draw("<script>", Standing::Failing).contains("<script>"));
    }
}
