//! The endpoints: which method and path does what, and how it is answered.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::metrics;
use crate::control::{Control, body};
use crate::error::ApiError;

/// The version of Toxiproxy that the API is that of.
const COMPATIBLE: &str = "2.12.0";

/// Which metrics are served, as the original's flags say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metrics {
    /// Those of the links.
    pub proxies: bool,
    /// Those of the process.
    pub runtime: bool,
}

/// The API of a control.
#[derive(Clone, Debug)]
pub struct Api {
    control: Arc<Control>,
    metrics: Metrics,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: String,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            content_type: Some(JSON),
            body: value.to_string(),
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            body: String::new(),
        }
    }

    fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            content_type: Some(TEXT),
            body: format!("{text}\n"),
        }
    }
}

/// Errors go out as Go's error helper sends them: as text, with a newline.
impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self::text(error.status(), &error.to_json().to_string())
    }
}

/// What a path is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Resource {
    Reset,
    Proxies,
    Populate,
    Proxy(String),
    Toxics(String),
    Toxic(String, String),
    Version,
    Metrics,
    Record,
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        let parts: Vec<String> = path.strip_prefix('/')?.split('/').map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(match parts[..] {
            ["reset"] => Self::Reset,
            ["proxies"] => Self::Proxies,
            ["populate"] => Self::Populate,
            ["version"] => Self::Version,
            ["metrics"] => Self::Metrics,
            ["record"] => Self::Record,
            ["proxies", proxy] if !proxy.is_empty() => Self::Proxy(proxy.into()),
            ["proxies", proxy, "toxics"] if !proxy.is_empty() => Self::Toxics(proxy.into()),
            ["proxies", proxy, "toxics", toxic] if !proxy.is_empty() && !toxic.is_empty() => {
                Self::Toxic(proxy.into(), toxic.into())
            }
            _ => return None,
        })
    }

    /// The methods that it takes.
    fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Reset | Self::Populate => &["POST"],
            Self::Proxies | Self::Toxics(_) => &["GET", "POST"],
            Self::Proxy(_) | Self::Toxic(..) => &["GET", "POST", "PATCH", "DELETE"],
            Self::Version | Self::Record => &["GET"],
            // The original hands these to a handler that takes any.
            Self::Metrics => &["GET", "HEAD", "POST"],
        }
    }
}

/// A part of a path with `%41` for `A`; what is no such code stays as it is.
fn decoded(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let code = part.get(i + 1..i + 3).filter(|_| bytes[i] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Api {
    /// The API of a control.
    #[must_use]
    pub fn new(control: Arc<Control>, metrics: Metrics) -> Self {
        Self { control, metrics }
    }

    /// What can be said before the body is read.
    pub(super) fn refuse(&self, method: &str, path: &str, agent: &[u8]) -> Option<Answer> {
        let resource = Resource::at(path);
        let is_served = |resource: &Resource| {
            let any_metrics = self.metrics.proxies || self.metrics.runtime;
            *resource != Resource::Metrics || any_metrics
        };
        let Some(resource) = resource.filter(is_served) else {
            return Some(Answer::text(404, "404 page not found"));
        };
        if !resource.methods().contains(&method) {
            return Some(Answer::empty(405));
        }
        // A page in a browser must not steer what runs here.
        agent
            .starts_with(b"Mozilla/")
            .then(|| Answer::text(403, "User agent not allowed"))
    }

    /// Answers a request that was not refused.
    pub(super) async fn answer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let Some(resource) = Resource::at(path) else {
            return Answer::text(404, "404 page not found");
        };
        let answered = self.act(method, resource, body).await;
        answered.unwrap_or_else(Answer::from)
    }

    async fn act(&self, method: &str, resource: Resource, body: &[u8]) -> Result<Answer, ApiError> {
        let control = &self.control;
        let ok = |value: Value| Ok(Answer::json(200, &value));
        match (method, resource) {
            (_, Resource::Version) => Ok(version()),
            (_, Resource::Metrics) => Ok(self.metrics().await),
            (_, Resource::Record) => {
                control.flush().await;
                ok(serde_json::to_value(control.record().await).unwrap_or_default())
            }
            (_, Resource::Reset) => {
                control.reset().await?;
                Ok(Answer::empty(204))
            }
            (_, Resource::Populate) => Ok(self.populate(body).await),
            ("GET", Resource::Proxies) => ok(control.proxies().await),
            (_, Resource::Proxies) => {
                let wanted = body::new_link(&body::decode(body)?, None)?;
                Ok(Answer::json(201, &control.create(wanted).await?))
            }
            ("GET", Resource::Proxy(name)) => {
                ok(control.read(&name, |proxy| Ok(proxy.to_json())).await?)
            }
            ("DELETE", Resource::Proxy(name)) => {
                control.delete(&name).await?;
                Ok(Answer::empty(204))
            }
            (_, Resource::Proxy(name)) => ok(control.update(&name, body).await?),
            ("GET", Resource::Toxics(name)) => {
                let toxics = control.read(&name, |proxy| {
                    Ok(proxy.toxics().map(crate::toxic::Toxic::to_json).collect())
                });
                ok(toxics.await?)
            }
            (_, Resource::Toxics(name)) => ok(control.add_toxic(&name, body).await?),
            ("GET", Resource::Toxic(name, toxic)) => {
                let toxic = control.read(&name, |proxy| {
                    let found = proxy.find(&toxic).ok_or(ApiError::NoToxic)?;
                    Ok(found.to_json())
                });
                ok(toxic.await?)
            }
            ("DELETE", Resource::Toxic(name, toxic)) => {
                control.remove_toxic(&name, &toxic).await?;
                Ok(Answer::empty(204))
            }
            (_, Resource::Toxic(name, toxic)) => {
                ok(control.update_toxic(&name, &toxic, body).await?)
            }
        }
    }

    async fn populate(&self, body: &[u8]) -> Answer {
        let (made, error) = match body::decode(body) {
            Ok(list) => self.control.populate(&list).await,
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut object = Map::new();
        let mut status = 201;
        if let Some(error) = error {
            status = error.status();
            object.insert("error".into(), error.to_string().into());
            object.insert("status".into(), status.into());
        }
        // Go's encoder writes a list that was never made as null.
        let none_made = made.is_empty() && status != 201;
        let made = if none_made { Value::Null } else { made.into() };
        object.insert("proxies".into(), made);
        Answer::json(status, &object.into())
    }

    async fn metrics(&self) -> Answer {
        let mut text = String::new();
        if self.metrics.proxies {
            metrics::proxies(&mut text, &self.control.record().await);
        }
        if self.metrics.runtime {
            metrics::runtime(&mut text);
        }
        Answer {
            status: 200,
            content_type: Some("text/plain; version=0.0.4; charset=utf-8"),
            body: text,
        }
    }
}

fn version() -> Answer {
    let ours = env!("CARGO_PKG_VERSION");
    Answer {
        status: 200,
        content_type: Some("application/json;charset=utf-8"),
        body: format!("{{\"version\": \"{COMPATIBLE}\", \"harness\": \"{ours}\"}}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let cases = [
            ("/proxies", Some(Resource::Proxies)),
            ("/proxies/", None),
            ("/proxies/a%20b%2Fc", Some(Resource::Proxy("a b/c".into()))),
            ("/proxies/a/toxics", Some(Resource::Toxics("a".into()))),
            (
                "/proxies/a/toxics/%zz%",
                Some(Resource::Toxic("a".into(), "%zz%".into())),
            ),
            ("/proxies/a/b", None),
            ("/", None),
            ("", None),
            ("*", None),
            (
                "/proxies/%ff\u{20ac}%",
                Some(Resource::Proxy("\u{fffd}\u{20ac}%".into())),
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(Resource::at(path), expected, "{path}");
        }
    }
}
