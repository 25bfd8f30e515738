//! Lines of statsd on their way: waiting until the last has arrived somewhere, and asking
//! everybody who counts.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use report::account::told::Told;
use report::event::Event;

use super::faults::Undone;
use super::{Block, Cut};
use crate::scenario::{Mode, statsd};
use crate::supervisor::udp;

/// How long lines may be on their way when the load is over: a proxy that can take fifty
/// thousand in a second may have a socket full of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the proxy may hold the same lines before nobody believes that they will leave.
const MOST_HELD: Duration = Duration::from_secs(2);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks in a row that must show the same.
const CALM_LOOKS: u32 = 4;

/// Clients that connect to the management port and say nothing. More than a server that
/// serves one after another could outlive.
const SILENT_CLIENTS: usize = 32;

impl Block<'_> {
    /// Whether this block is about lines of statsd.
    pub(super) fn is_about_lines(&self) -> bool {
        self.planned.scenario.proxy.mode == Mode::Statsd
    }

    /// Waits until no line is on its way any more, and notes what is told of them.
    pub(super) async fn settle_lines(&mut self) -> Result<(), Cut> {
        if !self.is_about_lines() || self.is_direct() {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        let (mut last, mut calm, mut same_since) = (None, 0, Instant::now());
        while Instant::now() < deadline && calm < CALM_LOOKS {
            let state = self.state().await;
            let told = state.as_ref().and_then(Told::of);
            let pending = told.as_ref().map_or(0, |told| told.lines.pending);
            let waiting = self
                .entry
                .and_then(udp::look)
                .map_or(0, |seen| seen.waiting_bytes);
            let now = (told.map(|told| (told.lines, told.datagrams)), waiting);
            if last.as_ref() != Some(&now) {
                (last, calm, same_since) = (Some(now), 0, Instant::now());
            } else if waiting == 0 && pending == 0 || same_since.elapsed() > MOST_HELD {
                calm += 1;
            }
            self.listen_until(Instant::now() + PAUSE, |_| false).await?;
        }
        let state = self.state().await;
        let kernel_drops = self.entry.and_then(udp::look).map(|seen| seen.drops);
        self.emit(Event::ProxyCounted {
            state,
            kernel_drops,
        });
        Ok(())
    }

    /// Connects to the proxy's management port again and again, and says nothing.
    pub(super) fn connect_silently(&mut self) -> Result<(), Undone> {
        let Some(management) = self.management else {
            let reason = "the proxy has no management port".to_owned();
            return Err(Undone::Reason(reason));
        };
        for _ in 0..SILENT_CLIENTS {
            let connected = TcpStream::connect_timeout(&management, Duration::from_secs(1));
            match connected {
                Ok(stream) => self.silent.push(stream),
                Err(error) => {
                    let reason = format!("the management port took no connection: {error}");
                    return Err(Undone::Reason(reason));
                }
            }
        }
        Ok(())
    }

    /// The servers that are in the configuration of the proxy from the beginning.
    pub(super) fn first_nodes(&self) -> Vec<String> {
        self.planned.scenario.proxy.nodes.clone()
    }

    /// The configuration of a proxy for statsd, with these servers, or all if none is named.
    pub(super) fn statsd_config(&self, nodes: &[String]) -> String {
        let scenario = &self.planned.scenario;
        let wanted: Vec<String> = nodes
            .iter()
            .filter_map(|name| Some(scenario.upstream_name(scenario.upstream_at(name)?)))
            .collect();
        let is_wanted = |name: &String| nodes.is_empty() || wanted.contains(name);
        let backends = self.backends.iter().filter(|one| is_wanted(&one.name));
        let lines: Vec<String> = backends
            .map(|one| statsd::node_entry(one.at, one.admin))
            .collect();
        format!("{{\"nodes\": [\n{}\n]}}\n", lines.join(",\n"))
    }
}
