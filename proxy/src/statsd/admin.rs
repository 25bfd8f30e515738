//! The admin endpoint: what is known, for machines.

use service::admin::{Reply, Routes};

use super::board::Board;
use super::{metrics, state};

impl Routes for Board {
    fn paths(&self) -> &'static [&'static str] {
        &["/state", "/metrics", "/healthz"]
    }

    fn get(&self, path: &str) -> Option<Reply> {
        match path {
            "/state" => Some(Reply::json(state::json(self))),
            "/metrics" => Some(Reply::prometheus(metrics::prometheus(self))),
            "/healthz" if self.says_up() => Some(Reply::text("ok\n")),
            "/healthz" => Some(Reply::text("down by the operator\n").status(503)),
            _ => None,
        }
    }
}
