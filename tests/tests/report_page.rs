//! The report page in a real browser: its plots are there, its script runs, and nothing
//! on it asks anybody for anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use tests::scenario::Run;
use tests::{Listener, Program};

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");

const CHROMIUM: &str = "chromium";

/// Lets the browser do nothing but show the page.
const FLAGS: [&str; 12] = [
    "--headless",
    // Tests may run as root, which the sandbox refuses. The page is our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    // Loopback addresses would go past the proxy otherwise.
    "--proxy-bypass-list=<-loopback>",
];

/// Whose requests a browser makes of its own accord, whatever it shows.
const MAKERS: [&str; 4] = ["google.com", "googleapis.com", "gvt1.com", "gstatic.com"];

/// A browser whose only way out is a proxy that writes down who asks for what.
struct Browser {
    home: TempDir,
    way_out: String,
    is_over: Arc<AtomicBool>,
    requests: Option<JoinHandle<Vec<String>>>,
}

impl Browser {
    fn new() -> Self {
        let listener = Listener::open();
        let way_out = listener.addr();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let requests = std::thread::spawn(move || {
            let mut requests = Vec::new();
            loop {
                let last_look = over.load(Ordering::SeqCst);
                while let Some(mut peer) = listener.try_accept() {
                    let asked = peer.read_some();
                    let line = asked
                        .split(|byte| *byte == b'\r')
                        .next()
                        .unwrap_or_default();
                    requests.push(String::from_utf8_lossy(line).into_owned());
                    // The browser may be gone already.
                    let _ = peer.try_send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                }
                if last_look {
                    return requests;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self {
            home: tempfile::tempdir().expect("a directory"),
            way_out,
            is_over,
            requests: Some(requests),
        }
    }

    /// Opens a page with these flags; gives what the browser printed.
    fn open(&self, page: &Path, flags: &[&str]) -> String {
        let profile = tempfile::tempdir_in(self.home.path()).expect("a directory");
        let mut command = Command::new(CHROMIUM);
        command
            .args(FLAGS)
            .arg(format!("--proxy-server={}", self.way_out))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(flags)
            .arg(format!("file://{}", page.display()))
            // Some builds keep crash reports at home, wherever the profile is.
            .env("HOME", self.home.path());
        let mut browser = Program::spawn(command, None);
        let status = browser.wait();
        assert!(status.success(), "{status}\n{}", browser.describe());
        browser.stdout()
    }

    /// The page as it is after its script has run.
    fn dom(&self, page: &Path) -> String {
        self.open(page, &["--dump-dom"])
    }

    /// A picture of this size, as PNG.
    fn picture(&self, page: &Path, size: (u32, u32), flags: &[&str]) -> Vec<u8> {
        let file = self.home.path().join("picture.png");
        let take = format!("--screenshot={}", file.display());
        let window = format!("--window-size={},{}", size.0, size.1);
        self.open(page, &[&[take.as_str(), window.as_str()], flags].concat());
        let png = fs::read(&file).expect("a picture");
        fs::remove_file(&file).expect("our own file");
        // A PNG has its size in the first chunk.
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("4 bytes"));
        assert_eq!(&png[1..4], b"PNG");
        assert_eq!((number(16), number(20)), size);
        png
    }

    /// Everything that was asked for while pages were open, but by the browser itself.
    fn requests(mut self) -> Vec<String> {
        self.is_over.store(true, Ordering::SeqCst);
        let requests = self.requests.take().expect("asked once");
        let requests = requests.join().expect("the proxy does not panic");
        let of_makers = |line: &String| MAKERS.iter().any(|maker| line.contains(maker));
        requests
            .into_iter()
            .filter(|line| !of_makers(line))
            .collect()
    }
}

/// A short run, and its page.
fn run() -> (Run, PathBuf) {
    let run = Run::of(
        HARNESS,
        &[
            "bench",
            "--rate",
            "1k/s",
            "--duration",
            "500ms",
            "--warmup",
            "100ms",
            "--rounds",
            "2",
            "--lenient",
        ],
    );
    run.expect_code(0);
    let page = run.file("report.html");
    (run, page)
}

/// The page with a script of the test's at its end.
fn with_script(page: &Path, script: &str) -> PathBuf {
    let text = fs::read_to_string(page).expect("the page");
    let more = format!("<script>{script}</script></body>");
    let copy = page.with_file_name("with-script.html");
    fs::write(&copy, text.replace("</body>", &more)).expect("a file");
    copy
}

#[test]
fn the_page_shows_its_plots_in_a_browser_and_asks_nobody_for_anything() {
    if !tests::is_installed(CHROMIUM) {
        return;
    }
    let (_run, page) = run();
    let browser = Browser::new();

    let dom = browser.dom(&page);
    let plots = dom.matches("<svg class=\"plot\"").count();
    assert_eq!(plots, 3, "percentiles, timeline, send lag");
    assert!(
        dom.contains(&format!("data-plots=\"{plots}\"")),
        "the script ran"
    );
    assert!(dom.contains("data-script=\"ready\""), "to its end");
    let lines = dom.split("class=\"line\" d=\"M").skip(1);
    let long = lines.filter(|path| path.split('"').next().is_some_and(|d| d.len() > 100));
    assert!(long.count() >= 2, "both subjects have a curve");

    let desktop = browser.picture(&page, (1_200, 2_400), &[]);
    let dark = browser.picture(&page, (1_200, 2_400), &["--force-dark-mode"]);
    let phone = browser.picture(&page, (500, 3_000), &[]);
    for png in [&desktop, &dark, &phone] {
        assert!(png.len() > 30_000, "{} bytes are an empty page", png.len());
    }
    assert!(desktop != dark, "dark is another picture");
    assert_eq!(browser.requests(), Vec::<String>::new());
}

#[test]
fn pointing_shows_values_and_a_click_in_the_legend_hides_a_series() {
    if !tests::is_installed(CHROMIUM) {
        return;
    }
    let (_run, page) = run();
    let script = r#"
        const plot = document.querySelector("svg.plot");
        const box = plot.getBoundingClientRect();
        plot.dispatchEvent(new PointerEvent("pointermove", {
            clientX: box.left + box.width / 3, clientY: box.top + box.height / 2, bubbles: true,
        }));
        const keys = document.querySelectorAll("button.key");
        document.body.dataset.shown = document.getElementById("tip").innerText;
        keys[0].click();
        document.body.dataset.hidden = document.querySelectorAll(".series.off").length;
        keys[0].click();
        document.body.dataset.back = document.querySelectorAll(".series.off").length;
    "#;
    let dom = Browser::new().dom(&with_script(&page, script));
    let data = |name: &str| {
        let (_, after) = dom.split_once(&format!("data-{name}=\"")).expect(name);
        after.split('"').next().expect("it ends").to_owned()
    };
    let shown = data("shown");
    for part in ["%", "direct to the upstream", "through the proxy", "s"] {
        assert!(shown.contains(part), "{part:?} is not in {shown:?}");
    }
    assert_ne!(data("hidden"), "0");
    assert_eq!(data("back"), "0");
}

/// The check above can fail: a page that reaches out is caught, unless its own policy
/// stops it, as that of ours does.
#[test]
fn a_page_that_asks_is_caught_and_ours_could_not_if_it_would() {
    if !tests::is_installed(CHROMIUM) {
        return;
    }
    let (_run, page) = run();
    let browser = Browser::new();
    let outside = page.with_file_name("outside.html");
    fs::write(&outside, "<img src=\"http://somebody.test/picture.png\">").expect("a file");
    browser.dom(&outside);
    let ask = "fetch('http://somebody.else/').catch(() => {}); new Image().src = 'http://somebody.else/i';";
    browser.dom(&with_script(&page, ask));
    let requests = browser.requests();
    assert!(
        requests.iter().any(|line| line.contains("somebody.test")),
        "{requests:?}"
    );
    assert!(
        !requests.iter().any(|line| line.contains("somebody.else")),
        "{requests:?}"
    );
}
