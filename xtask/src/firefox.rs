//! Driving Firefox: it listens for Marionette, its own remote control, and tests speak WebDriver.
//! The two have the same commands and the same JSON; only the envelopes differ, and here one is put
//! into the other. (The usual go-between, geckodriver, is no package of Debian and takes minutes to
//! compile; what the tests use of it is this.)

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A whole command and its answer; a test waits no longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Firefox without a window, and the address at which it takes WebDriver's requests.
pub struct Firefox {
    process: Child,
    address: SocketAddr,
}

impl Firefox {
    pub fn start(program: &Path) -> Result<Firefox> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let profile = workspace::target().join("firefox-profile");
        fs::remove_dir_all(&profile).ok();
        fs::create_dir_all(&profile)?;
        fs::write(profile.join("user.js"), preferences(port))?;
        let log = workspace::target().join("firefox.log");
        let file = File::create(&log)?;
        let process = Command::new(program)
            .args(["--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--width=1440"])
            .args(["--height=900", "--profile"])
            .arg(&profile)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut firefox = Firefox { process, address: listener.local_addr()? };
        let started = Instant::now();
        let marionette = loop {
            if let Some(marionette) = Marionette::connect(port) {
                break marionette;
            }
            if firefox.process.try_wait()?.is_some() || started.elapsed() > PATIENCE {
                bail!("Firefox did not start; see {}", log.display());
            }
            thread::sleep(Duration::from_millis(100));
        };
        thread::spawn(move || serve(&listener, marionette));
        Ok(firefox)
    }

    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A quiet browser that asks nobody for anything.
fn preferences(port: u16) -> String {
    let port = port.to_string();
    let wanted = [
        ("marionette.port", port.as_str()),
        ("app.normandy.enabled", "false"),
        ("app.update.disabledForTesting", "true"),
        ("browser.safebrowsing.malware.enabled", "false"),
        ("browser.safebrowsing.phishing.enabled", "false"),
        ("browser.shell.checkDefaultBrowser", "false"),
        ("browser.startup.page", "0"),
        ("datareporting.policy.dataSubmissionEnabled", "false"),
        ("extensions.getAddons.cache.enabled", "false"),
        ("extensions.update.enabled", "false"),
        ("network.captive-portal-service.enabled", "false"),
        ("network.connectivity-service.enabled", "false"),
        ("toolkit.telemetry.reportingpolicy.firstRun", "false"),
    ];
    wanted.iter().map(|(name, value)| format!("user_pref(\"{name}\", {value});\n")).collect()
}

/// The connection to the browser. A packet is its length, a colon, and JSON: `[0,ID,NAME,PARAMETERS]`
/// one way and `[1,ID,ERROR,RESULT]` the other.
struct Marionette {
    reader: BufReader<TcpStream>,
    sent: u32,
}

impl Marionette {
    fn connect(port: u16) -> Option<Marionette> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut marionette = Marionette { reader: BufReader::new(stream), sent: 0 };
        marionette.receive().ok()?;
        Some(marionette)
    }

    /// What the browser answers: a result or an error, both as JSON.
    fn command(&mut self, name: &str, parameters: &str) -> io::Result<Result<String, String>> {
        self.sent += 1;
        let packet = format!("[0,{},\"{name}\",{parameters}]", self.sent);
        write!(self.reader.get_mut(), "{}:{packet}", packet.len())?;
        let answer = self.receive()?;
        let rest = answer.strip_prefix(&format!("[1,{},", self.sent)).and_then(|rest| rest.strip_suffix(']'));
        let rest = rest.ok_or_else(|| io::Error::other(format!("not an answer: {answer}")))?;
        Ok(match rest.strip_prefix("null,") {
            Some(result) => Ok(result.to_owned()),
            None => Err(rest.strip_suffix(",null").unwrap_or(rest).to_owned()),
        })
    }

    fn receive(&mut self) -> io::Result<String> {
        let mut length = Vec::new();
        self.reader.read_until(b':', &mut length)?;
        let length = String::from_utf8_lossy(&length).trim_end_matches(':').parse().map_err(io::Error::other)?;
        let mut packet = vec![0; length];
        self.reader.read_exact(&mut packet)?;
        String::from_utf8(packet).map_err(io::Error::other)
    }
}

/// Answers requests, one after the other, until the process ends.
fn serve(listener: &TcpListener, mut marionette: Marionette) {
    for stream in listener.incoming().flatten() {
        // A test that goes away in the middle is nobody's problem.
        answer(stream, &mut marionette).ok();
    }
}

fn answer(stream: TcpStream, marionette: &mut Marionette) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    let request = line.clone();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(io::Error::other)?;
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, reply) = match translate(method, path, &body) {
        None => ("404 Not Found", r#"{"value":{"error":"unknown command","message":"","stacktrace":""}}"#.to_owned()),
        Some((name, parameters)) => match marionette.command(name, &parameters)? {
            Ok(result) if result.starts_with("{\"value\":") => ("200 OK", result),
            Ok(result) => ("200 OK", format!("{{\"value\":{result}}}")),
            Err(error) => ("500 Internal Server Error", format!("{{\"value\":{error}}}")),
        },
    };
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{reply}",
        reply.len()
    )
}

/// The browser's name for a request of WebDriver's, and its parameters.
fn translate(method: &str, path: &str, body: &str) -> Option<(&'static str, String)> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let given = || if body.trim().is_empty() { "{}".to_owned() } else { body.to_owned() };
    let of = |element: &str| match body.trim().strip_prefix('{') {
        None | Some("}") => format!("{{\"id\":\"{element}\"}}"),
        Some(rest) => format!("{{\"id\":\"{element}\",{rest}"),
    };
    Some(match (method, parts.get(2..).unwrap_or_default()) {
        ("POST", _) if parts.len() == 1 => ("WebDriver:NewSession", "{}".to_owned()),
        ("DELETE", []) => ("WebDriver:DeleteSession", "{}".to_owned()),
        ("POST", ["url"]) => ("WebDriver:Navigate", given()),
        ("GET", ["url"]) => ("WebDriver:GetCurrentURL", given()),
        ("GET", ["title"]) => ("WebDriver:GetTitle", given()),
        ("POST", ["refresh"]) => ("WebDriver:Refresh", given()),
        ("POST", ["execute", "sync"]) => ("WebDriver:ExecuteScript", given()),
        ("POST", ["execute", "async"]) => ("WebDriver:ExecuteAsyncScript", given()),
        ("GET", ["screenshot"]) => ("WebDriver:TakeScreenshot", "{\"full\":false}".to_owned()),
        ("GET", ["element", "active"]) => ("WebDriver:GetActiveElement", given()),
        ("GET", ["element", element, "text"]) => ("WebDriver:GetElementText", of(element)),
        ("GET", ["element", element, "computedrole"]) => ("WebDriver:GetComputedRole", of(element)),
        ("GET", ["element", element, "computedlabel"]) => ("WebDriver:GetComputedLabel", of(element)),
        ("POST", ["element", element, "click"]) => ("WebDriver:ElementClick", of(element)),
        ("POST", ["element", element, "clear"]) => ("WebDriver:ElementClear", of(element)),
        ("POST", ["element", element, "value"]) => ("WebDriver:ElementSendKeys", of(element)),
        // The same extension that geckodriver has: scripts beside the page, for what the browser noted.
        ("POST", ["moz", "context"]) => ("Marionette:SetContext", body.replace("context", "value")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_browsers_own_names() {
        let said = |method, path, body| translate(method, path, body).map(|(name, given)| format!("{name} {given}"));
        let is = |method, path, body, name: &str| assert_eq!(said(method, path, body).as_deref(), Some(name));
        is("POST", "/session", "{\"capabilities\":{}}", "WebDriver:NewSession {}");
        is("DELETE", "/session/1", "", "WebDriver:DeleteSession {}");
        is("POST", "/session/1/url", "{\"url\":\"x\"}", "WebDriver:Navigate {\"url\":\"x\"}");
        is("POST", "/session/1/element/e1/click", "{}", "WebDriver:ElementClick {\"id\":\"e1\"}");
        is(
            "POST",
            "/session/1/element/e1/value",
            "{\"text\":\"a\"}",
            "WebDriver:ElementSendKeys {\"id\":\"e1\",\"text\":\"a\"}",
        );
        is(
            "POST",
            "/session/1/moz/context",
            "{\"context\":\"chrome\"}",
            "Marionette:SetContext {\"value\":\"chrome\"}",
        );
        assert_eq!(said("POST", "/session/1/goog/cdp/execute", "{}"), None);
    }
}
