//! Who may read a secret: what started the run, on which branch, in which images. Pure.

use globset::GlobBuilder;

/// Rules and names of a secret at most.
const GLOBS_MAX: usize = 50;
const GLOB_BYTES_MAX: usize = 256;
/// Why a fork is refused, whatever the rules say.
pub(super) const FORK_REASON: &str = "code from a fork gets no secrets";

/// What limits the use of a secret. An empty list limits nothing. Pull requests from forks get nothing,
/// whatever stands here.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// What may have started the run: `push`, `pull_request`, `schedule`, `manual`.
    pub events: Vec<String>,
    /// Globs of branches; a tag is `refs/tags/<tag>`.
    pub branches: Vec<String>,
    /// Globs of images, as they stand in the pipeline; every image of the stage must match.
    pub images: Vec<String>,
}

/// A stage that wants secrets, and where its code comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reader {
    /// What started the run.
    pub event: String,
    /// The branch, or else the full ref.
    pub branch: String,
    /// Whether the code comes, or may come, from a fork.
    pub is_fork: bool,
    /// The images that would see the secret.
    pub images: Vec<String>,
}

impl Rules {
    /// Why a rule cannot be.
    pub fn check(&self) -> Result<(), String> {
        if self.events.len() + self.branches.len() + self.images.len() > GLOBS_MAX {
            return Err(format!("a secret has at most {GLOBS_MAX} rules"));
        }
        for glob in self.branches.iter().chain(&self.images) {
            if glob.len() > GLOB_BYTES_MAX || matcher(glob).is_none() {
                return Err(format!("`{glob}` is no glob"));
            }
        }
        let events = ["push", "pull_request", "tag", "schedule", "manual"];
        match self.events.iter().find(|it| !events.contains(&it.as_str())) {
            Some(event) => {
                Err(format!("`{event}` is no event; known are `{}`", events.join("`, `")))
            }
            None => Ok(()),
        }
    }

    /// Why this reader gets nothing; `Ok` when they may read.
    pub fn judge(&self, reader: &Reader) -> Result<(), String> {
        if reader.is_fork {
            return Err(FORK_REASON.to_owned());
        }
        if !self.events.is_empty() && !self.events.contains(&reader.event) {
            return Err(format!("its rules do not allow the event `{}`", reader.event));
        }
        if !is_match(&self.branches, &reader.branch) {
            return Err(format!("its rules do not allow the branch `{}`", reader.branch));
        }
        if reader.images.is_empty() && !self.images.is_empty() {
            return Err("its rules allow it in some images only, and the stage has none".to_owned());
        }
        match reader.images.iter().find(|it| !is_match(&self.images, it)) {
            Some(image) => Err(format!("its rules do not allow the image `{image}`")),
            None => Ok(()),
        }
    }
}

fn is_match(globs: &[String], text: &str) -> bool {
    globs.is_empty() || globs.iter().filter_map(|it| matcher(it)).any(|it| it.is_match(text))
}

/// `*` stays within one part of a path, `**` does not.
fn matcher(glob: &str) -> Option<globset::GlobMatcher> {
    let glob = GlobBuilder::new(glob).literal_separator(true).build().ok()?;
    Some(glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(events: &[&str], branches: &[&str], images: &[&str]) -> Rules {
        let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        Rules { events: owned(events), branches: owned(branches), images: owned(images) }
    }

    fn reader() -> Reader {
        let images = vec!["ghcr.io/acme/deploy:2".to_owned()];
        Reader { event: "push".to_owned(), branch: "main".to_owned(), is_fork: false, images }
    }

    #[test]
    fn a_rule_allows_what_it_names_and_nothing_else() {
        for (rules, is_allowed) in [
            (rules(&[], &[], &[]), true),
            (rules(&["push"], &["main"], &["ghcr.io/acme/*"]), true),
            (rules(&["schedule"], &[], &[]), false),
            (rules(&[], &["release/*"], &[]), false),
            (rules(&[], &["mai?", "x"], &[]), true),
            (rules(&[], &[], &["ghcr.io/*"]), false),
            (rules(&[], &[], &["ghcr.io/**"]), true),
            (rules(&[], &[], &["deploy:2"]), false),
        ] {
            assert_eq!(rules.judge(&reader()).is_ok(), is_allowed, "{rules:?}");
        }
    }

    #[test]
    fn every_image_of_the_stage_must_be_allowed() {
        let rules = rules(&[], &[], &["ghcr.io/acme/*"]);
        let mut reader = reader();
        reader.images.push("evil".to_owned());
        let refused = rules.judge(&reader).unwrap_err();
        assert_eq!(refused, "its rules do not allow the image `evil`");
        reader.images.clear();
        assert!(rules.judge(&reader).is_err());
    }

    #[test]
    fn a_fork_gets_nothing_whatever_the_rules_say() {
        let fork = Reader { is_fork: true, ..reader() };
        let all = rules(&["push", "pull_request"], &["**"], &["**"]);
        for rules in [Rules::default(), all] {
            assert_eq!(rules.judge(&fork).unwrap_err(), "code from a fork gets no secrets");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_is_named() {
        assert_eq!(rules(&[], &["a{b"], &[]).check().unwrap_err(), "`a{b` is no glob");
        let error = rules(&["pushed"], &[], &[]).check().unwrap_err();
        assert!(error.starts_with("`pushed` is no event"), "{error}");
    }
}
