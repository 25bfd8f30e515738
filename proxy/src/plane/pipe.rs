//! What is on its way to one socket.
//!
//! In the common case that is the front of a receive buffer, sent from where it lies.
//! Bytes are copied only when the socket does not take them at once, when a line was cut
//! by the end of a read, or when something of the proxy's own goes between them.

use std::ops::Range;

use super::driver::Chunk;

/// What a send is reading from.
#[derive(Debug, Default)]
enum Flight {
    /// No send is in flight.
    #[default]
    None,
    /// The front of a chunk, which must leave at once or is copied.
    Chunk(Chunk, usize),
    /// `heap`, from `heap_sent` on.
    Heap,
}

/// How a send ended.
#[derive(Debug)]
pub(super) enum Landed {
    /// Nothing is left.
    Whole,
    /// Nothing is left, and the chunk is free.
    Chunk(Chunk),
    /// The socket is full: the rest of the chunk must be kept.
    ShortChunk { chunk: Chunk, rest: Range<usize> },
    /// Something is left on the heap.
    ShortHeap,
}

/// What is on its way to one socket.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    flight: Flight,
    heap: Vec<u8>,
    heap_sent: usize,
    /// Bytes that leave after the flight, the first `ready` of them; the rest is held.
    queue: Vec<u8>,
    ready: usize,
    /// The socket takes nothing any more.
    broken: bool,
}

impl Pipe {
    /// Whether nothing is in flight, ready or held: what comes next may leave as it is.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.flight, Flight::None) && self.queue.is_empty()
    }

    /// Whether nothing is in flight or ready; something may be held.
    pub(super) fn is_drained(&self) -> bool {
        matches!(self.flight, Flight::None) && self.ready == 0
    }

    /// Whether a send is in flight.
    pub(super) fn in_flight(&self) -> bool {
        !matches!(self.flight, Flight::None)
    }

    /// Whether a send is in flight that may wait for the peer.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.flight, Flight::Heap)
    }

    /// Whether more has gathered than leaves with the next write: the source must wait.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_waiting() || self.ready > 0
    }

    /// Bytes that are copied and not yet sent.
    pub(super) fn unsent(&self) -> usize {
        self.queue.len() + self.heap.len() - self.heap_sent
    }

    /// Whether the socket takes nothing any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Sends the first `len` bytes of `chunk` from where they lie.
    pub(super) fn fly(&mut self, chunk: Chunk, len: usize) {
        debug_assert!(!self.in_flight(), "a chunk leaves only from a pipe at rest");
        self.flight = Flight::Chunk(chunk, len);
    }

    /// The held bytes and what was received behind them, to be judged in place, and how
    /// many of them are the held ones. Call [`settle`](Self::settle) afterwards.
    pub(super) fn append(&mut self, bytes: &[u8]) -> (&mut [u8], usize) {
        let held = self.queue.len() - self.ready;
        self.queue.extend_from_slice(bytes);
        (&mut self.queue[self.ready..], held)
    }

    /// Of the bytes that [`append`](Self::append) gave, the first `forward` are ready
    /// and those up to `end` are held.
    pub(super) fn settle(&mut self, forward: usize, end: usize) {
        self.queue.truncate(self.ready + end);
        self.ready += forward;
        self.give_queue_back();
    }

    /// Puts bytes behind what is ready. Nothing may be held.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        debug_assert_eq!(
            self.ready,
            self.queue.len(),
            "own bytes never follow held ones"
        );
        if !self.broken {
            self.queue.extend_from_slice(bytes);
            self.ready = self.queue.len();
        }
    }

    /// Puts bytes before everything else. Nothing may have left yet.
    pub(super) fn put_first(&mut self, bytes: &[u8]) {
        debug_assert!(!self.in_flight(), "nothing comes before what has left");
        if !bytes.is_empty() {
            self.queue.splice(..0, bytes.iter().copied());
            self.ready += bytes.len();
        }
    }

    /// Holds bytes; nothing may be queued.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        debug_assert!(self.queue.is_empty(), "bytes are held behind nothing");
        self.queue.extend_from_slice(bytes);
    }

    /// Drops what is held.
    pub(super) fn drop_held(&mut self) {
        self.queue.truncate(self.ready);
        self.give_queue_back();
    }

    /// Takes off what is ready, if nothing is in flight. Says whether there is something
    /// to send from [`rest`](Self::rest) now.
    pub(super) fn take_off(&mut self) -> bool {
        if self.in_flight() || self.ready == 0 {
            return false;
        }
        if self.ready == self.queue.len() {
            std::mem::swap(&mut self.heap, &mut self.queue);
            self.queue.clear();
        } else {
            self.heap.clear();
            self.heap.extend(self.queue.drain(..self.ready));
        }
        self.ready = 0;
        self.heap_sent = 0;
        self.flight = Flight::Heap;
        true
    }

    /// A send has ended after `sent` bytes.
    pub(super) fn landed(&mut self, sent: usize) -> Landed {
        match std::mem::take(&mut self.flight) {
            Flight::None => Landed::Whole,
            Flight::Chunk(chunk, len) if sent < len && !self.broken => Landed::ShortChunk {
                chunk,
                rest: sent..len,
            },
            Flight::Chunk(chunk, _) => Landed::Chunk(chunk),
            Flight::Heap => {
                self.heap_sent += sent;
                if self.heap_sent < self.heap.len() && !self.broken {
                    self.flight = Flight::Heap;
                    Landed::ShortHeap
                } else {
                    self.give_memory_back();
                    Landed::Whole
                }
            }
        }
    }

    /// Copies what a chunk could not get rid of; it must now be sent from
    /// [`rest`](Self::rest).
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.heap.clear();
        self.heap.extend_from_slice(bytes);
        self.heap_sent = 0;
        self.flight = Flight::Heap;
    }

    /// The bytes of the heap that are still to be sent.
    pub(super) fn rest(&self) -> &[u8] {
        &self.heap[self.heap_sent..]
    }

    /// The socket takes nothing any more: what waits for it is dropped. What is in
    /// flight stays until it lands.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
        self.queue = Vec::new();
        self.ready = 0;
    }

    /// A connection that is at rest holds no buffer.
    fn give_memory_back(&mut self) {
        self.heap = Vec::new();
        self.heap_sent = 0;
        self.give_queue_back();
    }

    fn give_queue_back(&mut self) {
        if self.queue.is_empty() {
            self.queue = Vec::new();
        }
    }
}
