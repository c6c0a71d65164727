//! The service is down, slow, or lies: the client says so, in time, and
//! keeps the token to itself.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gocachevet::tested::remote::{Client, Fault, Http, Limits, NetFault, Token};
use serde_json::json;

use crate::client::{client, limits, some};
use crate::fake::{Fake, TOKEN, Vice};

const LIST: &str = "GET /repos/o/r/actions/caches";

/// What is said to be unknown when the list misbehaves.
fn unknown(vice: Vice) -> Vec<String> {
    let fake = Fake::start(some());
    fake.fault(LIST, vice, usize::MAX);
    let repository = client(&fake).repository("o/r");
    assert!(!repository.complete);
    // The rest is learnt all the same.
    assert_eq!(repository.reported_bytes, Some(30_000));
    repository.unknown
}

#[test]
fn a_service_that_stumbles_once_is_asked_again() {
    for vice in [Vice::Status(502, "Bad Gateway", vec![]), Vice::Hangup] {
        let fake = Fake::start(some());
        fake.fault(LIST, vice, 1);
        let repository = client(&fake).repository("o/r");
        assert!(repository.complete, "{:?}", repository.unknown);
    }
}

#[test]
fn a_service_that_is_down_is_given_up() {
    let said = unknown(Vice::Status(503, "Service Unavailable", vec![]));
    assert_eq!(said, ["entries: failed with status 503"]);
    assert!(unknown(Vice::Hangup)[0].starts_with("entries: cannot be reached: "));
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let http = Http::new(&nobody, Token::new(TOKEN).ok(), limits()).unwrap();
    let repository = Client::new(http).repository("o/r");
    assert!(
        repository.unknown[0].starts_with("entries: cannot be reached: "),
        "{:?}",
        repository.unknown
    );
}

#[test]
fn a_service_that_is_slow_is_given_up() {
    let fake = Fake::start(some());
    fake.fault(LIST, Vice::Silent(Duration::from_secs(4)), usize::MAX);
    let limits = Limits {
        timeout: Duration::from_millis(1500),
        ..limits()
    };
    let client = Client::new(Http::new(&fake.url(), Token::new(TOKEN).ok(), limits).unwrap());
    let repository = client.repository("o/r");
    assert_eq!(repository.unknown, ["entries: did not answer within 1.5 s"]);
    assert_eq!(repository.reported_bytes, Some(30_000));
}

#[test]
fn answers_that_make_no_sense_are_not_believed() {
    for (vice, words) in [
        (Vice::HalfJson, "answer not understood: EOF while parsing"),
        (Vice::Truncated, "cannot be reached: "),
        (
            Vice::Body(json!({"count": 1})),
            "missing field `total_count`",
        ),
        (Vice::Body(json!([1, 2])), "answer not understood"),
        (
            Vice::Body(json!({"total_count": "many", "actions_caches": []})),
            "invalid type: string \"many\"",
        ),
        (
            Vice::Body(json!({"total_count": 1, "actions_caches": [{"id": "7"}]})),
            "1 entries are not of the documented form",
        ),
        (
            Vice::Body(json!({"total_count": 9, "actions_caches": []})),
            "9 of 9 entries are missing",
        ),
        (Vice::Huge(9), "answers with more than 8388608 bytes"),
        (
            Vice::Status(304, "Not Modified", vec![]),
            "not modified, though",
        ),
        (
            Vice::Status(418, "teapot", vec![]),
            "answered with status 418: teapot",
        ),
    ] {
        let said = unknown(vice);
        assert!(said[0].contains(words), "{said:?} should say {words:?}");
    }
}

#[test]
fn lists_without_end_end() {
    assert_eq!(
        unknown(Vice::Endless),
        ["entries: list does not end: more than 200 pages"]
    );
    assert_eq!(
        unknown(Vice::Circle),
        ["entries: list does not end: page 2 brings nothing new"]
    );
}

#[test]
fn a_rate_limit_is_waited_for_if_that_is_not_too_long() {
    let limited =
        |seconds: &str| Vice::Status(429, "slow down", vec![("retry-after", seconds.to_owned())]);
    let fake = Fake::start(some());
    fake.fault(LIST, limited("1"), 2);
    let repository = client(&fake).repository("o/r");
    assert!(repository.complete, "{:?}", repository.unknown);
    assert_eq!(
        unknown(limited("900")),
        ["entries: rate limit reached; retry in 900 s"]
    );
    // No wait at all, for ever, is no way out.
    assert_eq!(
        unknown(limited("0")),
        ["entries: rate limit reached; retry in 0 s"]
    );
    let exhausted = Vice::Status(
        403,
        "API rate limit exceeded",
        vec![
            ("x-ratelimit-remaining", "0".into()),
            ("x-ratelimit-reset", "1767225660".into()),
            ("date", "Thu, 01 Jan 2026 00:00:00 GMT".into()),
        ],
    );
    assert_eq!(
        unknown(exhausted),
        ["entries: rate limit reached; retry in 60 s"]
    );
}

#[test]
fn a_missing_permission_is_named_as_the_workflow_writes_it() {
    let fake = Fake::start(some());
    let refused = Vice::Status(403, "Resource not accessible by integration", vec![]);
    fake.fault("DELETE /repos/o/r/actions/caches/11", refused.clone(), 1);
    let accepted = vec![("x-accepted-github-permissions", "actions=write".to_owned())];
    fake.fault(
        "DELETE /repos/o/r/actions/caches/12",
        Vice::Status(403, "Forbidden", accepted),
        1,
    );
    fake.fault(
        "DELETE /repos/o/r/actions/caches/13",
        Vice::Status(403, "Locked", vec![]),
        1,
    );
    fake.fault("GET /repos/o/r/pulls/", refused, 1);
    let client = client(&fake);
    let advice = "add `actions: write` under `permissions:` in the workflow";
    for id in [11, 12] {
        let fault = client.delete("o/r", id).unwrap_err();
        assert!(fault.to_string().ends_with(advice), "{fault}");
    }
    let fault = client.delete("o/r", 13).unwrap_err();
    assert_eq!(
        fault,
        Fault::Forbidden {
            message: "Locked".into(),
            needs: None
        }
    );
    let mut repository = client.repository("o/r");
    client.look_at_refs(&mut repository);
    assert!(
        repository
            .unknown
            .iter()
            .any(|said| said.contains("add `pull-requests: read`")),
        "{:?}",
        repository.unknown
    );
    assert!(!repository.refs.contains_key("refs/pull/7/merge"));
}

/// Somebody else's server, and what it was told.
fn elsewhere() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap_or(0);
            told.lock().unwrap().extend_from_slice(&buffer[..read]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        }
    });
    (url, heard)
}

#[test]
fn redirects_elsewhere_are_not_followed() {
    for status in [301, 302, 307, 308] {
        let (url, heard) = elsewhere();
        let said = unknown(Vice::Redirect(status, url));
        assert!(said[0].contains("redirects to 127.0.0.1:"), "{said:?}");
        assert_eq!(
            *heard.lock().unwrap(),
            b"",
            "the other server must not be asked at all"
        );
    }
    for target in [
        "//127.0.0.1:1/x",
        "https://127.0.0.1/x",
        "ftp://x",
        "",
        "http://[",
    ] {
        let said = unknown(Vice::Redirect(302, target.into()));
        assert!(said[0].contains("redirect"), "{target:?}: {said:?}");
    }
}

#[test]
fn redirects_within_the_service_are_followed_but_not_for_ever() {
    let fake = Fake::start(some());
    let renamed = Vice::Redirect(
        301,
        format!("{}/repos/o/r/actions/caches?per_page=100", fake.url()),
    );
    fake.fault("GET /repos/o/old/actions/caches", renamed, usize::MAX);
    let repository = client(&fake).repository("o/old");
    assert_eq!(repository.entries.len(), 5);
    let said = unknown(Vice::Redirect(301, "/repos/o/r/actions/caches".into()));
    assert!(
        said[0].contains("redirects to /repos/o/r/actions/caches"),
        "{said:?}"
    );
}

#[test]
fn a_redirected_deletion_is_refused() {
    let fake = Fake::start(some());
    let other = Vice::Redirect(307, "/repos/o/r/actions/caches/12".into());
    fake.fault("DELETE /repos/o/r/actions/caches/11", other, 1);
    assert!(matches!(
        client(&fake).delete("o/r", 11),
        Err(Fault::Net(NetFault::Redirected(_)))
    ));
    assert_eq!(fake.ids("o/r").len(), 5);
}

#[test]
fn a_token_goes_out_encrypted_or_to_this_machine_only() {
    for (address, good) in [
        ("https://api.github.com", true),
        ("https://ghe.example/api/v3", true),
        ("http://127.0.0.1:1", true),
        ("http://ghe.example", false),
        ("http://127.0.0.1.example", false),
        ("https://user:pass@ghe.example", false),
        ("ftp://x", false),
        ("", false),
    ] {
        let made = Http::new(address, Token::new(TOKEN).ok(), limits());
        assert_eq!(made.is_ok(), good, "{address}");
    }
    for odd in ["", "a b", "a\nb", "é"] {
        let error = Token::new(odd).unwrap_err();
        assert!(odd.is_empty() || !error.contains(odd));
    }
    assert_eq!(format!("{:?}", Token::new(TOKEN).unwrap()), "Token(***)");
}
