//! The outbox: each notification is tried until it arrives, with growing delays, and given up after half a day.
//! A subscription that gives up again and again is disabled.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::notice::Notice;
use super::subscriptions::Form;
use super::{NotificationError, Notifications, Undelivered, message};
use crate::model::{Milliseconds, Timestamp};
use crate::outgoing::Answer;
use crate::secrets::signature;
use crate::store::intake::outbox::NotificationRow;
use crate::store::intake::subscriptions::SubscriptionRow;

/// Notifications that are looked at together.
const BATCH: u32 = 50;
/// How often one is tried: over about half a day.
const TRIES: i64 = 10;
/// How long one is taken for; after it another process may try.
const CLAIM: Milliseconds = Milliseconds::from_seconds(120);
/// The first delay; each is four times the one before.
const DELAY_MIN: Milliseconds = Milliseconds::from_seconds(5);
const DELAY_MAX: Milliseconds = Milliseconds::from_seconds(2 * 3600);
/// Notifications that are given up in a row before the subscription is disabled.
const FAILURES_MAX: i64 = 5;
/// Characters of an answer that are kept with an error.
const REASON_CHARS_MAX: usize = 200;

impl Notifications {
    /// Sends what is due; true when there is more to do.
    pub(super) async fn send_due(&self) -> Result<bool, NotificationError> {
        let rows = self.store().list_notifications_to_send(self.now(), BATCH).await?;
        let is_full = rows.len() == BATCH as usize;
        for row in rows {
            if self.store().claim_notification(&row, self.now().plus(CLAIM)).await? {
                self.send_one(row).await?;
            }
        }
        Ok(is_full)
    }

    async fn send_one(&self, row: NotificationRow) -> Result<(), NotificationError> {
        let Some(subscription) = self.store().find_subscription(&row.subscription).await? else {
            return Ok(());
        };
        let attempts = row.attempts + 1;
        let undelivered = match self.deliver(&subscription, &row).await? {
            Ok(()) => {
                self.store().save_notification(&row.id, ("sent", ""), self.now()).await?;
                self.store().count_failure(&subscription.id, false).await?;
                return Ok(());
            }
            Err(undelivered) => undelivered,
        };
        let reason = undelivered.to_string();
        match undelivered {
            Undelivered::Gone(_) => {
                self.store().save_notification(&row.id, ("failed", &reason), self.now()).await?;
                self.disable(&subscription, &reason).await
            }
            Undelivered::Later { .. } if attempts >= TRIES => {
                self.store().save_notification(&row.id, ("failed", &reason), self.now()).await?;
                let failures = self.store().count_failure(&subscription.id, true).await?;
                if failures < FAILURES_MAX {
                    return Ok(());
                }
                let why =
                    format!("{failures} notifications in a row were given up; last: {reason}");
                self.disable(&subscription, &why).await
            }
            Undelivered::Later { not_before, .. } => {
                let next = self.now().plus(delay_after(attempts));
                let next = not_before.map_or(next, |it| it.max(next));
                Ok(self.store().save_notification(&row.id, ("waiting", &reason), next).await?)
            }
        }
    }

    async fn disable(
        &self,
        subscription: &SubscriptionRow,
        reason: &str,
    ) -> Result<(), NotificationError> {
        let id = &subscription.id;
        if !self.store().disable_subscription(id, reason, self.now()).await? {
            return Ok(());
        }
        tracing::warn!(subscription = id, reason, "a subscription gets nothing any more");
        let row = SubscriptionRow { disabled_reason: reason.to_owned(), ..subscription.clone() };
        if let Err(error) = self.note("subscription.disable", &row, "").await {
            tracing::warn!(subscription = id, %error, "that it is disabled is not in the audit log");
        }
        self.note_disabled(subscription, reason).await
    }

    async fn deliver(
        &self,
        subscription: &SubscriptionRow,
        row: &NotificationRow,
    ) -> Result<Result<(), Undelivered>, NotificationError> {
        let notice: Notice = serde_json::from_str(&row.notice)?;
        let target = self.target_of(subscription).await?;
        Ok(match Form::parse(&subscription.form) {
            Some(Form::Webhook) => {
                let secrets = self.secrets_of(subscription).await?;
                self.post_signed(&target, (&row.id, &secrets), &message::webhook(&notice)).await
            }
            Some(Form::Slack) => self.post(&target, &message::slack(&notice), &[]).await,
            Some(Form::Mail) => self.send_mail(&target, &row.id, &notice).await,
            None => {
                Err(Undelivered::Gone(format!("the form `{}` is not known", subscription.form)))
            }
        })
    }

    async fn post_signed(
        &self,
        target: &str,
        (id, secrets): (&str, &[String]),
        body: &Value,
    ) -> Result<(), Undelivered> {
        let headers = signature::sign(id, self.now(), &body.to_string(), secrets);
        let headers = [
            ("webhook-id", headers.id),
            ("webhook-timestamp", headers.timestamp),
            ("webhook-signature", headers.signature),
        ];
        self.post(target, body, &headers).await
    }

    async fn post(
        &self,
        target: &str,
        body: &Value,
        headers: &[(&str, String)],
    ) -> Result<(), Undelivered> {
        let outgoing = &self.parts.outgoing;
        // What is signed is this text, so it is what is sent.
        let mut request = outgoing
            .request(Method::POST, target)?
            .header("content-type", "application/json")
            .body(body.to_string());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = outgoing.send(request).await?;
        judge(&answer, self.now())
    }

    async fn send_mail(&self, to: &str, id: &str, notice: &Notice) -> Result<(), Undelivered> {
        let later = |reason: String| Undelivered::Later { reason, not_before: None };
        let mailer = self.parts.mailer.as_ref();
        let mailer = mailer.ok_or_else(|| later("this server sends no mail".to_owned()))?;
        let (subject, text) = message::mail(notice);
        mailer.send(to, id, (subject, text)).await.map_err(|error| later(error.to_string()))
    }
}

/// `410` is how a receiver unsubscribes; everything else but success may be better later.
fn judge(answer: &Answer, now: Timestamp) -> Result<(), Undelivered> {
    if answer.status.is_success() {
        return Ok(());
    }
    let said: String =
        String::from_utf8_lossy(&answer.body).chars().take(REASON_CHARS_MAX).collect();
    let reason = format!("the receiver answers {}: {}", answer.status, said.trim());
    if answer.status == StatusCode::GONE {
        return Err(Undelivered::Gone(reason));
    }
    let wish = answer.headers.get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
    let not_before =
        wish.map(|seconds: u64| now.plus(Milliseconds::from_seconds(seconds).min(DELAY_MAX)));
    Err(Undelivered::Later { reason, not_before })
}

fn delay_after(attempts: i64) -> Milliseconds {
    let steps = u32::try_from(attempts.clamp(1, 15) - 1).unwrap_or_default();
    Milliseconds(DELAY_MIN.0.saturating_mul(4_u64.saturating_pow(steps)).min(DELAY_MAX.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode, retry_after: Option<&str>) -> Answer {
        let mut headers = reqwest::header::HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert("retry-after", seconds.parse().unwrap());
        }
        Answer { status, headers, body: b"no".to_vec() }
    }

    #[test]
    fn an_answer_says_whether_and_when_to_try_again() {
        let now = Timestamp(0);
        assert!(judge(&answer(StatusCode::NO_CONTENT, None), now).is_ok());
        let gone = judge(&answer(StatusCode::GONE, None), now).unwrap_err();
        assert!(matches!(gone, Undelivered::Gone(_)), "{gone}");
        let busy = judge(&answer(StatusCode::TOO_MANY_REQUESTS, Some("30")), now).unwrap_err();
        let Undelivered::Later { not_before, .. } = busy else { panic!("{busy}") };
        assert_eq!(not_before, Some(Timestamp(30_000)));
        let redirect = judge(&answer(StatusCode::FOUND, None), now).unwrap_err();
        assert_eq!(redirect.to_string(), "the receiver answers 302 Found: no");
    }

    #[test]
    fn delays_grow_and_end_after_half_a_day() {
        let delays: Vec<u64> = (1..=4).map(|it| delay_after(it).0 / 1000).collect();
        assert_eq!(delays, [5, 20, 80, 320]);
        let all: u64 = (1..TRIES).map(|it| delay_after(it).0 / 1000).sum();
        assert!((6 * 3600..24 * 3600).contains(&all), "{all}");
    }
}
