//! `proxy statsd`: spreads metrics over statsd servers, each metric always to the same one.
//!
//! In reading order. What is asked for: [`args`] is the command line, [`config`] reads the
//! files of the proxies that this one replaces, [`plan`] is what both come to; [`route`]
//! tells where keys go, without any traffic.
//!
//! What is done with lines: [`settings`] is what workers route by, [`worker`] moves lines.
//!
//! Beside the traffic: [`nodes`] are the servers, [`health`] decides how they are from what
//! a [`check`] finds out; [`control`] brings checks, refusals, names and reloads together;
//! [`sockets`] opens what lines come in by, [`run`] starts everything, waits for signals,
//! and ends it.
//!
//! What is told: [`board`] is where everything is read off, over the [`management`] port
//! ([`memstats`] is its account of memory), over [`admin`] as [`state`] (JSON) and as
//! [`metrics`] (Prometheus).

mod admin;
mod args;
mod board;
mod check;
mod config;
mod control;
mod health;
mod management;
mod memstats;
mod metrics;
mod nodes;
mod plan;
mod route;
mod run;
mod settings;
mod sockets;
mod state;
mod worker;

pub(crate) use args::StatsdArgs;
pub(crate) use run::run;
