//! Draws the same place of a terminal again and again, without flicker.

/// Begin and end of a synchronized update (DEC private mode 2026); terminals that do not know it
/// ignore it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const ERASE_LINE_REST: &str = "\x1b[K";
const ERASE_BELOW: &str = "\x1b[J";

/// What is on the screen now.
#[derive(Debug, Clone, Default)]
pub struct Live {
    drawn: Vec<String>,
}

impl Live {
    /// What to write to replace the last picture by this one; `None` when nothing has changed.
    pub fn frame(&mut self, lines: Vec<String>) -> Option<String> {
        if lines == self.drawn {
            return None;
        }
        let mut text = format!("{BEGIN}{HIDE_CURSOR}{}", self.to_the_top());
        for line in &lines {
            text.push_str(line);
            text.push_str(ERASE_LINE_REST);
            text.push('\n');
        }
        text.push_str(ERASE_BELOW);
        text.push_str(END);
        self.drawn = lines;
        Some(text)
    }

    /// What to write to take the picture away and give the cursor back.
    pub fn clear(&mut self) -> String {
        let text = format!("{}{ERASE_BELOW}{SHOW_CURSOR}", self.to_the_top());
        self.drawn.clear();
        text
    }

    fn to_the_top(&self) -> String {
        match self.drawn.len() {
            0 => String::new(),
            lines => format!("\r\x1b[{lines}A"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_over_the_last_one() {
        let mut live = Live::default();
        assert!(live.frame(vec!["one".to_owned(), "two".to_owned()]).is_some());
        assert_eq!(live.frame(vec!["one".to_owned(), "two".to_owned()]), None);
        let second = live.frame(vec!["three".to_owned()]).unwrap();
        assert_eq!(
            second, "\x1b[?2026h\x1b[?25l\r\x1b[2Athree\x1b[K\n\x1b[J\x1b[?2026l",
            "two lines up, and the line that is no longer there is erased"
        );
        assert_eq!(live.clear(), "\r\x1b[1A\x1b[J\x1b[?25h");
    }
}
