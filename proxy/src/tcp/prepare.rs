//! Preparing a change: everything that takes time or may fail, before anything is changed.

use std::sync::Arc;

use balance::Pool;

use super::access_log::{AccessLog, LogCounters};
use super::members::{Members, Roster};
use super::plan::Plan;
use super::settings::{Route, Settings};
use super::tls::Terminator;
use crate::discovery::Discovery;
use crate::plane::Limits;

/// What is asked for has been looked up, opened and checked.
pub(super) struct Prepared {
    pub(super) plan: Arc<Plan>,
    pub(super) tls: Option<Arc<Terminator>>,
    pub(super) log: Option<AccessLog>,
    pub(super) members: Members,
}

/// What preparing needs of what is there already.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) roster: Roster,
    pub(super) discovery: Arc<Discovery>,
    pub(super) log: Option<AccessLog>,
    pub(super) log_counters: Arc<LogCounters>,
}

impl Prepared {
    /// Resolves, opens and checks.
    ///
    /// # Errors
    /// What cannot be had.
    pub(super) async fn new(
        plan: Arc<Plan>,
        tls: Option<Arc<Terminator>>,
        known: Known,
    ) -> Result<Self, String> {
        let log = match &plan.access_log {
            None => None,
            Some(path) => match known.log {
                Some(log) if log.path() == path => Some(log),
                _ => {
                    let opened = AccessLog::open(path, known.log_counters);
                    Some(opened.map_err(|error| error.to_string())?)
                }
            },
        };
        let members = Members::gather(&plan, &known.roster, &known.discovery).await?;
        Ok(Self {
            plan,
            tls,
            log,
            members,
        })
    }
}

/// What workers go by when a plan is in force.
#[expect(
    clippy::ref_option,
    reason = "both are fields that stay where they are"
)]
pub(super) fn settings(
    plan: &Plan,
    pools: &[Arc<Pool>],
    tls: &Option<Arc<Terminator>>,
    log: &Option<AccessLog>,
) -> Settings {
    let route = |(sni, pool): &(String, usize)| Route {
        sni: sni.clone(),
        pool: Arc::clone(&pools[*pool]),
    };
    Settings {
        default_pool: Arc::clone(&pools[0]),
        routes: plan.routes.iter().map(route).collect(),
        send_proxy: plan.send_proxy,
        accept_proxy: plan.accept_proxy,
        proxy_from: plan.proxy_from.clone(),
        tls: tls.clone(),
        retries: plan.retries,
        limits: Limits {
            connect_ms: Limits::ms(plan.connect_timeout),
            idle_ms: Limits::ms(plan.idle_timeout),
            half_closed_ms: Limits::ms(plan.half_closed_timeout),
            preface_ms: Limits::ms(plan.preface_timeout),
            queue_ms: Limits::ms(plan.queue_timeout),
        },
        keepalive: plan.keepalive,
        user_timeout: plan.user_timeout,
        sources: plan.sources.clone(),
        access_log: log.clone(),
    }
}
