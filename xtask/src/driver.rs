//! Running the tests of the finished page: a server, a driver of the browser, the tests.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::firefox::Firefox;
use crate::run::{self, cargo};
use crate::server::Server;
use crate::setup::axe;
use crate::setup::browser::{self, Browser};
use crate::setup::firefox;
use crate::workspace::{self, dist};

/// The finished page, served from some folder as any static host might, and a browser's driver.
pub struct Stage {
    server: Server,
    browser: Browser,
    driver: Driver,
    /// The script that checks accessibility.
    axe: PathBuf,
}

impl Stage {
    /// The page must have been built.
    pub fn set() -> Result<Stage> {
        let browser = browser::ensure()?;
        println!("Browser: {}", browser.version());
        Ok(Stage {
            server: Server::start(vec![dist()], "/any/folder/", 0)?,
            driver: Driver::start(&browser)?,
            browser,
            axe: axe::ensure()?,
        })
    }

    /// Runs the page's tests in the named modules of `tests/page`.
    pub fn run(&self, parts: &[&str]) -> Result<()> {
        let mut tests = cargo(["test", "--package", "highwater", "--test", "page", "--", "--ignored"]);
        // One browser after the other: machines for tests have few cores.
        tests.args(["--test-threads", "1", "--nocapture"]).args(parts);
        tests
            .env("HIGHWATER_PAGE", self.server.address())
            .env("HIGHWATER_WEBDRIVER", self.driver.address())
            .env("HIGHWATER_AXE", &self.axe)
            .env("HIGHWATER_CHROMIUM", &self.browser.program);
        run::visibly(&mut tests)
    }
}

/// Runs the tests that use the page in Firefox.
pub fn run_in_firefox() -> Result<()> {
    let program = firefox::ensure()?;
    println!("Browser: {}", firefox::version(&program));
    let server = Server::start(vec![dist()], "/any/folder/", 0)?;
    let firefox = Firefox::start(&program)?;
    let mut tests = cargo(["test", "--package", "highwater", "--test", "page", "--", "--ignored"]);
    tests.args(["--test-threads", "1", "--nocapture", "firefox::"]);
    tests.env("HIGHWATER_PAGE", server.address()).env("HIGHWATER_FIREFOX_DRIVER", firefox.address());
    run::visibly(&mut tests)
}

struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    fn start(browser: &Browser) -> Result<Driver> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = workspace::target().join("chromedriver.log");
        fs::create_dir_all(workspace::target())?;
        let file = File::create(&log)?;
        let process = Command::new(&browser.driver)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{} cannot be started", browser.driver.display()))?;
        let mut driver = Driver { process, port };
        let started = Instant::now();
        while driver.connect().is_none() {
            if driver.process.try_wait()?.is_some() || started.elapsed() > Duration::from_secs(20) {
                bail!("chromedriver did not start; see {}", log.display());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(driver)
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn connect(&self) -> Option<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()
    }

    /// Asks the driver to end itself together with any browser that it still has.
    fn ask_to_end(&self) -> Option<()> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request = format!("GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port);
        stream.write_all(request.as_bytes()).ok()?;
        stream.read_to_end(&mut Vec::new()).ok()?;
        Some(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.ask_to_end();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
