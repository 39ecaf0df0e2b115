//! Signatures of requests to AWS, version 4, after "Create a signed AWS API request" (AWS IAM User Guide,
//! read 2026-11). For requests without a query. Pure.

use chrono::DateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::model::Timestamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs for what.
pub(super) struct Credentials<'a> {
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// What is signed. Names of headers are in lower case.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a [u8],
}

impl Request<'_> {
    /// All headers to send, the signature among them.
    pub(super) fn sign(
        self,
        credentials: &Credentials<'_>,
        now: Timestamp,
    ) -> Vec<(&'static str, String)> {
        let moment = DateTime::from_timestamp_millis(now.0).unwrap_or_default();
        let date = moment.format("%Y%m%d").to_string();
        let stamp = moment.format("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = self.headers;
        headers.push(("x-amz-date", stamp.clone()));
        headers.sort();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let digest = hex::encode(Sha256::digest(self.body));
        let canonical = format!("{}\n{}\n\n{lines}\n{names}\n{digest}", self.method, self.path);
        let scope = format!("{date}/{}/{}/aws4_request", credentials.region, credentials.service);
        let digest = hex::encode(Sha256::digest(canonical));
        let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{digest}");
        let signature = hex::encode(mac(&signing_key(credentials, &date), &text));
        let key = credentials.access_key;
        let authorization = format!(
            "{ALGORITHM} Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        headers.push(("authorization", authorization));
        headers
    }
}

fn signing_key(credentials: &Credentials<'_>, date: &str) -> Vec<u8> {
    let secret = format!("AWS4{}", credentials.secret_key);
    [date, credentials.region, credentials.service, "aws4_request"]
        .into_iter()
        .fold(secret.into_bytes(), |key, text| mac(&key, text))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104, section 2)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get-vanilla` and `post-vanilla` of AWS's published test suite for signature version 4.
    #[test]
    fn the_published_examples_get_the_published_signatures() {
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE",
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "service",
        };
        let now = Timestamp(1_440_938_160_000);
        for (method, signature) in [
            ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            let headers = vec![("host", "example.amazonaws.com".to_owned())];
            let request = Request { method, path: "/", headers, body: b"" };
            let signed = request.sign(&credentials, now);
            let (_, authorization) = signed.last().unwrap();
            assert_eq!(
                authorization,
                &format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={signature}"
                )
            );
        }
    }
}
