//! From thresholds of budgets that were crossed to notifications that wait to be sent.

use super::derive::{WAITING_MAX, wants};
use super::notice::{EventKind, Notice};
use super::{NotificationError, Notifications};
use crate::model::{RunId, UsdNanos};
use crate::store::access::projects::ProjectRow;
use crate::store::access::teams::TeamRow;
use crate::store::spend::alerts::AlertRow;

/// Alerts that are looked at together.
const BATCH: u32 = 50;

impl Notifications {
    /// Writes down what is to be told of budgets; each threshold of a window once, whatever dies meanwhile.
    pub(super) async fn note_alerts(&self) -> Result<(), NotificationError> {
        for alert in self.store().list_alerts_to_tell(BATCH).await? {
            if let Some((team, project)) = self.place_of(&alert).await? {
                self.note_alert(&alert, &team, project.as_ref()).await?;
            }
            self.store().save_alert_told(&alert, self.now()).await?;
        }
        Ok(())
    }

    async fn note_alert(
        &self,
        alert: &AlertRow,
        team: &TeamRow,
        project: Option<&ProjectRow>,
    ) -> Result<(), NotificationError> {
        let event = EventKind::BudgetAlert;
        let notice = Notice {
            event,
            at: alert.at,
            team: team.name.clone(),
            project: project.map(|it| it.name.clone()).unwrap_or_default(),
            run: None,
            failed: Vec::new(),
            approval: None,
            text: said(alert),
        };
        let AlertRow { budget, account, began_at, percent, .. } = alert;
        let cause = format!("budget:{budget}|{account}|{}|{percent}", began_at.0);
        let mut rows = Vec::new();
        for subscription in self.store().list_subscriptions(&team.id).await? {
            let is_meant = subscription.project.0.is_empty()
                || project.is_some_and(|it| it.id == subscription.project);
            if is_meant && subscription.disabled_at.is_none() && wants(&subscription, event) {
                rows.push(self.row(&subscription, (&cause, event), &notice)?);
            }
        }
        Ok(self.store().insert_notifications(&rows, WAITING_MAX).await?)
    }

    /// Whom an alert concerns: the team, and the project if it is about one. Nobody is told of budgets that are
    /// for several teams: those are for who runs the server, and in its log.
    async fn place_of(
        &self,
        alert: &AlertRow,
    ) -> Result<Option<(TeamRow, Option<ProjectRow>)>, NotificationError> {
        let part = |kind: &str| {
            let parts = alert.account.split(' ').filter_map(|it| it.split_once('='));
            parts.into_iter().find(|it| it.0 == kind).map(|it| it.1)
        };
        let project = match (part("run"), part("project").and_then(|it| it.split_once('/'))) {
            (Some(run), _) => match self.store().find_run(&RunId(run.to_owned())).await? {
                Some(run) => self.store().find_project(&run.project).await?,
                None => None,
            },
            (None, Some((team, name))) => self.store().find_project_by_name(team, name).await?,
            (None, None) => None,
        };
        let of_budget = alert.budget.split_once('/').map(|it| it.0);
        let name = project.as_ref().map(|it| it.team_name.as_str());
        let Some(name) = name.or(part("team")).or(of_budget) else { return Ok(None) };
        let team = self.store().find_team(name).await?;
        Ok(team.map(|it| (it, project)))
    }
}

/// `the budget shop/month (team=shop) is used to 80 %: 161.20 USD of 200.00 USD`
fn said(alert: &AlertRow) -> String {
    let account =
        if alert.account.is_empty() { String::new() } else { format!(" ({})", alert.account) };
    let money = |limit: UsdNanos| format!("{} of {limit}", alert.spent);
    let tokens = |limit: i64| format!("{} of {limit} tokens", alert.spent_tokens);
    let of = [alert.max_money.map(money), alert.max_tokens.map(tokens)];
    let of: Vec<_> = of.into_iter().flatten().collect();
    let (budget, percent) = (&alert.budget, alert.percent);
    format!("the budget {budget}{account} is used to {percent} %: {}", of.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn an_alert_says_how_much_of_what_is_used() {
        let alert = AlertRow {
            budget: "shop/month".to_owned(),
            account: "team=shop".to_owned(),
            began_at: Timestamp(0),
            percent: 80,
            at: Timestamp(1),
            spent: UsdNanos(161_200_000_000),
            spent_tokens: 12,
            max_money: Some(UsdNanos(200_000_000_000)),
            max_tokens: None,
        };
        let text = "the budget shop/month (team=shop) is used to 80 %: 161.20 USD of 200.00 USD";
        assert_eq!(said(&alert), text);
        let tokens = AlertRow { max_money: None, max_tokens: Some(15), ..alert };
        assert!(said(&tokens).ends_with("12 of 15 tokens"));
    }
}
