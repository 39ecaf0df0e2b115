//! A notice in the words of who gets it: JSON for programs, a line for Slack, a letter. Pure.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::notice::{EventKind, Notice, RunFacts};
use crate::model::{Timestamp, is_turning};

/// The body of a webhook, as Standard Webhooks wants it: `type`, `timestamp` and `data`.
pub(super) fn webhook(notice: &Notice) -> Value {
    json!({
        "type": notice.event,
        "timestamp": moment(notice.at),
        "data": {
            "team": notice.team,
            "project": notice.project,
            "run": notice.run,
            "failed_stages": notice.failed,
            "approval": notice.approval.as_ref().map(|it| json!({
                "stage": it.stage, "by": it.by, "count": it.count, "until": moment(it.until),
            })),
            "text": notice.text,
        },
    })
}

/// What Slack's incoming webhooks take (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
pub(super) fn slack(notice: &Notice) -> Value {
    let mut text = format!("{} {}", sign(notice.event), escaped(&subject(notice)));
    if let Some(run) = &notice.run {
        let title = escaped(&run.title);
        let link = run.url.as_ref().map(|url| format!("\n<{url}|{title}>"));
        text.push_str(&link.unwrap_or_else(|| format!("\n{title}")));
    }
    for line in details(notice) {
        text.push_str(&format!("\n• {}", escaped(&line)));
    }
    json!({ "text": text })
}

/// Subject and text of a letter.
pub(super) fn mail(notice: &Notice) -> (String, String) {
    let mut lines = vec![subject(notice), String::new()];
    if let Some(run) = &notice.run {
        let revision: String = run.revision.chars().take(12).collect();
        lines.push(format!("{revision} {}", run.title));
        lines.extend(run.url.clone());
        lines.push(String::new());
    }
    lines.extend(details(notice));
    let subject: String =
        subject(notice).chars().filter(|it| !it.is_control() && !is_turning(*it)).collect();
    (subject, lines.join("\n").trim_end().to_owned() + "\n")
}

/// `shop/web: ci #12 on main failed`
fn subject(notice: &Notice) -> String {
    let place = if notice.project.is_empty() {
        notice.team.clone()
    } else {
        format!("{}/{}", notice.team, notice.project)
    };
    let run = |it: &RunFacts| {
        let on = if it.branch.is_empty() { String::new() } else { format!(" on {}", it.branch) };
        format!("{} #{}{on}", it.pipeline, it.number)
    };
    let run = notice.run.as_ref().map(run).unwrap_or_default();
    let what = match notice.event {
        EventKind::RunFailed => format!("{run} failed"),
        EventKind::RunPassed => format!("{run} passed"),
        EventKind::RunRecovered => format!("{run} passes again"),
        EventKind::ApprovalWanted => format!("{run} waits for an approval"),
        EventKind::BudgetAlert => "much of a budget is spent".to_owned(),
        EventKind::SubscriptionDisabled => "notifications are sent no more".to_owned(),
        EventKind::Test => "this is a test".to_owned(),
    };
    format!("{place}: {what}")
}

fn details(notice: &Notice) -> Vec<String> {
    let mut lines = Vec::new();
    for failed in &notice.failed {
        let class = if failed.class.is_empty() { "failed" } else { &failed.class };
        lines.push(format!("{} ({class}): {}", failed.stage, failed.reason));
    }
    if let Some(asked) = &notice.approval {
        let by = if asked.by.is_empty() { "any approver".to_owned() } else { asked.by.join(", ") };
        let until = moment(asked.until);
        lines.push(format!("{} waits for {} of {by} until {until}", asked.stage, asked.count));
    }
    lines.extend(Some(notice.text.clone()).filter(|it| !it.is_empty()));
    lines
}

fn sign(event: EventKind) -> &'static str {
    match event {
        EventKind::RunFailed => ":x:",
        EventKind::RunPassed | EventKind::RunRecovered => ":white_check_mark:",
        EventKind::ApprovalWanted => ":raised_hand:",
        EventKind::BudgetAlert | EventKind::SubscriptionDisabled => ":warning:",
        EventKind::Test => ":wave:",
    }
}

/// The three characters that mean something to Slack; without them no text can name people or link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn moment(at: Timestamp) -> String {
    let moment = DateTime::<Utc>::from_timestamp_millis(at.0).unwrap_or_default();
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::notifications::notice::{AskedFacts, FailedStage};

    fn notice(event: EventKind) -> Notice {
        Notice {
            event,
            at: Timestamp(1_800_000_000_000),
            team: "shop".to_owned(),
            project: "web".to_owned(),
            run: Some(RunFacts {
                id: "01k".to_owned(),
                number: 12,
                pipeline: "ci".to_owned(),
                event: "push".to_owned(),
                branch: "main".to_owned(),
                revision: "c0ffee0000000000".to_owned(),
                title: "Sell <!channel> & more".to_owned(),
                status: "failed".to_owned(),
                url: Some("https://ci.example/runs/01k".to_owned()),
            }),
            failed: Vec::new(),
            approval: None,
            text: String::new(),
        }
    }

    fn failed() -> Notice {
        let failed = FailedStage {
            stage: "unit".to_owned(),
            class: "user".to_owned(),
            reason: "exit code 1".to_owned(),
        };
        Notice { failed: vec![failed], ..notice(EventKind::RunFailed) }
    }

    #[test]
    fn a_webhook_has_type_timestamp_and_data() {
        let body = webhook(&failed());
        assert_eq!(body["type"], "run.failed");
        assert_eq!(body["timestamp"], "2027-01-15T08:00:00.000Z");
        assert_eq!(body["data"]["run"]["number"], 12);
        assert_eq!(body["data"]["failed_stages"][0]["stage"], "unit");
    }

    #[test]
    fn no_title_can_call_a_channel_in_slack() {
        let text = slack(&failed())["text"].as_str().unwrap().to_owned();
        assert_snapshot!(text, @r"
        :x: shop/web: ci #12 on main failed
        <https://ci.example/runs/01k|Sell &lt;!channel&gt; &amp; more>
        • unit (user): exit code 1
        ");
    }

    #[test]
    fn a_letter_says_what_and_where() {
        let asked = AskedFacts {
            stage: "approve".to_owned(),
            by: vec!["team/release".to_owned()],
            count: 2,
            until: Timestamp(1_800_000_600_000),
        };
        let notice = Notice { approval: Some(asked), ..notice(EventKind::ApprovalWanted) };
        let (subject, text) = mail(&notice);
        assert_eq!(subject, "shop/web: ci #12 on main waits for an approval");
        assert_snapshot!(text, @r"
        shop/web: ci #12 on main waits for an approval

        c0ffee000000 Sell <!channel> & more
        https://ci.example/runs/01k

        approve waits for 2 of team/release until 2027-01-15T08:10:00.000Z
        ");
    }
}
