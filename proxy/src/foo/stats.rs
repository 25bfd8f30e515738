//! The statistics as JSON and as Prometheus text.

use protocol::foo::Malformed;
use serde_json::{Map, Number, Value, json};

use super::counters::FooTotals;
use super::rates::Rates;
use crate::plane::PlaneTotals;
use crate::prometheus::Prometheus;

/// Everything that is counted, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Stats {
    pub(super) messages: FooTotals,
    pub(super) rates: Rates,
    pub(super) plane: PlaneTotals,
    pub(super) uptime_s: f64,
    pub(super) driver: &'static str,
    pub(super) threads: usize,
}

impl Stats {
    /// One JSON object on one line. It begins with the eight fields that the proxy's users
    /// have always read, in their order.
    pub(super) fn json(&self) -> String {
        let messages = &self.messages;
        let plane = &self.plane;
        let failed = json!({
            "refused": plane.failed_refused,
            "timeout": plane.failed_timeout,
            "descriptors": plane.failed_descriptors,
            "other": plane.failed_other,
        });
        json!({
            "msg_total": messages.requests + messages.responses(),
            "msg_req": messages.requests,
            "msg_ack": messages.acks,
            "msg_nak": messages.naks,
            "request_rate_1s": one_decimal(self.rates.request_1s),
            "request_rate_10s": one_decimal(self.rates.request_10s),
            "response_rate_1s": one_decimal(self.rates.response_1s),
            "response_rate_10s": one_decimal(self.rates.response_10s),
            "own_answers": messages.own_answers,
            "malformed": {
                "client": by_reason(&messages.from_client),
                "upstream": by_reason(&messages.from_upstream),
            },
            "connections": {
                "open": plane.accepted - plane.closed.min(plane.accepted),
                "total": plane.accepted,
                "refused": plane.refused,
                "failed": failed,
                "idle_timeout": plane.idle_timeout,
                "reset": plane.reset,
                "reset_on_malformed": plane.reset_by_mode,
            },
            "pauses": { "accept": plane.accept_paused, "read": plane.read_paused },
            "bytes": {
                "client_in": plane.client_in,
                "client_out": plane.client_out,
                "upstream_in": plane.upstream_in,
                "upstream_out": plane.upstream_out,
            },
            "uptime_s": one_decimal(self.uptime_s),
            "driver": self.driver,
            "threads": self.threads,
        })
        .to_string()
    }

    /// The same in the Prometheus text format.
    pub(super) fn prometheus(&self) -> String {
        let mut text = Prometheus::default();
        let messages = &self.messages;
        text.family(
            "proxy_foo_messages_total",
            "counter",
            "Messages forwarded, by type.",
        );
        for (kind, count) in [
            ("req", messages.requests),
            ("ack", messages.acks),
            ("nak", messages.naks),
        ] {
            text.sample("proxy_foo_messages_total", &[("type", kind)], count);
        }
        let help = "Lines that are not messages, by the side that sent them and the reason.";
        text.family("proxy_foo_malformed_total", "counter", help);
        for (side, counts) in [
            ("client", &messages.from_client),
            ("upstream", &messages.from_upstream),
        ] {
            for (reason, count) in Malformed::ALL.iter().zip(counts) {
                let labels = [("side", side), ("reason", reason.kind())];
                text.sample("proxy_foo_malformed_total", &labels, *count);
            }
        }
        let help = "Answers that the proxy gave itself, to lines it kept from the server.";
        text.family("proxy_foo_own_answers_total", "counter", help);
        text.sample("proxy_foo_own_answers_total", &[], messages.own_answers);
        self.plane_metrics(&mut text);
        text.family("proxy_uptime_seconds", "gauge", "Seconds since the start.");
        text.sample("proxy_uptime_seconds", &[], self.uptime_s);
        text.into_text()
    }

    fn plane_metrics(&self, text: &mut Prometheus) {
        let plane = &self.plane;
        text.family(
            "proxy_connections_open",
            "gauge",
            "Client connections that are open.",
        );
        text.sample(
            "proxy_connections_open",
            &[],
            plane.accepted - plane.closed.min(plane.accepted),
        );
        text.family(
            "proxy_connections_total",
            "counter",
            "Client connections accepted.",
        );
        text.sample("proxy_connections_total", &[], plane.accepted);
        let help = "Client connections that were not served to their end, by reason.";
        text.family("proxy_connections_failed_total", "counter", help);
        for (reason, count) in [
            ("too_many", plane.refused),
            ("upstream_refused", plane.failed_refused),
            ("connect_timeout", plane.failed_timeout),
            ("descriptors", plane.failed_descriptors),
            ("other", plane.failed_other),
            ("idle_timeout", plane.idle_timeout),
            ("reset", plane.reset),
            ("malformed", plane.reset_by_mode),
        ] {
            text.sample(
                "proxy_connections_failed_total",
                &[("reason", reason)],
                count,
            );
        }
        text.family(
            "proxy_pauses_total",
            "counter",
            "Times that something was not done for a while.",
        );
        text.sample(
            "proxy_pauses_total",
            &[("what", "accept")],
            plane.accept_paused,
        );
        text.sample("proxy_pauses_total", &[("what", "read")], plane.read_paused);
        text.family(
            "proxy_bytes_total",
            "counter",
            "Bytes moved, by side and direction.",
        );
        for (side, direction, count) in [
            ("client", "in", plane.client_in),
            ("client", "out", plane.client_out),
            ("upstream", "in", plane.upstream_in),
            ("upstream", "out", plane.upstream_out),
        ] {
            text.sample(
                "proxy_bytes_total",
                &[("side", side), ("direction", direction)],
                count,
            );
        }
    }
}

fn by_reason(counts: &[u64; Malformed::ALL.len()]) -> Map<String, Value> {
    let reasons = Malformed::ALL.iter().zip(counts);
    reasons
        .map(|(reason, count)| (reason.kind().to_owned(), (*count).into()))
        .collect()
}

/// One decimal, and a whole number without any.
fn one_decimal(value: f64) -> Number {
    let tenths = (value * 10.0).round();
    if tenths % 10.0 == 0.0 {
        Number::from((tenths / 10.0) as u64)
    } else {
        Number::from_f64(tenths / 10.0).unwrap_or_else(|| 0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_fields_come_first_and_look_as_they_always_did() {
        let messages = FooTotals {
            requests: 900,
            acks: 792,
            naks: 108,
            ..FooTotals::default()
        };
        let rates = Rates {
            request_1s: 100.0,
            request_10s: 22.46,
            response_1s: 0.0,
            response_10s: 90.04,
        };
        let stats = Stats {
            messages,
            rates,
            plane: PlaneTotals::default(),
            uptime_s: 9.0,
            driver: "epoll",
            threads: 2,
        };
        let expected = r#"{"msg_total":1800,"msg_req":900,"msg_ack":792,"msg_nak":108,"request_rate_1s":100,"request_rate_10s":22.5,"response_rate_1s":0,"response_rate_10s":90,"#;
        let json = stats.json();
        assert!(json.starts_with(expected), "{json}");
        assert!(!json.contains('\n'));
    }
}
