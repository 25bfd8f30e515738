//! Which certificate a client gets, and which clients are let in.

use super::*;

/// The certificate that a client gets who asks for a name and trusts everything.
fn shown(terminator: &Terminator, authority: &Authority, name: &str) -> CertificateDer<'static> {
    let client = Arc::new(authority.client(VERSIONS[1]));
    let mut pair = Pair::new(terminator, &client, name);
    pair.talk(usize::MAX).unwrap();
    pair.client.peer_certificates().unwrap()[0].clone()
}

#[test]
fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let first = authority.sign("first", &["first.example", "192.0.2.1", "other.example"]);
    let second = authority.sign("second", &["Second.Example"]);
    let wild = authority.sign("wild", &["*.second.example", "deep.wild.example"]);
    let terminator = Terminator::open(&TlsOptions {
        certificates: vec![first.clone(), second.clone(), wild.clone()],
        ..TlsOptions::default()
    })
    .unwrap();
    assert_eq!(terminator.warnings(), []);
    for (name, files) in [
        ("first.example", &first),
        ("other.example", &first),
        ("second.example", &second),
        ("SECOND.example", &second),
        ("a.second.example", &wild),
        ("deep.wild.example", &wild),
        // An address is not sent as a name: the first certificate is the default.
        ("192.0.2.1", &first),
    ] {
        let got = shown(&terminator, &authority, name);
        assert_eq!(got, certificate(&files.certificate), "{name}");
    }
    // The default does not fit these, and so the client gives up, with an alert.
    let client = Arc::new(authority.client(VERSIONS[1]));
    for name in ["a.b.second.example", "wild.example", "unknown.example"] {
        let mut pair = Pair::new(&terminator, &client, name);
        let hello = pair.client_output();
        let (mut plain, mut answer) = (Vec::new(), Vec::new());
        let mut hello = hello;
        pair.server
            .receive(&mut hello, &mut plain, &mut answer)
            .unwrap();
        pair.give_client(&answer).unwrap_err();
        let refused = pair.talk(usize::MAX).unwrap_err();
        assert_eq!(refused.kind(), "client_alert", "{name}: {refused}");
    }
}

#[test]
fn clients_prove_who_they_are() {
    let ours = Authority::new();
    let theirs = Authority::new();
    let identity = ours.sign("client", &["client.example"]);
    let foreign = theirs.sign("client", &["client.example"]);
    let ca = ours.path("ca.pem");
    let required = ClientCertificates::Required(ca.clone());
    let optional = ClientCertificates::Optional(ca);
    for (asked, identity, expected) in [
        (&required, Some(&identity), Ok(())),
        (&required, None, Err("bad_client_certificate")),
        (&required, Some(&foreign), Err("bad_client_certificate")),
        (&optional, Some(&identity), Ok(())),
        (&optional, None, Ok(())),
        (&optional, Some(&foreign), Err("bad_client_certificate")),
        (&ClientCertificates::Off, Some(&foreign), Ok(())),
    ] {
        let mut options = ours.options();
        options.client_certificates = asked.clone();
        let terminator = Terminator::open(&options).unwrap();
        for version in VERSIONS {
            let client = Arc::new(ours.client_as(version, identity));
            let mut pair = Pair::new(&terminator, &client, "a.example");
            let shaken = pair.talk(700).map_err(|e| e.kind());
            assert_eq!(shaken, expected, "{asked:?} {identity:?} {version:?}");
            assert_eq!(pair.server.is_handshaking(), expected.is_err());
        }
    }
}

#[test]
fn an_old_version_is_refused_if_it_is_too_old() {
    let authority = Authority::new();
    let mut options = authority.options();
    options.minimum_version = "1.3".parse().unwrap();
    let terminator = Terminator::open(&options).unwrap();
    let client = Arc::new(authority.client(VERSIONS[0]));
    let mut pair = Pair::new(&terminator, &client, "a.example");
    let refused = pair.talk(usize::MAX).unwrap_err();
    assert_eq!(refused.kind(), "incompatible");
    let client = Arc::new(authority.client(VERSIONS[1]));
    let mut pair = Pair::new(&terminator, &client, "a.example");
    pair.talk(usize::MAX).unwrap();
    assert_eq!("1.2".parse(), Ok(MinimumVersion::Tls12));
    let wrong = "1.1".parse::<MinimumVersion>().unwrap_err();
    assert_eq!(wrong, "TLS version \"1.1\": must be 1.2 or 1.3");
}
