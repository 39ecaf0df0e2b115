//! Who counts as an author of a change, for those who look at an approval. Pure.

use std::collections::BTreeMap;

use crate::engine::Run;
use crate::pipeline::context::{Author, AuthorPart};
use crate::runs::people::find_author;
use crate::store::access::people::PersonRow;

/// Somebody who has made the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeAuthor {
    /// Login here; `None` when the commit or the forge names nobody who is known here.
    pub login: Option<String>,
    /// As the commit or the forge names them.
    pub name: String,
    /// Address in the commit, or empty.
    pub email: String,
    /// What they did.
    pub parts: Vec<AuthorPart>,
}

impl ChangeAuthor {
    /// Name and address, as git writes them.
    #[must_use]
    pub fn shown(&self) -> String {
        match (self.name.is_empty(), self.email.is_empty()) {
            (_, true) => self.name.clone(),
            (true, false) => format!("<{}>", self.email),
            (false, false) => format!("{} <{}>", self.name, self.email),
        }
    }

    /// Whether they are nobody known here, and that matters: a forge commits for people who merge there.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.login.is_none() && self.parts.iter().any(|it| *it != AuthorPart::Committer)
    }
}

/// Everybody who counts, each once: those who are known here first.
pub(super) fn of(run: &Run, people: &[PersonRow]) -> Vec<ChangeAuthor> {
    let mut all: BTreeMap<(bool, String), ChangeAuthor> = BTreeMap::new();
    for author in told(run) {
        let known = login(&author, people);
        let who = match &known {
            Some(login) => (false, login.clone()),
            None => (true, format!("{}\0{}", author.name, author.email).to_lowercase()),
        };
        let Author { part, name, email, .. } = author;
        let new = ChangeAuthor { login: known, name, email, parts: Vec::new() };
        let entry = all.entry(who).or_insert(new);
        if !entry.parts.contains(&part) {
            entry.parts.push(part);
        }
    }
    all.into_values().collect()
}

/// What the run says; one of an earlier version says no more than two names.
fn told(run: &Run) -> Vec<Author> {
    let context = run.context();
    if !context.authors.is_empty() {
        return context.authors.clone();
    }
    let request = context.pull_request.as_ref().map(|it| (AuthorPart::Requester, &it.author));
    let named = request.into_iter().chain([(AuthorPart::Author, &context.git.author)]);
    let named = named.filter(|(_, name)| !name.is_empty());
    named.map(|(part, name)| Author { part, name: name.clone(), ..Author::default() }).collect()
}

fn login(author: &Author, people: &[PersonRow]) -> Option<String> {
    if !author.login.is_empty() {
        return Some(author.login.clone());
    }
    find_author(author, people).map(|it| it.login.clone())
}
