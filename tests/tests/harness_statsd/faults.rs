//! What becomes of lines when nodes go, sockets are full, garbage comes or the ring changes.

use tests::scenario::Run;

use super::{HARNESS, SOON, account, block, scenario};

/// One of the nodes is away for a while, in good order.
const ENDED: &str = r#"
        [[fault]]
        at = "500ms"
        for = "500ms"
        process = "upstream.1"
        action = "terminate"
    "#;

#[test]
fn every_line_arrives_once_and_is_accounted_for() {
    let demands = [
        "received = 100 %",
        "kernel = 0",
        "keys_moved = 0",
        "dropped = 0",
    ];
    let run = Run::of_text(
        HARNESS,
        &scenario(3, "", "800ms", &demands.map(account).concat()),
        &[],
    );
    run.expect_code(0)
        .expect_text("ACCOUNT  test")
        .expect_text("lines unaccounted = 0")
        .expect_text("lines duplicated = 0");
    let account = &block(&run, 0)["account"];
    assert_eq!(account["keeper"], "proxy");
    assert_eq!(account["sent"], account["received"]);
    assert_eq!(account["keys"]["total"], 200);
    // Each form of the report has it.
    for (file, part) in [
        ("report.html", "unaccounted for"),
        ("report.md", "unaccounted for"),
        ("junit.xml", "lines sent = "),
    ] {
        let text =
            std::fs::read_to_string(run.file(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(text.contains(part), "no {part:?} in {file}");
    }
}

#[test]
fn a_node_that_is_killed_takes_its_record_with_it() {
    let killed = r#"
        [[fault]]
        at = "500ms"
        for = "500ms"
        process = "upstream.1"
        action = "kill"

        [[expect]]
        backend = "upstream.1"
        ejected = "< 5s"

        [[expect]]
        backend = "upstream.1"
        readmitted = "< 5s"
    "#;
    let demands = ["died > 0", "dropped = 0", "keys_moved_needlessly = 0"];
    let more = killed.to_owned() + &demands.map(account).concat();
    let run = Run::of_text(HARNESS, &scenario(3, SOON, "2s", &more), &[]);
    run.expect_code(0)
        .expect_text("lost with a server that was gone")
        .expect_text("the record of one of its lives is lost");
}

#[test]
fn a_node_that_is_ended_in_good_order_leaves_its_record() {
    let demands = [
        "received >= 95 %",
        "dropped = 0",
        "keys_moved > 0",
        "keys_moved_needlessly = 0",
    ];
    let more = ENDED.to_owned() + &demands.map(account).concat();
    let run = Run::of_text(HARNESS, &scenario(3, SOON, "2s", &more), &[]);
    run.expect_code(0);
    let node = &block(&run, 0)["account"]["nodes"][1];
    assert_eq!(
        (&node["lives"], &node["lost_records"]),
        (&2.into(), &0.into())
    );
}

#[test]
fn lines_for_a_node_that_is_away_are_kept_for_it() {
    let hold =
        r#"args = ["--remap", "hold", "--check-interval", "100ms", "--check-timeout", "100ms"]"#;
    let demands = [
        "received >= 95 %",
        "dropped = 0",
        "keys_moved = 0",
        "pending = 0",
    ];
    let more = ENDED.to_owned() + &demands.map(account).concat();
    Run::of_text(HARNESS, &scenario(3, hold, "2s", &more), &[]).expect_code(0);
}

#[test]
fn copies_to_a_node_that_is_away_are_no_lines_of_their_own() {
    let mirror =
        r#"args = ["--remap", "mirror", "--check-interval", "100ms", "--check-timeout", "100ms"]"#;
    let demands = [
        "mirrored > 0",
        "unaccounted = 0",
        "duplicated >= 0",
        "received >= 95 %",
    ];
    let more = ENDED.to_owned() + &demands.map(account).concat();
    Run::of_text(HARNESS, &scenario(3, mirror, "2s", &more), &[]).expect_code(0);
}

#[test]
fn flapping_loses_only_what_was_on_its_way() {
    let flapping = r#"
        [[fault]]
        at = "300ms"
        for = "250ms"
        every = "600ms"
        times = 3
        process = "upstream.2"
        action = "terminate"
    "#;
    let demands = [
        "dropped = 0",
        "keys_moved_needlessly = 0",
        "received >= 80 %",
    ];
    let more = flapping.to_owned() + &demands.map(account).concat();
    Run::of_text(HARNESS, &scenario(3, SOON, "2500ms", &more), &[])
        .expect_code(0)
        .expect_text("3 faults were done");
}

#[test]
fn with_no_node_left_lines_are_dropped_and_counted() {
    let down = ["upstream.0", "upstream.1"].map(|name| {
        format!(
            r#"
            [[fault]]
            at = "500ms"
            for = "600ms"
            process = "{name}"
            action = "terminate"
            "#
        )
    });
    let demands = ["dropped.no_node > 0", "received > 0"];
    let more = down.concat() + &demands.map(account).concat();
    Run::of_text(HARNESS, &scenario(2, SOON, "2500ms", &more), &[])
        .expect_code(0)
        .expect_text("dropped by the proxy: no_node");
}

#[test]
fn a_burst_beyond_the_socket_is_lost_in_the_kernel_and_counted_there() {
    let proxy = r#"args = ["--receive-buffer", "16KiB", "--threads", "1"]"#;
    let demands = ["kernel.before > 0", "kernel.behind = 0", "dropped = 0"];
    let text = scenario(2, proxy, "1s", &demands.map(account).concat())
        .replace("rate = \"5k/s\"", "burst = \"50k@500ms\"")
        .replace("lines_per_datagram = \"5\"", "lines_per_datagram = \"1\"");
    Run::of_text(HARNESS, &text, &["--lenient"])
        .expect_code(0)
        .expect_text("lost in the kernel before the proxy");
}

#[test]
fn a_node_that_reads_slowly_loses_lines_in_the_kernel_before_it() {
    let demands = ["kernel.behind > 0", "kernel.before = 0", "dropped = 0"];
    let slow = "mode = \"statsd\"\ndefects = [\"slow-reader=4KiB/s\"]\nreceive_buffer = \"8KiB\"\n";
    let text = scenario(2, "", "1500ms", &demands.map(account).concat()).replacen(
        "mode = \"statsd\"\n",
        slow,
        1,
    );
    Run::of_text(HARNESS, &text, &[]).expect_code(0);
}

const GARBAGE: &str = r#"
    [[fuzz]]
    mode = "statsd"
    rate = "100/s"
    duration = "1s"

    [[expect]]
    proxy = "survives"

    [[expect]]
    upstream = "survives"
"#;

#[test]
fn garbage_beside_good_lines_costs_none_of_them() {
    let demands = ["received = 100 %", "unaccounted = 0", "other > 0"];
    let more = GARBAGE.to_owned() + &demands.map(account).concat();
    Run::of_text(HARNESS, &scenario(2, "", "1500ms", &more), &[])
        .expect_code(0)
        .expect_text("garbage sent beside them");
}

#[test]
fn clients_that_say_nothing_keep_nobody_waiting() {
    let silent = r#"
        [[fault]]
        at = "300ms"
        for = "700ms"
        process = "proxy"
        action = "silent-clients"

        [[expect]]
        proxy = "survives"
    "#;
    let more = silent.to_owned() + &account("received = 100 %");
    let run = Run::of_text(HARNESS, &scenario(2, SOON, "1500ms", &more), &[]);
    run.expect_code(0).expect_text("1 faults were done");
}

#[test]
fn the_ring_changes_under_load_and_nothing_is_lost() {
    let reloads = r#"
        [[fault]]
        at = "500ms"
        process = "proxy"
        action = "reload"
        nodes = ["upstream.0", "upstream.1", "upstream.2"]

        [[fault]]
        at = "1s"
        process = "proxy"
        action = "reload"
        nodes = ["upstream.1", "upstream.2"]
    "#;
    let first = r#"nodes = ["upstream.0", "upstream.1"]"#;
    let demands = [
        "received = 100 %",
        "keys_moved > 0",
        "keys_moved_needlessly = 0",
    ];
    let more = reloads.to_owned() + &demands.map(account).concat();
    let run = Run::of_text(HARNESS, &scenario(3, first, "2s", &more), &[]);
    run.expect_code(0).expect_text("2 faults were done");
    let nodes = &block(&run, 0)["account"]["nodes"];
    let received = |nth: usize| nodes[nth]["received"].as_u64().unwrap_or(0);
    assert!((0..3).all(|nth| received(nth) > 0), "{nodes}");
}
