//! How a server sends mail.

use super::Environment;

/// The mail server, and in whose name letters are written.
#[derive(Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// `smtp://` or `smtps://`, with login and password in it if the server wants them.
    pub url: String,
    /// The address that letters come from.
    pub from: String,
}

impl std::fmt::Debug for MailSettings {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailSettings").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Both variables, or no mail.
pub(super) fn read(environment: &Environment) -> Option<MailSettings> {
    let url = environment.get("TRUNKLINE_SMTP_URL")?.to_owned();
    let from = environment.get("TRUNKLINE_MAIL_FROM")?.to_owned();
    Some(MailSettings { url, from })
}
