//! A checksum database on loopback with a key of its own, honest and not.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::database::{Told, find};
use super::*;
use crate::net;
use crate::settings::Environment;
use crate::sumdb::testing::{Log, MemoryFiles, module, proof};

/// What a server says.
enum Reply {
    Content(Vec<u8>),
    Status(u16),
    /// Announced in full, and half of it sent.
    Truncated(Vec<u8>),
    Endless,
    Silence,
    Redirect(String),
}

/// A server on loopback that records what it is asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                // A client that hangs up is no fault of the server's.
                thread::spawn(move || {
                    let _ = serve(&stream, &log, &*answer);
                });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn source(&self) -> Source {
        Source::new(&self.address, limits(), &Environment::default()).unwrap()
    }
}

fn serve(
    mut stream: &TcpStream,
    log: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str) -> Reply,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut authorization = String::new();
    for line in lines.by_ref() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(login) = line.to_ascii_lowercase().strip_prefix("authorization: ") {
            authorization = format!(" {login}");
        }
    }
    log.lock().unwrap().push(format!("{path}{authorization}"));
    let head = |status: u16, length: usize, more: &str| {
        format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n"
        )
    };
    match answer(&path) {
        Reply::Content(content) => {
            stream.write_all(head(200, content.len(), "").as_bytes())?;
            stream.write_all(&content)
        }
        Reply::Status(status) => stream.write_all(head(status, 0, "").as_bytes()),
        Reply::Truncated(content) => {
            stream.write_all(head(200, content.len(), "").as_bytes())?;
            stream.write_all(&content[..content.len() / 2])
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'0'; 4096])?;
            }
        }
        Reply::Silence => {
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        Reply::Redirect(to) => {
            stream.write_all(head(302, 0, &format!("Location: {to}\r\n")).as_bytes())
        }
    }
}

fn limits() -> Limits {
    Limits {
        timeout: Duration::from_millis(1500),
        patience: Duration::from_secs(60),
        until: Some(Instant::now() + Duration::from_secs(60)),
        tries: 2,
    }
}

const NAME: &str = "sum.example.org";

/// A log's files as its database serves them at `size` records.
fn served(log: &Log, size: u64, ids: &[u64]) -> MemoryFiles {
    let mut files = MemoryFiles::new();
    for &id in ids {
        log.look_up(&mut files, id, size);
    }
    files.insert("latest".to_owned(), log.note(size).into_bytes());
    files
}

/// Serves files, and everything that a proof can take of `log`.
fn database(log: &Log, size: u64, ids: &[u64]) -> Server {
    let files = served(log, size, ids);
    let log = log.clone();
    Server::new(move |path| {
        let path = path.trim_start_matches('/');
        if let Some(content) = files.get(path) {
            return Reply::Content(content.clone());
        }
        match crate::sumdb::tlog::Tile::parse_path(path) {
            Some(tile) if log.has(tile, size) => Reply::Content(log.tile(tile)),
            _ => Reply::Status(404),
        }
    })
}

fn ask(server: &Server, log: &Log, seen: Option<&str>, ids: &[u64]) -> Told {
    let wanted: Vec<_> = ids.iter().map(|&id| module(id)).collect();
    let verifier = log.signer().verifier();
    database::ask(
        &server.source(),
        &verifier,
        seen.map(str::as_bytes),
        &wanted,
    )
}

fn messages(told: &Told, server: &Server) -> Vec<String> {
    let findings = told.findings.iter();
    findings
        .map(|finding| {
            format!("{} {}: {}", finding.rule, finding.subject, finding.message)
                .replace(&server.address, "DATABASE")
        })
        .collect()
}

#[test]
fn an_honest_database_proves_records_and_that_its_log_goes_on() {
    // Past one tile, so that proofs climb.
    let log = Log::new(NAME, 1, 700);
    let server = database(&log, 700, &[3, 600]);
    let told = ask(&server, &log, Some(&log.note(300)), &[3, 600, 5000]);
    assert_eq!(messages(&told, &server), [""; 0]);
    assert_eq!(told.proven.len(), 2);
    assert_eq!(told.absent, [module(5000)]);
    assert_eq!((told.unknown, &told.fault), (0, &None));
    assert_eq!(told.newest, Some(log.head(700)));
    assert_eq!(told.continues, Some(true));
    // Nothing seen before: nothing to continue.
    assert_eq!(ask(&server, &log, None, &[3]).continues, None);
    // Its newest head may lag behind what it showed before, if it still shows it.
    let lagging = database(&log, 700, &[3]);
    assert_eq!(
        ask(&lagging, &log, Some(&log.note(700)), &[3]).continues,
        Some(true)
    );
}

#[test]
fn a_forked_database_is_found_out() {
    let log = Log::new(NAME, 1, 300);
    let seen = log.note(300);
    let mut forked = log.clone();
    forked.roll_back(200);
    forked.grow(400, 7);
    let server = database(&forked, 400, &[3]);
    let told = ask(&server, &log, Some(&seen), &[3]);
    assert_eq!(told.continues, Some(false));
    insta::assert_snapshot!(messages(&told, &server).join("\n"), @"sumdb-mismatch sum.example.org: DATABASE: forked log: the signed tree of 400 records does not continue the signed tree of 300");
}

#[test]
fn a_database_that_was_rolled_back_is_found_out() {
    let log = Log::new(NAME, 1, 300);
    let seen = log.note(300);
    let mut older = log.clone();
    older.roll_back(200);
    let server = database(&older, 200, &[3]);
    let told = ask(&server, &log, Some(&seen), &[3]);
    assert_eq!(told.continues, None);
    insta::assert_snapshot!(messages(&told, &server).join("\n"), @"sumdb-mismatch sum.example.org: DATABASE: rolled back: its newest tree has 200 records, and cannot show the tree of 300 that Go saw before");
}

#[test]
fn a_wrong_signature_proves_nothing() {
    let log = Log::new(NAME, 1, 300);
    let stranger = Log::new(NAME, 2, 300);
    let server = database(&stranger, 300, &[3]);
    let told = ask(&server, &log, None, &[3]);
    assert!(told.proven.is_empty() && told.newest.is_none());
    let found = messages(&told, &server);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("its newest tree head"), "{found:?}");
    assert!(found[1].contains("example.com/m@v1.0.3"), "{found:?}");
}

#[test]
fn a_record_that_the_tree_does_not_hold_is_refused() {
    let log = Log::new(NAME, 1, 300);
    let mut files = served(&log, 300, &[3]);
    let lookup = files.get_mut("lookup/example.com/m@v1.0.3").unwrap();
    let text = String::from_utf8(lookup.clone()).unwrap();
    let other = crate::sumdb::testing::h1(9, 9).to_string();
    let own = crate::sumdb::testing::h1(3, 0).to_string();
    *lookup = text.replace(&own, &other).into_bytes();
    let server = Server::new(move |path| match files.get(path.trim_start_matches('/')) {
        Some(content) => Reply::Content(content.clone()),
        None => Reply::Status(404),
    });
    let told = ask(&server, &log, None, &[3]);
    assert!(told.proven.is_empty());
    assert!(messages(&told, &server)[0].contains("is not the one in signed tree 300"));
}

/// A database whose records are served badly, its newest head well.
fn faulty(log: &Log, bad: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    let latest = log.note(300);
    Server::new(move |path| match path {
        "/latest" => Reply::Content(latest.clone().into_bytes()),
        _ => bad(),
    })
}

#[test]
fn answers_that_are_none_leave_it_unknown() {
    let log = Log::new(NAME, 1, 300);
    let record = served(&log, 300, &[3])["lookup/example.com/m@v1.0.3"].clone();
    let elsewhere = Server::new(|_| Reply::Status(200));
    let to = elsewhere.address.clone();
    type Bad = Box<dyn Fn() -> Reply + Send + Sync>;
    let cases: [(Bad, &str); 6] = [
        (
            Box::new(move || Reply::Truncated(record.clone())),
            "cannot be reached",
        ),
        (Box::new(|| Reply::Endless), "more than"),
        (Box::new(|| Reply::Silence), "did not answer within"),
        (
            Box::new(move || Reply::Redirect(format!("{to}/lookup"))),
            "redirects to 127.0.0.1",
        ),
        (Box::new(|| Reply::Status(503)), "status 503"),
        (Box::new(|| Reply::Status(403)), "refuses with status 403"),
    ];
    for (bad, expected) in cases {
        let server = faulty(&log, bad);
        let told = ask(&server, &log, None, &[3]);
        let fault = told.fault.as_ref().unwrap().to_string();
        assert!(fault.contains(expected), "{fault}");
        assert_eq!((told.proven.len(), told.unknown), (0, 1), "{expected}");
        assert!(told.findings.is_empty(), "{:?}", told.findings);
    }
    assert_eq!(elsewhere.asked(), [""; 0]);
}

#[test]
fn what_is_gone_is_not_asked_again_and_what_stumbles_is() {
    let silent = Server::new(|_| Reply::Silence);
    let source = silent.source();
    for _ in 0..3 {
        assert!(matches!(
            source.get("a", 10),
            Err(Fault::Net(net::Fault::Slow(_)))
        ));
    }
    assert_eq!(silent.asked(), ["/a"]);

    let first = Mutex::new(true);
    let stumbling = Server::new(move |_| {
        if std::mem::take(&mut *first.lock().unwrap()) {
            Reply::Status(502)
        } else {
            Reply::Content(b"ok".to_vec())
        }
    });
    assert_eq!(stumbling.source().get("a", 10), Ok(b"ok".to_vec()));
    assert_eq!(stumbling.asked(), ["/a", "/a"]);
}

#[test]
fn redirects_within_the_host_are_followed_and_logins_sent_as_go_sends_them() {
    let server = Server::new(|path| match path {
        "/x/a" => Reply::Redirect("b".to_owned()),
        "/x/b" => Reply::Redirect("/c".to_owned()),
        "/c" => Reply::Content(b"ok".to_vec()),
        _ => Reply::Redirect(path.to_owned()),
    });
    let address = server.address.replace("http://", "http://me:pass%21@");
    let source = Source::new(&format!("{address}/x"), limits(), &Environment::default()).unwrap();
    assert!(!source.shown.contains("pass"), "{}", source.shown);
    assert_eq!(source.get("a", 10), Ok(b"ok".to_vec()));
    let login = " basic bwu6cgfzcye="; // in lower case
    assert_eq!(
        server.asked(),
        ["/x/a", "/x/b", "/c"].map(|path| format!("{path}{login}"))
    );
    assert!(matches!(
        source.get("circle", 10),
        Err(Fault::Net(net::Fault::Redirected(_)))
    ));
}

#[test]
fn the_database_is_asked_where_go_asks_it() {
    let serves = |status: u16| {
        Server::new(move |_| match status {
            200 => Reply::Content(Vec::new()),
            status => Reply::Status(status),
        })
    };
    let (ready, absent, broken) = (serves(200), serves(404), serves(500));
    let log = Log::new(NAME, 1, 1);
    let base = |url: Option<&str>, list: &str| {
        let setting = setting::Database {
            verifier: log.signer().verifier(),
            url: url.map(str::to_owned),
        };
        let environment = Environment::default();
        let proxies: Vec<_> = chain(list)
            .into_iter()
            .take_while(|proxy| !proxy.ends_chain())
            .map(|proxy| {
                let source = Source::new(&proxy.name, limits(), &environment).unwrap();
                (proxy, source)
            })
            .collect();
        find(&setting, &proxies, limits(), &environment)
            .map(|base| (base.source.shown, base.by_proxy))
            .map_err(|error| error.to_string())
    };
    let (ready, absent, broken) = (&ready.address, &absent.address, &broken.address);
    let own = ("https://sum.example.org".to_owned(), false);
    let passed_on = (format!("{ready}/sumdb/sum.example.org"), true);
    assert_eq!(
        base(Some("https://s.example"), ready),
        Ok(("https://s.example".to_owned(), false))
    );
    assert_eq!(base(None, ready), Ok(passed_on.clone()));
    assert_eq!(
        base(None, &format!("{absent},{ready}")),
        Ok(passed_on.clone())
    );
    assert_eq!(base(None, &format!("{absent},direct")), Ok(own.clone()));
    assert_eq!(base(None, "direct"), Ok(own.clone()));
    assert_eq!(base(None, &format!("direct,{ready}")), Ok(own));
    assert_eq!(base(None, &format!("{broken}|{ready}")), Ok(passed_on));
    let why = base(None, &format!("{broken},{ready}")).unwrap_err();
    assert!(why.contains("status 500"), "{why}");
}

#[test]
fn an_answer_about_another_version_proves_nothing() {
    // What CVE-2026-42501 let through.
    let log = Log::new(NAME, 1, 300);
    let mut files = served(&log, 300, &[5]);
    let other = files.remove("lookup/example.com/m@v1.0.5").unwrap();
    files.insert("lookup/example.com/m@v1.0.3".to_owned(), other);
    let server = Server::new(move |path| match files.get(path.trim_start_matches('/')) {
        Some(content) => Reply::Content(content.clone()),
        None => Reply::Status(404),
    });
    let told = ask(&server, &log, None, &[3]);
    assert!(told.proven.is_empty());
    insta::assert_snapshot!(messages(&told, &server).join("\n"), @"sumdb-mismatch example.com/m@v1.0.3: DATABASE: record has no hash of this module version");
}

#[test]
fn a_thousand_records_are_asked_for_side_by_side_and_each_tile_once() {
    // As large as the real log, so that each record needs tiles of its own.
    let size = 50_000_000;
    let ids: Vec<u64> = (0..1000).map(|id| id * 49_999).collect();
    let log = Log::sparse(NAME, 1, &ids);
    let note = log.note(size);
    let mut files = MemoryFiles::from([("latest".to_owned(), note.clone().into_bytes())]);
    for &id in &ids {
        let name = format!("lookup/example.com/m@v1.0.{id}");
        files.insert(name, log.answer(id, &note).into_bytes());
        for tile in proof(id, size) {
            let content = files.entry(tile.path());
            content.or_insert_with(|| log.tile(tile));
        }
    }
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (now.clone(), most.clone());
    // An ordinary line: 30 ms for an answer.
    let server = Server::new(move |path| {
        let at_once = counted.0.fetch_add(1, Ordering::SeqCst) + 1;
        counted.1.fetch_max(at_once, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(30));
        counted.0.fetch_sub(1, Ordering::SeqCst);
        match files.get(path.trim_start_matches('/')) {
            Some(content) => Reply::Content(content.clone()),
            None => Reply::Status(404),
        }
    });
    let start = Instant::now();
    let told = ask(&server, &log, None, &ids);
    let asked = server.asked();
    println!(
        "{} answers of 30 ms each, {} at a time at most: {:.1} s",
        asked.len(),
        most.load(Ordering::SeqCst),
        start.elapsed().as_secs_f64()
    );
    assert_eq!((told.proven.len(), told.unknown), (1000, 0));
    assert!(most.load(Ordering::SeqCst) > 8);
    let distinct: BTreeSet<&String> = asked.iter().collect();
    assert_eq!(distinct.len(), asked.len());
}
