//! Bad input of `loadgen tcp`: one line that names what is wrong and what is accepted.

use crate::bad_input::each_is_refused;

#[test]
fn bad_input_is_one_line_that_says_what_is_accepted() {
    let cases = [
        ("--payload 7", "from 8 to 131072 bytes"),
        ("--payload 64-16", "16-1024"),
        ("--verify digest", "full"),
        ("--read-rate 0", "64KiB/s"),
        ("--read-rate fast", "64KiB/s"),
        ("--idle-check", "--idle-check needs --idle"),
        ("--idle 100000000", "--idle"),
        ("--source here", "--source"),
        ("--sources 0", "--sources"),
        ("--source 127.0.0.2 --sources 3", "--sources"),
        ("--source 192.0.2.1", "not a loopback address"),
        ("--bulk up", "receive"),
        ("--bytes 1GiB", "--bytes needs --bulk"),
        ("--pattern-seed 3", "--pattern-seed needs --bulk"),
        ("--bulk send --rate 5k", "--rate contradicts --bulk"),
        ("--bulk send --closed", "--closed contradicts --bulk"),
        ("--bulk send --payload 64", "--payload contradicts --bulk"),
        ("--bulk send --pipeline 4", "--pipeline contradicts --bulk"),
        (
            "--bulk send --half-close",
            "--half-close contradicts --bulk",
        ),
        ("--bulk send --bytes 0", "--bytes must be at least 1"),
        ("--bulk send --hlog /tmp/x", "--hlog contradicts --bulk"),
        ("--closed --rate 5k", "--closed contradicts --rate"),
        ("--tls", "--tls needs --tls-ca FILE"),
        ("--tls-insecure", "--tls-insecure needs --tls"),
        ("--tls-server-name x", "--tls-server-name needs --tls"),
        ("--tls --tls-ca /no/such/file", "--tls-ca /no/such/file"),
        ("--tls --tls-ca /dev/null", "at least one certificate"),
        (
            "--tls --tls-ca x --tls-insecure",
            "--tls-insecure contradicts --tls-ca",
        ),
        ("--tls --tls-insecure --tls-server-name a..b", "host name"),
        ("--proxy-protocol v3", "v2"),
        (
            "--proxy-source 192.0.2.1:5",
            "--proxy-source needs --proxy-protocol",
        ),
        (
            "--proxy-protocol v1 --proxy-source 192.0.2.1",
            "--proxy-source",
        ),
        (
            "--proxy-protocol v1 --proxy-source [::1]:5",
            "address family",
        ),
        ("--connect 192.0.2.1:80", "--allow-remote"),
        ("--frobnicate", "--frobnicate"),
    ];
    each_is_refused("tcp", &cases);
}
