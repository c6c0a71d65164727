use super::*;
use crate::formats::h1::H1;
use chrono::{DateTime, Utc};

fn h1(n: u8) -> H1 {
    H1([n; 32])
}

fn account(zip: u8, commit: &str, time: i64) -> Account {
    Account {
        zip: (zip > 0).then(|| h1(zip)),
        go_mod: None,
        zip_bytes: Some(100),
        commit: (!commit.is_empty()).then(|| commit.to_owned()),
        time: DateTime::<Utc>::from_timestamp(time, 0),
    }
}

#[test]
fn verdicts() {
    use crate::report::DriftCause::{
        GoSumEdited, LocalDamage, OtherDamage, ProxyChanged, Retagged,
    };
    let same = account(1, "", 0);
    let other = account(2, "", 0);
    for (ours, theirs, go_sum, sumdb, expected) in [
        (&same, &same, &[][..], None, None),
        (&same, &same, &[1][..], None, None),
        (&same, &same, &[1, 9], None, None),
        (&same, &same, &[9], None, Some(GoSumEdited)),
        (&same, &same, &[9], Some(1), Some(GoSumEdited)),
        (&same, &other, &[2], None, Some(LocalDamage)),
        (&same, &other, &[1], None, Some(OtherDamage)),
        (&same, &other, &[], Some(2), Some(LocalDamage)),
        (&same, &other, &[], Some(1), Some(OtherDamage)),
        // The database outranks go.sum.
        (&same, &other, &[1], Some(2), Some(LocalDamage)),
        (&same, &other, &[], None, Some(ProxyChanged)),
        (&same, &other, &[9], None, Some(ProxyChanged)),
        (
            &account(1, "c1", 0),
            &account(2, "c2", 0),
            &[],
            None,
            Some(Retagged),
        ),
        (
            &account(1, "c1", 0),
            &account(2, "c2", 0),
            &[1],
            None,
            Some(Retagged),
        ),
        (
            &account(1, "c1", 0),
            &account(2, "c1", 0),
            &[],
            None,
            Some(ProxyChanged),
        ),
        // The content is one; its origin is not.
        (
            &account(1, "c1", 0),
            &account(1, "c2", 0),
            &[],
            None,
            Some(Retagged),
        ),
        (&account(1, "c1", 0), &account(1, "", 0), &[], None, None),
        (
            &account(1, "", 0),
            &account(1, "", 60),
            &[],
            None,
            Some(ProxyChanged),
        ),
        // Nothing to compare.
        (&account(0, "", 0), &other, &[], None, None),
    ] {
        let testimony = Testimony {
            ours,
            others: vec![("OTHER", theirs)],
            by_proxies: false,
            go_sum: go_sum.iter().map(|&n| h1(n)).collect(),
            go_sum_mod: Vec::new(),
            sumdb: sumdb.map(h1),
            sumdb_mod: None,
        };
        let verdict = judge(&testimony).map(|drift| drift.verdict);
        assert_eq!(
            verdict, expected,
            "{ours:?} {theirs:?} {go_sum:?} {sumdb:?}"
        );
    }
}

#[test]
fn the_size_counts_where_no_hash_tells() {
    let ours = Account {
        zip: None,
        zip_bytes: Some(1),
        ..account(0, "", 0)
    };
    let theirs = account(0, "", 0);
    let testimony = |ours, theirs| Testimony {
        ours,
        others: vec![("OTHER", theirs)],
        by_proxies: false,
        go_sum: Vec::new(),
        go_sum_mod: Vec::new(),
        sumdb: None,
        sumdb_mod: None,
    };
    assert_eq!(
        judge(&testimony(&ours, &theirs)).unwrap().theirs,
        "100 bytes"
    );
    let packed_otherwise = Account {
        zip_bytes: Some(1),
        ..account(1, "", 0)
    };
    assert_eq!(
        judge(&testimony(&packed_otherwise, &account(1, "", 0))),
        None
    );
}

#[test]
fn the_message_tells_who_agrees() {
    let (ours, theirs) = (account(1, "", 0), account(2, "", 0));
    let testimony = Testimony {
        ours: &ours,
        others: vec![("/other", &theirs)],
        by_proxies: false,
        go_sum: vec![h1(2)],
        go_sum_mod: Vec::new(),
        sumdb: Some(h1(2)),
        sumdb_mod: None,
    };
    insta::assert_snapshot!(judge(&testimony).unwrap().message, @"local damage: of the module, this cache says h1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=; /other, go.sum and the checksum database say h1:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
}

#[test]
fn what_is_now_said_otherwise_has_changed() {
    let module: ModuleVersion = "a.b/c@v1.0.0".parse().unwrap();
    let accounts = |account: &Account| Accounts::from([(module.clone(), account.clone())]);
    let whole = account(1, "c1", 0);
    let nothing = Account::default();
    for (then, now, is_changed) in [
        (&whole, &whole, false),
        (&whole, &nothing, false),
        (&nothing, &whole, false),
        (&whole, &account(2, "c1", 0), true),
        (&whole, &account(1, "c2", 0), true),
        (&whole, &account(1, "c1", 60), true),
        (
            &whole,
            &Account {
                zip_bytes: Some(1),
                ..whole.clone()
            },
            true,
        ),
    ] {
        let changed = changed(accounts(then), &accounts(now));
        assert_eq!(!changed.is_empty(), is_changed, "{then:?} {now:?}");
    }
    assert!(changed(accounts(&whole), &Accounts::new()).is_empty());
}
