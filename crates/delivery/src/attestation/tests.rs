//! The format against published vectors, and what counts as a table.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::admit::{Admission, Asked, admit};
use super::candidate::CANDIDATE_RECORD;
use super::record::Measured;
use super::statement::{ResourceDescriptor, STATEMENT_TYPE};
use super::stored::{BARE, BUNDLE, parse_stored};
use super::test_result::{TEST_RESULT, TestOutcome, WARNS_ONLY};
use super::{
    CandidateRecord, Envelope, Finding, SeenEvidence, Statement, Stored, StoredError, TestResult,
    TrustedKey, Waiting, judge_evidence, pae,
};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::gate::Mode;
use crate::name::EnvironmentName;
use crate::release::ImageDigest;
use crate::spec::ConfigHash;
use crate::state::RunRef;
use crate::verdict::{CaseEnd, CaseResult, Evidence};

/// A key whose signature is the hash of its name and the message.
struct Key(&'static str);

impl Key {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        Sha256::digest([self.0.as_bytes(), message].concat()).to_vec()
    }

    fn signed(&self, envelope: Envelope) -> Envelope {
        let signature = self.sign(&envelope.to_be_signed());
        envelope.signed(self.0, signature)
    }
}

impl TrustedKey for Key {
    fn id(&self) -> &str {
        self.0
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.sign(message) == signature
    }
}

fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::parse(name).unwrap()
}

fn image(number: u8) -> ImageDigest {
    ImageDigest::parse(format!("sha256:{}", hex::encode([number; 32]))).unwrap()
}

fn case(name: &str, end: CaseEnd) -> CaseResult {
    CaseResult {
        name: name.to_owned(),
        end,
        millis: 3,
    }
}

fn verdict(of: &str, evidence: &[Evidence]) -> TestResult {
    let page = Some("https://ci.example/run/42".to_owned());
    TestResult::of(
        &environment(of),
        &ConfigHash("ab".repeat(32)),
        page,
        evidence,
    )
}

fn good() -> Vec<Evidence> {
    vec![Evidence::new(
        "api-tests",
        vec![case("one", CaseEnd::Passed)],
    )]
}

fn bad() -> Vec<Evidence> {
    let failed = CaseEnd::Failed(vec!["status: expected 200, got 500".to_owned()]);
    vec![Evidence::new("api-tests", vec![case("one", failed)])]
}

fn bare(digest: &ImageDigest, of: &str, evidence: &[Evidence]) -> Envelope {
    let subject = ResourceDescriptor::image("ml-api", digest);
    let statement = Statement::about(subject, TEST_RESULT, verdict(of, evidence));
    Envelope::unsigned(statement.to_bytes())
}

fn seen(envelope: Envelope, hint: &str) -> SeenEvidence {
    SeenEvidence {
        envelope,
        environment: (!hint.is_empty()).then(|| hint.to_owned()),
        predicate_type: (!hint.is_empty()).then(|| TEST_RESULT.to_owned()),
        created: None,
    }
}

/// The name of a finding, for tables.
fn name(finding: &Finding) -> &'static str {
    match finding {
        Finding::Missing => "missing",
        Finding::WrongSubject => "wrong subject",
        Finding::WrongEnvironment { .. } => "wrong environment",
        Finding::BadSignature => "bad signature",
        Finding::Failed { .. } => "failed",
        Finding::NotSigned => "not signed",
        Finding::Unsigned(_) => "unsigned",
        Finding::Counts(_) => "counts",
    }
}

#[test]
fn what_is_signed_is_the_published_encoding() {
    let body = br#"{"_type":"https://in-toto.io/Statement/v1"}"#;
    let bytes = pae("application/vnd.in-toto+json", body);
    assert!(bytes.starts_with(b"DSSEv1 28 application/vnd.in-toto+json 43 {"));
    assert_eq!(
        hex::encode(Sha256::digest(&bytes)),
        "57dd565335c70baa2e9fc48a46e80907434e3c6ea2342ef806dad983891349cd"
    );
    // The protocol's own example; lengths are of bytes, not of characters.
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    assert_eq!(pae("ä", "ö".as_bytes()), "DSSEv1 2 ä 2 ö".as_bytes());
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
}

#[test]
fn with_a_key_only_what_it_signed_counts() {
    let (key, other) = (Key("test"), Key("dev"));
    let (ours, theirs) = (image(1), image(2));
    let signed = || key.signed(bare(&ours, "test", &good()));
    let tampered = || {
        let mut envelope = key.signed(bare(&ours, "test", &bad()));
        let text = String::from_utf8(envelope.payload).unwrap();
        envelope.payload = text.replace("FAILED", "PASSED").into_bytes();
        envelope
    };
    let retyped = || Envelope {
        payload_type: "text/plain".to_owned(),
        ..signed()
    };
    let two = || key.signed(other.signed(bare(&ours, "test", &good())));
    let rows: Vec<(&str, Vec<SeenEvidence>, &str)> = vec![
        ("nothing", vec![], "missing"),
        ("ours", vec![seen(signed(), "test")], "counts"),
        ("without hints", vec![seen(signed(), "")], "counts"),
        (
            "with wrong hints",
            vec![seen(signed(), "production")],
            "counts",
        ),
        ("two signatures", vec![seen(two(), "test")], "counts"),
        ("tampered", vec![seen(tampered(), "test")], "bad signature"),
        (
            "tampered, without hints",
            vec![seen(tampered(), "")],
            "bad signature",
        ),
        (
            "another type of payload",
            vec![seen(retyped(), "test")],
            "missing",
        ),
        (
            "signed by another key",
            vec![seen(other.signed(bare(&ours, "test", &good())), "test")],
            "bad signature",
        ),
        (
            "of another environment, by its key",
            vec![seen(other.signed(bare(&ours, "dev", &good())), "dev")],
            "wrong environment",
        ),
        (
            "of another environment, by this key",
            vec![seen(key.signed(bare(&ours, "dev", &good())), "test")],
            "wrong environment",
        ),
        (
            "about another image",
            vec![seen(key.signed(bare(&theirs, "test", &good())), "test")],
            "wrong subject",
        ),
        (
            "failed",
            vec![seen(key.signed(bare(&ours, "test", &bad())), "test")],
            "failed",
        ),
        (
            "not signed",
            vec![seen(bare(&ours, "test", &good()), "test")],
            "not signed",
        ),
        (
            "not signed, no hints",
            vec![seen(bare(&ours, "test", &good()), "")],
            "missing",
        ),
        (
            "failed once, then passed",
            vec![
                seen(signed(), "test"),
                seen(key.signed(bare(&ours, "test", &bad())), "test"),
            ],
            "counts",
        ),
        (
            "rubbish beside it changes nothing",
            vec![
                seen(key.signed(Envelope::unsigned(b"{".to_vec())), "test"),
                seen(tampered(), "test"),
                seen(signed(), "test"),
                seen(bare(&ours, "test", &bad()), "test"),
            ],
            "counts",
        ),
        (
            "the nearest tells what is wrong",
            vec![
                seen(bare(&ours, "test", &good()), "test"),
                seen(tampered(), "test"),
            ],
            "not signed",
        ),
    ];
    for (what, seen, expected) in rows {
        let finding = judge_evidence(&seen, &ours, &environment("test"), Some(&key));
        assert_eq!(name(&finding), expected, "{what}");
    }
}

#[test]
fn without_a_key_everything_is_read_and_nothing_counts_as_signed() {
    let (ours, theirs) = (image(1), image(2));
    let statement = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value: serde_json::Value =
            serde_json::from_slice(&bare(&ours, "test", &good()).payload).unwrap();
        change(&mut value);
        Envelope::unsigned(value.to_string().into_bytes())
    };
    let rows = [
        ("plain", bare(&ours, "test", &good()), "unsigned"),
        (
            "signed by whomever",
            Key("x").signed(bare(&ours, "test", &good())),
            "unsigned",
        ),
        (
            "another environment",
            bare(&ours, "dev", &good()),
            "wrong environment",
        ),
        (
            "another image",
            bare(&theirs, "test", &good()),
            "wrong subject",
        ),
        ("failed", bare(&ours, "test", &bad()), "failed"),
        ("no JSON", Envelope::unsigned(b"hello".to_vec()), "missing"),
        (
            "too large",
            Envelope::unsigned(vec![b' '; super::LARGEST_ENVELOPE + 1]),
            "missing",
        ),
        (
            "fields that nobody knows",
            statement(&|it| it["predicate"]["more"] = json!({"a": [1]})),
            "unsigned",
        ),
        (
            "a name of the image alone",
            statement(&|it| it["subject"] = json!([{"name": "ml-api"}])),
            "wrong subject",
        ),
        (
            "several images",
            statement(&|it| {
                it["subject"] = json!([
                    {"digest": {"sha256": hex::encode([9; 32])}},
                    {"digest": {"sha256": hex::encode([1; 32])}},
                ]);
            }),
            "unsigned",
        ),
        (
            "the digest with its prefix",
            statement(&|it| it["subject"][0]["digest"]["sha256"] = json!(ours.as_str())),
            "wrong subject",
        ),
        (
            "another predicate",
            statement(&|it| it["predicateType"] = json!("https://slsa.dev/provenance/v1")),
            "missing",
        ),
        (
            "another version of the statement",
            statement(&|it| it["_type"] = json!("https://in-toto.io/Statement/v2")),
            "missing",
        ),
        (
            "somebody else's tests of the image",
            statement(&|it| it["predicate"]["configuration"] = json!([])),
            "missing",
        ),
        (
            "a result that nobody knows",
            statement(&|it| it["predicate"]["result"] = json!("passed")),
            "missing",
        ),
    ];
    for (what, envelope, expected) in rows {
        let seen = [seen(envelope, "test")];
        let finding = judge_evidence(&seen, &ours, &environment("test"), None);
        assert_eq!(name(&finding), expected, "{what}");
    }
}

#[test]
fn an_envelope_comes_back_from_the_registry_as_it_went() {
    let unsigned = bare(&image(1), "test", &good());
    let stored = Stored::of(&unsigned);
    assert_eq!(
        (stored.media_type, &stored.bytes),
        (BARE, &unsigned.payload)
    );
    assert_eq!(parse_stored(BARE, &stored.bytes), Ok(unsigned.clone()));

    let signed = Key("k+/=").signed(unsigned);
    let stored = Stored::of(&signed);
    assert_eq!(stored.media_type, BUNDLE);
    assert_eq!(parse_stored(BUNDLE, &stored.bytes), Ok(signed));
    let bundle: serde_json::Value = serde_json::from_slice(&stored.bytes).unwrap();
    assert_eq!(bundle["mediaType"], BUNDLE);
    assert_eq!(bundle["verificationMaterial"]["publicKey"]["hint"], "k+/=");
    assert_eq!(bundle["dsseEnvelope"]["signatures"][0]["keyid"], "k+/=");
    assert_eq!(
        bundle["dsseEnvelope"]["payloadType"],
        "application/vnd.in-toto+json"
    );
}

#[test]
fn what_is_no_envelope_is_refused() {
    let large = vec![b'x'; super::LARGEST_ENVELOPE + 1];
    assert_eq!(parse_stored(BARE, &large), Err(StoredError::TooLarge));
    assert_eq!(parse_stored("text/html", b"{}"), Err(StoredError::Kind));
    for text in [
        "",
        "{}",
        "[]",
        r#"{"mediaType":"x","dsseEnvelope":null}"#,
        // Without a signature it must not pass as a bare statement.
        r#"{"mediaType":"x","dsseEnvelope":{"payload":"e30","payloadType":"t","signatures":[]}}"#,
        r#"{"mediaType":"x","dsseEnvelope":{"payload":"!","payloadType":"t","signatures":[{"sig":"YQ=="}]}}"#,
        r#"{"mediaType":"x","dsseEnvelope":{"payload":"e30","payloadType":"t","signatures":[{"sig":"*"}]}}"#,
    ] {
        assert_eq!(
            parse_stored(BUNDLE, text.as_bytes()),
            Err(StoredError::Malformed),
            "{text}"
        );
    }
    // Both alphabets, padded or not.
    for payload in ["e30", "e30=", "-_8", "+/8="] {
        let text = format!(
            r#"{{"mediaType":"x","dsseEnvelope":{{"payload":"{payload}","payloadType":"t","signatures":[{{"sig":"YQ","keyid":""}}]}}}}"#
        );
        let envelope = parse_stored(BUNDLE, text.as_bytes()).unwrap();
        assert_eq!(envelope.signatures[0].key_id, None);
    }
}

#[test]
fn the_verdict_sorts_every_case() {
    let warned = CaseEnd::Skipped(format!("{WARNS_ONLY}1.0.1 does not allow it"));
    let skipped = CaseEnd::Skipped("nothing serves yet".to_owned());
    let evidence = [
        Evidence::new("api-tests", vec![case("one", CaseEnd::Passed)]),
        Evidence::new("semver", vec![case("versions", warned)]),
        Evidence::new("replay", vec![case("replay", skipped)]),
    ];
    let result = verdict("test", &evidence);
    assert_eq!(result.result, TestOutcome::Warned);
    assert_eq!(result.passed_tests, ["api-tests/one"]);
    assert_eq!(result.warned_tests, ["semver/versions"]);
    assert_eq!(result.environment(), Some("test"));
    let Measured {
        gates,
        inconclusive,
        skipped,
    } = Measured::of(&evidence);
    assert_eq!(gates.len(), 3);
    assert!(inconclusive.is_empty());
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].case, "replay/replay");
    assert_eq!(verdict("test", &bad()).result, TestOutcome::Failed);
    let text = serde_json::to_value(verdict("test", &good())).unwrap();
    assert_eq!(text["result"], "PASSED");
    assert_eq!(text["passedTests"][0], "api-tests/one");
    let statement = Statement::about(ResourceDescriptor::image("i", &image(1)), TEST_RESULT, text);
    assert_eq!(statement.kind, STATEMENT_TYPE);
    assert_eq!(statement.subject[0].digest["sha256"], hex::encode([1; 32]));
}

/// `on_inconclusive: proceed` goes on with what nobody could decide: that is no pass of it.
#[test]
fn what_could_not_be_decided_has_not_passed() {
    let why = "53 of at least 210 requests";
    let open = CaseEnd::Undecided(why.to_owned());
    let canary = Evidence {
        place: Some("us-central1".to_owned()),
        ..Evidence::new("canary", vec![case("p95 at 50 %", open)])
    };
    let evidence = [good(), vec![canary]].concat();
    let result = verdict("test", &evidence);
    assert_eq!(result.result, TestOutcome::Warned);
    assert_eq!(result.passed_tests, ["api-tests/one"]);
    assert_eq!(result.warned_tests, ["us-central1/canary/p95 at 50 %"]);
    let measured = Measured::of(&evidence);
    let open = &measured.inconclusive;
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].case.as_str(), open[0].reason.as_str()),
        ("us-central1/canary/p95 at 50 %", why)
    );
    let gate = &measured.gates[1];
    assert_eq!(gate.region.as_deref(), Some("us-central1"));
    assert_eq!((gate.passed, gate.tried), (0, 1));
}

/// It is found by who goes on with it, and by nobody else; and it is no pass.
#[test]
fn what_was_measured_of_a_candidate_is_no_pass() {
    let waiting = |revision: &str| Waiting {
        service: "projects/p/locations/l/services/s".to_owned(),
        revision: revision.to_owned(),
    };
    let record = CandidateRecord {
        environment: "test".to_owned(),
        candidates: vec![waiting("r-1")],
        run: RunRef("7/1".to_owned()),
        passed_at: String::new(),
        evidence: good(),
    };
    let subject = ResourceDescriptor::image("ml-api", &image(1));
    let statement = Statement::about(subject, CANDIDATE_RECORD, &record);
    let (key, other) = (Key("test"), Key("dev"));
    let bare = Envelope::unsigned(statement.to_bytes());
    let signed = seen(key.signed(bare.clone()), "test");
    let bare = seen(bare, "test");
    let read = |seen: &SeenEvidence, number, of: &str, key: Option<&dyn TrustedKey>| {
        CandidateRecord::read(seen, &image(number), &environment(of), key)
    };
    assert_eq!(read(&bare, 1, "test", None).as_ref(), Some(&record));
    assert_eq!(read(&signed, 1, "test", Some(&key)).as_ref(), Some(&record));
    assert_eq!(read(&bare, 1, "test", Some(&key)), None);
    assert_eq!(read(&signed, 1, "test", Some(&other)), None);
    assert_eq!(read(&bare, 2, "test", None), None);
    assert_eq!(read(&bare, 1, "dev", None), None);
    for (run, promoted, is) in [
        ("7/1", vec!["r-1"], true),
        ("7/2", vec!["r-1"], true),
        ("8/1", vec!["r-1"], false),
        ("7/1", vec!["r-2"], false),
        ("7/1", vec!["r-1", "r-2"], false),
    ] {
        let promoted: Vec<Waiting> = promoted.into_iter().map(waiting).collect();
        let run = RunRef(run.to_owned());
        assert_eq!(record.is_of(&run, &promoted), is, "{run:?} {promoted:?}");
    }
    for key in [None, Some(&key as &dyn TrustedKey)] {
        let all = [bare.clone(), signed.clone()];
        let finding = judge_evidence(&all, &image(1), &environment("test"), key);
        assert!(!finding.is_final(false), "{finding:?}");
    }
}

#[test]
fn each_refusal_has_its_code_and_a_way_out() {
    let (of, into) = (environment("staging"), environment("production"));
    let asked = |mode| Asked {
        release: "v1.2.3",
        image: "r/i@sha256:1",
        of: &of,
        into: &into,
        mode,
    };
    let others = vec!["dev".to_owned(), "test".to_owned()];
    let rows = [
        (Finding::Missing, Code::EvidenceMissing),
        (
            Finding::WrongEnvironment { found: others },
            Code::EvidenceMissing,
        ),
        (Finding::WrongSubject, Code::EvidenceOfAnother),
        (Finding::BadSignature, Code::EvidenceNotTrusted),
        (Finding::NotSigned, Code::EvidenceUnsigned),
        (
            Finding::Failed {
                tests: vec!["a/b".to_owned()],
            },
            Code::EvidenceOfFailure,
        ),
    ];
    for (finding, code) in rows {
        let Admission::Refused(refusal) = admit(&finding, &asked(Mode::Require)) else {
            panic!("{finding:?} was let through");
        };
        assert_eq!((refusal.code, refusal.level), (code, Level::Error));
        assert!(refusal.title.contains("staging"), "{refusal:?}");
        assert!(refusal.help.len() >= 2, "{refusal:?}");
        let Admission::Warned(warning) = admit(&finding, &asked(Mode::Warn)) else {
            panic!("{finding:?} was not told");
        };
        assert_eq!((warning.code, warning.level), (code, Level::Warning));
        // What is said already is no way out.
        let says_warn = |one: &Diagnostic| one.help.iter().any(|it| it.contains("evidence: warn"));
        assert!(says_warn(&refusal) && !says_warn(&warning), "{warning:?}");
        assert!(matches!(
            admit(&finding, &asked(Mode::Off)),
            Admission::Admitted(_)
        ));
    }
}

#[test]
fn an_unsigned_pass_is_called_so() {
    let (of, into) = (environment("staging"), environment("production"));
    let asked = Asked {
        release: "v1.2.3",
        image: "r/i@sha256:1",
        of: &of,
        into: &into,
        mode: Mode::Require,
    };
    let envelope = bare(&image(1), "staging", &good());
    let unsigned = judge_evidence(&[seen(envelope.clone(), "")], &image(1), &of, None);
    let Admission::Admitted(line) = admit(&unsigned, &asked) else {
        panic!("it was not let through");
    };
    assert!(line.contains("UNSIGNED"), "{line}");
    let key = Key("staging");
    let signed = judge_evidence(
        &[seen(key.signed(envelope), "")],
        &image(1),
        &of,
        Some(&key),
    );
    let Admission::Admitted(line) = admit(&signed, &asked) else {
        panic!("it was not let through");
    };
    assert!(
        line.contains("signed by its key") && !line.contains("UNSIGNED"),
        "{line}"
    );
}
