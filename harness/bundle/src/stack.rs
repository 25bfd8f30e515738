//! The top of the stack in what a target wrote last, as far as it can be told from the text.
//!
//! Where a program was when it died says more about the cause than the signal does. Known are
//! the forms of Go, Rust, Python, Java, Node.js, and of the sanitizers and debuggers (`#0 …`).

/// Functions that are how a program dies, and never why: the one below them is meant.
const NOT_THE_CAUSE: [&str; 16] = [
    "runtime.",
    "panic(",
    "core::panicking",
    "std::panicking",
    "rust_begin_unwind",
    "__rustc",
    "core::result::unwrap_failed",
    "core::option::",
    "abort",
    "raise",
    "__GI_",
    "__assert",
    "pthread_kill",
    "gsignal",
    "__pthread",
    "std::sys::",
];

/// The top of the stack: a function or a place in the source, without addresses, which differ
/// from run to run. `None` if the text shows no stack.
#[must_use]
pub fn top(last_words: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(last_words);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    // What dies last has the last word, so each looks for the last of its kind.
    go(&lines)
        .or_else(|| rust(&lines))
        .or_else(|| python(&lines))
        .or_else(|| numbered(&lines))
        .or_else(|| at(&lines))
}

/// After `goroutine N [running]:` a function and, on the next line, its place.
fn go(lines: &[&str]) -> Option<String> {
    let start = lines
        .iter()
        .position(|line| line.starts_with("goroutine ") && line.contains("[running"))?;
    let frames = lines[start + 1..]
        .iter()
        .take_while(|line| !line.is_empty());
    let functions = frames.filter(|line| !line.starts_with('\t') && line.contains('('));
    let function = first_cause(functions.copied())?;
    // What follows the last parenthesis that opens are arguments: addresses.
    Some(
        function
            .rsplit_once('(')
            .map_or(function, |(name, _)| name)
            .to_owned(),
    )
}

/// `thread 'main' panicked at src/main.rs:7:9:`.
fn rust(lines: &[&str]) -> Option<String> {
    let line = lines
        .iter()
        .rev()
        .find(|line| line.contains("panicked at "))?;
    let (_, place) = line.split_once("panicked at ")?;
    Some(place.trim_end_matches(':').to_owned())
}

/// The last `File "x.py", line 7, in handle` before the exception.
fn python(lines: &[&str]) -> Option<String> {
    let start = lines
        .iter()
        .rposition(|line| line.starts_with("Traceback "))?;
    let after = &lines[start..];
    let frame = after
        .iter()
        .rev()
        .find(|line| line.trim_start().starts_with("File \""))?;
    let raised = after
        .iter()
        .rev()
        .find(|line| !line.is_empty() && !line.starts_with(' '));
    let error = raised
        .and_then(|line| line.split([':', ' ']).next())
        .unwrap_or_default();
    Some(format!("{} {error}", frame.trim()).trim_end().to_owned())
}

/// `#0 0x55d0 in handle_line server.c:12`.
fn numbered(lines: &[&str]) -> Option<String> {
    let start = lines
        .iter()
        .position(|line| line.trim_start().starts_with("#0 "))?;
    let frames = lines[start..].iter().map(|line| line.trim_start());
    let frames = frames.take_while(|line| line.starts_with('#'));
    let names = frames.filter_map(|line| {
        let (_, rest) = line.split_once(char::is_whitespace)?;
        let rest = rest.trim_start();
        Some(rest.split_once(" in ").map_or(rest, |(_, name)| name))
    });
    first_cause(names).map(without_addresses)
}

/// `at handle (server.js:12:5)`, `at com.example.Server.handle(Server.java:12)`.
fn at(lines: &[&str]) -> Option<String> {
    let is_frame =
        |line: &&&str| line.trim_start().starts_with("at ") && line.starts_with([' ', '\t']);
    let first = lines.iter().find(is_frame)?;
    Some(first.trim_start().trim_start_matches("at ").to_owned())
}

fn first_cause<'a>(frames: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let is_cause = |frame: &&str| !NOT_THE_CAUSE.iter().any(|prefix| frame.starts_with(prefix));
    frames
        .clone()
        .find(is_cause)
        .or_else(|| frames.clone().next())
}

fn without_addresses(frame: &str) -> String {
    let words = frame.split_whitespace();
    let kept = words.filter(|word| !word.trim_start_matches('(').starts_with("0x"));
    kept.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_in_what_each_runtime_writes() {
        let go = "2017/03/16 20:23:53 [::1]:60246: Decode error: bad type \"\"\n\
            fatal error: unexpected signal during runtime execution\n\
            [signal 0xb code=0x1 addr=0xb01dfacedebac1e pc=0xf9a90]\n\n\
            goroutine 37 [running]:\nruntime.throw(0x1df740, 0x2a)\n\t/usr/panic.go:547 +0x90\n\
            runtime.sigpanic()\n\t/usr/sigpanic_unix.go:12\n\
            sync.(*Pool).Get(0x281a80, 0x0, 0x0)\n\t/usr/pool.go:102 +0x40\n\
            fmt.newPrinter(0x8)\n\t/usr/print.go:133\n\ngoroutine 1 [IO wait]:\nnet.x()\n";
        let python = "bad line\nTraceback (most recent call last):\n  File \"s.py\", line 3, in main\n    run()\n  \
            File \"s.py\", line 9, in handle\n    int(x)\nValueError: invalid literal for int(): 'x'\n";
        let rust = "decode error\n\nthread 'worker' (12) panicked at src/line.rs:7:9:\n\
            invalid UTF-8\nnote: run with `RUST_BACKTRACE=1`\n";
        let asan = "==7==ERROR: AddressSanitizer: SEGV on unknown address 0x0\n    \
            #0 0x55d01234 in abort (/lib/libc.so+0x1)\n    #1 0x55d0ab in handle_line server.c:12\n";
        let gdb = "#0  handle_line (line=0x0) at server.c:12\n#1  0x0000 in main ()\n";
        let node = "Error: boom\n    at handle (server.js:12:5)\n    at next (x.js:1:1)\n";
        let java =
            "Exception in thread \"main\" java.lang.X\n\tat com.x.Server.handle(Server.java:12)\n";
        for (text, expected) in [
            (go, Some("sync.(*Pool).Get")),
            (python, Some("File \"s.py\", line 9, in handle ValueError")),
            (rust, Some("src/line.rs:7:9")),
            (asan, Some("handle_line server.c:12")),
            (gdb, Some("handle_line (line=0x0) at server.c:12")),
            (node, Some("handle (server.js:12:5)")),
            (java, Some("com.x.Server.handle(Server.java:12)")),
            ("Decode error: bad type \"\"\nat once\n", None),
            ("", None),
        ] {
            assert_eq!(top(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}
