//! Files of both proxies, and files that are wrong.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::source::Source;
use super::{File, NodeAt, Server, load, settings};

fn parse(text: &str) -> Result<File, String> {
    let source = Source::new(Path::new("config.json"), text.to_owned());
    settings::read(&source).map_err(|error| error.to_string())
}

fn node(line: usize, host: &str, port: u16, admin_port: Option<u16>) -> NodeAt {
    NodeAt {
        host: host.to_owned(),
        port,
        admin_port,
        line,
    }
}

#[test]
fn the_file_of_the_cluster_proxy() {
    // In the form of statsd's exampleProxyConfig.js: a comment, bare keys, single quotes.
    let file = parse(
        "/*

        Required Variables:

          port: StatsD Cluster Proxy listening port [default: 8125]
        */
        {
        nodes: [
        {host: '127.0.0.1', port: 8127, adminport: 8128},
        {host: 'stats2.example.net', port: 8129, adminport: 8130},
        {host: '::1', port: 8131, adminport: 8132},
        ],
        server: './servers/udp',
        host:  '0.0.0.0',
        port: 8125,
        udp_version:'udp4',
        mgmt_port: 8126,
        forkCount: 0,
        checkInterval: 1000,
        cacheSize: 10000
        }
        ",
    );
    let expected = File {
        nodes: vec![
            node(9, "127.0.0.1", 8127, Some(8128)),
            node(10, "stats2.example.net", 8129, Some(8130)),
            node(11, "::1", 8131, Some(8132)),
        ],
        host: Some("0.0.0.0".to_owned()),
        port: Some(8125),
        management_port: Some(8126),
        check_interval: Some(Duration::from_secs(1)),
        cache_size: Some(10_000),
        server: Some(Server {
            udp: true,
            tcp: false,
        }),
        ipv6: Some(false),
        ..File::default()
    };
    assert_eq!(file, Ok(expected));
}

#[test]
fn the_file_of_the_go_proxy() {
    let file = parse(
        r#"{
          "nodes": [
            {"host": "127.0.0.1", "port": 8130, "adminport": 8140},
            {"Host": "127.0.0.1", "PORT": 8131, "AdminPort": 8141}
          ],
          "Host":  "0.0.0.0",
          "port": 8125,
          "managementport": 8126,
          "CheckInterval": 10000
        }"#,
    );
    let expected = File {
        nodes: vec![
            node(3, "127.0.0.1", 8130, Some(8140)),
            node(4, "127.0.0.1", 8131, Some(8141)),
        ],
        host: Some("0.0.0.0".to_owned()),
        port: Some(8125),
        management_port: Some(8126),
        check_interval: Some(Duration::from_secs(10)),
        ..File::default()
    };
    assert_eq!(file, Ok(expected));
}

#[test]
fn what_json5_and_javascript_allow_around_the_values() {
    let file = parse(
        "\u{feff}// the proxy's
        {nodes: [{host: '[::1]', port: 0x1fbd, 'adminport': +8.127e3,}] // one
        , address: 'metrics.local', \"host\": \"0.0.0.0\", mgmt_address: '127.0.0.1'
        , address_ipv6: true, udp_version: 'udp4', log: {backend: 'stdout', level: \"LOG_INFO\"}
        , forkCount: 4, port: null, automaticConfigReload: false, deleteIdleStats: true
        };
        ",
    );
    let expected = File {
        nodes: vec![node(2, "::1", 8125, Some(8127))],
        host: Some("metrics.local".to_owned()),
        management_address: Some("127.0.0.1".to_owned()),
        ipv6: Some(true),
        threads: Some(4),
        automatic_reload: Some(false),
        ..File::default()
    };
    assert_eq!(file, Ok(expected));
    assert_eq!(parse("{}"), Ok(File::default()));
    let auto = parse("{forkCount: 'auto'}").unwrap();
    assert!(auto.threads.is_some_and(|threads| threads > 0));
}

#[test]
fn servers_by_all_their_names() {
    for (text, udp, tcp) in [
        ("'udp'", true, false),
        ("'tcp'", false, true),
        ("'./servers/udp'", true, false),
        ("'./servers/tcp.js'", false, true),
        ("'/opt/statsd/servers/tcp'", false, true),
        ("'udp,tcp'", true, true),
        ("'udp, tcp'", true, true),
        ("'both'", true, true),
        ("['udp', './servers/tcp']", true, true),
    ] {
        let file = parse(&format!("{{server: {text}}}")).unwrap();
        assert_eq!(file.server, Some(Server { udp, tcp }), "{text}");
    }
}

#[test]
fn keys_that_nobody_knows_or_that_are_there_again_are_told() {
    let file = parse(
        "{
        port: 1,
        flushInterval: {a: 1},
        Nodes: [{host: 'a', port: 1, weight: 2}],
        'no such key': null,
        PORT: 2
        }",
    )
    .unwrap();
    let unknown = [
        ("flushInterval".to_owned(), 3),
        ("Nodes[0].weight".to_owned(), 4),
        ("no such key".to_owned(), 5),
    ];
    assert_eq!(file.unknown, unknown);
    assert_eq!(file.repeated, [("PORT".to_owned(), 6)]);
    assert_eq!(file.port, Some(2));
}

#[test]
fn what_is_wrong_is_named_by_file_line_and_key() {
    for (text, place, words) in [
        // Nodes.
        ("{\nnodes: 5}", "2: nodes: 5", &["array", "host"][..]),
        ("{nodes: ['a:1']}", "1: nodes[0]: ", &["text 'a:1'", "host"]),
        (
            "{nodes: [\n{host: 'a'}]}",
            "2: nodes[0].port: ",
            &["missing"],
        ),
        ("{nodes: [\n{port: 1}]}", "2: nodes[0].host: ", &["missing"]),
        (
            "{nodes: [{host: 'a', port: null}]}",
            "1: nodes[0].port: ",
            &["missing"],
        ),
        (
            "{nodes: [{host: 'a', port: 0}]}",
            "1: nodes[0].port: ",
            &["1 to 65535"],
        ),
        (
            "{nodes: [{host: 'a', port: 65536}]}",
            "1: nodes[0].port: ",
            &["1 to 65535"],
        ),
        (
            "{nodes: [{host: 'a', port: '1'}]}",
            "1: nodes[0].port: ",
            &["text '1'", "number"],
        ),
        (
            "{nodes: [{host: 'a', port: 1.5}]}",
            "1: nodes[0].port: ",
            &["1.5", "number"],
        ),
        (
            "{nodes: [{host: 'a:1', port: 1}]}",
            "1: nodes[0].host: ",
            &["without a port"],
        ),
        (
            "{nodes: [{host: '', port: 1}]}",
            "1: nodes[0].host: ",
            &["host name"],
        ),
        (
            "{nodes: [{host: 127, port: 1}]}",
            "1: nodes[0].host: ",
            &["127", "in quotes"],
        ),
        (
            "{nodes: [{host: 'a', port: 1,\nadminport: true}]}",
            "2: nodes[0].adminport: ",
            &["true", "1 to 65535"],
        ),
        (
            "{nodes: [{host: 'a', port: 1},\n{host: 'b', port: 1},\n{host: 'a', port: 1}]}",
            "3: nodes[2]: ",
            &["a:1", "twice", "line 1", "each node once"],
        ),
        // Everything else.
        ("{\nport: -1}", "2: port: -1", &["0", "65535"]),
        ("{port: Infinity}", "1: port: Infinity", &["65535"]),
        ("{port: 0x1ffff}", "1: port: 0x1ffff", &["65535"]),
        ("{Host: []}", "1: Host: an array", &["host name"]),
        ("{host: '[::1'}", "1: host: ", &["host name"]),
        ("{mgmt_port: '8126'}", "1: mgmt_port: ", &["65535"]),
        (
            "{checkInterval: '10s'}",
            "1: checkInterval: ",
            &["'10s'", "milliseconds"],
        ),
        (
            "{checkInterval: 1e300}",
            "1: checkInterval: ",
            &["milliseconds"],
        ),
        ("{cacheSize: -1}", "1: cacheSize: ", &["whole number"]),
        ("{forkCount: 'many'}", "1: forkCount: ", &["auto"]),
        ("{server: './servers/quic'}", "1: server: ", &["udp", "tcp"]),
        ("{server: []}", "1: server: an array", &["udp", "tcp"]),
        ("{server: [1]}", "1: server: an array", &["udp", "tcp"]),
        (
            "{address_ipv6: 'yes'}",
            "1: address_ipv6: ",
            &["true or false"],
        ),
        ("{udp_version: 'udp5'}", "1: udp_version: ", &["udp4"]),
        // Texts that are no object.
        ("", "1: there is nothing", &["JSON5"]),
        ("// nothing", "1: there is nothing", &["JSON5"]),
        ("[]", "1: not an object", &["JSON5"]),
        ("{\n\nport: 8125", "1: the object does not end", &["}"]),
        ("{\nnodes: [", "2: nodes: the array does not end", &["]"]),
        (
            "{\n'port' : process.env.PORT}",
            "2: port: cannot read process.env.PORT",
            &["evaluated"],
        ),
        (
            "{port: 1,\ncheckInterval: 10*1000\n}",
            "2: checkInterval: ",
            &["*1000", "evaluated"],
        ),
        (
            "{\nport: 1\nhost: 'a'}",
            "2: port: expected comma",
            &["JSON5"],
        ),
        ("{\nport 1}", "2: expected colon", &["JSON5"]),
        ("{}{}", "1: ", &["JSON5"]),
    ] {
        let error = parse(text).unwrap_err();
        assert!(!error.contains('\n'), "{error}");
        let rest = error.strip_prefix("config.json:").unwrap();
        assert!(
            rest.starts_with(place),
            "{text}: should start with {place}: {rest}"
        );
        for word in words {
            assert!(rest.contains(word), "{text}: should mention {word}: {rest}");
        }
    }
}

#[test]
fn files_that_cannot_be_read() {
    let error = load(Path::new("/nonexistent/config.json")).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("/nonexistent/config.json: cannot read"),
        "{error}"
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"{\nhost: 'caf\xe9'}").unwrap();
    let error = load(file.path()).unwrap_err().to_string();
    assert!(error.contains(":2: ") && error.contains("UTF-8"), "{error}");
    let long_key = "\u{1b}[31m\n".repeat(20);
    let error = parse(&format!("{{nodes: '{}'}}", long_key.escape_default())).unwrap_err();
    assert!(!error.contains(['\n', '\u{1b}']), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_one_line_of_error(
        pieces in prop::collection::vec(
            prop_oneof![
                6 => prop::sample::select(vec![
                    "{", "}", "[", "]", ":", ",", "'", "\"", "\n", " ", "//", "/*", "*/", "\\",
                    "nodes:", "host:", "'a'", "port:", "8125", "-1", "0x", "null", "true", ";",
                    "{nodes:[{host:'a',port:1}", "]}", "é", "\u{feff}", "\u{2028}", "\r",
                ]).prop_map(str::to_owned),
                1 => any::<String>(),
            ],
            0..12,
        ),
    ) {
        if let Err(error) = parse(&pieces.concat()) {
            prop_assert!(!error.contains(char::is_control), "{error}");
            let rest = error.strip_prefix("config.json:").unwrap();
            let (line, what) = rest.split_once(": ").unwrap();
            prop_assert!(line.parse::<usize>().is_ok_and(|line| line > 0), "{error}");
            prop_assert!(what.contains("; accepted is "), "{error}");
        }
    }
}
