//! What the API refuses, in the words of the original.

use serde_json::json;

use crate::attributes::AttributeError;
use crate::toxic::NoDirection;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The body is not what it should be.
    #[error("bad request body: {0}")]
    BadBody(String),
    /// A field is missing.
    #[error("missing required field: {0}")]
    Missing(String),
    /// No kind of toxic has this name.
    #[error("invalid toxic type")]
    InvalidType,
    /// The kind is for other links.
    #[error("invalid toxic type: {0} is for {1} links")]
    Unfit(&'static str, &'static str),
    /// The stream is neither.
    #[error(transparent)]
    InvalidStream(#[from] NoDirection),
    /// There is no such link.
    #[error("proxy not found")]
    NoProxy,
    /// There is no such toxic.
    #[error("toxic not found")]
    NoToxic,
    /// There is such a link.
    #[error("proxy already exists")]
    ProxyExists,
    /// There is such a toxic.
    #[error("toxic already exists")]
    ToxicExists,
    /// There are too many links, or too many toxics on one.
    #[error("too many: {0}")]
    TooMany(String),
    /// The system refused.
    #[error("{0}")]
    System(String),
}

impl ApiError {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::BadBody(_)
            | Self::Missing(_)
            | Self::InvalidType
            | Self::Unfit(..)
            | Self::InvalidStream(_) => 400,
            Self::NoProxy | Self::NoToxic => 404,
            Self::ProxyExists | Self::ToxicExists => 409,
            Self::TooMany(_) | Self::System(_) => 500,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({"error": self.to_string(), "status": self.status()})
    }
}

impl From<AttributeError> for ApiError {
    fn from(error: AttributeError) -> Self {
        Self::BadBody(error.to_string())
    }
}
