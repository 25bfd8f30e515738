//! Bad input: one line that names what is wrong and what is accepted.

use crate::bad_input::each_is_refused;

#[test]
fn bad_input_is_one_line_that_says_what_is_accepted() {
    let cases = [
        ("--rate fast", "20k/s"),
        ("--closed --rate 7", "--closed contradicts --rate"),
        ("--closed --pacer spin", "--pacer needs a rate"),
        ("--clients 0", "--clients must be from 1 to 16384"),
        ("--clients 20000", "--clients must be from 1 to 16384"),
        (
            "--threads 3 --clients 2",
            "--threads 3 needs at least as many --clients",
        ),
        ("--window 5", "--window needs --closed or --rate max"),
        ("--closed --window 0", "--window must be from 1 to 10000"),
        ("--payload 31", "from 32"),
        ("--payload 70000", "65507"),
        ("--payload 90-40", "64-1400"),
        ("--timeout 0", "at least 1ms"),
        ("--timeout 5", "250ms"),
        ("--requests 0", "--requests must be at least 1"),
        ("--duration 0", "--duration must be longer than 0"),
        ("--interval 1ms", "at least 10ms"),
        ("--segmentation maybe", "auto"),
        ("--connections 5", "--connections"),
        ("--json /no/such/dir/x", "--json"),
        ("--connect example", "HOST:PORT"),
        ("--connect 127.0.0.1:0", "port 0"),
        ("--connect 192.0.2.1:80", "--allow-remote"),
    ];
    each_is_refused("udp", &cases);
}
