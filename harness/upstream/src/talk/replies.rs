//! From answers to bytes, and what `wrong-reply` makes of them on the way.

use protocol::foo::{Answer, Kind};

use crate::defect::{WrongKind, WrongReply};
use crate::pattern::mix;
use crate::process::Process;

/// The answers of one connection that a wrong reply may need. Sound servers leave it
/// empty.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// An answer that the next one overtakes.
    held: Option<Answer>,
    /// The latest answer.
    last: Option<Answer>,
    /// A wrong reply that was due and not possible yet.
    armed: Option<WrongKind>,
}

impl Replies {
    /// Appends an answer, and tells whether it was made a wrong one. `another_follows`
    /// says that the answer after it is certain, so that the two can change places.
    pub(crate) fn put(
        &mut self,
        answer: Answer,
        wrong: WrongReply,
        another_follows: bool,
        process: &Process,
        out: &mut Vec<u8>,
    ) -> bool {
        let number = process.next_answer();
        let earlier = self.last.replace(answer);
        if number.is_multiple_of(wrong.every) && self.armed.is_none() {
            self.armed = Some(wrong.due(number, process.config.seed));
        }
        if self.held.is_some() {
            answer.encode(out);
            self.release(out);
            return false;
        }
        let possible = self.armed.filter(|kind| match kind {
            WrongKind::Swapped => another_follows,
            WrongKind::Stale => earlier.is_some(),
            WrongKind::Duplicated | WrongKind::Corrupted | WrongKind::Dropped => true,
        });
        // Which kind it is matters only to whoever named one.
        let instead = self
            .armed
            .filter(|_| wrong.kind.is_none())
            .map(|_| WrongKind::Corrupted);
        let Some(kind) = possible.or(instead) else {
            answer.encode(out);
            return false;
        };
        self.armed = None;
        match kind {
            WrongKind::Swapped => self.held = Some(answer),
            WrongKind::Duplicated => {
                answer.encode(out);
                answer.encode(out);
            }
            WrongKind::Corrupted => corrupt(answer, number, process.config.seed).encode(out),
            WrongKind::Stale => earlier.unwrap_or(answer).encode(out),
            WrongKind::Dropped => {}
        }
        true
    }

    /// Appends an answer that was overtaken.
    pub(crate) fn release(&mut self, out: &mut Vec<u8>) {
        if let Some(held) = self.held.take() {
            held.encode(out);
        }
    }
}

/// Changes one digit to another.
fn corrupt(mut answer: Answer, number: u64, seed: u64) -> Answer {
    let draw = mix(seed ^ number.rotate_left(32));
    let at = usize::try_from(draw % answer.digits.len() as u64).unwrap_or(0);
    let digit = &mut answer.digits[at];
    *digit = if *digit == b'0' { b'1' } else { b'0' };
    answer
}

/// Whether an answer counts as an ACK.
pub(crate) fn is_ack(answer: &Answer) -> bool {
    answer.kind == Kind::Ack
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Config;

    fn replies(spec: &str, count: i64, pipelined: bool) -> (Vec<i64>, usize) {
        let crate::defect::Defect::WrongReply(wrong) = spec.parse().unwrap() else {
            panic!("{spec} is a wrong reply");
        };
        let process = Process::new(Config::default());
        let mut replies = Replies::default();
        let (mut out, mut changed) = (Vec::new(), 0);
        for seq in 1..=count {
            let answer = Answer::to(seq, b"x");
            let follows = pipelined && seq < count;
            changed += usize::from(replies.put(answer, wrong, follows, &process, &mut out));
        }
        let text = String::from_utf8(out).unwrap();
        let seqs = text.lines().map(|line| {
            let mut fields = line.split(' ').skip(1);
            let seq: i64 = fields.next().unwrap().parse().unwrap();
            let sound = fields.next().unwrap().as_bytes() == Answer::to(seq, b"x").digits;
            if sound { seq } else { -seq }
        });
        (seqs.collect(), changed)
    }

    #[test]
    fn each_kind_is_wrong_in_its_own_way() {
        let cases = [
            ("wrong-reply=swapped:1/3", vec![1, 2, 4, 3, 5, 7, 6], 2),
            (
                "wrong-reply=duplicated:1/3",
                vec![1, 2, 3, 3, 4, 5, 6, 6, 7],
                2,
            ),
            ("wrong-reply=corrupted:1/3", vec![1, 2, -3, 4, 5, -6, 7], 2),
            ("wrong-reply=stale:1/3", vec![1, 2, 2, 4, 5, 5, 7], 2),
            ("wrong-reply=dropped:1/3", vec![1, 2, 4, 5, 7], 2),
        ];
        for (spec, expected, changed) in cases {
            assert_eq!(replies(spec, 7, true), (expected, changed), "{spec}");
        }
    }

    #[test]
    fn the_kinds_take_turns() {
        let (seqs, changed) = replies("wrong-reply=1/2", 9, true);
        assert_eq!(changed, 4);
        assert_eq!(
            seqs,
            [1, 2, 2, 3, -4, 5, 5, 7, 9, 8],
            "duplicated, corrupted, stale, swapped"
        );
    }

    #[test]
    fn nothing_is_held_back_for_an_answer_that_may_never_come() {
        assert_eq!(
            replies("wrong-reply=swapped:1/1", 4, false),
            (vec![1, 2, 3, 4], 0)
        );
        let (seqs, changed) = replies("wrong-reply=1/1", 8, false);
        assert_eq!(
            (seqs.len(), changed),
            (10, 8),
            "one is duplicated in every four"
        );
    }
}
