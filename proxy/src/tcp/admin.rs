//! The admin endpoint: what is known, and orders.

use balance::AdminState;
use service::admin::{Answer, Reply, Routes};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::board::{Board, Phase};
use super::{health, metrics, state};

impl Routes for Board {
    fn paths(&self) -> &'static [&'static str] {
        &["/state", "/metrics", "/healthz"]
    }

    fn get(&self, path: &str) -> Option<Reply> {
        match path {
            "/state" => Some(Reply::json(state::json(self))),
            "/metrics" => Some(Reply::prometheus(metrics::prometheus(self))),
            "/healthz" if self.progress().phase == Phase::Running => Some(Reply::text("ok\n")),
            "/healthz" => Some(Reply::text("draining\n").status(503)),
            _ => None,
        }
    }

    fn orders(&self) -> &'static [&'static str] {
        &[
            "/reload",
            "/backends/NAME/{drain,disable,enable}",
            "/pools/POOL/backends/NAME/{drain,disable,enable}",
        ]
    }

    fn post(&self, path: &str) -> Option<Answer> {
        if path == "/reload" {
            return Some(self.reload());
        }
        self.order(path)
    }
}

impl Board {
    fn reload(&self) -> Answer {
        let (reply, outcome) = oneshot::channel();
        let asked = self.reloads.try_send(reply);
        Box::pin(async move {
            if asked.is_err() {
                return Reply::text("too many reloads at a time\n").status(503);
            }
            match outcome.await {
                Ok(Ok(generation)) => Reply::text(format!("generation {generation}\n")),
                Ok(Err(error)) => Reply::text(format!("{error}\n")).status(422),
                Err(_) => Reply::text("the proxy is ending\n").status(503),
            }
        })
    }

    fn order(&self, path: &str) -> Option<Answer> {
        let (what, order) = path.rsplit_once('/')?;
        let state = match order {
            "drain" => AdminState::Draining,
            "disable" => AdminState::Disabled,
            "enable" => AdminState::Enabled,
            _ => return None,
        };
        let (pool, name) = match what.strip_prefix("/pools/") {
            Some(rest) => {
                let (pool, name) = rest.split_once("/backends/")?;
                (Some(decode(pool)?), name)
            }
            None => (None, what.strip_prefix("/backends/")?),
        };
        let name = decode(name)?;
        let found = self.find(pool.as_deref(), &name);
        if found.is_empty() {
            let view = self.view();
            let pools = view.pools.iter();
            let names = pools.flat_map(|pool| pool.backends().iter().map(|one| one.name()));
            let names = names.collect::<Vec<_>>().join(", ");
            let reply = Reply::text(format!("no backend {name}; there is {names}\n")).status(404);
            return Some(Box::pin(std::future::ready(reply)));
        }
        tracing::info!("admin: {order} {name}");
        let set = found.into_iter().map(|(backend, check)| {
            let number = self.set_admin(&backend, state, check.is_some());
            (number, backend, check)
        });
        let checked = set.filter_map(|(number, backend, check)| Some((number?, backend, check?)));
        let mut checks = JoinSet::new();
        for (number, backend, check) in checked {
            let board = self.this.clone();
            checks.spawn(async move {
                health::check_once(&backend, &check).await;
                board.upgrade().is_some_and(|board| board.enable(number))
            });
        }
        // Goes on without whoever gave the order, who may hang up.
        let enabled = tokio::spawn(checks.join_all());
        Some(Box::pin(async move {
            match enabled.await {
                Ok(done) if done.iter().all(|done| *done) => {
                    Reply::text(format!("{name} is {}\n", state.name()))
                }
                _ => Reply::text(format!("{name} got another order meanwhile\n")).status(409),
            }
        }))
    }
}

/// Takes `%5B` and the like back; `None` if it is broken.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_taken_back() {
        assert_eq!(decode("%5B::1%5d:80").as_deref(), Some("[::1]:80"));
        for bad in ["%", "%5", "%zz", "%ff"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
