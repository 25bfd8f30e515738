//! Chaos: faults on links and processes. Every built-in scenario of the suite in short
//! ([`scenarios`]), planted defects that have to be found ([`defects`]), what is refused
//! before anything starts ([`refused`]), suites and soaks ([`suites`]), and that the same
//! seed makes the same faults ([`repeatable`]).

mod defects;
mod refused;
mod repeatable;
mod scenarios;
mod suites;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const BROKEN_PROXY: &str = env!("CARGO_BIN_EXE_test-broken-proxy");

/// A load of Foo for a second or two, and more.
fn scenario(more: &str) -> String {
    format!(
        r#"
        [[load]]
        rate = "500/s"
        connections = 8
        pipeline = 64
        warmup = "0"
        duration = "1500ms"

        {more}
        "#
    )
}
