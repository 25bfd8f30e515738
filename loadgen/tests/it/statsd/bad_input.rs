//! Bad input: one line that names what is wrong and what is accepted.

use crate::bad_input::each_is_refused;

#[test]
fn bad_input_is_one_line_that_says_what_is_accepted() {
    let cases = [
        ("--rate fast", "20k/s"),
        ("--rate 0", "--rate"),
        ("--rate 5 --max", "--max"),
        ("--burst 5@1s --max", "--max"),
        ("--burst 5@1s --rate 7", "--rate"),
        ("--burst 5", "20k@1s"),
        (
            "--burst 5@1s --arrivals poisson",
            "--arrivals contradicts --burst",
        ),
        ("--max --arrivals poisson", "--arrivals needs a rate"),
        ("--rate max --pacer spin", "--pacer needs a rate"),
        ("--lines 0", "--lines must be at least 1"),
        ("--lines many", "20k"),
        ("--lines-per-datagram 0", "from 1 to 65535, or full"),
        ("--lines-per-datagram some", "or full"),
        ("--mtu 10", "(the longest line)"),
        ("--mtu 70000", "65507"),
        ("--keys 0", "--keys must be from 1 to 10000000"),
        ("--keys 11M", "--keys must be from 1 to 10000000"),
        ("--popularity normal", "zipf:S"),
        ("--popularity zipf:-1", "zipf:1.1"),
        ("--types c,x", "c,g,ms,h,s,d"),
        ("--types c,", "c,g,ms,h,s,d"),
        ("--sample-rate 2", "above 0 and at most 1"),
        ("--sample-rate NaN", "above 0 and at most 1"),
        ("--tags a|b", "env:test,host:a"),
        ("--tags a,,b", "env:test,host:a"),
        ("--prefix a.b", "letters, digits, _ or -"),
        ("--transport sctp", "tcp"),
        ("--segmentation maybe", "auto"),
        ("--threads 0", "--threads must be from 1"),
        (
            "--threads 3 --connections 2",
            "--threads 3 needs at least as many",
        ),
        ("--connections 0", "--connections must be at least 1"),
        ("--connections 100000000", "limit of open descriptors"),
        ("--duration 0", "--duration must be longer than 0"),
        ("--duration 10", "250ms"),
        ("--interval 1ms", "at least 10ms"),
        ("--connect-timeout 0", "--connect-timeout must be longer"),
        ("--seed x", "--seed"),
        ("--events-fd 99", "--events-fd"),
        ("--json /no/such/dir/x", "--json"),
        ("--connect example", "HOST:PORT"),
        ("--connect 127.0.0.1:0", "port 0"),
        ("--connect 192.0.2.1:80", "--allow-remote"),
        ("--closed", "--closed"),
    ];
    each_is_refused("statsd", &cases);
}
