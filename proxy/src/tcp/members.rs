//! From a plan to backends and pools. A backend that stays keeps all that is known of it;
//! one that comes is checked before anybody can pick it; one that leaves gets no more
//! connections and keeps those it has.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use balance::{AdminState, Backend, BackendSpec, Pool};
use tokio::task::JoinSet;

use super::backend_at::BackendAt;
use super::clock::now_ms;
use super::health;
use super::plan::Plan;
use super::pool_plan::PoolPlan;
use super::upgrade::AdminOrder;
use crate::discovery::Discovery;

/// What makes two backends the same one: pool, address as given, address as resolved.
type Key = (String, String, SocketAddr);

/// Every backend that has a connection or may get one.
#[derive(Clone, Default)]
pub(super) struct Roster(HashMap<Key, Arc<Backend>>);

/// A backend as a plan wants it.
#[derive(Clone)]
struct Member {
    key: Key,
    backend: Arc<Backend>,
    spec: BackendSpec,
}

/// The members of each pool, resolved and checked.
pub(super) struct Members(Vec<Vec<Member>>);

/// A backend that is in no pool any more, and the pool it was in.
pub(super) type Leaving = (String, Arc<Backend>);

impl Members {
    /// Resolves every name of a plan and checks the backends that are new.
    ///
    /// # Errors
    /// Names what does not resolve, unless the plan goes without.
    pub(super) async fn gather(
        plan: &Plan,
        roster: &Roster,
        discovery: &Arc<Discovery>,
    ) -> Result<Self, String> {
        let addresses = resolve(plan, discovery).await;
        if plan.start_unresolved {
            for error in addresses.values().filter_map(|found| found.as_ref().err()) {
                tracing::warn!("{error}; going on without it");
            }
        }
        let mut pools = Vec::new();
        let mut first_checks = JoinSet::new();
        for pool in &plan.pools {
            let mut members = Vec::new();
            let mut seen = HashSet::new();
            for at in &pool.backends {
                let ips = match &addresses[host(at)] {
                    Ok(ips) => ips,
                    Err(_) if plan.start_unresolved => continue,
                    Err(error) => return Err(error.clone()),
                };
                for ip in ips {
                    let addr = SocketAddr::new(*ip, at.address.port());
                    // Two names may stand for the same address: the first has it.
                    if !seen.insert(addr) {
                        continue;
                    }
                    let (member, is_new) = member(pool, at, addr, ips, roster, &members);
                    if let (true, Some(check)) = (is_new, pool.check.clone()) {
                        let backend = Arc::clone(&member.backend);
                        first_checks
                            .spawn(async move { health::check_once(&backend, &check).await });
                    }
                    members.push(member);
                }
            }
            pools.push(members);
        }
        first_checks.join_all().await;
        Ok(Self(pools))
    }

    /// The pools of a plan. Backends are changed over to it; what is in no pool any more
    /// stays on the roster until its last connection is over.
    pub(super) fn pools(
        self,
        plan: &Plan,
        before: &[Arc<Pool>],
        roster: &mut Roster,
    ) -> Vec<Arc<Pool>> {
        let now = now_ms();
        let mut pools = Vec::new();
        for (plan, members) in plan.pools.iter().zip(self.0) {
            let mut backends = Vec::new();
            for Member { key, backend, spec } in members {
                backend.reconfigure(&spec, plan.policy, now);
                roster.0.insert(key, Arc::clone(&backend));
                backends.push(backend);
            }
            let queue = plan.queue as usize;
            let (algorithm, policy) = (plan.balance, plan.when_all_down);
            let pool = Pool::new(plan.name.clone(), backends, algorithm, policy, queue);
            let old = before.iter().find(|old| old.name() == plan.name);
            pools.push(Arc::new(match old {
                Some(old) => pool.following(old),
                None => pool,
            }));
        }
        pools
    }
}

impl Roster {
    /// Backends of a plan that an operator has taken out, those among them that no name
    /// resolves to at the moment included.
    pub(super) fn orders(&self, plan: &Plan) -> Vec<AdminOrder> {
        let out = self.0.iter().filter(|((pool, given, _), backend)| {
            backend.admin_state() != AdminState::Enabled && find(plan, pool, given).is_some()
        });
        out.map(|((pool, given, address), backend)| AdminOrder {
            pool: pool.clone(),
            given: given.clone(),
            address: *address,
            state: backend.admin_state().name().to_owned(),
        })
        .collect()
    }

    /// Takes backends out that a predecessor's operator has taken out, should they only be
    /// resolved to later as well.
    pub(super) fn restore(&mut self, plan: &Plan, orders: &[AdminOrder]) {
        for order in orders {
            let AdminOrder {
                pool,
                given,
                address,
                state,
            } = order;
            let state = match state.as_str() {
                "draining" => AdminState::Draining,
                "disabled" => AdminState::Disabled,
                _ => continue,
            };
            let Some((of, at)) = find(plan, pool, given) else {
                tracing::warn!(
                    "backend {given} of {pool} was {state} and is gone",
                    state = state.name()
                );
                continue;
            };
            let key = (pool.clone(), given.clone(), *address);
            let backend = self.0.entry(key).or_insert_with(|| {
                let spec = BackendSpec {
                    name: format!("{given}@{}", address.ip()),
                    addr: *address,
                    weight: at.weight,
                    max_connections: at.max_connections,
                };
                Backend::new(spec, of.policy)
            });
            backend.set_admin(state, now_ms());
        }
    }

    /// Forgets the backends that are in none of these pools and have no connection left;
    /// returns those that still have some. One that an operator has taken out is remembered
    /// as long as the plan names it: it may be resolved to again.
    pub(super) fn prune(&mut self, pools: &[Arc<Pool>], plan: &Plan) -> Vec<Leaving> {
        let members: HashSet<_> = pools
            .iter()
            .flat_map(|pool| pool.backends())
            .collect::<Vec<_>>()
            .into_iter()
            .map(Arc::as_ptr)
            .collect();
        let mut leaving = Vec::new();
        self.0.retain(|(pool, given, _), backend| {
            if members.contains(&Arc::as_ptr(backend)) {
                return true;
            }
            if backend.active() == 0 {
                return backend.admin_state() != AdminState::Enabled
                    && find(plan, pool, given).is_some();
            }
            leaving.push((pool.clone(), Arc::clone(backend)));
            true
        });
        leaving
    }
}

/// A backend of a plan by its pool and its address as given.
fn find<'a>(plan: &'a Plan, pool: &str, given: &str) -> Option<(&'a PoolPlan, &'a BackendAt)> {
    let pool = plan.pools.iter().find(|one| one.name == pool)?;
    let mut backends = pool.backends.iter();
    let at = backends.find(|at| at.address.to_string() == given)?;
    Some((pool, at))
}

/// The host of a backend; an empty one is this machine.
pub(super) fn host(at: &BackendAt) -> &str {
    match at.address.host() {
        "" => "localhost",
        host => host,
    }
}

async fn resolve(
    plan: &Plan,
    discovery: &Arc<Discovery>,
) -> HashMap<String, Result<Vec<IpAddr>, String>> {
    let backends = plan.pools.iter().flat_map(|pool| &pool.backends);
    let hosts: HashSet<String> = backends.map(|at| host(at).to_owned()).collect();
    let mut lookups = JoinSet::new();
    for host in hosts {
        let discovery = Arc::clone(discovery);
        lookups.spawn(async move {
            let addresses = discovery.resolve(&host).await;
            (host, addresses)
        });
    }
    lookups.join_all().await.into_iter().collect()
}

/// A member that is known already or is new, and whether it is.
fn member(
    pool: &PoolPlan,
    at: &BackendAt,
    addr: SocketAddr,
    ips: &[IpAddr],
    roster: &Roster,
    members: &[Member],
) -> (Member, bool) {
    let given = at.address.to_string();
    let key = (pool.name.clone(), given.clone(), addr);
    let known = roster.0.get(&key).cloned();
    let mut spec = BackendSpec {
        name: given,
        addr,
        weight: at.weight,
        max_connections: at.max_connections,
    };
    if let Some(known) = &known {
        spec.name = known.name().to_owned();
    } else if ips.len() > 1 || is_taken(&spec.name, &pool.name, roster, members) {
        // A name with one address is shown as it was given.
        spec.name = format!("{}@{}", spec.name, addr.ip());
    }
    let is_new = known.is_none();
    let backend = known.unwrap_or_else(|| Backend::new(spec.clone(), pool.policy));
    (Member { key, backend, spec }, is_new)
}

fn is_taken(name: &str, pool: &str, roster: &Roster, members: &[Member]) -> bool {
    let known = roster.0.iter().filter(|((other, ..), _)| other == pool);
    let mut names = known.map(|(_, backend)| backend.name());
    names.any(|other| other == name) || members.iter().any(|member| member.spec.name == name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::discovery::Bounds;
    use crate::tcp::options::Options;

    fn plan(backends: &[&str]) -> Plan {
        let options = Options {
            backends: backends.iter().map(|text| text.parse().unwrap()).collect(),
            ..Options::default()
        };
        let mut plan = Plan::new(&options, None).unwrap();
        plan.pools[0].check = None;
        plan
    }

    fn discovery() -> Arc<Discovery> {
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(1));
        // Nobody is there to answer.
        let server = Some("127.0.0.1:1".parse().unwrap());
        let stop = CancellationToken::new();
        Arc::new(Discovery::new(server, Bounds { least, most }, stop).unwrap())
    }

    #[tokio::test]
    async fn a_backend_that_stays_is_the_same_one_and_one_that_left_may_return() {
        let discovery = discovery();
        let mut roster = Roster::default();
        let first = plan(&["127.0.0.1:1,weight=5", "127.0.0.1:2"]);
        let members = Members::gather(&first, &roster, &discovery).await.unwrap();
        let pools = members.pools(&first, &[], &mut roster);
        let [a, b] = pools[0].backends() else {
            panic!("two backends")
        };
        let mut picker = balance::Picker::new(1);
        let lease = pools[0]
            .pick(&mut picker, now_ms(), None, &[b.addr()])
            .unwrap();

        let second = plan(&["127.0.0.1:2,weight=7", "127.0.0.1:3"]);
        let members = Members::gather(&second, &roster, &discovery).await.unwrap();
        let pools_then = members.pools(&second, &pools, &mut roster);
        assert!(Arc::ptr_eq(&pools_then[0].backends()[0], b));
        assert_eq!(b.weight(), 7);
        let leaving = roster.prune(&pools_then, &second);
        assert!(matches!(&leaving[..], [(_, backend)] if Arc::ptr_eq(backend, a)));

        let members = Members::gather(&first, &roster, &discovery).await.unwrap();
        let pools_then = members.pools(&first, &pools_then, &mut roster);
        assert!(Arc::ptr_eq(&pools_then[0].backends()[0], a));
        drop(lease);
        let members = Members::gather(&second, &roster, &discovery).await.unwrap();
        let pools_then = members.pools(&second, &pools_then, &mut roster);
        assert!(roster.prune(&pools_then, &second).is_empty());
        assert_eq!(roster.0.len(), 2);
    }

    #[tokio::test]
    async fn what_the_operator_took_out_stays_out_while_the_plan_names_it() {
        let discovery = discovery();
        let plan = plan(&["localhost:1", "127.0.0.1:2"]);
        let address = |text: &str| text.parse().unwrap();
        let order = |given: &str, at: &str, state: &str| AdminOrder {
            pool: "default".to_owned(),
            given: given.to_owned(),
            address: address(at),
            state: state.to_owned(),
        };
        let orders = [
            order("localhost:1", "127.0.0.1:1", "disabled"),
            // Not resolved to at the moment.
            order("localhost:1", "127.0.0.7:1", "draining"),
        ];
        let gone = order("localhost:7", "127.0.0.1:7", "draining");
        let mut roster = Roster::default();
        let members = Members::gather(&plan, &roster, &discovery).await.unwrap();
        let pools = members.pools(&plan, &[], &mut roster);
        roster.restore(&plan, &[&orders[..], &[gone]].concat());
        assert!(roster.prune(&pools, &plan).is_empty());
        let state = |nth: usize| pools[0].backends()[nth].admin_state();
        assert_eq!(
            (state(0), state(1)),
            (AdminState::Disabled, AdminState::Enabled)
        );
        let mut told = roster.orders(&plan);
        told.sort_by_key(|order| order.address);
        assert_eq!(told, orders);
    }

    #[tokio::test]
    async fn names_resolve_by_the_hosts_file_and_must_resolve() {
        let discovery = discovery();
        let roster = Roster::default();
        let mut wanted = plan(&["localhost:1", "127.0.0.1:1", ":2", "no-such-host.invalid:3"]);
        let error = Members::gather(&wanted, &roster, &discovery)
            .await
            .err()
            .unwrap();
        assert!(error.contains("no-such-host.invalid"), "{error}");
        wanted.start_unresolved = true;
        let members = Members::gather(&wanted, &roster, &discovery).await.unwrap();
        let names: Vec<_> = members.0[0]
            .iter()
            .map(|member| member.spec.name.clone())
            .collect();
        assert_eq!(names, ["localhost:1", ":2"]);
    }
}
