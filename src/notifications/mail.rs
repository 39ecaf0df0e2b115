//! Letters, over SMTP to the one server that the operator names.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

/// How long the mail server may take for one step.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends letters. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why no letter was sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The address of the mail server cannot be used. It is not shown, as it may hold a password.
    #[error("the address of the mail server cannot be used: {0}")]
    Address(String),
    /// Nobody can be written to there, or from there.
    #[error("`{0}` is no mail address")]
    Mailbox(String),
    /// The letter cannot be written.
    #[error("the letter cannot be written: {0}")]
    Message(#[from] lettre::error::Error),
    /// The mail server does not take it.
    #[error("the mail server does not take it: {0}")]
    Transport(#[from] lettre::transport::smtp::Error),
}

impl Mailer {
    /// A mailer on this server (`smtp://` or `smtps://`, with login and password in it if it wants them), which
    /// writes in this name.
    pub fn new(url: &str, from: &str) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let transport = transport.map_err(|error| MailError::Address(error.to_string()))?;
        let from = mailbox(from)?;
        Ok(Self { transport: transport.timeout(Some(TIMEOUT)).build(), from })
    }

    /// Sends a letter; `id` makes its Message-ID, so that a second try is known as such.
    pub async fn send(
        &self,
        to: &str,
        id: &str,
        (subject, text): (String, String),
    ) -> Result<(), MailError> {
        let domain = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(mailbox(to)?)
            .message_id(Some(format!("<{id}@{domain}>")))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text)?;
        self.transport.send(message).await?;
        Ok(())
    }
}

fn mailbox(address: &str) -> Result<Mailbox, MailError> {
    address.parse().map_err(|_| MailError::Mailbox(address.to_owned()))
}

/// A mail address as it is written, or why it is none.
pub(super) fn check_address(address: &str) -> Result<String, String> {
    let mailbox = mailbox(address).map_err(|error| error.to_string())?;
    Ok(mailbox.email.to_string())
}

impl std::fmt::Debug for Mailer {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}
