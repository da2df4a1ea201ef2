//! A small server of static files for this machine only.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// More than any browser sends before the body.
const LONGEST_HEAD: u64 = 64 * 1024;

pub struct Server {
    address: SocketAddr,
    site: Arc<Site>,
}

/// What is served: the first folder that has a file gives it.
struct Site {
    folders: Vec<PathBuf>,
    /// The folder of the address under which the page stands: starts and ends with a slash.
    base: String,
}

impl Server {
    /// Serves the folders under a base such as `/` until the process ends; port 0 picks a free one.
    pub fn start(folders: Vec<PathBuf>, base: &str, port: u16) -> Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("port {port} cannot be used; name another with --port"))?;
        let address = listener.local_addr()?;
        let site = Arc::new(Site { folders, base: base.to_owned() });
        let shared = Arc::clone(&site);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let site = Arc::clone(&shared);
                // A browser that goes away in the middle is nobody's problem.
                thread::spawn(move || site.answer(stream).ok());
            }
        });
        Ok(Server { address, site })
    }

    pub fn address(&self) -> String {
        format!("http://{}{}", self.address, self.site.base)
    }
}

impl Site {
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        let line = read_head(&stream)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let reply = match method {
            "GET" | "HEAD" => self.find(target),
            _ => Reply::text("405 Method Not Allowed", "Only GET and HEAD are answered here.\n"),
        };
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
             Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            reply.status,
            reply.kind,
            reply.body.len()
        );
        stream.write_all(head.as_bytes())?;
        if method != "HEAD" {
            stream.write_all(&reply.body)?;
        }
        stream.flush()
    }

    fn find(&self, target: &str) -> Reply {
        let Some(relative) = relative_path(target, &self.base) else {
            return Reply::text("404 Not Found", "There is nothing at this address.\n");
        };
        let contents = self.folders.iter().find_map(|folder| fs::read(folder.join(&relative)).ok());
        match contents {
            Some(body) => Reply { status: "200 OK", kind: kind_of(&relative), body },
            None => Reply::text("404 Not Found", "There is no such file.\n"),
        }
    }
}

struct Reply {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Reply {
    fn text(status: &'static str, body: &str) -> Reply {
        Reply { status, kind: "text/plain; charset=utf-8", body: body.as_bytes().to_vec() }
    }
}

/// Reads all header lines and gives the first, the request line.
fn read_head(stream: &TcpStream) -> io::Result<String> {
    let mut reader = BufReader::new(stream.take(LONGEST_HEAD));
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        line.clear();
    }
    Ok(first)
}

/// The file that a request's target names, below the base; never outside the folder.
fn relative_path(target: &str, base: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?;
    let path = decode(path.strip_prefix(base)?)?;
    let mut relative = PathBuf::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part.starts_with('.') || part.contains(['\\', ':', '\0']) {
            return None;
        }
        relative.push(part);
    }
    if path.is_empty() || path.ends_with('/') {
        relative.push("index.html");
    }
    Some(relative)
}

/// Undoes `%20` and its kind.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn kind_of(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md" | "hw") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(target: &str, base: &str) -> Option<String> {
        let path = relative_path(target, base)?;
        Some(path.to_string_lossy().replace('\\', "/"))
    }

    #[test]
    fn a_folder_gives_its_index() {
        assert_eq!(file("/", "/").as_deref(), Some("index.html"));
        assert_eq!(file("/?embed=1", "/").as_deref(), Some("index.html"));
        assert_eq!(file("/a/b/", "/a/b/").as_deref(), Some("index.html"));
        assert_eq!(file("/a/styles/x.css", "/a/").as_deref(), Some("styles/x.css"));
    }

    #[test]
    fn nothing_outside_the_folder_can_be_named() {
        for target in [
            "/../secret",
            "/styles/../../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/.git/config",
            "/c:/secret",
            "/..%5csecret",
            "/%00",
            "/%zz",
            "/%f",
            "no-slash",
            "",
        ] {
            assert_eq!(file(target, "/"), None, "{target}");
        }
        assert_eq!(file("//etc/passwd", "/").as_deref(), Some("etc/passwd"));
    }
}
