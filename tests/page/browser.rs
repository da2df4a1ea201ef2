//! Using the page by what a person perceives: roles and accessible names.
//!
//! Anything that is not as expected ends the test with a message and a picture.

use std::env;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// How long anything may take that a person waits for.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(50);

/// The standard's key under which a driver names an element.
pub const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Runs a test with a browser of its own, which has the page's address and nothing else.
/// If the test fails, a picture of its last moment is in `target/page-failures/`.
pub fn with_page<F>(name: &str, test: impl FnOnce(Page) -> F)
where
    F: Future<Output = ()> + 'static,
{
    run_in(Engine::Chromium, name, test);
}

/// The same, in Firefox.
pub fn with_firefox<F>(name: &str, test: impl FnOnce(Page) -> F)
where
    F: Future<Output = ()> + 'static,
{
    run_in(Engine::Firefox, name, test);
}

fn run_in<F>(engine: Engine, name: &str, test: impl FnOnce(Page) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs nothing of the system but sockets");
    // A task of its own, so that a failed assertion ends the test and not the clearing up.
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let page = Page::new(engine).await;
        let result = tokio::task::spawn_local(test(page.clone())).await;
        if result.is_err() {
            let picture = picture_of_failure(name);
            if page.try_screenshot(&picture).await.is_ok() {
                eprintln!("The last moment of {name:?} is in {}", picture.display());
            }
        }
        page.client.close().await.ok();
        if let Err(failure) = result {
            std::panic::resume_unwind(failure.into_panic());
        }
    });
}

/// A browser tab.
#[derive(Clone)]
pub struct Page {
    client: Client,
    address: String,
    engine: Engine,
}

/// Which browser it is: they differ in how they tell what assistive technology sees.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Engine {
    Chromium,
    Firefox,
}

/// A part of the page as assistive technology sees it.
#[derive(Clone, Debug)]
pub struct Part {
    element: Element,
    pub role: String,
    pub name: String,
    pub description: String,
    pub value: String,
}

#[derive(Clone, Copy, Debug)]
pub enum Theme {
    Light,
    Dark,
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Theme::Light => "light",
            Theme::Dark => "dark",
        })
    }
}

impl Page {
    async fn new(engine: Engine) -> Page {
        let address = told("HIGHWATER_PAGE");
        if engine == Engine::Firefox {
            let client = ClientBuilder::new(HttpConnector::new());
            let client = client.connect(&told("HIGHWATER_FIREFOX_DRIVER")).await.expect("Firefox takes a session");
            return Page { client, address, engine };
        }
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1440,900",
        ];
        let mut options = json!({ "args": flags });
        if let Ok(program) = env::var("HIGHWATER_CHROMIUM") {
            options["binary"] = json!(program);
        }
        let wishes = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(wishes) = wishes else { unreachable!("it was written as an object") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wishes)
            .connect(&told("HIGHWATER_WEBDRIVER"))
            .await
            .expect("the driver starts a browser");
        Page { client, address, engine }
    }

    /// Loads the page; `rest` is what follows its address, such as `#lesson=isr`.
    pub async fn open(&self, rest: &str) {
        let address = format!("{}{rest}", self.address);
        self.client.goto(&address).await.expect("the address can be opened");
    }

    /// Has a script run in every document before anything of its own does.
    pub async fn before_loading(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Loads the page anew, at the address where it is.
    pub async fn reload(&self) {
        self.client.refresh().await.expect("the page can be loaded again");
    }

    /// What stands in the address bar.
    pub async fn url(&self) -> String {
        let url = self.client.current_url().await;
        url.expect("the page has an address").to_string()
    }

    pub async fn title(&self) -> String {
        self.client.title().await.expect("the page has a title")
    }

    /// Makes the page as large and as dark as asked.
    pub async fn look(&self, width: u32, height: u32, theme: Theme) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!([
            { "name": "prefers-color-scheme", "value": theme.to_string() },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Like [`Page::look`], with the few colours that a system’s contrast theme allows.
    pub async fn look_forced(&self, width: u32, height: u32) {
        self.look(width, height, Theme::Dark).await;
        let features = json!([{ "name": "forced-colors", "value": "active" }, { "name": "prefers-color-scheme", "value": "dark" }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// A finger goes down (`touchStart`), moves or goes up (`touchEnd`, which is nowhere).
    pub async fn touch(&self, what: &str, at: Option<(f64, f64)>) {
        let points: Vec<Value> = at.iter().map(|(x, y)| json!({ "x": x, "y": y })).collect();
        self.devtools("Input.dispatchTouchEvent", json!({ "type": what, "touchPoints": points })).await;
    }

    /// Takes the network away, or gives it back.
    pub async fn offline(&self, offline: bool) {
        self.devtools("Network.enable", json!({})).await;
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// The one part with this role and exactly this name; waits until it is there.
    pub async fn find(&self, role: &str, name: &str) -> Part {
        self.find_in(None, role, name).await
    }

    /// Like [`Page::find`], among what is inside another part.
    pub async fn find_within(&self, outer: &Part, role: &str, name: &str) -> Part {
        self.find_in(Some(outer), role, name).await
    }

    /// All parts with this role that are there now.
    pub async fn all(&self, role: &str) -> Vec<Part> {
        self.query(None, role, None).await
    }

    /// All parts with this role inside another that are there now.
    pub async fn all_within(&self, outer: &Part, role: &str) -> Vec<Part> {
        self.query(Some(outer), role, None).await
    }

    /// Whether such a part is there now.
    pub async fn has(&self, role: &str, name: &str) -> bool {
        !self.query(None, role, Some(name)).await.is_empty()
    }

    /// Waits until no such part is there.
    pub async fn wait_until_gone(&self, role: &str, name: &str) {
        self.wait_until(&format!("the {role} {name:?} goes away"), async || !self.has(role, name).await).await;
    }

    /// Waits until something holds; `what` completes "waited in vain until …".
    pub async fn wait_until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the page's visible text has this in it.
    pub async fn wait_for_text(&self, text: &str) {
        self.wait_until(&format!("the page says {text:?}"), async || self.text().await.contains(text)).await;
    }

    /// All visible text of the page.
    pub async fn text(&self) -> String {
        let text = self.script("return document.body.innerText", vec![]).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key while nothing in particular, or what was last clicked, has the focus.
    /// Keys without a sign are in `fantoccini::key::Key`.
    pub async fn press(&self, key: &str) {
        let focused = self.client.active_element().await;
        let focused = focused.expect("something always has the focus");
        focused.send_keys(key).await.expect("keys can be pressed");
    }

    /// Runs JavaScript in the page, as the body of a function, and gives what it returns.
    pub async fn script(&self, script: &str, arguments: Vec<Value>) -> Value {
        let result = self.client.execute(script, arguments).await;
        result.unwrap_or_else(|problem| panic!("the script {script:?} failed: {problem}"))
    }

    /// Like [`Page::script`], for a body that may `await`.
    pub async fn script_that_waits(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];\n\
             (async () => {{ {body} }})().then(done, (problem) => done(String(problem)));"
        );
        let result = self.client.execute_async(&script, vec![]).await;
        result.unwrap_or_else(|problem| panic!("the script {body:?} failed: {problem}"))
    }

    /// Everything that the browser found wrong since the last time this was asked: errors and
    /// warnings of scripts, refused or failed requests, breaches of the content security policy.
    pub async fn complaints(&self) -> Vec<String> {
        if self.engine == Engine::Firefox {
            return self.complaints_of_firefox().await;
        }
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().expect("a log is a list");
        entries
            .iter()
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .map(|entry| entry["message"].as_str().unwrap_or("?").to_owned())
            .collect()
    }

    /// The addresses of everything that the page loaded.
    pub async fn requests(&self) -> Vec<String> {
        let script = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
        let names = self.script(script, vec![]).await;
        let names = names.as_array().expect("the script returns a list");
        names.iter().map(|name| name.as_str().unwrap_or("?").to_owned()).collect()
    }

    /// Takes a picture of what is in view.
    pub async fn screenshot(&self, file: &PathBuf) {
        let taken = self.try_screenshot(file).await;
        taken.unwrap_or_else(|problem| panic!("no picture for {}: {problem}", file.display()));
    }

    async fn try_screenshot(&self, file: &PathBuf) -> Result<(), Box<dyn std::error::Error>> {
        let picture = self.client.screenshot().await?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(file, picture)?)
    }

    async fn find_in(&self, outer: Option<&Part>, role: &str, name: &str) -> Part {
        let started = Instant::now();
        loop {
            let mut found = self.query(outer, role, Some(name)).await;
            match found.len() {
                1 => return found.remove(0),
                0 if started.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                0 => {
                    let there = self.query(outer, role, None).await;
                    let names: Vec<_> = there.iter().map(|part| &part.name).collect();
                    panic!("there is no {role} {name:?}; with that role there are {names:?}");
                }
                several => panic!("there are {several} parts with the role {role}, all {name:?}"),
            }
        }
    }

    /// Asks the browser's own accessibility tree.
    async fn query(&self, outer: Option<&Part>, role: &str, name: Option<&str>) -> Vec<Part> {
        if self.engine == Engine::Firefox {
            return self.query_firefox(outer, role, name).await;
        }
        // A part that vanished meanwhile has nothing inside.
        let here = match outer {
            Some(outer) => json!({ ELEMENT: outer.element.element_id().to_string() }),
            None => Value::Null,
        };
        let scope = "window.__scope = arguments[0] ?? document.documentElement";
        if self.client.execute(scope, vec![here]).await.is_err() {
            return Vec::new();
        }
        let Some(root) = self.object("window.__scope").await else {
            return Vec::new();
        };
        let mut question = json!({ "objectId": root, "role": role });
        if let Some(name) = name {
            question["accessibleName"] = json!(name);
        }
        let Ok(answer) = self.try_devtools("Accessibility.queryAXTree", question).await else {
            return Vec::new();
        };
        let mut parts = Vec::new();
        for node in answer["nodes"].as_array().into_iter().flatten() {
            if node["ignored"] == true {
                continue;
            }
            if let Some(element) = self.element(&node["backendDOMNodeId"]).await {
                let said = |field: &str| match &node[field]["value"] {
                    Value::String(text) => text.clone(),
                    Value::Null => String::new(),
                    other => other.to_string(),
                };
                parts.push(Part {
                    element,
                    role: said("role"),
                    name: said("name"),
                    description: said("description"),
                    value: said("value"),
                });
            }
        }
        parts
    }

    /// From a node of the accessibility tree to the driver's element.
    async fn element(&self, node: &Value) -> Option<Element> {
        let resolved = self.try_devtools("DOM.resolveNode", json!({ "backendNodeId": node })).await.ok()?;
        let keep = json!({
            "objectId": resolved["object"]["objectId"],
            "functionDeclaration": "function () { window.__found = this }",
        });
        self.try_devtools("Runtime.callFunctionOn", keep).await.ok()?;
        let found = self.client.execute("return window.__found", vec![]).await.ok()?;
        let id = found[ELEMENT].as_str()?.to_owned();
        Some(Element::from_element_id(self.client.clone(), id.into()))
    }

    async fn object(&self, expression: &str) -> Option<Value> {
        let question = json!({ "expression": expression });
        let answer = self.try_devtools("Runtime.evaluate", question).await.ok()?;
        Some(answer["result"]["objectId"].clone())
    }

    async fn devtools(&self, method: &'static str, parameters: Value) -> Value {
        let result = self.try_devtools(method, parameters).await;
        result.unwrap_or_else(|problem| panic!("the browser refused {method}: {problem}"))
    }

    async fn try_devtools(
        &self,
        method: &'static str,
        parameters: Value,
    ) -> Result<Value, fantoccini::error::CmdError> {
        let body = json!({ "cmd": method, "params": parameters });
        let command = Command { path: "goog/cdp/execute".to_owned(), body: Some(body) };
        self.client.issue_cmd(command).await
    }

    /// What the driver answers to a question of its own; `None` when it refuses.
    pub(crate) async fn ask(&self, path: &str) -> Option<String> {
        let command = Command { path: path.to_owned(), body: None };
        self.client.issue_cmd(command).await.ok()?.as_str().map(str::to_owned)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn command(&self, path: &'static str, body: Value) -> Value {
        let result = self.client.issue_cmd(Command { path: path.to_owned(), body: Some(body) }).await;
        result.unwrap_or_else(|problem| panic!("the driver refused {path}: {problem}"))
    }
}

impl Part {
    pub(crate) fn found(element: Element, role: String, name: String) -> Part {
        Part { element, role, name, description: String::new(), value: String::new() }
    }

    pub(crate) fn element_id(&self) -> String {
        self.element.element_id().to_string()
    }

    pub async fn click(&self) {
        let clicked = self.element.clone().click().await;
        clicked.unwrap_or_else(|problem| panic!("{self} cannot be clicked: {problem}"));
    }

    /// Replaces what stands in a text field.
    pub async fn fill(&self, text: &str) {
        self.element.clear().await.ok();
        self.press(text).await;
    }

    /// Chooses from a list by the words that are shown.
    pub async fn choose(&self, label: &str) {
        let chosen = self.element.select_by_label(label).await;
        chosen.unwrap_or_else(|problem| panic!("{self} does not offer {label:?}: {problem}"));
    }

    /// Presses keys while this part has the focus.
    pub async fn press(&self, keys: &str) {
        let pressed = self.element.send_keys(keys).await;
        pressed.unwrap_or_else(|problem| panic!("{self} takes no keys: {problem}"));
    }

    /// The visible text inside.
    pub async fn text(&self) -> String {
        let text = self.element.text().await;
        text.unwrap_or_else(|problem| panic!("{self} has no text: {problem}"))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {:?}", self.role, self.name)
    }
}

/// A command of the driver's own, beyond the standard.
#[derive(Debug)]
struct Command {
    path: String,
    /// Without one it is a question.
    body: Option<Value>,
}

impl WebDriverCompatibleCommand for Command {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        match &self.body {
            Some(body) => (Method::POST, Some(body.to_string())),
            None => (Method::GET, None),
        }
    }
}

fn picture_of_failure(test: &str) -> PathBuf {
    let name: String = test.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
    PathBuf::from("target/page-failures").join(format!("{name}.png"))
}

fn told(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; run `cargo xtask test page`"))
}
