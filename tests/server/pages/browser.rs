//! Somebody who reads pages, without JavaScript: cookies, links and forms.

use reqwest::{Method, RequestBuilder};

use crate::support::{Answer, PASSWORD, Server};

/// A browser in which somebody has signed in.
pub(crate) struct Browser<'a> {
    server: &'a Server,
    cookies: String,
    csrf: String,
}

impl<'a> Browser<'a> {
    pub(crate) async fn sign_in(server: &'a Server, login: &str) -> Self {
        let answer = server.sign_in(login, PASSWORD).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let (session, csrf) = (answer.cookie("trunkline"), answer.cookie("trunkline-csrf"));
        Self { server, cookies: format!("trunkline={session}; trunkline-csrf={csrf}"), csrf }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.server.request(method, path).header("cookie", &self.cookies);
        request.header("accept", "text/html,application/xhtml+xml")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// A page that has to be there.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let policy = answer.header("content-security-policy").to_owned();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(!answer.text.contains(" style=") && !answer.text.contains(" onclick="), "{path}");
        answer.text
    }

    /// Sends a form of this site; gives where it leads.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        fields.push(("csrf", &self.csrf));
        self.send_without_proof(path, &fields).await
    }

    pub(crate) async fn send_without_proof(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let body = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = body.collect::<Vec<_>>().join("&");
        let request = self.request(Method::POST, path).header("origin", &self.server.url);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Answer::of(request.body(body).send().await.unwrap()).await
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
