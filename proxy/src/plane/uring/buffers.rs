//! Receive buffers that are shared with the kernel.
#![expect(unsafe_code, reason = "the kernel writes to memory by address")]

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use slab::Slab;

use super::BUFFER_GROUP;
use crate::plane::driver::{CHUNK_BYTES, CHUNKS};

/// Receive buffers, and the ring through which the kernel is given the free ones.
///
/// They are never freed: the kernel takes a closed ring apart in its own time and may
/// hold them until then, and a worker ends only with its process.
pub(super) struct Buffers {
    memory: NonNull<u8>,
    ring: NonNull<BufRingEntry>,
    tail: u16,
    /// Bytes that wait for their session, by chunk number above those of the kernel.
    parked: Slab<Box<[u8]>>,
}

impl Buffers {
    const MEMORY: Layout = match Layout::from_size_align(CHUNK_BYTES * CHUNKS as usize, 4096) {
        Ok(layout) => layout,
        Err(_) => panic!("a page-aligned block of whole chunks is a layout"),
    };
    const RING: Layout =
        match Layout::from_size_align(size_of::<BufRingEntry>() * CHUNKS as usize, 4096) {
            Ok(layout) => layout,
            Err(_) => panic!("a page-aligned block of whole entries is a layout"),
        };

    pub(super) fn register(ring: &IoUring) -> io::Result<Self> {
        // SAFETY: neither layout has size zero.
        let (memory, entries) = unsafe { (alloc_zeroed(Self::MEMORY), alloc_zeroed(Self::RING)) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(Self::MEMORY));
        let entries = NonNull::new(entries).unwrap_or_else(|| handle_alloc_error(Self::RING));
        let mut buffers = Self {
            memory,
            ring: entries.cast(),
            tail: 0,
            parked: Slab::new(),
        };
        // SAFETY: the entries are never freed.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                buffers.ring.as_ptr() as u64,
                CHUNKS,
                BUFFER_GROUP,
                0,
            )?;
        }
        for chunk in 0..CHUNKS {
            buffers.give_back(chunk);
        }
        Ok(buffers)
    }

    /// The bytes of a chunk.
    pub(super) fn bytes(&mut self, chunk: u16) -> &mut [u8] {
        match chunk.checked_sub(CHUNKS) {
            Some(parked) => &mut self.parked[usize::from(parked)],
            None => self.shared(chunk),
        }
    }

    /// Copies the first `len` bytes of a chunk to where they are in nobody's way: the
    /// kernel's buffers are few, and nobody may keep one while he waits. Returns the chunk
    /// in which they are now.
    pub(super) fn park(&mut self, chunk: u16, len: usize) -> u16 {
        let entry = self.parked.vacant_key();
        let Some(parked) = u16::try_from(entry)
            .ok()
            .and_then(|n| n.checked_add(CHUNKS))
        else {
            return chunk;
        };
        let bytes: Box<[u8]> = self.shared(chunk)[..len].into();
        self.parked.insert(bytes);
        self.give_back(chunk);
        parked
    }

    fn shared(&mut self, chunk: u16) -> &mut [u8] {
        let at = usize::from(chunk % CHUNKS) * CHUNK_BYTES;
        // SAFETY: the chunk lies within the block, and while it is not given back the
        // kernel does not touch it.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr().add(at), CHUNK_BYTES) }
    }

    /// Lets a chunk be filled again.
    pub(super) fn give_back(&mut self, chunk: u16) {
        if let Some(parked) = chunk.checked_sub(CHUNKS) {
            self.parked.remove(usize::from(parked));
            return;
        }
        let addr = self.shared(chunk).as_ptr() as u64;
        // SAFETY: the index is within the ring, and the kernel reads the entry only
        // once the tail has passed it, which the release store below makes known.
        unsafe {
            let entry = &mut *self.ring.as_ptr().add(usize::from(self.tail % CHUNKS));
            entry.set_addr(addr);
            entry.set_len(CHUNK_BYTES as u32);
            entry.set_bid(chunk);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.ring.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}
