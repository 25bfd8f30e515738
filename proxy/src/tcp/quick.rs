//! Temporary: the data plane alone, for trying it out.
use std::sync::Arc;

use balance::*;

use super::relay::{Relay, RelayCounters};
use super::settings::*;
use crate::plane::*;

pub(crate) fn main(args: Vec<String>) {
    let listen: service::addr::HostPort = args[0].parse().unwrap();
    let (listener, _) = service::addr::listen(&listen).unwrap();
    service::limits::raise_descriptors();
    let backends = args[2..]
        .iter()
        .map(|a| {
            let spec = BackendSpec { name: a.clone(), addr: a.parse().unwrap(), weight: 1, max_connections: None };
            Backend::new(spec, HealthPolicy::default())
        })
        .collect();
    let pool = Arc::new(Pool::new("default".into(), backends, Algorithm::P2c, WhenAllDown::Any, 0));
    let live = Arc::new(Live::new(Settings {
        default_pool: pool,
        routes: vec![],
        send_proxy: None,
        accept_proxy: AcceptProxy::Off,
        proxy_from: vec![],
        tls: None,
        retries: 2,
        limits: Limits { connect_ms: 3000, idle_ms: 600_000, half_closed_ms: 60_000, preface_ms: 5000, queue_ms: 5000 },
        keepalive: None,
        user_timeout: None,
        sources: vec![],
        access_log: None,
    }));
    let config = PlaneConfig {
        threads: 2,
        driver: if args[1] == "epoll" { DriverChoice::Epoll } else { DriverChoice::IoUring },
        max_connections: 20_000,
    };
    let _plane = Plane::start(&config, listener, |n| Relay::new(Arc::clone(&live), Arc::new(RelayCounters::default()), n as u64 + 7)).unwrap();
    std::thread::park();
}
