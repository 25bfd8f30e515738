//! Rates of bytes and of datagrams.

use std::str::FromStr;

use service::units::{Rate, Size};

use super::Transport;

/// Datagrams per second of a run for which no rate is given: nobody answers them, so that
/// nothing else would slow it down.
const DEFAULT_DATAGRAMS: f64 = 1000.0;

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ByteRate(pub(super) f64);

impl FromStr for ByteRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.strip_suffix("/s").unwrap_or(text).parse::<Size>().ok();
        size.filter(|size| size.0 > 0)
            .map(|size| Self(size.0 as f64))
            .ok_or_else(|| {
                format!(
                    "expected a number of bytes per second such as 500KB/s or 10MiB/s, got {text:?}"
                )
            })
    }
}

/// The rate of a statsd client: of datagrams, or of bytes.
pub(super) fn of(text: Option<&str>, transport: Transport) -> anyhow::Result<Option<f64>> {
    let named = |error: String| anyhow::anyhow!("--rate: {error}");
    match (transport, text) {
        (Transport::Udp, None) => Ok(Some(DEFAULT_DATAGRAMS)),
        (Transport::Tcp, None) => Ok(None),
        (Transport::Udp, Some(text)) => match text.parse::<Rate>() {
            Ok(rate) => Ok(Some(rate.per_second())),
            Err(error) => Err(named(error.to_string())),
        },
        (Transport::Tcp, Some(text)) => match text.parse::<ByteRate>() {
            Ok(rate) => Ok(Some(rate.0)),
            Err(error) => Err(named(error)),
        },
    }
}
