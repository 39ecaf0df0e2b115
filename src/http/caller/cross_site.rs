//! Whether a browser sent a request from our own page. A browser adds cookies to what other sites ask for, too;
//! it does not add a token, so requests with a token need none of this.

use axum::http::{HeaderMap, Method, header};

/// The header in which a page repeats the CSRF cookie.
pub(in crate::http) const CSRF_HEADER: &str = "x-csrf-token";

/// Whether a request of this method may change something (RFC 9110, section 9.2.1).
pub(in crate::http) fn is_unsafe(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// Whether the browser says that our own origin has sent this. `public_url` is our origin where it is known;
/// else it is taken from `Host`.
pub(in crate::http) fn is_same_origin(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let get = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let site = get("sec-fetch-site");
    if site.is_some_and(|it| it != "same-origin") {
        return false;
    }
    match get(header::ORIGIN.as_str()) {
        None => site.is_some(),
        Some(origin) => match (public_url, get(header::HOST.as_str())) {
            (Some(ours), _) => origin.eq_ignore_ascii_case(ours),
            (None, Some(host)) => {
                origin.split_once("://").is_some_and(|(_, it)| it.eq_ignore_ascii_case(host))
            }
            (None, None) => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(headers: &[(&'static str, &str)]) -> bool {
        let pairs =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        is_same_origin(&pairs.collect(), Some("https://ci.example.org"))
    }

    #[test]
    fn only_our_own_origin_is_the_same() {
        assert!(is_ours(&[("origin", "https://ci.example.org")]));
        assert!(is_ours(&[("sec-fetch-site", "same-origin")]));
        assert!(!is_ours(&[]));
        for origin in
            ["null", "http://ci.example.org", "https://ci.example.org:444", "https://evil"]
        {
            assert!(!is_ours(&[("origin", origin)]), "{origin}");
            assert!(!is_ours(&[("origin", origin), ("sec-fetch-site", "same-origin")]), "{origin}");
        }
        for site in ["cross-site", "same-site", "none"] {
            let both = [("sec-fetch-site", site), ("origin", "https://ci.example.org")];
            assert!(!is_ours(&both), "{site}");
        }
    }

    #[test]
    fn without_a_public_address_the_host_is_ours() {
        let headers = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:7080".parse().unwrap());
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            headers
        };
        assert!(is_same_origin(&headers("http://127.0.0.1:7080"), None));
        assert!(!is_same_origin(&headers("http://127.0.0.1:7081"), None));
    }
}
