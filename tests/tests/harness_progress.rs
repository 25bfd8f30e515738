//! What is shown while a run goes on: on a terminal a few lines in place, elsewhere plain
//! lines.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use tests::scenario::Run;
use tests::{DEADLINE, is_installed};

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");

/// Columns of the terminal.
const COLUMNS: usize = 64;

/// A load, with garbage in its middle.
const SCENARIO: &str = r#"
name = "a-scenario-with-a-name-that-does-not-leave-much-room-on-a-line"
rounds = 2

[[load]]
rate = "1k/s"
connections = 4
warmup = "100ms"
duration = "900ms"

[[fuzz]]
strategy = "lines"
start = "300ms"
duration = "500ms"
connections = 1
"#;

/// What a terminal of [`COLUMNS`] makes of what is written to it: as much of it as the
/// harness uses. Fails if anything is written where a line would wrap.
#[derive(Default)]
struct Terminal {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Terminal {
    fn write(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['));
                    let mut number = String::new();
                    let last = loop {
                        match chars.next().expect("the end of a sequence") {
                            digit @ ('0'..='9' | ';') => number.push(digit),
                            last => break last,
                        }
                    };
                    self.obey(last, number.parse().unwrap_or(0));
                }
                char => self.put(char),
            }
        }
    }

    fn obey(&mut self, command: char, number: usize) {
        match command {
            'A' => self.row = self.row.checked_sub(number).expect("a row to go up to"),
            'K' => self.row().truncate_at(),
            'J' => {
                self.row().truncate_at();
                self.rows.truncate(self.row + 1);
            }
            'm' => {}
            other => panic!("unknown sequence: {number}{other}"),
        }
    }

    fn row(&mut self) -> Row<'_> {
        if self.rows.len() <= self.row {
            self.rows.resize(self.row + 1, Vec::new());
        }
        Row(&mut self.rows[self.row], self.column)
    }

    fn put(&mut self, char: char) {
        assert!(!char.is_control(), "{char:?}");
        assert!(self.column < COLUMNS, "too wide:\n{}", self.text());
        let Row(row, column) = self.row();
        row.resize(row.len().max(column + 1), ' ');
        row[column] = char;
        self.column += 1;
    }

    fn text(&self) -> String {
        let line = |row: &Vec<char>| row.iter().collect::<String>() + "\n";
        self.rows.iter().map(line).collect()
    }
}

struct Row<'a>(&'a mut Vec<char>, usize);

impl Row<'_> {
    fn truncate_at(self) {
        self.0.truncate(self.1);
    }
}

/// The harness on the scenario, on a terminal of its own, which it does not outlive.
struct OnTerminal {
    child: Child,
    directory: tempfile::TempDir,
}

impl OnTerminal {
    fn start(environment: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("s.toml"), SCENARIO).expect("a file");
        let stderr = File::create(directory.path().join("stderr")).expect("a file");
        // Ctrl-C goes to the shell as well, which is to outlive it and to write the code.
        let line = format!(
            "trap : INT; stty cols {COLUMNS} rows 24; \
             env {environment} {HARNESS} run s.toml --out out > report; echo $? > code"
        );
        let child = Command::new("script")
            .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
            .current_dir(directory.path())
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("script");
        Self { child, directory }
    }

    /// All that it writes. Once `text` has been seen, `keys` are pressed.
    fn written(&mut self, text: &str, keys: &[u8]) -> String {
        let parts = self.parts();
        let ends = Instant::now() + 2 * DEADLINE;
        let mut bytes = Vec::new();
        let mut is_pressed = keys.is_empty();
        loop {
            // What never stops writing is late as well.
            let left = ends.saturating_duration_since(Instant::now());
            let part = if left.is_zero() {
                Err(RecvTimeoutError::Timeout)
            } else {
                parts.recv_timeout(left)
            };
            match part {
                Ok(part) => bytes.extend_from_slice(&part),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let written = String::from_utf8_lossy(&bytes);
                    panic!("still running: {written:?}");
                }
            }
            if !is_pressed && String::from_utf8_lossy(&bytes).contains(text) {
                is_pressed = true;
                // It stays open: a closed one would end the terminal.
                let stdin = self.child.stdin.as_mut().expect("piped");
                stdin.write_all(keys).expect("a terminal");
            }
        }
        self.child.wait().expect("our own child");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What comes from the terminal, as it comes, until it is closed.
    fn parts(&mut self) -> mpsc::Receiver<Vec<u8>> {
        let mut out = self.child.stdout.take().expect("piped");
        let (sender, parts) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        parts
    }

    fn code(&self) -> String {
        let code = fs::read_to_string(self.directory.path().join("code"));
        code.expect("an exit code").trim().to_owned()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may have ended already. What runs on the terminal is hung up on.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            // What went elsewhere than to the terminal.
            for name in ["report", "stderr"] {
                let text = fs::read_to_string(self.directory.path().join(name));
                eprintln!("--- {name}\n{}", text.unwrap_or_default());
            }
        }
    }
}

/// The screen at the end.
fn shown(written: &str) -> Vec<String> {
    let mut terminal = Terminal::default();
    terminal.write(written);
    terminal.text().lines().map(str::to_owned).collect()
}

#[test]
fn a_terminal_shows_a_few_lines_in_place_and_nothing_of_them_is_left() {
    if !is_installed("script") {
        return;
    }
    let mut run = OnTerminal::start("TERM=xterm");
    let written = run.written("", b"");
    for part in [
        "░",
        "left",
        "answered",
        "p99",
        "garbage now: garbage",
        "\x1b[32m",
        "0 errors",
    ] {
        assert!(
            written.contains(part),
            "{part:?} was never shown: {written:?}"
        );
    }
    let screen = shown(&written);
    let is_plain = |line: &String| line.starts_with("run ") || line.starts_with('[');
    assert!(
        screen.iter().all(|line| line.is_empty() || is_plain(line)),
        "{screen:#?}"
    );
    assert_eq!(
        screen.iter().filter(|line| line.starts_with('[')).count(),
        2,
        "{screen:#?}"
    );
}

#[test]
fn ctrl_c_leaves_nothing_of_the_live_lines() {
    if !is_installed("script") {
        return;
    }
    let mut run = OnTerminal::start("TERM=xterm NO_COLOR=1");
    let written = run.written("answered", b"\x03");
    assert_eq!(run.code(), "130", "{written}");
    assert!(!written.contains("\x1b[32m"), "{written:?}");
    let screen = shown(&written.replace("^C", ""));
    assert!(
        screen.iter().all(|line| !line.contains(['░', '█'])),
        "{screen:#?}"
    );
}

#[test]
fn a_terminal_that_cannot_do_it_gets_plain_lines() {
    if !is_installed("script") {
        return;
    }
    let mut run = OnTerminal::start("TERM=dumb");
    let written = run.written("", b"");
    assert!(!written.contains('\x1b'), "{written:?}");
    assert!(
        written.contains("[1/2] ") && written.contains(" left"),
        "{written}"
    );
}

#[test]
fn where_there_is_no_terminal_there_are_plain_lines() {
    let load = "rounds = 2\n[[load]]\nrate = \"500/s\"\nwarmup = \"0\"\nduration = \"300ms\"\n";
    let run = Run::of_text(HARNESS, load, &["--lenient"]);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("run "), "{lines:?}");
    let rate = lines[1].strip_prefix("[1/2] test round 1 builtin · ");
    let rate = rate.and_then(|rest| Some(rest.split_once("/s · p50 ")?.0));
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    assert!(rate.is_some_and(is_number), "{lines:?}");
    assert!(
        lines[1].contains(" · about ") && lines[1].ends_with(" left"),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("[2/2] ") && !lines[2].contains(" left"),
        "{lines:?}"
    );
    assert!(!run.stderr.contains('\x1b'));
    let quiet = Run::of_text(HARNESS, load, &["--lenient", "--quiet"]);
    assert_eq!(quiet.stderr, "");
}
