//! The cookies of a session: what they are called, and how they are set and cleared.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::AppendHeaders;

use crate::auth::SignedIn;

/// Where the refresh token is sent, and nowhere else.
const REFRESH_PATH: &str = "/api/v1/session";
/// Cookies that an answer sets.
pub type SetCookies = AppendHeaders<Vec<(HeaderName, HeaderValue)>>;

/// Cookies as this server names them. Behind TLS the names make browsers insist on `Secure` and on this host
/// (RFC 6265bis, section 4.1.3); over plain HTTP browsers refuse such names, so they are without.
#[derive(Debug, Clone, Copy)]
pub struct Cookies {
    is_https: bool,
}

impl Cookies {
    /// Of a server that browsers reach over TLS, or not.
    #[must_use]
    pub fn new(is_https: bool) -> Self {
        Self { is_https }
    }

    /// The JWT of the session.
    #[must_use]
    pub fn session(self, headers: &HeaderMap) -> Option<&str> {
        read(headers, self.host("trunkline"))
    }

    /// What unsafe requests of our own pages repeat.
    #[must_use]
    pub fn csrf(self, headers: &HeaderMap) -> Option<&str> {
        read(headers, self.host("trunkline-csrf"))
    }

    /// The refresh token.
    #[must_use]
    pub fn refresh(self, headers: &HeaderMap) -> Option<&str> {
        read(headers, self.refresh_name())
    }

    /// What a sign-in that began at a provider has to come back with.
    #[must_use]
    pub fn state(self, headers: &HeaderMap) -> Option<&str> {
        read(headers, self.host("trunkline-state"))
    }

    /// Sets the cookies of a session.
    pub fn set(self, signed_in: &SignedIn) -> SetCookies {
        let SignedIn { access, access_seconds, refresh, refresh_seconds, csrf, .. } = signed_in;
        let (session, shown) = (self.host("trunkline"), self.host("trunkline-csrf"));
        let refresh_name = self.refresh_name();
        self.all([
            format!("{session}={access}; Path=/; Max-Age={access_seconds}; HttpOnly; SameSite=Strict"),
            format!("{shown}={csrf}; Path=/; Max-Age={access_seconds}; SameSite=Strict"),
            format!(
                "{refresh_name}={refresh}; Path={REFRESH_PATH}; Max-Age={refresh_seconds}; HttpOnly; \
                 SameSite=Strict"
            ),
        ])
    }

    /// Clears them.
    pub fn clear(self) -> SetCookies {
        let (session, shown) = (self.host("trunkline"), self.host("trunkline-csrf"));
        self.all([
            format!("{session}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"),
            format!("{shown}=; Path=/; Max-Age=0; SameSite=Strict"),
            format!(
                "{}=; Path={REFRESH_PATH}; Max-Age=0; HttpOnly; SameSite=Strict",
                self.refresh_name()
            ),
        ])
    }

    /// Sets what a sign-in at a provider comes back with: `Lax`, as the provider sends the browser back.
    pub fn set_state(self, state: &str, seconds: i64) -> SetCookies {
        let name = self.host("trunkline-state");
        self.all([format!("{name}={state}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax")])
    }

    fn all<const N: usize>(self, cookies: [String; N]) -> SetCookies {
        let secure = if self.is_https { "; Secure" } else { "" };
        let header = |it: String| {
            let value = HeaderValue::try_from(format!("{it}{secure}")).ok()?;
            Some((header::SET_COOKIE, value))
        };
        AppendHeaders(cookies.into_iter().filter_map(header).collect())
    }

    fn host(self, name: &'static str) -> &'static str {
        match (self.is_https, name) {
            (true, "trunkline") => "__Host-trunkline",
            (true, "trunkline-csrf") => "__Host-trunkline-csrf",
            (true, "trunkline-state") => "__Host-trunkline-state",
            (_, name) => name,
        }
    }

    /// `__Host-` asks for `Path=/`.
    fn refresh_name(self) -> &'static str {
        if self.is_https { "__Secure-trunkline-refresh" } else { "trunkline-refresh" }
    }
}

/// How pages look: `light`, `dark`, or empty for what the system says.
#[must_use]
pub fn theme(headers: &HeaderMap) -> &'static str {
    known_theme(read(headers, "trunkline-theme").unwrap_or_default())
}

/// Keeps how pages look, for a year.
pub fn set_theme(theme: &str) -> SetCookies {
    let theme = known_theme(theme);
    let line = format!("trunkline-theme={theme}; Path=/; Max-Age=31536000; SameSite=Lax");
    AppendHeaders(
        HeaderValue::try_from(line).map(|it| (header::SET_COOKIE, it)).into_iter().collect(),
    )
}

fn known_theme(word: &str) -> &'static str {
    match word {
        "light" => "light",
        "dark" => "dark",
        _ => "",
    }
}

/// RFC 6265, section 4.2.1. A name that comes twice is not believed.
fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    let pairs = lines.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    let first = values.next();
    first.filter(|it| !it.is_empty() && values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_not_believed_twice() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; trunkline=x.y.z; b=2".parse().unwrap());
        assert_eq!(Cookies::new(false).session(&headers), Some("x.y.z"));
        assert_eq!(Cookies::new(true).session(&headers), None);
        headers.append(header::COOKIE, "trunkline=other".parse().unwrap());
        assert_eq!(Cookies::new(false).session(&headers), None);
    }
}
