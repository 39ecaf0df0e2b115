//! Who a provider's claims are here. An address or a login is never enough to become somebody who is there already.

use serde_json::{Map, Value};

use super::OidcError;
use crate::auth::people::NewPerson;
use crate::auth::{Auth, AuthError, PersonError, tokens};
use crate::config::{GroupGrant, ProviderSettings};
use crate::model::Role;
use crate::store::StoreError;
use crate::store::access::people::PersonRow;

const LOGIN_CHARS_MAX: usize = 50;
/// How many logins of the same name there may be before they get a random ending.
const SAME_NAME_MAX: u32 = 9;

impl Auth {
    /// The person of these claims, made when they come for the first time; with the roles of their groups.
    pub(super) async fn person_of_claims(
        &self,
        settings: &ProviderSettings,
        claims: &Map<String, Value>,
    ) -> Result<PersonRow, AuthError> {
        check_domain(settings, claims)?;
        let provider = format!("oidc:{}", settings.issuer);
        let subject = text(claims, "sub");
        let person = match self.store.find_person_by_identity(&provider, subject).await? {
            Some(person) if person.disabled_at.is_some() => return Err(AuthError::Unproven),
            Some(person) => person,
            None => {
                let person = self.create_person_of_claims(claims).await?;
                self.store.save_identity(&person.id, &provider, subject).await?;
                person
            }
        };
        self.grant_roles(settings, claims, &person).await?;
        Ok(person)
    }

    async fn create_person_of_claims(
        &self,
        claims: &Map<String, Value>,
    ) -> Result<PersonRow, AuthError> {
        if self.store.list_people().await?.is_empty() {
            let refused = "this server is not set up yet; its owner comes first";
            return Err(OidcError::NotAllowed(refused).into());
        }
        let wanted = login_of(claims);
        let numbered = (2..=SAME_NAME_MAX).map(|number| format!("{wanted}-{number}"));
        let random = tokens::hash(&tokens::random_text()).get(..8).unwrap_or_default().to_owned();
        let logins = std::iter::once(wanted.clone()).chain(numbered);
        for login in logins.chain(std::iter::once(format!("{wanted}-{random}"))) {
            let new = NewPerson {
                login,
                name: text(claims, "name").to_owned(),
                email: text(claims, "email").to_owned(),
                ..NewPerson::default()
            };
            match self.create_person(new).await {
                Ok(person) => return Ok(person),
                Err(PersonError::Store(StoreError::Taken { .. })) => (),
                Err(PersonError::Store(error)) => return Err(error.into()),
                Err(_) => break,
            }
        }
        Err(OidcError::NotAllowed("no login could be made of what the provider says").into())
    }

    /// In teams that the settings name, the groups decide; in others, nothing changes.
    async fn grant_roles(
        &self,
        settings: &ProviderSettings,
        claims: &Map<String, Value>,
        person: &PersonRow,
    ) -> Result<(), AuthError> {
        let groups = groups_of(claims, &settings.groups_claim);
        let mut names: Vec<&str> = settings.grants.iter().map(|it| it.team.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let Some(team) = self.store.find_team(name).await? else {
                tracing::warn!(
                    team = name,
                    "`TRUNKLINE_OIDC_GROUPS` names a team that is not there"
                );
                continue;
            };
            match role_in(name, &settings.grants, &groups) {
                Some(role) => {
                    self.store.save_member(&team.id, &person.id, role, self.clock.now()).await?;
                }
                None => self.store.delete_member(&team.id, &person.id).await?,
            }
        }
        Ok(())
    }
}

fn check_domain(settings: &ProviderSettings, claims: &Map<String, Value>) -> Result<(), OidcError> {
    let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
    let domain = text(claims, "email").rsplit_once('@').map(|(_, it)| it.to_lowercase());
    let is_named = domain.is_some_and(|it| settings.domains.contains(&it));
    if settings.domains.is_empty() || (is_verified && is_named) {
        Ok(())
    } else {
        Err(OidcError::NotAllowed("your address is not of a domain that may sign in here"))
    }
}

fn role_in(team: &str, grants: &[GroupGrant], groups: &[&str]) -> Option<Role> {
    let mine = grants.iter().filter(|it| it.team == team && groups.contains(&it.group.as_str()));
    mine.map(|it| it.role).max()
}

fn groups_of<'a>(claims: &'a Map<String, Value>, claim: &str) -> Vec<&'a str> {
    match claims.get(claim) {
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(group)) => vec![group],
        _ => Vec::new(),
    }
}

/// The provider's login, or what stands before `@`, in our letters.
fn login_of(claims: &Map<String, Value>) -> String {
    let names = [text(claims, "preferred_username"), text(claims, "email"), text(claims, "sub")];
    let name = names.into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    let name = name.split('@').next().unwrap_or_default().to_lowercase();
    let letter = |it: char| if it.is_ascii_alphanumeric() || it == '_' { it } else { '-' };
    let login: String = name.chars().map(letter).take(LOGIN_CHARS_MAX).collect();
    if login.is_empty() { "somebody".to_owned() } else { login }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> &'a str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}
