//! Balancing by peak-EWMA latency.

use balance::{Algorithm, Picker};

use crate::fleet::{fleet, index, pick, pool, spread};

#[test]
fn a_slow_backend_gets_little_and_is_tried_again_later() {
    let fleet = fleet(&[1; 3]);
    let pool = pool(Algorithm::P2cEwma, &fleet);
    let mut picker = Picker::new(7);
    for backend in &fleet {
        backend.dial_succeeded(0, 100);
        backend.first_byte(0, 900);
    }
    assert_eq!(fleet[0].latency_us(0), Some(1_000.0));
    fleet[0].first_byte(1, 200_000);
    assert_eq!(spread(&pool, &mut picker, 600, 1)[0], 0);
    // The others stay measured; the slow one is forgiven by time, ln(200) × 10 s.
    for now_ms in (1..70_000).step_by(100) {
        for backend in &fleet[1..] {
            backend.dial_succeeded(now_ms, 100);
            backend.first_byte(now_ms, 900);
        }
    }
    assert!(spread(&pool, &mut picker, 600, 70_000)[0] > 300);
}

#[test]
fn one_slow_answer_is_noticed_by_the_next_pick() {
    let fleet = fleet(&[1, 1]);
    let pool = pool(Algorithm::P2cEwma, &fleet);
    for backend in &fleet {
        for now_ms in 0..1_000 {
            backend.first_byte(now_ms, 500);
        }
    }
    fleet[1].first_byte(1_000, 600);
    let counts = spread(&pool, &mut Picker::new(7), 100, 1_000);
    assert_eq!(counts, [100, 0]);
}

#[test]
fn an_unmeasured_backend_gets_one_connection_until_it_is_measured() {
    let fleet = fleet(&[1, 1]);
    let pool = pool(Algorithm::P2cEwma, &fleet);
    let mut picker = Picker::new(7);
    fleet[0].dial_succeeded(0, 5_000_000);
    let leases: Vec<_> = (0..20).map(|_| pick(&pool, &mut picker, 0)).collect();
    assert_eq!((fleet[0].active(), fleet[1].active()), (19, 1));
    assert_eq!(index(&fleet, &leases[0]), 1);
    fleet[1].dial_succeeded(0, 5_000);
    let next = pick(&pool, &mut picker, 0);
    assert_eq!(index(&fleet, &next), 1);
}

#[test]
fn cost_is_latency_times_connections_over_weight() {
    let fleet = fleet(&[1, 4]);
    let pool = pool(Algorithm::P2cEwma, &fleet);
    let mut picker = Picker::new(7);
    fleet[0].dial_succeeded(0, 1_000);
    fleet[1].dial_succeeded(0, 2_000);
    let leases: Vec<_> = (0..30).map(|_| pick(&pool, &mut picker, 0)).collect();
    // Twice the latency, four times the weight: twice the connections.
    assert_eq!((fleet[0].active(), fleet[1].active()), (10, 20));
    drop(leases);
}

#[test]
fn a_dial_that_timed_out_counts_as_that_slow_and_a_refused_one_as_nothing() {
    let fleet = fleet(&[1, 1]);
    fleet[0].dial_timed_out(0, 3_000_000);
    assert_eq!(fleet[0].latency_us(0), Some(3_000_000.0));
    fleet[1].dial_failed(0, "connection refused");
    assert_eq!(fleet[1].latency_us(0), None);
}
