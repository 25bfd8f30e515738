//! The check that the original client did.

use crate::program::{loadgen, run};
use crate::server::{serve, serve_rightly};

#[test]
fn check_says_ok_or_why_not() {
    let words = format!("check --connect {} --verify digest", serve_rightly());
    let output = run(&mut loadgen(&words));
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(0), &b"..........OK!\n"[..])
    );

    let wrong = serve(|n, right, _| {
        Some(if n == 42 {
            b"ACK 41 0\n".to_vec()
        } else {
            right
        })
    });
    let output = run(&mut loadgen(&format!("check --connect {wrong}")));
    assert_eq!(output.status.code(), Some(1));
    let expected = "..........FAILED!\nrequest 42: answer to 41 instead: ACK 41 0\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);

    let silent = serve(|n, right, _| Some(if n == 15 { vec![] } else { right }));
    // Long enough for the answers before, however busy the machine is.
    let words = format!("check --connect {silent} --timeout 1s");
    let output = run(&mut loadgen(&words));
    let expected = ".FAILED!\nrequest 15: no answer within 1s\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}
