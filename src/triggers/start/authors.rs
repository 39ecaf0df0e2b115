//! Who has made a change: whom its commits name, and who has brought it here.

use crate::forge::{self, Sender};
use crate::pipeline::context::{Author, AuthorPart};
use crate::runs::people::find_author;
use crate::source::{Mirror, SourceError};
use crate::store::StoreError;
use crate::store::access::projects::ProjectRow;
use crate::triggers::Triggers;

use super::Happening;

/// Everybody who has made what a happening brings. Blocks on the disk.
pub(super) fn of(
    mirror: &Mirror,
    (happening, default_branch): (&Happening, &str),
) -> Result<Vec<Author>, SourceError> {
    let trunk = format!("refs/heads/{default_branch}");
    let other = (happening.r#ref != trunk).then_some(trunk);
    let bases: Vec<_> = happening.base.iter().cloned().chain(other).collect();
    let hands = mirror.hands(&happening.commit, &bases)?;
    let named = hands.into_iter().map(|it| Author {
        part: if it.is_committer { AuthorPart::Committer } else { AuthorPart::Author },
        name: it.name,
        email: it.email,
        login: String::new(),
    });
    Ok(happening.hands.iter().cloned().chain(named).collect())
}

impl Triggers {
    /// Somebody at a forge who has brought something, with the person here whose account it is.
    pub(in crate::triggers) async fn brought(
        &self,
        project: &ProjectRow,
        sender: &Sender,
        part: AuthorPart,
    ) -> Result<Vec<Author>, StoreError> {
        if sender.id.is_empty() && sender.login.is_empty() {
            return Ok(Vec::new());
        }
        let provider = forge::identity_provider(project.forge, &project.forge_url);
        let linked = self.store().find_person_by_identity(&provider, &sender.id).await?;
        let login = linked.map(|it| it.login).unwrap_or_default();
        let name = if sender.login.is_empty() { &sender.id } else { &sender.login };
        Ok(vec![Author { part, name: name.clone(), email: String::new(), login }])
    }

    /// Writes down who of them is who here, so that nobody becomes another by a new address.
    pub(super) async fn recognise(&self, authors: &mut [Author]) -> Result<(), StoreError> {
        if authors.iter().all(|it| !it.login.is_empty()) {
            return Ok(());
        }
        let people = self.store().list_people().await?;
        for author in authors.iter_mut().filter(|it| it.login.is_empty()) {
            if let Some(person) = find_author(author, &people) {
                author.login.clone_from(&person.login);
            }
        }
        Ok(())
    }
}
