//! Folders served over HTTP on loopback, every request recorded.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that lives as long as the test process.
pub struct Served {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Served {
    /// The paths asked for so far; with a web proxy's requests, whole addresses.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Serves the files below a folder; what is not there is `404`.
pub fn serve(root: &Path) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, root) = (asked.clone(), root.to_owned());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (log, root) = (log.clone(), root.clone());
            thread::spawn(move || {
                // A client that hangs up is no fault of the server's.
                let _ = answer(&stream, &root, &log);
            });
        }
    });
    Served { address, asked }
}

fn answer(mut stream: &TcpStream, root: &Path, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let asked = request.split(' ').nth(1).unwrap_or_default().to_owned();
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    log.lock().unwrap().push(asked.clone());
    // A web proxy is asked for a whole address.
    let path = match asked.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => asked.trim_start_matches('/'),
    };
    let (status, content) = match std::fs::read(root.join(path)) {
        Ok(content) => ("200 OK", content),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&content)
}
