//! The tool's own floor: the same load against a built-in echo, just before the run.

use std::time::Duration;

use crate::crew::{self, Observer};
use crate::echo::Echo;
use crate::histograms::{Histogram, percentiles};
use crate::plan::{Mode, Plan};
use crate::record::{Interval, Percentiles};
use crate::stop::StopFlag;
use crate::stride::Stride;
use crate::transport::Transport;

/// Traffic before measuring the floor: caches and connections are warm after it.
const WARMUP: Duration = Duration::from_millis(50);

/// How long the floor may wait for its echo at the end.
const DRAIN: Duration = Duration::from_millis(200);

/// Descriptors that the floor leaves to others.
const SPARE_DESCRIPTORS: u64 = 128;

/// Service times of the load of `plan` against an echo in this process, for `duration`;
/// none if the echo could not be had.
#[must_use]
pub fn measure(
    plan: &Plan,
    duration: Duration,
    descriptors: u64,
    stop: &StopFlag,
) -> Option<Percentiles> {
    let echo = Echo::start(plan.wire).ok()?;
    // Both ends of a connection are in this process.
    let most = usize::try_from(descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2).unwrap_or(1);
    let connections = plan.own_connections().min(most).max(plan.threads);
    let mut mode = plan.mode;
    if let (Mode::Open { rate, .. }, Some(own)) = (&mut mode, plan.own_rate()) {
        *rate = own;
    }
    let plan = Plan {
        part: Stride::ALL,
        start_unix_ns: None,
        mode,
        targets: vec![echo.at],
        connections,
        warmup: WARMUP,
        duration: Some(duration),
        requests: None,
        drain: DRAIN,
        // Only what the tool and the machine add to a message is asked for.
        transport: Transport::default(),
        ..plan.clone()
    };
    let outcome = crew::run(&plan, stop, &mut Unobserved).ok()?;
    Some(percentiles(&outcome.service))
}

struct Unobserved;

impl Observer for Unobserved {
    fn opened(&mut self, _open: usize, _failed: u64) {}
    fn measuring(&mut self, _mono_ns: u64) {}
    fn slice(&mut self, _interval: &Interval, _response: &Histogram) {}
}
