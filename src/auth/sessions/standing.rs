//! Whether those who have proved once who they are still are, many at once: for what goes on for a long time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::auth::{Auth, AuthError, Caller, Proof};
use crate::model::{PersonId, Role, TeamId};

/// How a caller stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As when they came.
    Same,
    /// They may do other things than then.
    Changed,
    /// Their session or token is over, or they are shut out.
    Gone,
}

impl Auth {
    /// How these callers stand, in the same order.
    pub async fn standings(&self, callers: &[Caller]) -> Result<Vec<Standing>, AuthError> {
        let ids: BTreeSet<_> = callers.iter().map(|it| id(&it.proof).to_owned()).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let good = self.store.list_good_proofs(&ids, self.clock.now()).await?;
        let people: BTreeSet<_> = good.iter().map(|it| it.person.clone()).collect();
        let people: Vec<_> = people.into_iter().collect();
        let mut roles: HashMap<PersonId, BTreeMap<TeamId, Role>> = HashMap::new();
        for it in self.store.list_memberships_of(&people).await? {
            roles.entry(it.person).or_default().insert(it.team, it.role);
        }
        let none = BTreeMap::new();
        let good: HashMap<_, _> =
            good.iter().map(|it| ((it.id.as_str(), &it.person), it)).collect();
        let standing = |caller: &Caller| {
            let Some(proof) = good.get(&(id(&caller.proof), &caller.person)) else {
                return Standing::Gone;
            };
            let roles = roles.get(&caller.person).unwrap_or(&none);
            let is_same = proof.is_owner == caller.is_owner && *roles == caller.roles;
            if is_same { Standing::Same } else { Standing::Changed }
        };
        Ok(callers.iter().map(standing).collect())
    }
}

fn id(proof: &Proof) -> &str {
    match proof {
        Proof::Session(id) | Proof::Token(id, _) => id,
    }
}
