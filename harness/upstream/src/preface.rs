//! What a connection must begin with when its proxy is to say who the client is.

use protocol::proxy_header::{self, Addresses, HeaderError};

use crate::talk::Context;

/// Takes the PROXY header at the start of `bytes` into account and tells its length;
/// `None` if it is not all there.
///
/// # Errors
/// That there is none.
pub(crate) fn take(bytes: &[u8], context: &mut Context<'_>) -> Result<Option<usize>, HeaderError> {
    let parsed = proxy_header::parse(bytes);
    let headers = &mut context.counts.proxy_headers;
    let Some((header, len)) = parsed.inspect_err(|_| headers.refused += 1)? else {
        return Ok(None);
    };
    if bytes.starts_with(proxy_header::v2::SIGNATURE) {
        headers.v2 += 1;
    } else {
        headers.v1 += 1;
    }
    match header.addresses {
        Addresses::Proxied { source, .. } => context.process.note_source(source),
        Addresses::Unknown | Addresses::Local => headers.without_source += 1,
    }
    Ok(Some(len))
}
