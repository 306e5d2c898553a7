//! Requests to the control plane: HTTP/1.1, one connection each.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;

use crate::error::{Code, Error, Result};
use crate::wire::options::ControlLink;

/// Longest wait for an answer, beyond what was asked for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Where the control plane is, and how to speak to it.
pub(super) struct Control {
    authority: String,
    base: String,
    key: Option<HeaderValue>,
}

impl Control {
    /// Checks the address. Errors: one that is not `http://HOST[:PORT][/PATH]`, a key that is no header.
    pub(super) fn new(link: &ControlLink) -> Result<Self> {
        let wrong = |what: &str| Error::new(Code::Internal, format!("control plane at {}: {what}", link.url));
        let uri: Uri = link.url.parse().map_err(|_| wrong("not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("expected http://; TLS to the control plane ends at a proxy beside this process"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("no host"))?;
        let port = authority.port_u16().unwrap_or(80);
        let mut key = None;
        if let Some(secret) = &link.key {
            let value = HeaderValue::from_str(&format!("Bearer {}", secret.reveal()));
            let mut value = value.map_err(|_| wrong("the key is no header's value"))?;
            value.set_sensitive(true);
            key = Some(value);
        }
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { authority: format!("{}:{port}", authority.host()), base, key })
    }

    /// The answer to a GET.
    pub(super) async fn get(&self, path: &str, patience: Duration) -> Result<(StatusCode, Bytes)> {
        self.ask(Method::GET, path, Bytes::new(), patience).await
    }

    /// The answer to a POST of JSON.
    pub(super) async fn post(&self, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes)> {
        self.ask(Method::POST, path, body.into(), PATIENCE).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes, patience: Duration) -> Result<(StatusCode, Bytes)> {
        let late = |_| lost(&format!("no answer within {} s", patience.as_secs()));
        tokio::time::timeout(patience, self.exchange(method, path, body)).await.map_err(late)?
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes)> {
        let broken = |error: &dyn std::fmt::Display| lost(&error.to_string());
        let stream = tokio::net::TcpStream::connect(&self.authority).await.map_err(|error| broken(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let driver = tokio::spawn(connection);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.base).parse().map_err(|_| lost("not a path"))?;
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&self.authority).map_err(|_| lost("not a host"))?;
        headers.insert(header::HOST, host);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        if let Some(key) = &self.key {
            headers.insert(header::AUTHORIZATION, key.clone());
        }
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await.map_err(|error| broken(&error))?;
        driver.abort();
        Ok((status, body.to_bytes()))
    }
}

fn lost(what: &str) -> Error {
    Error::new(Code::Internal, format!("control plane: {what}"))
}

/// The error of an answer that is none.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    lost(&format!("it answered {status}: {}", text.chars().take(200).collect::<String>()))
}

/// `text` as the value of a query.
pub(super) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(url: &str) -> Result<Control> {
        let json = serde_json::json!({"url": url, "key": "secret", "replica": "r", "report_ms": 250, "follow": true});
        Control::new(&serde_json::from_value(json).expect("link"))
    }

    #[test]
    fn an_address_is_taken_apart_and_a_wrong_one_named() {
        let control = link("http://plane.internal:7070/base/").expect("good");
        assert_eq!((&*control.authority, &*control.base), ("plane.internal:7070", "/base"));
        assert_eq!(link("http://plane").expect("good").authority, "plane:80");
        for url in ["https://plane", "plane:80", "/api", ""] {
            assert!(link(url).is_err_and(|error| error.message.contains(url)), "{url}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(percent_encoded("eu west&1/ä"), "eu%20west%261%2F%C3%A4");
    }
}
