//! Where a page of settings is: the way to it, its title, and the pages beside it as tabs.

use crate::store::access::projects::ProjectRow;
use crate::ui::shell::{Section, Shell, Visit};

/// What `_place.html` shows above a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// The heading.
    pub(super) title: String,
    /// The way to it: addresses and words.
    pub(super) crumbs: Vec<(String, String)>,
    /// The project whose settings it shows, whose own tabs stay.
    pub(super) project: Option<ProjectRow>,
    /// The pages beside it.
    pub(super) tabs: Vec<Tab>,
    /// Address of what is set.
    pub(super) path: String,
    /// Whether who looks may change anything.
    pub(super) may_change: bool,
    /// What is wrong with what was typed.
    pub(super) problem: Option<String>,
}

/// A page beside others.
#[derive(Debug, Clone)]
pub(super) struct Tab {
    /// Its address.
    pub(super) path: String,
    /// Its name.
    pub(super) word: &'static str,
    /// Whether it is the one that is shown.
    pub(super) is_here: bool,
}

impl Place {
    /// What surrounds the page. Who chooses another look comes back to the tab, and not to what a form was
    /// sent to.
    pub(super) fn shell(&self, visit: &Visit, section: Section) -> Shell {
        let here = self.tabs.iter().find(|it| it.is_here);
        let tab = here.map_or_else(String::new, |it| format!("{} · ", it.word));
        let of = self.project.as_ref().map_or_else(String::new, |it| format!(" of {}", it.slug()));
        let mut shell = visit.shell(section, format!("{tab}{}{of}", self.title));
        if let Some(here) = here {
            here.path.clone_into(&mut shell.here);
        }
        shell
    }
}

/// Tabs below an address: the ends of their addresses, and their names.
pub(super) fn tabs(base: &str, all: &[(&str, &'static str)], here: &str) -> Vec<Tab> {
    let tab = |(end, word): &(&str, &'static str)| Tab {
        path: format!("{base}{end}"),
        word,
        is_here: *end == here,
    };
    all.iter().map(tab).collect()
}
