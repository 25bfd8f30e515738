//! What the help shows.

pub(super) const ALL: &str = "\
Examples:
  The recorded crash, 30 MB of random bytes:
    fuzzclient foo --connect 127.0.0.1:8001
  Valid messages with something done to them, until the server dies, hangs or errs:
    fuzzclient foo --connect 127.0.0.1:8001 --strategy mutate --until-crash
  Anything with a port:
    fuzzclient tcp --connect 127.0.0.1:8080 --strategy grammar --until-crash
  A statsd server, in datagrams:
    fuzzclient statsd --connect 127.0.0.1:8125";

pub(super) const FOO: &str = "\
Examples:
  30 MB of random bytes, as in the recorded crash:
    fuzzclient foo --connect 127.0.0.1:8001
  The same as \"cat /dev/random | nc localhost 8000\", and what was sent kept in a file:
    fuzzclient foo --source /dev/random --connect localhost:8000 --record sent.bin
  Mutated requests over 8 connections until the target is gone or fails a valid request:
    fuzzclient foo --connect :8002 --strategy mutate --connections 8 --until-crash
  Connection 17 of that run alone, to see whether it was the one:
    fuzzclient foo --connect :8002 --strategy mutate --first-connection 17 --bytes 1MiB
  The last 32 connections kept, and sent again:
    fuzzclient foo --connect :8002 --strategy churn --until-crash --record last.rec --keep 32
    fuzzclient foo --connect :8002 --replay last.rec
  Inputs that once did harm, then what mutations make of them:
    fuzzclient foo --connect :8002 --corpus regressions/ --until-crash --duration 5m";

pub(super) const TCP: &str = "\
Examples:
  Hostile HTTP, PROXY headers and starts of TLS until nobody listens any more:
    fuzzclient tcp --connect 127.0.0.1:8080 --strategy grammar --until-crash
  The same, and the server has to answer a valid request all the time:
    fuzzclient tcp --connect 127.0.0.1:8080 --strategy grammar --until-crash \\
        --probe-send 'GET / HTTP/1.0\\r\\n\\r\\n' --probe-expect '200 OK'
  200 connections that send a byte now and then:
    fuzzclient tcp --connect 127.0.0.1:8080 --strategy slow --connections 200
  Connections that come, go and are reset in the middle, modelled on your own traffic:
    fuzzclient tcp --connect 127.0.0.1:8080 --strategy churn --corpus samples/";

pub(super) const STATSD: &str = "\
Examples:
  Garbage beside good load, a thousand datagrams a second for five seconds:
    fuzzclient statsd --connect 127.0.0.1:8125 --duration 5s
  The same datagrams again, slower:
    fuzzclient statsd --connect 127.0.0.1:8125 --seed 7 --rate 10/s --duration 1m
  Mutated metrics until the management port says that something is wrong:
    fuzzclient statsd --connect 127.0.0.1:8125 --strategy mutate --rate 50k/s \\
        --until-crash --probe-at 127.0.0.1:8126
  Mutated lines over TCP:
    fuzzclient statsd --transport tcp --connect 127.0.0.1:8125 --strategy mutate";
