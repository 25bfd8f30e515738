//! What is sent back, and what planted defects make of it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::defect::{WrongKind, WrongReply};
use crate::distort::distort;
use crate::pattern::mix;
use crate::process::Process;
use crate::record::{DefectHits, UpstreamRecord};

/// How long an answer that is to change places waits for another to the same client.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(50);

/// Clients whose latest answer is kept; with one more, all are forgotten.
const MOST_REMEMBERED: usize = 16_384;

/// A datagram that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
    /// Whether it leaves from another port.
    pub(super) elsewhere: bool,
}

/// The answers on their way out.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Those that may leave.
    pub(super) ready: Vec<Answer>,
    /// Those that `slow` holds back, in the order in which they leave.
    slow: VecDeque<(Instant, Answer)>,
    /// One that is to be overtaken, and when it leaves if none overtakes it.
    held: Option<(Instant, Answer)>,
    /// The latest answer of each client, for answers that are stale.
    last: HashMap<SocketAddr, Answer>,
    /// A wrong reply that was due and not possible yet.
    armed: Option<WrongKind>,
    /// The last two clients.
    clients: [Option<SocketAddr>; 2],
}

impl Answers {
    /// Makes the answer to a datagram.
    pub(super) fn make(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        process: &Process,
        record: &mut UpstreamRecord,
    ) {
        let defects = &process.config.defects;
        let number = process.next_answer();
        let is_nth = |every: Option<u64>| every.is_some_and(|n| number.is_multiple_of(n));
        if self.clients[0] != Some(from) {
            self.clients = [Some(from), self.clients[0]];
        }
        let mut answer = Answer {
            to: from,
            bytes: bytes.to_vec(),
            elsewhere: is_nth(defects.wrong_port),
        };
        record.hits.wrong_port += u64::from(answer.elsewhere);
        if is_nth(defects.wrong_connection)
            && let Some(other) = self.clients[1]
        {
            answer.to = other;
            record.hits.wrong_connection += 1;
        }
        match defects.wrong_reply {
            Some(wrong) => {
                let changed = self.put(answer, number, wrong, process, &mut record.hits);
                record.wrong_replies += u64::from(changed);
            }
            None => self.leave(answer, process, &mut record.hits),
        }
    }

    /// Lets an answer leave, or something instead, and tells whether that is wrong.
    fn put(
        &mut self,
        mut answer: Answer,
        number: u64,
        wrong: WrongReply,
        process: &Process,
        hits: &mut DefectHits,
    ) -> bool {
        let seed = process.config.seed;
        if self.last.len() == MOST_REMEMBERED {
            self.last.clear();
        }
        let earlier = self.last.insert(answer.to, answer.clone());
        if number.is_multiple_of(wrong.every) && self.armed.is_none() {
            self.armed = Some(wrong.due(number, seed));
        }
        if self
            .held
            .as_ref()
            .is_some_and(|(_, held)| held.to == answer.to)
        {
            self.leave(answer, process, hits);
            self.release_held(process, hits);
            return false;
        }
        let possible = self.armed.take_if(|kind| match kind {
            WrongKind::Swapped => self.held.is_none(),
            WrongKind::Stale => earlier.is_some(),
            WrongKind::Corrupted => !answer.bytes.is_empty(),
            WrongKind::Duplicated | WrongKind::Dropped => true,
        });
        match possible {
            None => self.leave(answer, process, hits),
            Some(WrongKind::Swapped) => {
                self.held = Some((Instant::now() + OVERTAKEN_WITHIN, answer));
            }
            Some(WrongKind::Duplicated) => {
                self.leave(answer.clone(), process, hits);
                self.leave(answer, process, hits);
            }
            Some(WrongKind::Corrupted) => {
                corrupt(&mut answer.bytes, number, seed);
                self.leave(answer, process, hits);
            }
            Some(WrongKind::Stale) => self.leave(earlier.unwrap_or(answer), process, hits),
            Some(WrongKind::Dropped) => {}
        }
        possible.is_some()
    }

    /// Lets an answer leave, now or when `slow` says.
    fn leave(&mut self, mut answer: Answer, process: &Process, hits: &mut DefectHits) {
        distort(&mut answer.bytes, 0, process, hits);
        match process.config.defects.slow {
            Some(delay) => {
                hits.slow += 1;
                self.slow.push_back((Instant::now() + delay, answer));
            }
            None => self.ready.push(answer),
        }
    }

    /// Lets leave what is due.
    pub(super) fn release(&mut self, now: Instant, process: &Process, hits: &mut DefectHits) {
        if self.held.as_ref().is_some_and(|(due, _)| *due <= now) {
            self.release_held(process, hits);
        }
        let due = self.slow.partition_point(|(due, _)| *due <= now);
        let slow = self.slow.drain(..due).map(|(_, answer)| answer);
        self.ready.extend(slow);
    }

    /// Lets leave all that waits.
    pub(super) fn release_all(&mut self, process: &Process, hits: &mut DefectHits) {
        self.release_held(process, hits);
        let slow = self.slow.drain(..).map(|(_, answer)| answer);
        self.ready.extend(slow);
    }

    fn release_held(&mut self, process: &Process, hits: &mut DefectHits) {
        if let Some((_, answer)) = self.held.take() {
            self.leave(answer, process, hits);
        }
    }

    /// When the next of them may leave.
    pub(super) fn due(&self) -> Option<Instant> {
        let held = self.held.as_ref().map(|(due, _)| *due);
        let slow = self.slow.front().map(|(due, _)| *due);
        held.into_iter().chain(slow).min()
    }
}

/// Flips one bit.
fn corrupt(bytes: &mut [u8], number: u64, seed: u64) {
    let draw = mix(seed ^ number.rotate_left(32));
    let bit = usize::try_from(draw % (bytes.len() as u64 * 8)).unwrap_or(0);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defect::Defects;
    use crate::server::Config;

    const ONE: u16 = 1_001;
    const TWO: u16 = 1_002;

    fn process(defects: &[&str]) -> Process {
        let defects: Vec<_> = defects.iter().map(|text| text.parse().unwrap()).collect();
        Process::new(Config {
            defects: Defects::new(&defects),
            seed: 0,
            ..Config::default()
        })
    }

    /// What becomes of datagrams of one byte, 1 and so on, from these ports: ports and
    /// bytes, and how many answers were made wrong ones.
    fn answers(defects: &[&str], from: &[u16]) -> (Vec<(u16, u8)>, u64) {
        let process = process(defects);
        let mut answers = Answers::default();
        let mut record = UpstreamRecord::default();
        for (nth, port) in from.iter().enumerate() {
            let from = ([127, 0, 0, 1], *port).into();
            answers.make(from, &[nth as u8 + 1], &process, &mut record);
        }
        answers.release_all(&process, &mut record.hits);
        let ready = answers.ready.iter();
        let seen = ready.map(|answer| (answer.to.port(), answer.bytes[0]));
        (seen.collect(), record.wrong_replies)
    }

    #[test]
    fn each_kind_is_wrong_in_its_own_way() {
        let cases: [(&str, &[u8], u64); 4] = [
            ("swapped", &[1, 2, 4, 3, 5, 7, 6], 2),
            ("duplicated", &[1, 2, 3, 3, 4, 5, 6, 6, 7], 2),
            ("stale", &[1, 2, 2, 4, 5, 5, 7], 2),
            ("dropped", &[1, 2, 4, 5, 7], 2),
        ];
        for (kind, expected, changed) in cases {
            let defect = format!("wrong-reply={kind}:1/3");
            let (seen, wrong) = answers(&[&defect], &[ONE; 7]);
            let bytes: Vec<u8> = seen.iter().map(|(_, byte)| *byte).collect();
            assert_eq!((bytes.as_slice(), wrong), (expected, changed), "{kind}");
        }
        let (seen, wrong) = answers(&["wrong-reply=corrupted:1/3"], &[ONE; 7]);
        let differs = |nth: usize| (seen[nth].1 ^ (nth as u8 + 1)).count_ones();
        let bits: Vec<_> = (0..7).map(differs).collect();
        assert_eq!((bits, wrong), (vec![0, 0, 1, 0, 0, 1, 0], 2));
    }

    #[test]
    fn answers_of_two_clients_are_never_swapped() {
        let (seen, wrong) = answers(&["wrong-reply=swapped:1/2"], &[ONE, TWO, ONE, TWO, ONE]);
        let expected = [(ONE, 1), (ONE, 3), (TWO, 4), (TWO, 2), (ONE, 5)];
        assert_eq!((seen.as_slice(), wrong), (expected.as_slice(), 2));
    }

    #[test]
    fn an_answer_goes_to_another_client_if_there_is_one() {
        let alone = answers(&["wrong-connection=1/2"], &[ONE; 3]).0;
        assert_eq!(alone, [(ONE, 1), (ONE, 2), (ONE, 3)]);
        let two = answers(&["wrong-connection=1/2"], &[ONE, TWO, TWO, TWO]).0;
        assert_eq!(two, [(ONE, 1), (ONE, 2), (TWO, 3), (ONE, 4)]);
    }

    #[test]
    fn slow_answers_leave_in_order_when_due() {
        let process = process(&["slow=1h"]);
        let (mut answers, mut record) = (Answers::default(), UpstreamRecord::default());
        let from = ([127, 0, 0, 1], ONE).into();
        for byte in 0..3 {
            answers.make(from, &[byte], &process, &mut record);
        }
        let hour = Duration::from_secs(3_600);
        answers.release(Instant::now(), &process, &mut record.hits);
        assert!(answers.ready.is_empty() && answers.due().is_some());
        answers.release(Instant::now() + hour, &process, &mut record.hits);
        assert_eq!((answers.ready.len(), answers.due()), (3, None));
        assert_eq!(record.hits.slow, 3);
    }
}
