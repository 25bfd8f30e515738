//! `proxy foo`: sits between arbitrary clients and one Foo server.
//!
//! In reading order: [`args`] is the command line, [`shield`] judges lines, [`order`]
//! keeps the proxy's own answers in their place, [`counters`], [`rates`] and [`stats`] are
//! the statistics, [`run`] is the control plane that ties them together.

mod args;
mod counters;
mod order;
mod rates;
mod run;
mod shield;
mod stats;

pub(crate) use args::FooArgs;
pub(crate) use run::run;

#[cfg(test)]
pub(crate) mod testing {
    //! The shield, for tests of what carries it.

    pub(crate) use super::shield::OnMalformed;
    use super::shield::Shield;

    pub(crate) fn shield(
        on_malformed: OnMalformed,
        grammar: protocol::foo::Grammar,
        max_line: usize,
    ) -> Shield {
        Shield {
            on_malformed,
            grammar,
            max_line,
            counters: std::sync::Arc::default(),
            upstream: std::sync::Arc::new(["127.0.0.1:1".parse().expect("an address")]),
            limits: crate::plane::Limits::default(),
        }
    }
}
