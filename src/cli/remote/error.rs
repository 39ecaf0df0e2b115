//! Why a server did not do what it was asked, and what a person can do about it.

use crate::cli::failure::Exit;

use super::address::Address;

/// Where the token comes from that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenOrigin {
    /// There is none.
    Missing,
    /// From an earlier `trunkline login`.
    Stored,
    /// From `TRUNKLINE_TOKEN`.
    Environment,
    /// Given just now.
    Given,
}

/// Why a call to a server came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// No connection, or none that lasted.
    #[error("`{server}` cannot be reached: {reason}")]
    Unreachable {
        /// Which server.
        server: Address,
        /// What the network said.
        reason: String,
    },
    /// It cannot prove that it is who it should be.
    #[error("the certificate of `{server}` is not trusted: {reason}")]
    Certificate {
        /// Which server.
        server: Address,
        /// What is wrong with it.
        reason: String,
    },
    /// It has not answered in time.
    #[error("`{server}` has not answered in time")]
    TimedOut {
        /// Which server.
        server: Address,
    },
    /// It sends callers to another address.
    #[error("`{server}` sends callers on to `{target}`")]
    Moved {
        /// Which server.
        server: Address,
        /// Where to.
        target: String,
    },
    /// Something answers that does not speak as a Trunkline server does.
    #[error("`{server}` answers, but not as a Trunkline server: {reason}")]
    Foreign {
        /// Which server.
        server: Address,
        /// What came instead.
        reason: String,
    },
    /// It refuses (RFC 9457).
    #[error("{title}")]
    Refused {
        /// Which server.
        server: Address,
        /// The HTTP status.
        status: u16,
        /// What is wrong.
        title: String,
        /// What it says to do about it.
        help: String,
    },
    /// It does not know who calls.
    #[error("{}", unknown_caller(server, *token))]
    Unauthenticated {
        /// Which server.
        server: Address,
        /// The token that was shown.
        token: TokenOrigin,
    },
}

fn unknown_caller(server: &Address, token: TokenOrigin) -> String {
    match token {
        TokenOrigin::Missing => format!("nobody is signed in to `{server}`"),
        TokenOrigin::Stored => format!("`{server}` does not accept the stored token any more"),
        TokenOrigin::Environment => format!("`{server}` does not accept `TRUNKLINE_TOKEN`"),
        TokenOrigin::Given => format!("`{server}` does not accept the token"),
    }
}

impl RemoteError {
    /// What to do about it; may be empty.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Unreachable { .. } => {
                "look at its address, at the network and proxies, and whether it runs".to_owned()
            }
            Self::Certificate { .. } => {
                "name the certificate of its authority with `--ca FILE`".to_owned()
            }
            Self::TimedOut { .. } => "try again in a moment".to_owned(),
            Self::Moved { .. } => "use that address: `trunkline login` stores it".to_owned(),
            Self::Foreign { .. } => "give the address that the dashboard has".to_owned(),
            Self::Refused { help, .. } => help.clone(),
            Self::Unauthenticated { server, token } => match token {
                TokenOrigin::Environment => {
                    "give a token that is good, or unset the variable".to_owned()
                }
                TokenOrigin::Missing | TokenOrigin::Stored | TokenOrigin::Given => {
                    format!("`trunkline login {server}` signs in")
                }
            },
        }
    }

    /// The exit code: 2 where the command was wrong, 3 where something broke.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused { status, .. } if (400..500).contains(status) && *status != 429 => {
                Exit::Usage
            }
            Self::Unauthenticated { .. } | Self::Moved { .. } | Self::Foreign { .. } => Exit::Usage,
            Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::TimedOut { .. }
            | Self::Refused { .. } => Exit::Broken,
        }
    }

    /// Whether the same call may go well a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Refused { status, .. } => [429, 502, 503, 504].contains(status),
            Self::Certificate { .. }
            | Self::Moved { .. }
            | Self::Foreign { .. }
            | Self::Unauthenticated { .. } => false,
        }
    }

    /// Whether it says that there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// What the network said.
    pub(super) fn of(server: &Address, error: &reqwest::Error) -> Self {
        let server = server.clone();
        let reason = innermost(error);
        let is_about_trust = ["certificate", "UnknownIssuer"].iter().any(|it| reason.contains(it));
        if is_about_trust {
            return Self::Certificate { server, reason };
        }
        if error.is_timeout() && !error.is_connect() {
            return Self::TimedOut { server };
        }
        Self::Unreachable { server, reason }
    }
}

/// The last cause says most.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
