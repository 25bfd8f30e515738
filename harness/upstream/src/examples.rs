//! The part of the help that teaches: defects and examples of each server.

use crate::defect::catalogue;

/// Where the description of a defect starts.
const COLUMN: usize = 34;

/// How wide a description may be.
const WIDTH: usize = 58;

fn help(mode: &str, examples: &str) -> String {
    let mut text = "Defects, each of them real:\n".to_owned();
    for entry in catalogue::ALL.iter().filter(|e| e.modes.contains(&mode)) {
        let mut left = format!("  {}", entry.usage());
        for line in wrap(entry.about) {
            text.push_str(&format!("{left:COLUMN$}{line}\n"));
            left.clear();
        }
    }
    text.push_str("\nExamples:\n");
    text.push_str(examples);
    text
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines.push(word.to_owned());
        } else {
            let space = if line.is_empty() { "" } else { " " };
            line.push_str(space);
            line.push_str(word);
        }
    }
    lines
}

pub(crate) fn foo() -> String {
    help(
        "foo",
        "  A sound server on port 8001, and a request by hand:
    harness upstream foo --listen 127.0.0.1:8001
    printf 'REQ 1 hello\\n' | nc -N 127.0.0.1 8001
  The recorded crash, to be triggered with random bytes:
    harness upstream foo --defect segfault-after-decode-errors=1000
    cat /dev/random | nc 127.0.0.1 8001
  Freeze for 200 ms every 2 s, and answer every 1000th request wrongly:
    harness upstream foo --defect freeze=200ms@2s --defect wrong-reply=1/1000",
    )
}

pub(crate) fn echo() -> String {
    help(
        "echo",
        "  A sound server on port 8001, and bytes by hand:
    harness upstream echo --listen 127.0.0.1:8001
    echo hello | nc -N 127.0.0.1 8001
  Does a proxy pass on what comes after the client's end?
    harness upstream echo --defect late-reply=500ms
  Three backends, one of which comes and goes:
    harness upstream echo --listen 127.0.0.1:8001 --name one
    harness upstream echo --listen 127.0.0.1:8002 --name two
    harness upstream echo --listen 127.0.0.1:8003 --name three --defect flap=2s/1s
  Must a client's integrity check find something?
    harness upstream echo --defect corrupt-byte=1/1000000",
    )
}

pub(crate) fn sink() -> String {
    help(
        "sink",
        "  How many bytes come through a proxy?
    harness upstream sink --acknowledge
    head -c 1000000 /dev/zero | nc -N 127.0.0.1 8001 | od -A n -t u8 --endian=big
  A server that reads 64 KiB a second from each client:
    harness upstream sink --defect slow-reader=64KiB/s",
    )
}

pub(crate) fn source() -> String {
    help(
        "source",
        "  10 MiB to whoever comes:
    harness upstream source --bytes 10MiB
    nc -d 127.0.0.1 8001 | wc -c
  What does a proxy make of a reset in the middle of every third transfer?
    harness upstream source --bytes 10MiB --defect reset-midway=1/3",
    )
}

pub(crate) fn http() -> String {
    help(
        "http",
        "  A megabyte, and how long a body was:
    harness upstream http
    curl -s http://127.0.0.1:8001/bytes/1000000 | wc -c
    curl --data-binary @README.md http://127.0.0.1:8001/
  Which of several answered? Look for X-Upstream:
    harness upstream http --listen 127.0.0.1:8002 --name two
    curl -si http://127.0.0.1:8002/
  A health check that fails:
    curl -i http://127.0.0.1:8001/status/503",
    )
}

pub(crate) fn udp_echo() -> String {
    help(
        "udp-echo",
        "  An echo on port 8001, a datagram by hand, and what has come:
    harness upstream udp-echo &
    echo hello | nc -u -w1 127.0.0.1 8001
    kill -USR1 %1
  What does a proxy make of an echo that loses every tenth answer?
    harness upstream udp-echo --defect wrong-reply=dropped:1/10
  Answers twice, in the wrong order, damaged, from another port:
    harness upstream udp-echo --defect wrong-reply=duplicated:1/100
    harness upstream udp-echo --defect wrong-reply=swapped:1/100
    harness upstream udp-echo --defect corrupt-byte=1/10000
    harness upstream udp-echo --defect wrong-port=1/100
  Nobody there for a second in every three, as hosts say it (ICMP port unreachable):
    harness upstream udp-echo --defect flap=2s/1s",
    )
}

pub(crate) fn statsd() -> String {
    help(
        "statsd",
        "  A sink on port 8127, a line, a health check, and what has come:
    harness upstream statsd &
    echo 'load.k1:0|c' | nc -u -w1 127.0.0.1 8127
    echo health | nc -q1 127.0.0.1 8128
    kill -USR1 %1
  A node that dies after 5 s and is back 3 s later:
    harness upstream statsd --down-after 5s --down-for 3s --down-times 1
  A node that flaps, and one whose health check hangs:
    harness upstream statsd --down-after 2s --down-for 500ms
    harness upstream statsd --silent-health
  A small receive buffer that is read from slowly, so that the kernel drops:
    harness upstream statsd --receive-buffer 64KiB --slow=32KiB/s",
    )
}
