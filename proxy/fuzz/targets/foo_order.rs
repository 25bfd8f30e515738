//! The order of the shield's answers: whatever a client sends and whenever the server
//! answers, each line is answered once and in its turn.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::foo::{Grammar, Kind, Scanner};

#[path = "../../src/foo/order.rs"]
#[expect(dead_code, reason = "the proxy uses more of it than there is to model")]
mod order;

/// What happens next.
#[derive(Debug, arbitrary::Arbitrary)]
enum Step {
    /// The client sends this.
    Sends(Vec<u8>),
    /// The server answers so many of the requests that it has.
    Answers(u8),
}

fuzz_target!(|steps: Vec<Step>| {
    let mut scanner = Scanner::new(Grammar::Strict, 64);
    let mut order = order::Order::default();
    // True is an answer of the server's, false one of ours.
    let (mut lines, mut answers) = (Vec::new(), Vec::new());
    let mut unanswered = 0_u64;
    for step in steps {
        match step {
            Step::Sends(bytes) => {
                let mut rest = &bytes[..];
                while let Some(scanned) = scanner.scan(rest) {
                    rest = &rest[scanned.len..];
                    let is_request = scanned.verdict.is_ok_and(|head| head.kind == Kind::Req);
                    lines.push(is_request);
                    if is_request {
                        order.forwarded(1);
                        unanswered += 1;
                    } else if order.kept(false) {
                        answers.push(false);
                    }
                }
            }
            Step::Answers(count) => {
                let count = u64::from(count).min(unanswered);
                unanswered -= count;
                if order.is_plain() {
                    order.answered_plainly(count);
                    answers.extend((0..count).map(|_| true));
                } else {
                    for _ in 0..count {
                        answers.push(true);
                        answers.extend((0..order.answered()).map(|_| false));
                    }
                }
            }
        }
        assert!(lines.starts_with(&answers), "{lines:?} {answers:?}");
    }
    for _ in 0..unanswered {
        answers.push(true);
        answers.extend((0..order.answered()).map(|_| false));
    }
    assert_eq!(lines, answers);
    assert!(order.is_plain() && !order.is_full());
});
