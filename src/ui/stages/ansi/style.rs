//! Colours and styles (`SGR`, ECMA-48 section 8.3.117; 256 and 24-bit colours as in ISO 8613-6), and the
//! classes that stand for them.

use std::fmt::Write as _;

/// Letters in print are one of 256 colours, or the usual one.
type Colour = Option<u8>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    letters: Colour,
    ground: Colour,
    marks: u8,
}

const BOLD: u8 = 1;
const DIM: u8 = 2;
const ITALIC: u8 = 4;
const UNDERLINE: u8 = 8;
const STRIKE: u8 = 16;
const INVERSE: u8 = 32;

impl Style {
    pub(super) const PLAIN: Self = Self { letters: None, ground: None, marks: 0 };

    /// Obeys the parameters of a sequence. Those that nobody knows, and hidden text, change nothing.
    pub(super) fn select(&mut self, parameters: &str) {
        if !parameters.bytes().all(|it| it.is_ascii_digit() || matches!(it, b';' | b':')) {
            return;
        }
        let mut all = parameters.split(';');
        while let Some(parameter) = all.next() {
            let (code, sub) = parameter.split_once(':').unwrap_or((parameter, ""));
            let code: u16 = if code.is_empty() { 0 } else { code.parse().unwrap_or(u16::MAX) };
            match code {
                38 => self.letters = extended(sub, &mut all).or(self.letters),
                48 => self.ground = extended(sub, &mut all).or(self.ground),
                58 if sub.is_empty() => {
                    let _colour_of_a_line = extended(sub, &mut all);
                }
                4 if sub == "0" => self.marks &= !UNDERLINE,
                _ => self.select_one(code),
            }
        }
    }

    fn select_one(&mut self, code: u16) {
        let colour = |from: u16| u8::try_from(code - from).ok();
        match code {
            0 => *self = Self::PLAIN,
            1 => self.marks |= BOLD,
            2 => self.marks |= DIM,
            3 => self.marks |= ITALIC,
            4 | 21 => self.marks |= UNDERLINE,
            7 => self.marks |= INVERSE,
            9 => self.marks |= STRIKE,
            22 => self.marks &= !(BOLD | DIM),
            23 => self.marks &= !ITALIC,
            24 => self.marks &= !UNDERLINE,
            27 => self.marks &= !INVERSE,
            29 => self.marks &= !STRIKE,
            30..=37 => self.letters = colour(30),
            39 => self.letters = None,
            40..=47 => self.ground = colour(40),
            49 => self.ground = None,
            90..=97 => self.letters = colour(90 - 8),
            100..=107 => self.ground = colour(100 - 8),
            _ => {}
        }
    }

    fn has(self, mark: u8) -> bool {
        self.marks & mark != 0
    }
}

/// `5;n` or `2;r;g;b`: with colons in the same parameter, or in those that follow.
fn extended<'a>(sub: &str, rest: &mut impl Iterator<Item = &'a str>) -> Colour {
    let number = |it: &str| if it.is_empty() { Some(0) } else { it.parse::<u8>().ok() };
    if !sub.is_empty() {
        let parts: Vec<_> = sub.split(':').collect();
        return match parts.as_slice() {
            ["5", index, ..] => number(index),
            ["2", red, green, blue] | ["2", _, red, green, blue, ..] => {
                Some(nearest([number(red)?, number(green)?, number(blue)?]))
            }
            _ => None,
        };
    }
    match rest.next()? {
        "5" => number(rest.next()?),
        "2" => {
            let (red, green, blue) = (rest.next()?, rest.next()?, rest.next()?);
            Some(nearest([number(red)?, number(green)?, number(blue)?]))
        }
        _ => None,
    }
}

/// Steps of the cube of 216 colours.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest of the 256 colours that terminals agree upon: those of the cube and the greys.
fn nearest(colour: [u8; 3]) -> u8 {
    let distance = |one: [u8; 3]| -> u32 {
        one.iter().zip(colour).map(|(it, wanted)| u32::from(it.abs_diff(wanted)).pow(2)).sum()
    };
    let places = colour.map(|it| match it {
        0..48 => 0_u8,
        48..115 => 1,
        _ => (it - 35) / 40,
    });
    let cube = places.map(|it| STEPS.get(usize::from(it)).copied().unwrap_or(255));
    let [red, green, blue] = places;
    let mean = colour.iter().map(|it| u16::from(*it)).sum::<u16>() / 3;
    let grey = u8::try_from(mean.saturating_sub(3) / 10).unwrap_or(u8::MAX).min(23);
    let is_grey_nearer = distance([8 + 10 * grey; 3]) < distance(cube);
    if is_grey_nearer { 232 + grey } else { 16 + 36 * red + 6 * green + blue }
}

/// Opens the element of a style; a plain one needs none.
pub(super) fn open(html: &mut String, style: Style) {
    if style == Style::PLAIN {
        return;
    }
    html.push_str("<span class=\"");
    let before = html.len();
    colours(html, style);
    for (mark, word) in [(BOLD, "bold "), (DIM, "dim "), (ITALIC, "italic ")] {
        html.push_str(if style.has(mark) { word } else { "" });
    }
    match (style.has(UNDERLINE), style.has(STRIKE)) {
        (true, true) => html.push_str("under-strike "),
        (true, false) => html.push_str("under "),
        (false, true) => html.push_str("strike "),
        (false, false) => {}
    }
    html.truncate(html.len().saturating_sub(usize::from(html.len() > before)));
    html.push_str("\">");
}

/// The classes of colours: `f` on the ground of the page, `h` on one of the program's own, which is `g`.
fn colours(html: &mut String, style: Style) {
    let (letters, ground) = if style.has(INVERSE) {
        (style.ground, style.letters)
    } else {
        (style.letters, style.ground)
    };
    let _never_fails = match ground {
        Some(ground) => write!(html, "g{ground} "),
        None if style.has(INVERSE) => write!(html, "gi "),
        None => Ok(()),
    };
    let kind = if ground.is_some() || style.has(INVERSE) { 'h' } else { 'f' };
    if let Some(letters) = letters {
        let _never_fails = write!(html, "{kind}{letters} ");
    }
}

pub(super) fn close(html: &mut String, style: Style) {
    if style != Style::PLAIN {
        html.push_str("</span>");
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_colour_of_24_bits_becomes_the_nearest_of_256() {
        for (colour, index) in [
            ([0, 0, 0], 16),
            ([255, 255, 255], 231),
            ([255, 0, 0], 196),
            ([95, 135, 175], 67),
            ([8, 8, 8], 232),
            ([128, 128, 128], 244),
            ([238, 238, 238], 255),
            ([250, 100, 90], 203),
        ] {
            assert_eq!(nearest(colour), index, "{colour:?}");
        }
    }

    #[test]
    fn every_colour_of_the_cube_and_every_grey_is_itself() {
        for index in 0..216_u8 {
            let place = [index / 36, index / 6 % 6, index % 6].map(usize::from);
            let colour = place.map(|it| super::STEPS[it]);
            assert_eq!(nearest(colour), 16 + index);
        }
        for index in 0..24_u8 {
            assert_eq!(nearest([8 + 10 * index; 3]), 232 + index);
        }
    }
}
