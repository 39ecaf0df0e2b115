//! `include`: loads files of stages, puts their inputs in, and merges everything into one list.

use std::sync::Arc;

use super::{IncludeRef, Names, substitute};
use crate::model::Digest;
use crate::pipeline::diagnostic::{Place, SourceFile};
use crate::pipeline::file::stage::{self, Stage};
use crate::pipeline::file::top::{self, Body, Include};
use crate::pipeline::file::{DefaultsChain, input};
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::{self, Entry};

/// Included files, all levels together.
const MOST_INCLUDES: usize = 64;

/// Files that include each other.
const MOST_DEPTH: usize = 8;

/// All stages of all files.
pub(super) struct Merged {
    pub(super) stages: Vec<Stage>,
    pub(super) names: Names,
}

type Load<'a> = dyn Fn(&IncludeRef) -> Result<String, String> + 'a;

struct Merge<'a> {
    load: &'a Load<'a>,
    reading: &'a Reading,
    merged: Merged,
    count: usize,
    /// The files that lead to the one that is being read.
    path: Vec<IncludeRef>,
    /// Where the file that is being read was included.
    at: Option<Place>,
}

/// Merges the stages of a pipeline file with those it includes, which come first.
pub(super) fn merge(body: &Body<'_>, load: &Load<'_>, reading: &Reading) -> Merged {
    let merged = Merged { stages: Vec::new(), names: Names::new() };
    let mut merge = Merge { load, reading, merged, count: 0, path: Vec::new(), at: None };
    merge.add(body, &Vec::new());
    merge.merged
}

impl Merge<'_> {
    fn add(&mut self, body: &Body<'_>, outer: &DefaultsChain) {
        let mut chain = outer.clone();
        if let Some(defaults) = &body.defaults {
            chain.insert(0, Arc::new(defaults.clone()));
        }
        for include in &body.includes {
            self.include(include, &chain);
        }
        for entry in body.stages {
            if let Some(first) = self.merged.names.get(&entry.key) {
                self.refuse_twice(entry, *first);
                continue;
            }
            self.merged.names.insert(entry.key.clone(), entry.key_place);
            self.merged.stages.extend(stage::read(entry, &chain, self.reading));
        }
    }

    fn refuse_twice(&self, entry: &Entry, first: Place) {
        let (code, place) = ("pipeline/duplicate-name", entry.key_place);
        let is_same = (first.line, first.column) == (place.line, place.column)
            && self.reading.source_name(first.source) == self.reading.source_name(place.source);
        if let (true, Some(at)) = (is_same, self.at) {
            let name = self.reading.source_name(place.source);
            let message =
                format!("`{name}` is included twice, and each brings a stage `{}`", entry.key);
            let help = "remove one of the two, or let an input be part of the stage's name";
            self.reading.error(code, at, message, help);
            return;
        }
        let message =
            format!("there is already a stage `{}`, at {}", entry.key, self.reading.show(first));
        self.reading.error(code, place, message, "rename one of the two");
    }

    fn include(&mut self, include: &Include<'_>, chain: &DefaultsChain) {
        let Some(wanted) = self.admit(include) else { return };
        let text = match (self.load)(&wanted) {
            Ok(text) => text,
            Err(reason) => {
                let message = format!("`{}` cannot be included: {reason}", show(&wanted));
                let help = "check the path, the repository and the ref";
                self.reading.error("pipeline/include", include.place, message, help);
                return;
            }
        };
        if !self.has_digest(include, &text) {
            return;
        }
        self.warn_about_moving(include, &text);
        let source =
            self.reading.add_source(SourceFile { name: show(&wanted), text: text.clone() });
        let Some(tree) = yaml::parse(&text, source, self.reading) else { return };
        let declared = top::read_template_inputs(&tree, self.reading);
        let values = input::read_with(&declared, include.with, include.place, self.reading);
        let Some(tree) = substitute::substitute(tree, &values, self.reading) else { return };
        if let Some(body) = top::read_template(&tree, self.reading) {
            self.path.push(wanted);
            let outer = self.at.replace(include.place);
            self.add(&body, chain);
            self.at = outer;
            self.path.pop();
        }
    }

    /// The file to load, unless a limit or a circle forbids it.
    fn admit(&mut self, include: &Include<'_>) -> Option<IncludeRef> {
        let outer = self.path.last();
        let is_local = include.from.is_none();
        let wanted = IncludeRef {
            from: include.from.clone().or_else(|| outer.and_then(|it| it.from.clone())),
            r#ref: if is_local {
                outer.and_then(|it| it.r#ref.clone())
            } else {
                include.r#ref.as_ref().map(|(name, _)| name.clone())
            },
            file: include.file.clone(),
            sha256: include.sha256.as_ref().map(|(digits, _)| digits.clone()),
        };
        self.count += 1;
        let is_same = |it: &IncludeRef| {
            (&it.from, &it.r#ref, &it.file) == (&wanted.from, &wanted.r#ref, &wanted.file)
        };
        let problem = if self.path.iter().any(is_same) {
            Some((
                format!("`{}` includes itself", show(&wanted)),
                "remove one `include` of the circle",
            ))
        } else if self.path.len() >= MOST_DEPTH {
            Some((
                format!("files include each other more than {MOST_DEPTH} levels deep"),
                "include less deeply",
            ))
        } else if self.count > MOST_INCLUDES {
            Some((format!("more than {MOST_INCLUDES} files are included"), "join some of them"))
        } else {
            None
        };
        let Some((message, help)) = problem else { return Some(wanted) };
        self.reading.error("pipeline/include", include.place, message, help);
        None
    }

    fn has_digest(&self, include: &Include<'_>, text: &str) -> bool {
        let Some((wanted, place)) = &include.sha256 else { return true };
        let digest = Digest::of(text.as_bytes());
        if digest.hex() == wanted {
            return true;
        }
        let message = format!(
            "`{}` has the digest `{}`, and `sha256` says `{wanted}`",
            include.file,
            digest.hex()
        );
        let help = "look at what has changed in it, and write its digest when it is right";
        self.reading.error("pipeline/sha256", *place, message, help);
        false
    }
}

impl Merge<'_> {
    /// A branch moves, and a tag can be moved; only a commit or a digest stays.
    fn warn_about_moving(&self, include: &Include<'_>, text: &str) {
        let (Some(from), Some((r#ref, place))) = (&include.from, &include.r#ref) else { return };
        if include.sha256.is_some() || is_commit(r#ref) {
            return;
        }
        let message =
            format!("`{ref}` of `{from}` can move: another run may include something else");
        let digest = Digest::of(text.as_bytes());
        let help = format!("pin what it is now: `sha256: {}`", digest.hex());
        self.reading.warn("pipeline/moving-ref", *place, message, help);
    }
}

fn is_commit(r#ref: &str) -> bool {
    matches!(r#ref.len(), 40 | 64) && r#ref.bytes().all(|b| b.is_ascii_hexdigit())
}

fn show(wanted: &IncludeRef) -> String {
    match (&wanted.from, &wanted.r#ref) {
        (Some(from), Some(r#ref)) => format!("{from}@{ref}:{}", wanted.file),
        (Some(from), None) => format!("{from}:{}", wanted.file),
        (None, _) => wanted.file.clone(),
    }
}
