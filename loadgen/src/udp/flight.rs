//! The datagrams of one socket that are on their way, and what each that comes back is.
//!
//! Nothing says that a datagram is lost, so one that is not back in time counts as lost;
//! if it comes after all it is late. UDP promises no order: an answer that others have
//! overtaken is a right answer, and counted as reordered beside that (RFC 4737: its number
//! is below the highest that has come). One that was damaged may still be answered rightly
//! by a copy, so it fails only when its time is over.
//!
//! `sent = acked + failed + unanswered` holds whatever comes; a property test has anything
//! come.

use std::collections::VecDeque;

use crate::tally::{Books, Extra, Failure};
use crate::tracker::Times;

/// Lost datagrams that are remembered, to know a late one from a duplicate: the losses of a
/// target that is gone for half a second at 100,000 per second.
const LOST_REMEMBERED: usize = 65_536;

/// Datagrams that have a number and whose time is not over.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// From number `first` on, in the order in which they were sent.
    window: VecDeque<Passage>,
    first: u64,
    open: usize,
    /// Ascending.
    lost: VecDeque<u64>,
    /// The number after the highest that has come back.
    expected: u64,
    /// The phase that an answer to nothing is counted in.
    last_due: u64,
    returns: Returns,
}

/// What came back, warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Returns {
    /// Different numbers, in time or late.
    pub(crate) returned: u64,
    /// Of these, those that came when they counted as lost.
    pub(crate) late: u64,
    /// Of these, those that came after a higher number.
    pub(crate) reordered: u64,
    /// Numbers that had come before.
    pub(crate) duplicated: u64,
    /// Numbers that were never sent.
    pub(crate) unexpected: u64,
}

impl Returns {
    /// Adds another socket's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.returned += other.returned;
        self.late += other.late;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
        self.unexpected += other.unexpected;
    }
}

#[derive(Clone, Copy, Debug)]
struct Passage {
    times: Times,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    /// Something came back that may have been it.
    Damaged,
    Returned,
    NotSent,
}

impl Flight {
    /// Datagrams that may still come back in time.
    #[inline]
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Numbers that were used.
    pub(super) fn numbers(&self) -> u64 {
        self.first + self.window.len() as u64
    }

    /// What came back so far.
    pub(super) fn returns(&self) -> Returns {
        self.returns
    }

    /// Adds a datagram that is about to leave, and tells its number.
    #[inline]
    pub(super) fn push(&mut self, times: Times) -> u64 {
        let number = self.numbers();
        self.window.push_back(Passage {
            times,
            fate: Fate::Open,
        });
        self.open += 1;
        self.last_due = times.due;
        number
    }

    /// Notes that this one did not leave.
    pub(super) fn not_sent(&mut self, number: u64) {
        if let Some(passage) = self.passage(number)
            && passage.fate == Fate::Open
        {
            passage.fate = Fate::NotSent;
            self.open -= 1;
        }
    }

    /// Takes one that came back. Returns its times if it is right and in time.
    #[inline]
    pub(super) fn answer(&mut self, number: u64, books: &mut Books) -> Option<Times> {
        let last_due = self.last_due;
        if number < self.first {
            self.answer_to_the_past(number, books);
            return None;
        }
        let Some(passage) = self.passage(number) else {
            self.returns.unexpected += 1;
            books.of(last_due).extra(Extra::Unexpected);
            return None;
        };
        let Passage { times, fate } = *passage;
        match fate {
            Fate::Open | Fate::Damaged => passage.fate = Fate::Returned,
            Fate::Returned => {
                self.returns.duplicated += 1;
                books.of(times.due).extra(Extra::Duplicated);
                return None;
            }
            Fate::NotSent => {
                self.returns.unexpected += 1;
                books.of(times.due).extra(Extra::Unexpected);
                return None;
            }
        }
        if fate == Fate::Damaged {
            books.of(times.due).extra(Extra::Corrupted);
        }
        books.of(times.due).acked += 1;
        self.open -= 1;
        self.comes_back(number);
        self.forget_settled();
        Some(times)
    }

    /// Takes note of something damaged that says that it is this one, or says nothing.
    pub(super) fn damaged(&mut self, number: Option<u64>, books: &mut Books) {
        let last_due = self.last_due;
        let passage = number.and_then(|number| self.passage(number));
        match passage.filter(|passage| passage.fate == Fate::Open) {
            Some(passage) => passage.fate = Fate::Damaged,
            None => books.of(last_due).extra(Extra::Corrupted),
        }
    }

    /// Counts something that came, and answers none of ours.
    pub(super) fn extra(&mut self, kind: Extra, books: &mut Books) {
        books.of(self.last_due).extra(kind);
    }

    /// Gives up those that left at this moment or before it.
    #[inline]
    pub(super) fn expire(&mut self, sent_by: u64, books: &mut Books) {
        while let Some(passage) = self.window.front() {
            match passage.fate {
                Fate::Returned | Fate::NotSent => {}
                Fate::Open | Fate::Damaged if passage.times.sent > sent_by => return,
                Fate::Open => self.give_up(Failure::Lost, books),
                Fate::Damaged => self.give_up(Failure::Corrupted, books),
            }
            self.window.pop_front();
            self.first += 1;
        }
    }

    /// Ends the run: what is open stays unanswered.
    pub(super) fn finish(&mut self, books: &mut Books) {
        for passage in &self.window {
            let tally = books.of(passage.times.due);
            match passage.fate {
                Fate::Returned | Fate::NotSent => {}
                Fate::Open => tally.unanswered += 1,
                Fate::Damaged => tally.fail(Failure::Corrupted),
            }
        }
        self.first = self.numbers();
        self.window.clear();
        self.open = 0;
    }

    #[inline]
    fn passage(&mut self, number: u64) -> Option<&mut Passage> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.window.get_mut(at)
    }

    /// The oldest one has failed.
    fn give_up(&mut self, why: Failure, books: &mut Books) {
        let Some(passage) = self.window.front() else {
            return;
        };
        books.of(passage.times.due).fail(why);
        self.open -= 1;
        if self.lost.len() == LOST_REMEMBERED {
            self.lost.pop_front();
        }
        self.lost.push_back(self.first);
    }

    #[cold]
    fn answer_to_the_past(&mut self, number: u64, books: &mut Books) {
        let kind = match self.lost.binary_search(&number) {
            Ok(at) => {
                self.lost.remove(at);
                self.returns.late += 1;
                self.comes_back(number);
                Extra::Late
            }
            Err(_) => {
                self.returns.duplicated += 1;
                Extra::Duplicated
            }
        };
        books.of(self.last_due).extra(kind);
    }

    #[inline]
    fn comes_back(&mut self, number: u64) {
        self.returns.returned += 1;
        self.returns.reordered += u64::from(number < self.expected);
        self.expected = self.expected.max(number + 1);
    }

    #[inline]
    fn forget_settled(&mut self) {
        while let Some(passage) = self.window.front()
            && matches!(passage.fate, Fate::Returned | Fate::NotSent)
        {
            self.window.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Datagrams that left one after the other, 10 ns apart.
    fn flight(datagrams: u64) -> (Flight, Books) {
        let mut flight = Flight::default();
        for number in 0..datagrams {
            let at = number * 10;
            assert_eq!(flight.push(Times { due: at, sent: at }), number);
        }
        (flight, Books::default())
    }

    #[test]
    fn answers_in_any_order_are_right_and_the_overtaken_are_counted() {
        let (mut flight, mut books) = flight(6);
        for number in [0, 2, 1, 5, 3, 4] {
            let times = flight.answer(number, &mut books).expect("it is open");
            assert_eq!(times.sent, number * 10);
        }
        assert_eq!((books.measured.acked, flight.open()), (6, 0));
        let returns = flight.returns();
        assert_eq!((returns.returned, returns.reordered), (6, 3));
    }

    #[test]
    fn one_that_is_given_up_is_late_once_and_then_a_duplicate() {
        let (mut flight, mut books) = flight(4);
        flight.answer(1, &mut books);
        flight.expire(20, &mut books);
        assert_eq!(
            (flight.open(), books.measured.failed(Failure::Lost)),
            (1, 2)
        );
        for _ in 0..2 {
            assert_eq!(flight.answer(0, &mut books), None);
        }
        flight.answer(1, &mut books);
        assert_eq!(books.measured.extra_of(Extra::Late), 1);
        assert_eq!(books.measured.extra_of(Extra::Duplicated), 2);
        flight.answer(4, &mut books);
        assert_eq!(books.measured.extra_of(Extra::Unexpected), 1);
        let expected = Returns {
            returned: 2,
            late: 1,
            reordered: 1,
            duplicated: 2,
            unexpected: 1,
        };
        assert_eq!(flight.returns(), expected);
    }

    #[test]
    fn a_damaged_one_fails_unless_a_right_copy_comes() {
        let (mut flight, mut books) = flight(3);
        flight.damaged(Some(0), &mut books);
        flight.damaged(Some(1), &mut books);
        flight.damaged(Some(77), &mut books);
        flight.damaged(None, &mut books);
        assert!(flight.answer(1, &mut books).is_some());
        flight.expire(10, &mut books);
        let tally = &books.measured;
        assert_eq!(tally.failed(Failure::Corrupted), 1);
        assert_eq!(tally.extra_of(Extra::Corrupted), 3);
        assert_eq!((tally.acked, flight.open()), (1, 1));
    }

    #[test]
    fn what_did_not_leave_is_not_waited_for() {
        let (mut flight, mut books) = flight(3);
        flight.not_sent(1);
        flight.answer(0, &mut books);
        flight.answer(2, &mut books);
        assert_eq!((flight.open(), flight.numbers()), (0, 3));
        flight.finish(&mut books);
        assert_eq!(books.measured.failed_total() + books.measured.unanswered, 0);
    }

    #[derive(Clone, Debug)]
    enum Event {
        Push,
        Answer(u64),
        Damaged(Option<u64>),
        NotSent(u64),
        Expire(u64),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let number = 0_u64..40;
        let event = prop_oneof![
            4 => Just(Event::Push),
            4 => number.clone().prop_map(Event::Answer),
            1 => prop::option::of(number.clone()).prop_map(Event::Damaged),
            1 => number.clone().prop_map(Event::NotSent),
            1 => number.prop_map(Event::Expire),
        ];
        prop::collection::vec(event, 0..200)
    }

    proptest! {
        #[test]
        fn each_has_one_fate_whatever_comes(events in events()) {
            let mut flight = Flight::default();
            let mut books = Books { measure_from: 150, ..Books::default() };
            let (mut pushed, mut not_sent, mut came) = (0_u64, 0_u64, 0_u64);
            for event in events {
                match event {
                    Event::Push => {
                        let at = pushed * 10;
                        flight.push(Times { due: at, sent: at });
                        pushed += 1;
                    }
                    Event::Answer(number) => {
                        came += 1;
                        flight.answer(number, &mut books);
                    }
                    Event::Damaged(number) => flight.damaged(number, &mut books),
                    Event::NotSent(number) => {
                        let before = flight.open();
                        flight.not_sent(number);
                        not_sent += (before - flight.open()) as u64;
                    }
                    Event::Expire(number) => flight.expire(number * 10, &mut books),
                }
            }
            flight.finish(&mut books);
            let mut all = books.warmup;
            all.add(&books.measured);
            let settled = all.acked + all.failed_total() + all.unanswered;
            prop_assert_eq!(settled + not_sent, pushed);
            let returns = flight.returns();
            prop_assert_eq!(returns.returned, all.acked + returns.late);
            let told = returns.returned + returns.duplicated + returns.unexpected;
            prop_assert_eq!(told, came);
            prop_assert_eq!(returns.late, all.extra_of(Extra::Late));
        }
    }
}
