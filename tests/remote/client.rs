//! What the client learns and does when all is well.

use gocachevet::tested::remote::{Client, Http, Limits, Token};
use gocachevet::tested::remote::{Quota, RefState};
use std::time::Duration;

use crate::fake::{Fake, State, TOKEN, entry};
use crate::spec::Spec;

/// Patient enough for a retry, not for more.
pub fn limits() -> Limits {
    Limits {
        timeout: Duration::from_secs(5),
        patience: Duration::from_secs(3),
        until: None,
        tries: 3,
    }
}

pub fn client(fake: &Fake) -> Client {
    Client::new(Http::new(&fake.url(), Token::new(TOKEN).ok(), limits()).unwrap())
}

pub fn some() -> State {
    let mut state = State::default();
    let day = |day: u32| format!("2020-06-{day:02}T10:00:00.123456789Z");
    state.repositories.insert(
        "o/r".into(),
        vec![
            entry(11, "Linux-go-a", "refs/heads/main", 4000, &day(1), &day(9)),
            entry(12, "Linux-go-b", "refs/heads/main", 5000, &day(2), &day(2)),
            entry(
                13,
                "Linux-go-a",
                "refs/pull/7/merge",
                6000,
                &day(3),
                &day(3),
            ),
            entry(
                14,
                "Linux-go-a",
                "refs/heads/feature/x",
                7000,
                &day(4),
                &day(5),
            ),
            entry(15, "Linux-go-a", "refs/heads/gone", 8000, &day(5), &day(5)),
        ],
    );
    state.branches = [
        "refs/heads/main",
        "refs/heads/feature/x",
        "refs/heads/gone-not",
    ]
    .map(String::from)
    .into();
    state.pulls.insert(7, "closed");
    state
}

#[test]
fn a_repository_is_read_whole() {
    let fake = Fake::start(some());
    let client = client(&fake);
    let mut repository = client.repository("o/r");
    assert_eq!((repository.entries.len(), repository.bytes()), (5, 30_000));
    assert!(repository.complete);
    assert_eq!(repository.reported_bytes, Some(30_000));
    // The token may not ask for the limit.
    assert_eq!(repository.quota, Some(Quota::USUAL));
    client.look_at_refs(&mut repository);
    assert_eq!(repository.unknown, [""; 0]);
    let states: Vec<_> = repository.refs.into_iter().collect();
    assert_eq!(
        states,
        [
            ("refs/heads/feature/x".to_owned(), RefState::Alive),
            ("refs/heads/gone".to_owned(), RefState::Deleted),
            ("refs/heads/main".to_owned(), RefState::Alive),
            ("refs/pull/7/merge".to_owned(), RefState::Closed),
        ]
    );
}

#[test]
fn all_pages_are_read_and_the_limit_is_asked_for() {
    let mut state = State::default();
    let entries = (0..250).map(|id| {
        let time = format!("2026-01-01T{:02}:{:02}:00Z", id / 60, id % 60);
        entry(id, &format!("k{id}"), "refs/heads/main", 10, &time, &time)
    });
    state.repositories.insert("o/r".into(), entries.collect());
    state.repositories.insert("o/full-page".into(), Vec::new());
    state.quota_gb = Some(25);
    let fake = Fake::start(state);
    let repository = client(&fake).repository("o/r");
    assert!(repository.complete, "{:?}", repository.unknown);
    assert_eq!(repository.entries.len(), 250);
    assert_eq!(
        repository.quota,
        Some(Quota {
            bytes: 25 << 30,
            assumed: false
        })
    );
    assert_eq!(
        fake.log()
            .iter()
            .filter(|line| line.contains("/actions/caches?"))
            .count(),
        3
    );
}

#[test]
fn an_organisation_names_its_repositories() {
    let mut state = some();
    state.repositories.insert("o/second".into(), Vec::new());
    state.repositories.insert("other/third".into(), Vec::new());
    let fake = Fake::start(state);
    assert_eq!(
        client(&fake).organisation("o"),
        Ok(vec!["o/r".into(), "o/second".into()])
    );
}

#[test]
fn what_did_not_change_is_not_sent_again() {
    let fake = Fake::start(some());
    let first = client(&fake);
    let before = first.repository("o/r");
    let store = first.into_http().into_store();
    let again = Http::new(&fake.url(), Token::new(TOKEN).ok(), limits())
        .unwrap()
        .with_store(store);
    let client = Client::new(again);
    let asked = fake.log().len();
    assert_eq!(client.repository("o/r").entries, before.entries);
    let log = fake.log();
    let list = log[asked..]
        .iter()
        .find(|line| line.contains("/actions/caches?"))
        .unwrap();
    assert!(list.ends_with(" 304"), "{log:#?}");
    // What did change is.
    client.delete("o/r", 12).unwrap();
    assert_eq!(client.repository("o/r").entries.len(), 4);
}

#[test]
fn deletion_is_by_id_and_an_entry_may_have_vanished() {
    let fake = Fake::start(some());
    let client = client(&fake);
    assert_eq!(client.delete("o/r", 14), Ok(()));
    assert_eq!(fake.ids("o/r"), [11, 12, 13, 15]);
    assert_eq!(
        client.delete("o/r", 14),
        Err(gocachevet::tested::remote::Fault::NotFound)
    );
}

#[test]
fn the_judge_finds_fault() {
    let spec = Spec::load();
    let path = "/repos/o/r/actions/caches";
    let list = spec
        .request("GET", path, "per_page=100&sort=created_at")
        .unwrap();
    for (query, about) in [
        ("sort=size", "sort"),
        ("per_page=x", "per_page"),
        ("colour=red", "colour"),
    ] {
        let error = spec.request("GET", path, query).unwrap_err();
        assert!(error.contains(about), "{error}");
    }
    assert!(
        spec.request("DELETE", path, "")
            .unwrap_err()
            .contains("key")
    );
    assert!(spec.request("GET", "/repos/o/r/actions/cash", "").is_err());
    assert!(spec.request("GET", "/repos/o/r/pulls/seven", "").is_err());
    let answers = [
        (200, r#"{"count":1}"#, false),
        (
            200,
            r#"{"total_count":1,"actions_caches":[{"id":"7"}]}"#,
            false,
        ),
        (
            200,
            r#"{"total_count":1,"actions_caches":[{"created_at":"soon"}]}"#,
            false,
        ),
        (200, r#"{"total_count":0,"actions_caches":[]}"#, true),
        (201, "{}", false),
        (403, r#"{"message":"no"}"#, true),
        (403, r#"{"message":7}"#, false),
    ];
    for (status, body, good) in answers {
        assert_eq!(
            spec.answer(list, status, body.as_bytes()).is_ok(),
            good,
            "{status} {body}"
        );
    }
}
