//! Files that are wrong, and what is said about them.

use super::*;

/// The message, without the directory.
fn refusal(authority: &Authority, options: &TlsOptions) -> String {
    let error = Terminator::open(options).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error.replace(&format!("{}/", authority.dir.path().display()), "")
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_one_line() {
    let authority = Authority::new();
    let good = authority.sign("good", &["a.example"]);
    let other = authority.sign("other", &["a.example"]);
    let write = |file: &str, text: &str| {
        let path = authority.path(file);
        fs::write(&path, text).unwrap();
        path
    };
    let pem = fs::read_to_string(&good.certificate).unwrap();
    let missing = authority.path("missing.pem");
    let text = write("text.pem", "hello\n");
    let cut = write("cut.pem", &pem[..pem.len() / 2]);
    let base64 = write("base64.pem", &pem.replacen("MII", "M*I", 1));
    let der = write(
        "der.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let key_der = write(
        "der.key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let secret = write(
        "secret.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let long = authority.path("long.pem");
    fs::File::create(&long).unwrap().set_len(5 << 20).unwrap();
    for (certificate, key, expected) in [
        (
            &missing,
            &good.key,
            "missing.pem: No such file or directory (os error 2)",
        ),
        (
            &good.certificate,
            &missing,
            "missing.pem: No such file or directory (os error 2)",
        ),
        (&text, &good.key, "text.pem: no PEM certificate in it"),
        (&good.key, &good.key, "good.key: no PEM certificate in it"),
        (
            &cut,
            &good.key,
            "cut.pem: bad PEM: a BEGIN line without its END line",
        ),
        (&base64, &good.key, "base64.pem: bad PEM: broken base64"),
        (
            &der,
            &good.key,
            "der.pem: bad certificate: cannot be read (TrailingData(SignedData))",
        ),
        (&long, &good.key, "long.pem: more than 4194304 bytes"),
        (
            &good.certificate,
            &text,
            "text.pem: no unencrypted PEM private key in it",
        ),
        (
            &good.certificate,
            &secret,
            "secret.key: no unencrypted PEM private key in it",
        ),
        (
            &good.certificate,
            &other.key,
            "other.key: not the key of good.pem",
        ),
    ] {
        let mut options = TlsOptions::default();
        options.certificates.push(CertificateFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        });
        assert_eq!(refusal(&authority, &options), expected);
    }
    let mut options = TlsOptions::default();
    assert_eq!(
        refusal(&authority, &options),
        "no certificate to terminate TLS with"
    );
    options.certificates.push(CertificateFiles {
        certificate: good.certificate.clone(),
        key: key_der,
    });
    let bad_key = refusal(&authority, &options);
    assert!(
        bad_key.starts_with("der.key: bad private key: "),
        "{bad_key}"
    );

    let mut options = authority.options();
    options.client_certificates = ClientCertificates::Required(text);
    let no_authority = refusal(&authority, &options);
    assert_eq!(no_authority, "text.pem: no PEM certificate in it");
    options.client_certificates = ClientCertificates::Optional(der);
    let bad_authority = refusal(&authority, &options);
    assert!(
        bad_authority.starts_with("der.pem: bad certificate: "),
        "{bad_authority}"
    );

    let mut options = authority.options();
    options.alpn = vec![String::new()];
    let bad_alpn = refusal(&authority, &options);
    assert_eq!(bad_alpn, "ALPN protocol \"\": must have 1 to 255 bytes");
}

#[test]
fn a_key_and_its_certificate_may_be_one_file() {
    let authority = Authority::new();
    let files = authority.sign("one", &["a.example"]);
    let both = [&files.key, &files.certificate].map(|path| fs::read_to_string(path).unwrap());
    fs::write(&files.certificate, both.concat()).unwrap();
    Terminator::open(&TlsOptions {
        certificates: vec![CertificateFiles {
            key: files.certificate.clone(),
            certificate: files.certificate,
        }],
        ..TlsOptions::default()
    })
    .unwrap();
}

#[test]
fn what_is_merely_odd_is_a_warning() {
    let authority = Authority::new();
    let year = |year| rcgen::date_time_ymd(year, 1, 1);
    let old = authority.sign_with("old", &["a.example"], |p| p.not_after = year(2001));
    let young = authority.sign_with("young", &["a.example"], |p| p.not_before = year(4000));
    let nobody = authority.sign("nobody", &[]);
    let terminator = Terminator::open(&TlsOptions {
        certificates: vec![old.clone(), young.clone(), nobody.clone()],
        ..TlsOptions::default()
    })
    .unwrap();
    let [
        CertificateWarning::Expired {
            path: expired,
            days: ago,
        },
        CertificateWarning::NotYetValid { path: early, days },
        CertificateWarning::NoName { path: unnamed },
    ] = terminator.warnings()
    else {
        panic!("{:?}", terminator.warnings());
    };
    let paths = [expired, early, unnamed];
    assert_eq!(
        paths,
        [&old, &young, &nobody].map(|files| &files.certificate)
    );
    assert!(*ago > 9_000 && *days > 700_000);
    let told = terminator.warnings()[0].to_string();
    assert!(told.ends_with(&format!("old.pem: certificate expired {ago} days ago")));
}
