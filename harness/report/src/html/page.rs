//! The frame of the page: its head, its style, its script.

use super::markup::escape;

/// Nothing may be loaded, from anywhere: the browser itself sees to it.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A whole page around this content.
pub(super) fn page(run: &str, content: &str) -> String {
    let (style, script) = (include_str!("style.css"), include_str!("script.js"));
    let plots = super::picture::STYLE;
    let title = escape(run);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{title} · harness</title>\n<style>\n{plots}{style}</style>\n</head>\n<body>\n<main>\n\
         {content}</main>\n<div id=\"tip\" role=\"status\" hidden></div>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )
}
