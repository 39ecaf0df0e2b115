//! One row of a terminal: what stands in each column, and where the next letter goes.

use super::style::{self, Style};
use crate::ui::shell::markup::escape_html;

/// Columns at most; what would go behind them is left out.
const COLUMNS_MAX: usize = 32 * 1024;

#[derive(Debug, Clone, Copy)]
struct Cell {
    letter: char,
    style: Style,
    /// Place of its address among the links, from 1; 0 for none.
    link: u32,
}

const BLANK: Cell = Cell { letter: ' ', style: Style::PLAIN, link: 0 };

#[derive(Debug, Default)]
pub(super) struct Cells<'a> {
    row: Vec<Cell>,
    column: usize,
    links: Vec<&'a str>,
    link: u32,
}

impl<'a> Cells<'a> {
    pub(super) fn write(&mut self, text: &str, style: Style) {
        for letter in text.chars() {
            if self.column >= COLUMNS_MAX {
                return;
            }
            if self.row.len() <= self.column {
                self.row.resize(self.column + 1, BLANK);
            }
            if let Some(cell) = self.row.get_mut(self.column) {
                *cell = Cell { letter, style, link: self.link };
            }
            self.column += 1;
        }
    }

    pub(super) fn go_to(&mut self, column: usize) {
        self.column = column.min(COLUMNS_MAX);
    }

    pub(super) fn go_by(&mut self, columns: isize) {
        self.go_to(self.column.saturating_add_signed(columns));
    }

    /// Erases from here on (0), up to here (1) or all (2).
    pub(super) fn erase(&mut self, what: u16) {
        match what {
            0 => self.row.truncate(self.column),
            1 => self.row.iter_mut().take(self.column + 1).for_each(|it| *it = BLANK),
            2 => self.row.clear(),
            _ => {}
        }
    }

    /// What is written from now on leads there; nowhere when it is empty.
    pub(super) fn link_to(&mut self, address: &'a str) {
        if address.is_empty() {
            self.link = 0;
            return;
        }
        self.links.push(address);
        self.link = u32::try_from(self.links.len()).unwrap_or(0);
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        self.row.iter().map(|it| it.letter).collect()
    }

    pub(super) fn print(&self, html: &mut String) {
        let mut text = String::new();
        for linked in self.row.chunk_by(|one, other| one.link == other.link) {
            let address = linked.first().and_then(|it| self.address(it.link));
            if let Some(address) = address {
                html.push_str("<a href=\"");
                escape_html(html, address);
                html.push_str("\" rel=\"noopener noreferrer nofollow\" target=\"_blank\">");
            }
            for same in linked.chunk_by(|one, other| one.style == other.style) {
                let style = same.first().map_or(Style::PLAIN, |it| it.style);
                text.clear();
                text.extend(same.iter().map(|it| it.letter));
                style::open(html, style);
                escape_html(html, &text);
                style::close(html, style);
            }
            if address.is_some() {
                html.push_str("</a>");
            }
        }
    }

    fn address(&self, link: u32) -> Option<&'a str> {
        let index = usize::try_from(link).ok()?.checked_sub(1)?;
        self.links.get(index).copied()
    }
}
