//! Which answer is whose turn.
//!
//! The server answers requests in order. A line that the shield kept from it must be
//! answered by the proxy in its place among them. Remembered are runs, not lines: so many
//! requests, then so many kept lines, and so on.

use std::collections::VecDeque;

/// Kept lines that may wait for their turn; past it the client is not read from. One
/// read may bring more than the last place: at most a buffer full of empty lines.
pub(super) const MAX_PENDING: u64 = 4096;

/// Kept lines, and the requests that followed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    kept: u64,
    requests: u64,
}

/// The answers that are still due on one connection, in order.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Requests that the server has yet to answer, before the first run.
    requests: u64,
    /// Empty as long as nothing was kept back: then this is a plain count.
    runs: VecDeque<Run>,
    pending: u64,
    /// There will be no more answers from the server.
    ended: bool,
}

impl Order {
    /// Requests went to the server.
    pub(super) fn forwarded(&mut self, requests: u64) {
        if self.ended {
            return;
        }
        match self.runs.back_mut() {
            None => self.requests += requests,
            Some(run) => run.requests += requests,
        }
    }

    /// A line was kept from the server. Says whether its answer is due at once.
    /// `within_answer`: the server has begun a line that nobody asked for.
    pub(super) fn kept(&mut self, within_answer: bool) -> bool {
        if self.ended {
            return false;
        }
        if self.requests == 0 && self.runs.is_empty() {
            if !within_answer {
                return true;
            }
            self.requests = 1;
        }
        self.pending += 1;
        match self.runs.back_mut() {
            Some(run) if run.requests == 0 => run.kept += 1,
            _ => self.runs.push_back(Run {
                kept: 1,
                requests: 0,
            }),
        }
        false
    }

    /// The server has answered one request. Returns how many answers of our own are due
    /// behind it.
    pub(super) fn answered(&mut self) -> u64 {
        // An answer that nobody asked for belongs to no request.
        self.requests = self.requests.saturating_sub(1);
        let mut due = 0;
        while self.requests == 0 {
            let Some(run) = self.runs.pop_front() else {
                break;
            };
            due += run.kept;
            self.requests = run.requests;
        }
        self.pending -= due;
        if self.runs.is_empty() {
            // A connection at rest holds no memory.
            self.runs = VecDeque::new();
        }
        due
    }

    /// The server has answered `lines` requests and nothing was kept back.
    pub(super) fn answered_plainly(&mut self, lines: u64) {
        debug_assert!(self.is_plain(), "kept lines have their turn");
        self.requests = self.requests.saturating_sub(lines);
    }

    /// Whether nothing is kept back.
    pub(super) fn is_plain(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether more lines wait for their turn than may.
    pub(super) fn is_full(&self) -> bool {
        self.pending >= MAX_PENDING
    }

    /// There will be no more answers from the server: what waits for them, and what is
    /// still to come, stays unanswered.
    pub(super) fn end(&mut self) {
        *self = Self {
            ended: true,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may happen on a connection.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Good,
        Bad,
        Answer,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![Just(Step::Good), Just(Step::Bad), Just(Step::Answer)];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// However answers and lines interleave, each line is answered once, in order.
        #[test]
        fn every_line_is_answered_in_its_place(steps in steps()) {
            let mut order = Order::default();
            let (mut lines, mut answers) = (Vec::new(), Vec::new());
            let mut unanswered = 0;
            for step in steps {
                match step {
                    Step::Good => {
                        lines.push(true);
                        order.forwarded(1);
                        unanswered += 1;
                    }
                    Step::Bad => {
                        lines.push(false);
                        answers.extend(order.kept(false).then_some(false));
                    }
                    Step::Answer if unanswered > 0 => {
                        unanswered -= 1;
                        answers.push(true);
                        let due = order.answered();
                        answers.extend((0..due).map(|_| false));
                    }
                    Step::Answer => {}
                }
                prop_assert!(lines.starts_with(&answers));
            }
            for _ in 0..unanswered {
                answers.push(true);
                answers.extend((0..order.answered()).map(|_| false));
            }
            prop_assert_eq!(lines, answers);
            prop_assert!(order.is_plain() && order.pending == 0);
        }
    }

    #[test]
    fn an_own_answer_never_splits_a_line_that_nobody_asked_for() {
        let mut order = Order::default();
        assert!(!order.kept(true));
        assert_eq!(order.answered(), 1);
    }

    #[test]
    fn after_the_servers_end_nothing_is_pending_and_nothing_answered() {
        let mut order = Order::default();
        order.forwarded(1);
        order.kept(false);
        order.end();
        order.forwarded(1);
        assert!(!order.kept(false));
        assert!(order.is_plain() && !order.is_full());
    }

    #[test]
    fn runs_are_remembered_not_lines() {
        let mut order = Order::default();
        order.forwarded(1);
        for _ in 0..MAX_PENDING {
            assert!(!order.is_full());
            order.kept(false);
        }
        assert!(order.is_full());
        assert_eq!(order.runs.len(), 1);
        assert_eq!(order.answered(), MAX_PENDING);
        assert!(!order.is_full());
    }
}
