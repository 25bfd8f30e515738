//! A run file that has each of its parts.

use serde_json::json;

use crate::account::{Account, Datagrams, Keys, NodeShare};
use crate::bound::Metric;
use crate::capacity::{Capacity, CapacityPlan, Limit, Point};
use crate::compare::design::{
    Arm, BlockFigures, Conduct, Design, History, HistoryScenario, Kind, Noise,
};
use crate::compare::{Comparison, MetricComparison, ScenarioComparison, Word};
use loadgen::record::{Bulk, Idle, Shard, ShardFigures, Statsd, Udp, UdpClient};

use crate::event::{
    Audit, Broken, Event, Exit, Limits, LinkCounts, ProbeOutcome, Role, Touch, Touched,
};
use crate::expect::{Change, Expectation, Fate, Origin, Part, What};
use crate::figures::{LineFigures, Ratios};
use crate::fixtures::{Story, fate, load, load_record};
use crate::run::RunFile;

/// What all kinds of runs leave, in one.
pub(super) fn everything_run() -> RunFile {
    let mut record = load_record(100, 70);
    record.client.floor_us = Some(record.latency_us.response.clone());
    record.counts.failed.insert("lost".to_owned(), 1);
    let audit = Audit {
        role: Role::Proxy,
        name: None,
        sent: 10,
        right: 9,
        wrong: 1,
    };
    let demands = vec![
        load("p99 < 2ms"),
        load("valid"),
        load("answered during attack"),
        fate(Role::Upstream, Fate::Dies),
        Expectation::reconcile(Origin::CommandLine),
        load("throughput > 1Gbit"),
        load("failed = 0").in_part(Part::During).unwrap(),
        Expectation::beside("p99 < 0.5x", "nginx", None, Origin::Scenario).unwrap(),
        Expectation::backend("upstream.1", Change::Ejected, "< 1s").unwrap(),
        Expectation::account("received >= 99.9 %", Origin::Scenario).unwrap(),
        load("lost_there < 1 %"),
        Expectation::recovery("< 1s", None).unwrap(),
        Expectation::back("proxy", What::Memory),
        Expectation::at_most_once(),
        Expectation::invariants(),
    ];
    record.statsd = Some(Statsd::default());
    record.shard = Some(Shard::default());
    record.shards = vec![ShardFigures::default()];
    record.udp = Some(Udp {
        clients: [("0a.0".to_owned(), UdpClient::default())].into(),
        not_sent: [("refused".to_owned(), 1)].into(),
        ..Udp::default()
    });
    record.intervals[0].failed_kinds = [("lost".to_owned(), 1)].into();
    record.counts.idle = Some(Idle::default());
    record.bulk = Some(Bulk {
        direction: "echo".to_owned(),
        bytes_sent: 1 << 30,
        ..Bulk::default()
    });
    let story = Story::new(demands)
        .block("builtin")
        .probe(Role::Proxy, 1_100, 1, ProbeOutcome::Wrong)
        .load(record.clone())
        .garbage(1 << 20)
        .at(1_200, Event::Audit(audit))
        .exit(Role::Upstream, "SIGSEGV", false)
        .counted(Role::Proxy, json!({"msg_total": 3}))
        .fault("upstream.1", "kill", 300, 600)
        .changed(305, "upstream.1", "up", "ejected")
        .toxic("client-proxy", "latency", 700, 800)
        .counted(Role::Proxy, json!({"msg_total": 4}))
        .at(
            1_250,
            Event::Exited {
                role: Role::Upstream,
                name: "upstream.1".to_owned(),
                exit: Exit::default(),
            },
        )
        .block("nginx")
        .load(record.clone())
        .block("direct")
        .load(record)
        .counted(Role::Upstream, json!({"requests": 1}))
        .at(
            3_000,
            Event::HarnessFailed {
                message: "x".to_owned(),
            },
        )
        .at(
            3_001,
            Event::Interrupted {
                signal: "SIGINT".to_owned(),
                exit_code: 130,
            },
        );
    let mut run = RunFile::from_events(&story.end().0);
    spoilt(&mut run);
    compared(&mut run);
    accounted(&mut run);
    run
}

/// What only links leave in a run file.
fn spoilt(run: &mut RunFile) {
    run.header.suite = Some("chaos".to_owned());
    let block = &mut run.scenarios[0].blocks[0];
    let strong = || [("latency".to_owned(), json!(100))].into();
    let fault = block.faults.last_mut().expect("there is a toxic");
    fault.fault.limits = Some(Limits {
        descriptors: Some(40),
        memory_bytes: Some(1 << 20),
    });
    let toxic = fault.fault.toxic.as_mut().expect("it is one");
    toxic.attributes = strong();
    toxic.to = strong();
    fault.touched = Some(Touch {
        hits: 1,
        bytes: 1,
        connections: 1,
        first_mono_ns: Some(1),
        last_mono_ns: Some(1),
        named: vec![Touched {
            link: "client-proxy".to_owned(),
            connection: 0,
            mono_ns: 1,
        }],
    });
    let counts = LinkCounts {
        protocol: "tcp".to_owned(),
        ..LinkCounts::default()
    };
    block.broken = Some(Broken {
        faults: vec!["x".to_owned()],
        again: "x".to_owned(),
        ..Broken::default()
    });
    block.links = [("client-proxy".to_owned(), counts)].into();
    block.proxy.as_mut().expect("there is one").lives = 2;
}

/// What only lines of statsd leave in a run file.
fn accounted(run: &mut RunFile) {
    let scenario = &mut run.scenarios[0];
    let block = &mut scenario.blocks[0];
    block.account = Some(Account {
        dropped: [("no_node".to_owned(), 1)].into(),
        unaccounted: -1,
        datagrams: Datagrams {
            received: Some(1),
            kernel_before: Some(1),
            forwarded: Some(1),
            refused: Some(1),
            ..Datagrams::default()
        },
        nodes: vec![NodeShare {
            forwarded: Some(1),
            ..NodeShare::default()
        }],
        keys: Some(Keys::default()),
        notes: vec!["x".to_owned()],
        ..Account::default()
    });
    block.faults[0].fault.nodes = vec!["upstream.1".to_owned()];
    let fuzz = block.fuzzes[0].record.as_mut().expect("there was garbage");
    fuzz.datagrams = Some(fuzzclient::record::Datagrams::default());
    scenario.figures[0].lines = Some(LineFigures::default());
    scenario.figures[0].beside_peer = Some(Ratios {
        lines: Some(1.5),
        lines_per_cpu_s: Some(1.5),
        ..Ratios::default()
    });
}

/// What only comparisons and searches leave in a run file.
fn compared(run: &mut RunFile) {
    let figures = || BlockFigures::from([(Metric::P50, 70.5), (Metric::PeakMemory, 1.5)]);
    let conduct = || Conduct {
        wrong: [("lost".to_owned(), 1)].into(),
        proxy_troubles: vec!["round 1: hung".to_owned()],
        ..Conduct::default()
    };
    run.header.host.machine = Some("x".to_owned());
    run.header.binaries[0].commit = Some("x".to_owned());
    run.header.design = Some(Design {
        kind: Kind::History,
        baseline: "old".to_owned(),
        candidates: vec!["new".to_owned()],
        pairs: 10,
        spare_pairs: 3,
        history: Some(History {
            scenarios: vec![HistoryScenario {
                name: "x".to_owned(),
                blocks: vec![figures()],
                anchors: vec![figures()],
                conduct: conduct(),
            }],
            ..History::default()
        }),
    });
    let metric = MetricComparison {
        metric: Metric::P99_9,
        is_judged: false,
        baseline: 1.5,
        candidate: 2.5,
        differences: vec![0.5],
        noise: vec![-0.5],
        ratio: 1.5,
        low: Some(1.25),
        high: None,
        p: 0.5,
        level: 0.05,
        margin: 0.1,
        detectable: None,
        word: Word::ChangedWithinMargin,
    };
    run.comparisons = vec![Comparison {
        baseline: "old".to_owned(),
        candidate: "new".to_owned(),
        word: Word::WorseIntegrity,
        why: "x".to_owned(),
        notes: vec!["x".to_owned()],
        scenarios: vec![ScenarioComparison {
            scenario: "x".to_owned(),
            word: Word::Crashed,
            why: "x".to_owned(),
            pairs: 8,
            left_out: vec!["x".to_owned()],
            baseline: Conduct::default(),
            candidate: conduct(),
            metrics: vec![metric],
        }],
    }];
    let scenario = &mut run.scenarios[0];
    scenario.noise = Some(Noise {
        pairs: vec![figures()],
        ..Noise::default()
    });
    scenario.blocks[0].arm = Some(Arm::NoiseFirst);
    scenario.blocks[0].rate = Some(1_000.5);
    scenario.header.capacity = Some(CapacityPlan {
        bound: "p99 < 2ms".parse().unwrap(),
        first_rate: 1_000.5,
        resolution: 0.05,
        rounds: 3,
        most: 1e6,
    });
    scenario.capacity = vec![Capacity {
        subject: "builtin".to_owned(),
        rate: Some(1_000.5),
        low: None,
        high: None,
        rounds: vec![1_000.5],
        limited_by: Limit::LoadClient,
        why: "x".to_owned(),
        points: vec![Point {
            round: 1,
            offered: 1_000.5,
            achieved: 1_000.5,
            p50_us: Some(70.5),
            p99_us: None,
            value: Some(70.5),
            holds: true,
            invalid: None,
        }],
    }];
}
