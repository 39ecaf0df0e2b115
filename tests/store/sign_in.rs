//! Sessions, wrong tries, set-up and keys.

use trunkline::model::{PersonId, Role, TeamId, Timestamp};
use trunkline::store::access::candidates::Candidates;
use trunkline::store::access::keys::KeyRow;
use trunkline::store::access::people::{PasswordChange, PersonRow};
use trunkline::store::access::sessions::{Rotation, SessionRow};
use trunkline::store::access::sign_in::{Failures, SignInState};
use trunkline::store::access::teams::TeamRow;
use trunkline::store::access::tokens::TokenRow;
use trunkline::store::{Store, StoreError};

use crate::databases::{Database, on_each_database};

on_each_database!(
    a_session_is_rotated_by_its_newest_token_only,
    sessions_are_revoked_alone_and_together,
    good_proofs_are_those_of_who_may_sign_in,
    a_wrong_try_is_counted_on_what_was_seen,
    a_sign_in_under_way_is_claimed_once,
    only_one_of_many_sets_up,
    keys_are_listed_while_they_serve,
    a_password_is_changed_from_what_it_was_and_ends_other_sessions,
    a_team_gets_another_title,
    the_last_owner_who_may_sign_in_stays_one,
    the_last_admin_of_a_team_stays_one,
    candidates_are_whom_an_approval_concerns,
);

fn person(id: &str) -> PersonRow {
    PersonRow {
        id: PersonId(id.to_owned()),
        login: id.to_owned(),
        name: String::new(),
        email: String::new(),
        password_hash: String::new(),
        is_owner: true,
        created_at: Timestamp(1),
        disabled_at: None,
    }
}

fn session(id: &str, person: &str) -> SessionRow {
    SessionRow {
        id: id.to_owned(),
        person: PersonId(person.to_owned()),
        refresh_hash: "first".to_owned(),
        used_hash: String::new(),
        address: "192.0.2.1".to_owned(),
        agent: "Mozilla/5.0 (☂)".to_owned(),
        created_at: Timestamp(10),
        refreshed_at: Timestamp(10),
        expires_at: Timestamp(100),
        revoked_at: None,
    }
}

async fn insert_sessions(store: &Store) {
    store.insert_person(&person("ada")).await.unwrap();
    store.insert_person(&person("eve")).await.unwrap();
    for (id, person) in [("s1", "ada"), ("s2", "ada"), ("s3", "eve")] {
        store.insert_session(&session(id, person)).await.unwrap();
    }
}

async fn a_session_is_rotated_by_its_newest_token_only(store: Store, _: &Database) {
    insert_sessions(&store).await;
    assert_eq!(store.find_session("s1").await.unwrap(), Some(session("s1", "ada")));
    let rotate = async |shown: &str, next: &str, now: i64| {
        let rotation = Rotation {
            session: "s1".to_owned(),
            shown_hash: shown.to_owned(),
            next_hash: next.to_owned(),
            now: Timestamp(now),
            expires_at: Timestamp(200),
        };
        store.rotate_session(&rotation).await.unwrap()
    };
    assert!(rotate("first", "second", 50).await);
    assert!(!rotate("first", "third", 50).await);
    let row = store.find_session("s1").await.unwrap().unwrap();
    assert_eq!((&*row.refresh_hash, &*row.used_hash), ("second", "first"));
    assert_eq!((row.refreshed_at, row.expires_at), (Timestamp(50), Timestamp(200)));
    assert!(!rotate("second", "third", 200).await, "it has ended");
    assert_eq!(store.find_session("s2").await.unwrap().unwrap().refresh_hash, "first");
}

async fn sessions_are_revoked_alone_and_together(store: Store, _: &Database) {
    insert_sessions(&store).await;
    let (ada, eve) = (PersonId("ada".to_owned()), PersonId("eve".to_owned()));
    let ids = async |person: &PersonId, now: i64| {
        let rows = store.list_sessions(person, Timestamp(now)).await.unwrap();
        rows.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&ada, 99).await, ["s2", "s1"]);
    assert!(ids(&ada, 100).await.is_empty());
    assert!(!store.revoke_session(&eve, "s1", Timestamp(20)).await.unwrap());
    assert!(store.revoke_session(&ada, "s1", Timestamp(20)).await.unwrap());
    assert!(!store.revoke_session(&ada, "s1", Timestamp(21)).await.unwrap());
    store.insert_session(&session("s4", "ada")).await.unwrap();
    store.revoke_sessions(&ada, Timestamp(30)).await.unwrap();
    assert!(ids(&ada, 40).await.is_empty());
    assert_eq!(ids(&eve, 40).await, ["s3"]);
    let revoked_at = store.find_session("s1").await.unwrap().unwrap().revoked_at;
    assert_eq!(revoked_at, Some(Timestamp(20)), "the first time counts");
    assert_eq!(store.delete_sessions_before(Timestamp(100)).await.unwrap(), 0);
    assert_eq!(store.delete_sessions_before(Timestamp(101)).await.unwrap(), 4);
}

async fn good_proofs_are_those_of_who_may_sign_in(store: Store, _: &Database) {
    insert_sessions(&store).await;
    let (ada, eve) = (PersonId("ada".to_owned()), PersonId("eve".to_owned()));
    let token = TokenRow {
        id: "t1".to_owned(),
        person: eve.clone(),
        name: "script".to_owned(),
        hash: "of the token".to_owned(),
        scopes: vec!["viewer".to_owned()],
        created_at: Timestamp(1),
        expires_at: Timestamp(60),
        used_at: None,
        revoked_at: None,
    };
    store.insert_token(&token).await.unwrap();
    let ids: Vec<_> = ["s1", "s2", "s3", "t1", "s9"].map(str::to_owned).to_vec();
    let good = async |now: i64| {
        let rows = store.list_good_proofs(&ids, Timestamp(now)).await.unwrap();
        let mut told: Vec<_> = rows.into_iter().map(|it| (it.id, it.person.0)).collect();
        told.sort();
        told.into_iter().map(|(id, person)| format!("{id} {person}")).collect::<Vec<_>>()
    };
    assert_eq!(good(50).await, ["s1 ada", "s2 ada", "s3 eve", "t1 eve"]);
    assert_eq!(good(60).await, ["s1 ada", "s2 ada", "s3 eve"], "the token has ended");
    store.revoke_session(&ada, "s1", Timestamp(20)).await.unwrap();
    store
        .save_person(&PersonRow { disabled_at: Some(Timestamp(20)), ..person("eve") })
        .await
        .unwrap();
    assert_eq!(good(50).await, ["s2 ada"]);
    assert!(store.list_good_proofs(&[], Timestamp(50)).await.unwrap().is_empty());

    let team = TeamId("shop".to_owned());
    let row = TeamRow {
        id: team.clone(),
        name: "shop".to_owned(),
        title: "Shop".to_owned(),
        weight: 1,
        created_at: Timestamp(1),
    };
    store.insert_team(&row).await.unwrap();
    store.save_member(&team, &eve, Role::Developer, Timestamp(1)).await.unwrap();
    let members = store.list_memberships_of(&[ada, eve.clone()]).await.unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!((&members[0].person, members[0].role), (&eve, Role::Developer));
    assert!(store.list_memberships_of(&[]).await.unwrap().is_empty());
}

async fn a_password_is_changed_from_what_it_was_and_ends_other_sessions(
    store: Store,
    _: &Database,
) {
    insert_sessions(&store).await;
    let (ada, eve) = (PersonId("ada".to_owned()), PersonId("eve".to_owned()));
    let change = async |person: &PersonId, from: &str, to: &str, kept: &str| {
        let text = str::to_owned;
        let change = PasswordChange { from: text(from), to: text(to), kept_session: text(kept) };
        store.change_password(person, &change, Timestamp(30)).await.unwrap()
    };
    let open = async |person: &PersonId| {
        let rows = store.list_sessions(person, Timestamp(40)).await.unwrap();
        rows.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert!(!change(&ada, "wrong", "new", "s1").await);
    assert_eq!(open(&ada).await, ["s2", "s1"]);
    assert!(change(&ada, "", "new", "s1").await);
    assert_eq!(open(&ada).await, ["s1"]);
    assert_eq!(open(&eve).await, ["s3"]);
    assert_eq!(store.find_person("ada").await.unwrap().unwrap().password_hash, "new");
    assert!(change(&ada, "new", "newer", "").await);
    assert!(open(&ada).await.is_empty());
    store
        .save_person(&PersonRow { disabled_at: Some(Timestamp(1)), ..person("eve") })
        .await
        .unwrap();
    assert!(!change(&eve, "", "new", "s3").await, "who is shut out changes nothing");
}

async fn a_team_gets_another_title(store: Store, _: &Database) {
    let team = |name: &str| TeamRow {
        id: TeamId(format!("id-{name}")),
        name: name.to_owned(),
        title: name.to_owned(),
        weight: 1,
        created_at: Timestamp(1),
    };
    store.insert_team(&team("shop")).await.unwrap();
    store.insert_team(&team("bank")).await.unwrap();
    assert!(store.save_team_title(&team("shop").id, "The shop").await.unwrap());
    assert!(!store.save_team_title(&TeamId("none".to_owned()), "x").await.unwrap());
    assert_eq!(store.find_team("shop").await.unwrap().unwrap().title, "The shop");
    assert_eq!(store.find_team("bank").await.unwrap(), Some(team("bank")));
}

async fn the_last_owner_who_may_sign_in_stays_one(store: Store, _: &Database) {
    for login in ["ada", "ben", "eve"] {
        store.insert_person(&person(login)).await.unwrap();
    }
    let ended = |login| PersonRow { is_owner: false, ..person(login) };
    let shut_out = |login| PersonRow { disabled_at: Some(Timestamp(5)), ..person(login) };
    store.save_person(&shut_out("eve")).await.unwrap();
    // Of two who end each other in one moment, one stays.
    let (ada, ben) = (ended("ada"), shut_out("ben"));
    let (one, other) = tokio::join!(store.save_person(&ada), store.save_person(&ben));
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1, "{one:?} {other:?}");
    let refused = one.err().or(other.err()).unwrap();
    assert!(
        refused.to_string().ends_with("is the last owner of this installation who may sign in")
    );
    let able = |it: &PersonRow| it.is_owner && it.disabled_at.is_none();
    let left: Vec<_> = store.list_people().await.unwrap().into_iter().filter(able).collect();
    let [left] = left.as_slice() else { panic!("{left:?}") };
    for change in [ended(&left.login), shut_out(&left.login)] {
        assert!(matches!(store.save_person(&change).await, Err(StoreError::Last { .. })));
    }
    let renamed = PersonRow { name: "Still here".to_owned(), ..person(&left.login) };
    store.save_person(&renamed).await.unwrap();
    store.save_person(&person("eve")).await.unwrap();
    store.save_person(&shut_out(&left.login)).await.unwrap();
}

async fn the_last_admin_of_a_team_stays_one(store: Store, _: &Database) {
    let team = TeamRow {
        id: TeamId("shop".to_owned()),
        name: "shop".to_owned(),
        title: "Shop".to_owned(),
        weight: 1,
        created_at: Timestamp(1),
    };
    store.insert_team(&team).await.unwrap();
    let ids = ["ada", "ben", "eve"].map(|it| PersonId(it.to_owned()));
    for id in &ids {
        store.insert_person(&person(&id.0)).await.unwrap();
        let role = Some(Role::Admin);
        store.change_member(&team, (id, &id.0), role, Timestamp(1)).await.unwrap();
    }
    let shut_out = PersonRow { disabled_at: Some(Timestamp(2)), ..person("eve") };
    store.save_person(&shut_out).await.unwrap();
    let change = |id: usize, role| {
        let (store, team, id) = (&store, &team, &ids[id]);
        async move { store.change_member(team, (id, &id.0), role, Timestamp(3)).await }
    };
    let (one, other) = tokio::join!(change(0, None), change(1, Some(Role::Viewer)));
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1, "{one:?} {other:?}");
    let left = usize::from(one.is_ok());
    for role in [None, Some(Role::Developer)] {
        let refused = change(left, role).await.unwrap_err().to_string();
        assert_eq!(refused, format!("`{}` is the last admin of the team `shop`", ids[left].0));
    }
    // Who may not sign in is no other admin.
    let alone = async |id: usize| store.list_teams_led_alone(&ids[id]).await.unwrap();
    assert_eq!(alone(left).await, ["shop"]);
    assert_eq!(alone(1 - left).await, Vec::<String>::new());
    change(left, Some(Role::Admin)).await.unwrap();
    change(2, None).await.unwrap();
    change(1 - left, Some(Role::Admin)).await.unwrap();
    change(left, None).await.unwrap();
}

async fn candidates_are_whom_an_approval_concerns(store: Store, _: &Database) {
    let roles = [
        ("shop", "bob", Role::Approver),
        ("shop", "dan", Role::Developer),
        ("ops", "eve", Role::Admin),
    ];
    for name in ["shop", "ops"] {
        let team = TeamRow {
            id: TeamId(format!("id-{name}")),
            name: name.to_owned(),
            title: String::new(),
            weight: 1,
            created_at: Timestamp(1),
        };
        store.insert_team(&team).await.unwrap();
    }
    for login in ["ada", "bob", "dan", "eve"] {
        let row = PersonRow { is_owner: login == "ada", ..person(login) };
        store.insert_person(&row).await.unwrap();
    }
    for (team, login, role) in roles {
        let (team, login) = (TeamId(format!("id-{team}")), PersonId(login.to_owned()));
        store.save_member(&team, &login, role, Timestamp(1)).await.unwrap();
    }
    let found = async |wanted: Candidates, limit| -> Vec<String> {
        let people = store.list_candidates(&wanted, limit).await.unwrap();
        people.into_iter().map(|it| it.login).collect()
    };
    let of_shop = Candidates::ApproversOf(TeamId("id-shop".to_owned()));
    assert_eq!(found(of_shop.clone(), 9).await, ["ada", "bob"]);
    assert_eq!(found(of_shop, 1).await, ["ada"]);
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    for (logins, teams, wanted) in [
        (&["dan", "none", "team/ops"][..], &["ops", "none"][..], &["dan", "eve"][..]),
        (&["bob"], &["shop"], &["bob", "dan"]),
        (&[], &[], &[]),
    ] {
        let named = Candidates::Named { logins: names(logins), teams: names(teams) };
        assert_eq!(found(named, 9).await, names(wanted));
    }
}

async fn a_wrong_try_is_counted_on_what_was_seen(store: Store, _: &Database) {
    let failures = |failures, at| Failures { failures, last_at: Timestamp(at) };
    let (first, second) = (failures(1, 10), failures(2, 20));
    assert_eq!(store.find_failures("login:ada").await.unwrap(), None);
    assert!(store.save_failure("login:ada", None, first).await.unwrap());
    assert!(!store.save_failure("login:ada", None, first).await.unwrap());
    assert!(store.save_failure("login:ada", Some(first), second).await.unwrap());
    assert!(!store.save_failure("login:ada", Some(first), second).await.unwrap());
    assert_eq!(store.find_failures("login:ada").await.unwrap(), Some(second));
    for left in [1, 0, 0] {
        store.forgive_failure("login:ada").await.unwrap();
        assert_eq!(store.find_failures("login:ada").await.unwrap().unwrap().failures, left);
    }
    assert_eq!(store.delete_failures_before(Timestamp(20)).await.unwrap(), 0);
    store.delete_failures("login:ada").await.unwrap();
    assert_eq!(store.find_failures("login:ada").await.unwrap(), None);
}

async fn a_sign_in_under_way_is_claimed_once(store: Store, _: &Database) {
    let state = |state: &str, at| SignInState {
        state: state.to_owned(),
        provider: "https://id.example.org".to_owned(),
        nonce: "n".to_owned(),
        verifier: "sealed".to_owned(),
        return_to: "/".to_owned(),
        created_at: Timestamp(at),
    };
    store.insert_sign_in_state(&state("old", 1), Timestamp(0)).await.unwrap();
    store.insert_sign_in_state(&state("new", 10), Timestamp(5)).await.unwrap();
    assert_eq!(store.claim_sign_in_state("old").await.unwrap(), None);
    assert_eq!(store.claim_sign_in_state("new").await.unwrap(), Some(state("new", 10)));
    assert_eq!(store.claim_sign_in_state("new").await.unwrap(), None);
}

async fn only_one_of_many_sets_up(store: Store, _: &Database) {
    assert!(!store.claim_setup(&person("early")).await.unwrap(), "no token was made");
    store.insert_setup_token("old", Timestamp(1), Timestamp(0)).await.unwrap();
    for (token, at) in [("a", 10), ("b", 11)] {
        store.insert_setup_token(token, Timestamp(at), Timestamp(5)).await.unwrap();
    }
    let mut tokens = store.list_setup_tokens(Timestamp(5)).await.unwrap();
    tokens.sort();
    assert_eq!(tokens, ["a", "b"]);
    let people: Vec<_> = (0..8).map(|number| person(&format!("p{number}"))).collect();
    let claims = people.iter().map(|it| store.claim_setup(it));
    let claimed = futures_util::future::join_all(claims).await;
    assert_eq!(claimed.iter().filter(|it| matches!(it, Ok(true))).count(), 1, "{claimed:?}");
    assert_eq!(store.list_people().await.unwrap().len(), 1);
    assert!(store.list_setup_tokens(Timestamp(0)).await.unwrap().is_empty());
}

async fn keys_are_listed_while_they_serve(store: Store, _: &Database) {
    let key = |id: &str, purpose: &str, at: i64| KeyRow {
        id: id.to_owned(),
        purpose: purpose.to_owned(),
        algorithm: "ES256".to_owned(),
        private_key: "sealed".to_owned(),
        public_key: "{}".to_owned(),
        created_at: Timestamp(at),
        signs_until: Timestamp(at + 10),
        serves_until: Timestamp(at + 20),
    };
    for row in [key("b", "workload", 5), key("a", "workload", 0), key("c", "session", 0)] {
        store.insert_signing_key(&row).await.unwrap();
    }
    let ids = async |now: i64| {
        let rows = store.list_signing_keys("workload", Timestamp(now)).await.unwrap();
        rows.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(19).await, ["a", "b"]);
    assert_eq!(ids(20).await, ["b"]);
    store.insert_signing_key(&key("d", "workload", 23)).await.unwrap();
    assert_eq!(ids(0).await, ["b", "d"], "what serves nobody is forgotten");
}
