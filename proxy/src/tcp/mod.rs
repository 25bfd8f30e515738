//! `proxy tcp`: balances TCP connections over backends that are up.
//!
//! In reading order. What is asked for: [`args`] and [`options`] are the command line and
//! the configuration, [`values`] and [`backend_at`] what people type there, [`config`] the
//! file, [`plan`] and [`pool_plan`] what all of it comes to, [`load`] reads it, [`crate::watch`]
//! notices that it changed.
//!
//! What is done with connections: [`settings`] is what workers read for each new one,
//! [`relay`] what they do with it, [`tls`] and [`keepalive`] what they need for it.
//!
//! Beside the traffic: [`crate::discovery`] looks names up, [`health`] checks backends,
//! [`members`] brings both and the plan together, [`prepare`] does so for a change before
//! anything is changed, [`control`] carries it out; [`listening`] is the sockets,
//! [`upgrade`] hands them over to a successor, [`start`] opens and starts everything,
//! [`run`] is the loop that holds it together and ends it.
//!
//! What is told: [`access_log`], [`board`] is where everything is read off, as
//! [`state`] (JSON), as [`metrics`] (Prometheus, and the text of SIGUSR1), over [`admin`].

mod access_log;
mod admin;
mod args;
mod backend_at;
mod board;
mod clock;
mod config;
mod control;
mod health;
mod keepalive;
mod listening;
mod load;
mod members;
mod metrics;
mod options;
mod plan;
mod pool_plan;
mod prepare;
mod relay;
mod run;
mod settings;
mod start;
mod state;
mod tls;
mod upgrade;
mod values;

pub(crate) use args::TcpArgs;
pub(crate) use run::run;
