//! What keys and tokens look like, as their makers have said. Pure.

/// Our own: keys of the gateway, tokens of people and of services, and of the set-up.
macro_rules! own {
    () => {
        r"\btl-[0-9a-f]{64}|\btl[ts]_[A-Za-z0-9_-]{43,}"
    };
}

/// Keys and tokens that were minted here.
pub const OWN: &str = own!();

/// Those; keys of Anthropic and `OpenAI`, AWS, GitHub, GitLab, Slack, Google, Hugging Face, Stripe; bearer
/// tokens; JSON web tokens; keys in PEM, also ones that are cut off.
pub const PATTERNS: &str = concat!(
    own!(),
    r"|\bsk-(?:ant-|proj-|svcacct-|or-)?[A-Za-z0-9_-]{16,}",
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}",
    r"|\bgithub_pat_[A-Za-z0-9_]{40,}",
    r"|\bglpat-[A-Za-z0-9_-]{20,}",
    r"|\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"|\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"|\bAIza[0-9A-Za-z_-]{35}",
    r"|\bhf_[A-Za-z0-9]{30,}",
    r"|\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"|\bBearer\s+[A-Za-z0-9._~+/-]{16,}=*",
    r"|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"|-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]{0,24}PRIVATE KEY-----|\z)",
);

/// Whether a letter may belong to a key that goes on.
#[must_use]
pub fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '~' | '+' | '/' | '=' | '-')
}
