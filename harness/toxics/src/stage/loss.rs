//! `packet_loss` and `loss`: some of it never arrives.
//!
//! With a correlation, what follows a loss is more likely lost, and what follows a pass
//! more likely passes, so that losses come in bursts while their share stays: the chance
//! after a loss is p + c (1 - p), after a pass p (1 - c).

use super::{Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::decision::purpose::LOSS as CHANCE;
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

const ATTRIBUTES: &[Attribute] = &[
    Attribute::share("loss_rate", 0.0, "share that is lost"),
    Attribute::share("correlation", 0.0, "how much a loss follows a loss"),
];

/// The kind of the original, which may be on a TCP link too.
pub static PACKET_LOSS: Kind = Kind {
    name: "packet_loss",
    about: "lose a share of the datagrams; on TCP, of what is received together, which corrupts the stream",
    fits: Fits::Both,
    attributes: ATTRIBUTES,
    acts: Acts::OnTraffic(make),
};

/// The kind for datagrams.
pub static LOSS: Kind = Kind {
    name: "loss",
    about: "lose a share of the datagrams",
    fits: Fits::Datagram,
    attributes: ATTRIBUTES,
    acts: Acts::OnTraffic(make),
};

fn make(attributes: &Attributes, _: u64) -> Box<dyn Stage> {
    Box::new(Loss {
        rate: attributes.share("loss_rate"),
        correlation: attributes.share("correlation"),
        last_was_lost: None,
        queue: Queue::default(),
    })
}

#[derive(Debug)]
struct Loss {
    rate: f64,
    correlation: f64,
    last_was_lost: Option<bool>,
    queue: Queue,
}

impl Stage for Loss {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        if let Item::Data(segment) = &item {
            let chance = match self.last_was_lost {
                None => self.rate,
                Some(true) => self.rate + self.correlation * (1.0 - self.rate),
                Some(false) => self.rate * (1.0 - self.correlation),
            };
            let is_lost = context.draws.unit(segment.offset, CHANCE) < chance;
            self.last_was_lost = Some(is_lost);
            if is_lost {
                context.hit(segment.offset, segment.bytes.len(), "lose", 0);
                return;
            }
        }
        self.queue.push(item);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Step {
        self.queue.pop().map_or(Step::Wait(None), Step::Item)
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.rate = attributes.share("loss_rate");
        self.correlation = attributes.share("correlation");
    }

    fn release(&mut self) -> Vec<Item> {
        self.queue.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    #[test]
    fn the_share_stays_and_the_bursts_grow_with_correlation() {
        let n = 50_000_u64;
        let mut runs = Vec::new();
        for correlation in ["0", "0.5"] {
            let attributes = format!(r#"{{"loss_rate":0.2,"correlation":{correlation}}}"#);
            let mut bench = Bench::datagrams(&LOSS, &attributes);
            let passed: Vec<bool> = (0..n)
                .map(|i| {
                    bench.feed(data("x", i));
                    !bench.text().is_empty()
                })
                .collect();
            let lost = passed.iter().filter(|passed| !**passed).count() as f64;
            // Seven standard deviations of the correlated series.
            assert!((lost / n as f64 - 0.2).abs() < 0.022, "{lost}");
            assert_eq!(bench.counters().hits, lost as u64);
            let starts = passed.windows(2).filter(|w| w[0] && !w[1]).count();
            runs.push(lost / starts as f64);
        }
        assert!(runs[1] > 1.5 * runs[0], "{runs:?}");
    }

    #[test]
    fn the_bounds_are_exact_and_ends_are_never_lost() {
        for (rate, expected) in [("0", "x[End]"), ("1", "[End]")] {
            let mut bench = Bench::new(&PACKET_LOSS, &format!(r#"{{"loss_rate":{rate}}}"#));
            bench.feed(data("x", 0));
            bench.feed(Item::End);
            assert_eq!(bench.text(), expected);
        }
    }
}
