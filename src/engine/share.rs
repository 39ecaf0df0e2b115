//! Who gets the next slot: fair shares between teams, then priority, then age. Pure: it counts what it is told.
//!
//! A team's load is its attempts under way over its weight. The least loaded team that waits is served; of
//! equally loaded ones the one that was served least (stride scheduling: each grant moves a team on by
//! 1/weight), so that a single slot goes round too. A team that comes back has saved nothing up.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::model::TeamId;

/// What a grant moves a team of weight 1 on by. Divided by weights up to this without a remainder to speak of.
const STRIDE: u128 = 1 << 40;

/// Somebody who wants a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose work it is; empty for that of no team.
    pub team: TeamId,
    /// The team's share beside other teams' weights; less than 1 counts as 1.
    pub weight: i64,
    /// Higher is served first within the team.
    pub priority: i64,
    /// Lower is served first where all else is equal: trunk order and age.
    pub place: i64,
}

/// The shares of all teams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    teams: BTreeMap<TeamId, Share>,
    /// Where the team that was served last stood before.
    pass: u128,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    /// Attempts under way that were granted here.
    here: u32,
    /// Those that others have told us of.
    elsewhere: u32,
    /// How far the team has been moved on.
    pass: u128,
}

impl Shares {
    /// The place in `claims` of the one that is served next; `None` only when there are none. The order of
    /// `claims` does not matter, except between claims that are equal.
    #[must_use]
    pub fn next(&self, claims: &[Claim]) -> Option<usize> {
        let all = claims.iter().enumerate();
        all.min_by(|(_, left), (_, right)| self.compare(left, right)).map(|(place, _)| place)
    }

    /// A claim was granted.
    pub fn grant(&mut self, claim: &Claim) {
        let now = self.pass;
        let share = self.teams.entry(claim.team.clone()).or_default();
        // Who was away is not owed what others had meanwhile.
        let before = share.pass.max(now);
        share.here += 1;
        share.pass = before + STRIDE / u128::from(weight(claim));
        self.pass = before;
    }

    /// A slot that was granted to the team is free again.
    pub fn release(&mut self, team: &TeamId) {
        if let Some(share) = self.teams.get_mut(team) {
            share.here = share.here.saturating_sub(1);
        }
        let now = self.pass;
        self.teams.retain(|_, it| it.here > 0 || it.elsewhere > 0 || it.pass > now);
    }

    /// What runs in other processes, by team, as far as it is known.
    pub fn set_elsewhere(&mut self, running: &BTreeMap<TeamId, u32>) {
        for share in self.teams.values_mut() {
            share.elsewhere = 0;
        }
        for (team, count) in running {
            self.teams.entry(team.clone()).or_default().elsewhere = *count;
        }
    }

    /// Attempts under way that were granted here, by team.
    #[must_use]
    pub fn running(&self) -> BTreeMap<TeamId, u32> {
        let here = self.teams.iter().filter(|(_, it)| it.here > 0);
        here.map(|(team, it)| (team.clone(), it.here)).collect()
    }

    fn compare(&self, left: &Claim, right: &Claim) -> Ordering {
        let (ours, theirs) = (self.share(&left.team), self.share(&right.team));
        // a/b < c/d where ad < cb.
        let load = |it: Share, weight: u64| {
            (u128::from(it.here) + u128::from(it.elsewhere)) * u128::from(weight)
        };
        let by_load = load(ours, weight(right)).cmp(&load(theirs, weight(left)));
        let by_team = || {
            let passes = ours.pass.max(self.pass).cmp(&theirs.pass.max(self.pass));
            passes.then_with(|| left.team.cmp(&right.team))
        };
        let within = || {
            (-i128::from(left.priority), left.place)
                .cmp(&(-i128::from(right.priority), right.place))
        };
        if left.team == right.team {
            return within();
        }
        by_load.then_with(by_team)
    }

    fn share(&self, team: &TeamId) -> Share {
        self.teams.get(team).copied().unwrap_or_default()
    }
}

fn weight(claim: &Claim) -> u64 {
    u64::try_from(claim.weight).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(team: &str, weight: i64, priority: i64, place: i64) -> Claim {
        Claim { team: TeamId(team.to_owned()), weight, priority, place }
    }

    /// Serves claims one after the other from lists that never end; gives how often each team was served.
    fn serve(teams: &[i64], slots: usize, grants: usize) -> Vec<usize> {
        let (mut shares, mut served) = (Shares::default(), vec![0; teams.len()]);
        let mut running = std::collections::VecDeque::new();
        let claims: Vec<_> =
            (0..).zip(teams).map(|(n, weight)| claim(&format!("t{n}"), *weight, 0, n)).collect();
        for _ in 0..grants {
            if running.len() == slots {
                let ended: Claim = running.pop_front().unwrap();
                shares.release(&ended.team);
            }
            let next = shares.next(&claims).unwrap();
            served[next] += 1;
            shares.grant(&claims[next]);
            running.push_back(claims[next].clone());
        }
        served
    }

    #[test]
    fn a_team_with_a_thousand_runs_does_not_keep_another_waiting() {
        let mut shares = Shares::default();
        let mut claims: Vec<_> = (0..1000).map(|it| claim("big", 1, 9, it)).collect();
        claims.push(claim("small", 1, 0, 5000));
        shares.grant(&claims[0]);
        assert_eq!(shares.next(&claims), Some(1000));
        shares.release(&claims[0].team);
        assert_eq!(shares.next(&claims), Some(1000), "one slot goes round too");
    }

    #[test]
    fn within_a_team_priority_counts_and_then_age() {
        let claims = [claim("a", 1, 0, 1), claim("a", 1, 5, 3), claim("a", 1, 5, 2)];
        assert_eq!(Shares::default().next(&claims), Some(2));
    }

    #[test]
    fn what_runs_elsewhere_counts() {
        let mut shares = Shares::default();
        let claims = [claim("a", 1, 0, 1), claim("b", 1, 0, 2)];
        shares.set_elsewhere(&[(TeamId("a".to_owned()), 3)].into());
        assert_eq!(shares.next(&claims), Some(1));
        shares.set_elsewhere(&BTreeMap::new());
        assert_eq!(shares.next(&claims), Some(0));
    }

    #[test]
    fn weights_are_shares() {
        assert_eq!(serve(&[1, 3], 4, 400), [100, 300]);
        assert_eq!(serve(&[1, 3], 1, 400), [100, 300]);
    }

    proptest! {
        #[test]
        fn who_always_waits_is_served_by_weight_where_slots_can_show_it(
            teams in prop::collection::vec(1_i64..6, 1..6),
            times in 1_usize..4,
        ) {
            let total = usize::try_from(teams.iter().sum::<i64>()).unwrap();
            let slots = total * times;
            let served = serve(&teams, slots, total * 60);
            for (count, weight) in served.iter().zip(&teams) {
                let due = usize::try_from(*weight).unwrap() * 60;
                prop_assert!(count.abs_diff(due) <= slots, "{served:?} for {teams:?}");
            }
        }

        #[test]
        fn nobody_is_jammed_however_few_slots_there_are(
            teams in prop::collection::vec(1_i64..6, 1..6),
            slots in 1_usize..9,
        ) {
            let total = usize::try_from(teams.iter().sum::<i64>()).unwrap() * 60;
            let served = serve(&teams, slots, total);
            for (count, weight) in served.iter().zip(&teams) {
                let weighted = usize::try_from(*weight).unwrap() * 60;
                let due = weighted.min(total / teams.len());
                prop_assert!((count + slots) * 2 >= due, "{served:?} for {teams:?}");
            }
        }

        #[test]
        fn the_order_of_the_claims_does_not_matter(
            claims in prop::collection::vec((0_u8..4, -3_i64..3), 1..12),
            granted in prop::collection::vec(0_usize..12, 0..20),
            turn in 0_usize..12,
        ) {
            // Weights belong to teams, and places to claims.
            let claims = (0..).zip(&claims).map(|(place, (team, priority))| {
                claim(&format!("t{team}"), i64::from(*team) + 1, *priority, place)
            });
            let claims: Vec<_> = claims.collect();
            let mut shares = Shares::default();
            for claim in granted.into_iter().filter_map(|place| claims.get(place)) {
                shares.grant(claim);
            }
            let chosen = shares.next(&claims).map(|it| claims[it].clone());
            let mut turned = claims.clone();
            turned.rotate_left(turn % claims.len());
            prop_assert_eq!(shares.next(&turned).map(|it| turned[it].clone()), chosen);
        }

        #[test]
        fn nothing_is_left_waiting_while_there_is_a_claim(count in 0_usize..5) {
            let claims: Vec<_> = (0..count).map(|_| claim("a", 0, 0, 0)).collect();
            prop_assert_eq!(Shares::default().next(&claims).is_some(), count > 0);
        }
    }
}
