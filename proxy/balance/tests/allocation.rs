//! Picking allocates nothing. A binary of its own, because it counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use balance::{Algorithm, Backend, BackendSpec, HealthPolicy, Picker, Pool, WhenAllDown};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread asks of it.
struct Counting;

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more, and nothing to count.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` above, that is from the system's allocator.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn picking_allocates_nothing_once_a_worker_knows_the_pool() {
    let backends: Vec<_> = (0..100u16)
        .map(|nth| {
            let spec = BackendSpec {
                name: format!("b{nth}"),
                addr: ([127, 0, 0, 1], 1_000 + nth).into(),
                weight: 1 + u32::from(nth % 7),
                max_connections: Some(50),
            };
            Backend::new(spec, HealthPolicy::default())
        })
        .collect();
    // Enough of them are down that draws are made again.
    for backend in backends.iter().step_by(2) {
        backend.check_failed(0, "refused");
    }
    for algorithm in Algorithm::ALL {
        let name = algorithm.to_string();
        let pool = Pool::new(name, backends.clone(), algorithm, WhenAllDown::Any, 0);
        let mut picker = Picker::new(1);
        let tried = [backends[1].addr(), backends[3].addr()];
        let mut pick = |nth: u32| {
            let source = Some(nth.to_be_bytes().into());
            let lease = pool.pick(&mut picker, 5, source, &tried).unwrap();
            lease.dial_succeeded(5, 100);
            lease.first_byte(5, 200);
        };
        pick(0);
        let before = ALLOCATIONS.get();
        (0..1_000).for_each(&mut pick);
        assert_eq!(ALLOCATIONS.get() - before, 0, "{algorithm}");
    }
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1u8; 10]));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the allocator counts");
}
