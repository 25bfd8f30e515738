//! Bad input: one line that names what is wrong and what is accepted.

use crate::program::{loadgen, run, shown};

/// Each of these flags ends a mode with one line that has the text beside it, and 2.
pub(crate) fn each_is_refused(mode: &str, cases: &[(&str, &str)]) {
    for (flags, expected) in cases {
        let somewhere = if flags.starts_with("--connect ") {
            ""
        } else {
            "--connect 127.0.0.1:1"
        };
        let output = run(&mut loadgen(&format!("{mode} {somewhere} {flags}")));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags}: {}", shown(&output));
        assert_eq!(stderr.lines().count(), 1, "{flags}: {stderr}");
        assert!(stderr.contains(expected), "{flags}: {stderr}");
        assert_eq!(output.stdout, b"", "{flags}");
    }
}

#[test]
fn bad_input_is_one_line_that_says_what_is_accepted() {
    let cases = [
        ("--rate fast", "20k/s"),
        ("--rate 0", "--rate"),
        ("--closed --rate 5k", "--closed contradicts --rate"),
        ("--closed --arrivals poisson", "--arrivals needs a rate"),
        ("--rate max --pacer spin", "--pacer needs a rate"),
        ("--closed --max-backlog 5", "--max-backlog needs a rate"),
        ("--max-backlog 0", "--max-backlog must be at least 1"),
        ("--pipeline 0", "--pipeline must be from 1 to 10000, got 0"),
        ("--connections 0", "--connections must be at least 1"),
        ("--connections 100000000", "limit of open descriptors"),
        ("--connections -1", "--connections"),
        ("--threads 0", "--threads must be from 1"),
        (
            "--threads 8 --connections 4",
            "--threads 8 needs at least as many --connections",
        ),
        ("--requests 0", "--requests must be at least 1"),
        ("--duration 0", "--duration must be longer than 0"),
        ("--duration 10", "250ms"),
        ("--warmup soon", "250ms"),
        ("--drain -1", "250ms"),
        ("--interval 1ms", "at least 10ms"),
        (
            "--connect-timeout 0",
            "--connect-timeout must be longer than 0",
        ),
        ("--payload 5", "14-32"),
        ("--verify hard", "digest"),
        ("--arrivals late", "poisson"),
        ("--pacer fast", "hybrid"),
        ("--seed x", "--seed"),
        ("--events-fd 99", "--events-fd"),
        ("--events-fd 1", "above 2"),
        ("--ready-fd x", "--ready-fd"),
        ("--ready-fd 98", "descriptor 98 is not open"),
        ("--json /no/such/dir/x", "--json"),
        ("--hlog /no/such/dir/x", "--hlog"),
        ("--connect example", "HOST:PORT"),
        ("--connect 127.0.0.1:0", "port 0"),
        ("--connect 192.0.2.1:80", "--allow-remote"),
        ("--frobnicate", "--frobnicate"),
    ];
    each_is_refused("foo", &cases);
}
