//! Lists of links that are wanted, before any is made.

use serde_json::Value;
use service::addr::HostPort;

use super::body::{self, NewLink};
use super::socket;
use crate::error::ApiError;

/// An upstream's address.
pub(super) fn upstream(text: &str) -> Result<HostPort, ApiError> {
    text.parse()
        .map_err(|error| ApiError::BadBody(format!("upstream: {error}")))
}

/// Checks a list of links, without making any.
///
/// # Errors
/// What is wrong with the first that is wrong.
pub fn check(list: &Value) -> Result<(), ApiError> {
    for link in new_links(list)? {
        upstream(&link.upstream)?;
        socket::parse(&link.listen)?;
    }
    Ok(())
}

/// The links of a list.
pub(super) fn new_links(list: &Value) -> Result<Vec<NewLink>, ApiError> {
    let list = match list {
        Value::Array(list) => list,
        Value::Null => return Ok(Vec::new()),
        _ => {
            let text = "json: cannot unmarshal object into Go value of type []toxiproxy.Proxy";
            return Err(ApiError::BadBody(text.to_owned()));
        }
    };
    let places = list.iter().zip(1..);
    places
        .map(|(value, place)| body::new_link(value, Some(place)))
        .collect()
}
