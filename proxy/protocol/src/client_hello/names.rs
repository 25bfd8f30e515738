//! The two extensions that routing goes by.

use std::net::IpAddr;

use super::{Fields, HelloError};

pub(super) const SERVER_NAME: u16 = 0;
pub(super) const ALPN: u16 = 16;

/// The only type of server name that there is, RFC 6066 section 3.
const HOST_NAME: u8 = 0;

/// The longest host name, RFC 1035 section 2.3.4, without its final dot.
const MAX_NAME_BYTES: usize = 253;

/// The longest label of it.
const MAX_LABEL_BYTES: usize = 63;

/// Reads a list of server names, of which one can be a host's.
pub(super) fn server_name(extension: &[u8]) -> Result<Option<String>, HelloError> {
    let mut fields = Fields::new(extension);
    let mut list = Fields::new(fields.vector16()?);
    fields.end()?;
    if list.is_empty() {
        return Err(HelloError::Malformed);
    }
    let mut host = None;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vector16()?;
        if kind == HOST_NAME && host.replace(name).is_some() {
            return Err(HelloError::Malformed);
        }
    }
    host.map_or(Ok(None), host_name)
}

/// Lower case and no final dot: the form that patterns are compared in. Underscores are
/// no part of host names, but of names that clients do ask for.
fn host_name(name: &[u8]) -> Result<Option<String>, HelloError> {
    let name = str::from_utf8(name).map_err(|_| HelloError::BadServerName)?;
    if name.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let valid = name.len() <= MAX_NAME_BYTES
        && name.split('.').all(|label| {
            (1..=MAX_LABEL_BYTES).contains(&label.len()) && label.bytes().all(allowed)
        });
    if valid {
        Ok(Some(name.to_ascii_lowercase()))
    } else {
        Err(HelloError::BadServerName)
    }
}

/// Reads a list of protocol names, RFC 7301 section 3.1.
pub(super) fn protocols(extension: &[u8]) -> Result<Vec<Vec<u8>>, HelloError> {
    let mut fields = Fields::new(extension);
    let mut list = Fields::new(fields.vector16()?);
    fields.end()?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let name = list.vector8()?;
        if name.is_empty() {
            return Err(HelloError::Malformed);
        }
        protocols.push(name.to_vec());
    }
    if protocols.is_empty() {
        return Err(HelloError::Malformed);
    }
    Ok(protocols)
}
