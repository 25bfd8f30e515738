//! Backends given by name.

use std::net::Ipv4Addr;

use tests::Program;
use tests::dns::{Answer, FAILURE, NameServer, UNKNOWN};

use crate::server::{Server, echoes, reach, reach_until};
use crate::started::{post, start, state_when};

const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Two servers on one port of two addresses.
fn two_servers() -> (Server, Server, String) {
    let a = Server::start("a");
    let port = a.addr().rsplit_once(':').expect("a port").1.to_owned();
    let b = Server::start_at("b", &format!("{TWO}:{port}"));
    (a, b, port)
}

fn start_with(names: &NameServer, backend: &str, more: &[&str]) -> Program {
    let args = [
        "--resolver",
        names.addr(),
        "--resolve-interval",
        "20ms..100ms",
        backend,
    ];
    start(&[&args[..], more].concat())
}

fn addresses(state: &serde_json::Value) -> Vec<String> {
    let backends = state["pools"][0]["backends"].as_array().expect("a list");
    let address =
        |backend: &serde_json::Value| backend["address"].as_str().expect("a text").to_owned();
    let mut addresses: Vec<_> = backends.iter().map(address).collect();
    addresses.sort();
    addresses
}

#[test]
fn a_name_is_as_many_backends_as_it_has_addresses_and_follows_them() {
    let (a, b, port) = two_servers();
    let names = NameServer::start(Answer::Addresses(vec![ONE, TWO]));
    let proxy = start_with(&names, &format!("db.example:{port}"), &[]);
    let both = [a.addr().to_owned(), b.addr().to_owned()];
    state_when(&proxy, "two backends", |state| addresses(state) == both);
    let (mut held, _) = std::iter::repeat_with(|| reach(&proxy))
        .find(|(_, name)| name == "a")
        .expect("it goes on");
    reach_until(&proxy, "b");

    names.set(Answer::Addresses(vec![TWO]));
    state_when(&proxy, "one backend", |state| addresses(state) == both[1..]);
    for _ in 0..10 {
        assert_eq!(reach(&proxy).1, "b");
    }
    // Who had the other one keeps it.
    echoes(&mut held);

    // A name server that fails, or knows nothing any more, changes nothing.
    for answer in [FAILURE, UNKNOWN] {
        names.set(answer);
        names.is_asked();
        state_when(&proxy, "an error", |state| {
            state["names"][0]["error"].is_string()
        });
        assert_eq!(reach(&proxy).1, "b");
    }
    names.set(Answer::Addresses(vec![ONE, TWO]));
    state_when(&proxy, "two backends again", |state| {
        addresses(state) == both
    });
}

#[test]
fn a_name_that_does_not_resolve_yet_may_come_later() {
    let a = Server::start("a");
    let port = a.addr().rsplit_once(':').expect("a port").1;
    let names = NameServer::start(UNKNOWN);
    let proxy = start_with(
        &names,
        &format!("late.example:{port}"),
        &["--start-unresolved"],
    );
    state_when(&proxy, "no backend", |state| addresses(state).is_empty());
    names.set(Answer::Addresses(vec![ONE]));
    state_when(&proxy, "a backend", |state| addresses(state) == [a.addr()]);
    assert_eq!(reach(&proxy).1, "a");
}

#[test]
fn names_of_the_hosts_file_need_no_name_server() {
    let a = Server::start("a");
    let port = a.addr().rsplit_once(':').expect("a port").1;
    let backend = format!("localhost:{port}");
    let proxy = start(&[&backend]);
    assert_eq!(reach(&proxy).1, "a");
    let state = state_when(&proxy, "one backend", |state| {
        addresses(state) == [a.addr()]
    });
    assert_eq!(state["pools"][0]["backends"][0]["name"], backend);
}

#[test]
fn a_drained_backend_stays_so_over_an_answer_without_it() {
    let (a, b, port) = two_servers();
    let names = NameServer::start(Answer::Addresses(vec![ONE, TWO]));
    let proxy = start_with(&names, &format!("db.example:{port}"), &[]);
    let both = [a.addr().to_owned(), b.addr().to_owned()];
    state_when(&proxy, "two backends", |state| addresses(state) == both);
    let (head, _) = post(&proxy, &format!("/backends/{}/drain", a.addr()));
    assert!(head.contains("200"), "{head}");
    names.set(Answer::Addresses(vec![TWO]));
    state_when(&proxy, "one backend", |state| addresses(state) == both[1..]);
    names.set(Answer::Addresses(vec![ONE, TWO]));
    let state = state_when(&proxy, "two backends again", |state| {
        addresses(state) == both
    });
    let backends = state["pools"][0]["backends"].as_array().expect("a list");
    let status = |addr: &str| {
        let found = backends.iter().find(|one| one["address"] == addr);
        found.expect("it is there")["status"].clone()
    };
    assert_eq!(
        (status(a.addr()), status(b.addr())),
        ("draining".into(), "up".into())
    );
}
