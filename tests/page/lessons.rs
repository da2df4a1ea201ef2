//! Lessons, and what a teacher needs of the page: parts, predictions, goals, links, embedding, and a
//! room in which the back row can read.

use std::time::Duration;

use highwater::lesson::LESSONS;
use serde_json::Value;

use crate::browser::{Page, with_page};

async fn panel(page: &Page) -> String {
    let script = "return document.querySelector(\"[aria-label='Lesson']\")?.textContent ?? ''";
    page.script(script, vec![]).await.as_str().unwrap_or_default().to_owned()
}

async fn told(page: &Page, text: &str) {
    page.wait_until(&format!("the lesson says {text:?}"), async || panel(page).await.contains(text)).await;
}

/// Presses a button that may be scrolled out of view.
async fn press(page: &Page, name: &str) {
    page.find("button", name).await;
    let script = "[...document.querySelectorAll('button')].find((b) => (b.ariaLabel ?? b.textContent) === arguments[0]).click();";
    page.script(script, vec![name.into()]).await;
}

/// To a part by its name in the list.
async fn part(page: &Page, title: &str) {
    let script =
        "[...document.querySelectorAll('.parts button')].find((b) => b.textContent.includes(arguments[0])).click();";
    page.script(script, vec![title.into()]).await;
}

async fn type_line(page: &Page, line: &str) {
    let input = page.find("textbox", "Console input").await;
    input.fill(line).await;
    input.press("\u{e007}").await;
}

/// Lets time run as fast as it can.
async fn hurry(page: &Page) {
    let script = "
        const speed = document.querySelector('[aria-label=Speed]');
        speed.value = speed.max;
        speed.dispatchEvent(new InputEvent('input', { bubbles: true }));
        speed.dispatchEvent(new Event('change', { bubbles: true }));";
    page.script(script, vec![]).await;
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_lesson_is_told_predicted_and_solved() {
    with_page("a lesson", async |page| {
        page.open("").await;
        page.find("button", "Lessons").await.click().await;
        let dialog = page.find("dialog", "Lessons").await;
        let listed = dialog.text().await;
        for lesson in LESSONS {
            assert!(listed.contains(lesson.title) && listed.contains(lesson.says), "{} is not listed", lesson.id);
        }
        let widths =
            "return [...document.querySelectorAll('dialog li')].map((each) => each.getBoundingClientRect().width)";
        let widths = page.script(widths, vec![]).await;
        let narrowest =
            widths.as_array().into_iter().flatten().filter_map(|width| width.as_f64()).fold(f64::MAX, f64::min);
        assert!(narrowest > 250.0 && narrowest < 2_000.0, "however many there are, each can be read: {widths:?}");
        page.find_within(&dialog, "button", "A broker dies").await.click().await;
        page.wait_until_gone("dialog", "Lessons").await;
        told(&page, "Three copies of everything").await;
        page.wait_until("the address leads to it", async || page.url().await.ends_with("#lesson=a-broker-dies")).await;
        assert!(page.text().await.contains("part 1 of 4"));

        // The second part asks, and waits for an answer.
        press(&page, "Next part").await;
        told(&page, "Who will lead orders-0?").await;
        page.find("button", "Play").await;
        page.wait_until("the address leads to the part", async || page.url().await.ends_with("&step=2")).await;
        press(&page, "2").await;
        hurry(&page).await;
        told(&page, "You were right: 2.").await;

        // The last part is the reader's: it waits, and notices when it is done.
        part(&page, "Your turn: bring it back").await;
        told(&page, "Now you").await;
        page.find("button", "Start broker 1").await.click().await;
        told(&page, "Solved. You did that.").await;

        // What was done is kept, and the story can be taken up again.
        press(&page, "Tell this part again").await;
        page.find("button", "Start broker 1").await;
        page.find("tab", "Branches").await.click().await;
        page.find("textbox", "Name of Future 1").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_goal_can_be_shown_and_a_finished_lesson_is_remembered() {
    with_page("a goal shown", async |page| {
        page.open("#lesson=a-broker-dies&step=4").await;
        told(&page, "Now you").await;
        page.find("button", "Show me").await;
        hurry(&page).await;
        press(&page, "Show me").await;
        told(&page, "That is one way to do it.").await;
        page.find("button", "Next lesson").await;
        page.wait_until("it is remembered", async || {
            let kept = page.script("return localStorage.getItem('highwater-lessons')", vec![]).await;
            kept.as_str().unwrap_or_default().contains("a-broker-dies")
        })
        .await;
        press(&page, "Next lesson").await;
        told(&page, "A key is a promise").await;
        page.find("button", "Lessons").await.click().await;
        let dialog = page.find("dialog", "Lessons").await;
        assert!(dialog.text().await.contains('✓'));
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn every_lesson_opens_at_every_part_by_its_link_and_offline() {
    with_page("every lesson", async |page| {
        page.open("").await;
        page.find("heading", "Highwater").await;
        page.script_that_waits("await navigator.serviceWorker.ready").await;
        page.offline(true).await;
        for lesson in LESSONS {
            page.script("location.hash = arguments[0]", vec![format!("#lesson={}&step=2", lesson.id).into()]).await;
            page.wait_until(&format!("{} is open at its second part", lesson.id), async || {
                page.text().await.contains(&format!("{} · part 2 of", lesson.title))
            })
            .await;
            assert!(page.all("alert").await.is_empty(), "{} opens without a word", lesson.id);
        }
        page.offline(false).await;
        // A part that is not there is the last one.
        page.script("location.hash = '#lesson=acks&step=99'", vec![]).await;
        page.wait_for_text("part 4 of 4").await;
    });
}

/// The page inside another document, which writes down what it hears.
async fn embed(page: &Page, address: &str) {
    let script = "
        window.__heard = [];
        window.addEventListener('message', (event) => window.__heard.push(event.data));
        const frame = document.createElement('iframe');
        frame.width = 1100;
        frame.height = 900;
        frame.src = arguments[0];
        document.body.replaceChildren(frame);";
    page.open("sw.js").await;
    page.script(script, vec![address.into()]).await;
}

async fn heard(page: &Page, kind: &str) -> Vec<Value> {
    let heard = page.script("return window.__heard ?? []", vec![]).await;
    heard.as_array().into_iter().flatten().filter(|message| message["type"] == kind).cloned().collect()
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn an_embedded_lesson_tells_its_host_of_parts_and_of_what_is_solved() {
    with_page("an embedded lesson", async |page| {
        embed(&page, "./?embed=1&lesson=a-broker-dies&step=2").await;
        page.wait_until("the host hears of the part", async || {
            heard(&page, "step")
                .await
                .iter()
                .any(|m| m["step"] == 2 && m["name"] == "Who will lead?" && m["source"] == "highwater")
        })
        .await;
        let inside = "
            const inside = document.querySelector('iframe').contentDocument;
            const named = [...inside.querySelectorAll('button')].find((b) => (b.ariaLabel ?? b.textContent) === arguments[0]);
            named?.click();
            return Boolean(named);";
        let press = async |name: &str| {
            page.wait_until(&format!("the button {name:?} is there"), async || {
                page.script(inside, vec![name.into()]).await == true
            })
            .await;
        };
        press("2").await;
        page.wait_until("the host hears that it was predicted", async || {
            heard(&page, "solved").await.iter().any(|m| m["step"] == 2)
        })
        .await;
        let last =
            "document.querySelector('iframe').contentDocument.querySelector('.parts li:last-child button').click()";
        page.script(last, vec![]).await;
        page.wait_until("the host hears of the last part", async || {
            heard(&page, "step").await.iter().any(|m| m["step"] == 4)
        })
        .await;
        press("Start broker 1").await;
        page.wait_until("the host hears that the goal is reached", async || {
            heard(&page, "solved").await.iter().any(|m| m["step"] == 4 && m["name"] == "Your turn: bring it back")
        })
        .await;
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_shared_run_with_parts_shows_them_and_tells_its_host() {
    with_page("a run with parts", async |page| {
        let text = "cluster brokers=3 controllers=3 seed=7\ntopic orders partitions=1 replication-factor=3\nstep \"One\"\n\
            > The first.\nwait 2s\nstep \"Two\"\n> The second.\nwait 1s\n";
        let link = highwater::scenario::link::encode(text).expect("a short script has a link");
        page.open(&link).await;
        page.find("tab", "Lesson").await.click().await;
        told(&page, "The second.").await;
        press(&page, "Previous part").await;
        told(&page, "The first.").await;
        embed(&page, &format!("./?embed=1{link}")).await;
        page.wait_until("the host hears of the part", async || {
            heard(&page, "step").await.iter().any(|m| m["step"] == 2 && m["name"] == "Two")
        })
        .await;
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn presenter_mode_is_larger_and_follows_a_clicker() {
    with_page("presenter mode", async |page| {
        page.open("#lesson=high-watermark").await;
        told(&page, "Written is not yet committed").await;
        let size = async || {
            let script = "return document.querySelector('.row-head .title').getBoundingClientRect().height";
            page.script(script, vec![]).await.as_f64().unwrap_or(0.0)
        };
        let before = size().await;
        page.press("\u{e00f}").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(page.text().await.contains("part 1 of 4"), "without it Page Down scrolls");
        page.press("b").await;
        page.wait_until("everything is larger", async || size().await > 1.15 * before).await;
        page.press("\u{e00f}").await;
        page.wait_for_text("part 2 of 4").await;
        page.press("\u{e00e}").await;
        page.wait_for_text("part 1 of 4").await;
        let fits = "const e = document.scrollingElement; return e.scrollHeight <= innerHeight + 1 && e.scrollWidth <= innerWidth + 1";
        assert_eq!(page.script(fits, vec![]).await, true, "the page still fits the window");
        page.find("button", "Presenter mode").await.click().await;
        page.wait_until("everything is as before", async || (size().await - before).abs() < 1.0).await;

        // Without a lesson a clicker goes from event to event.
        page.open("").await;
        page.reload().await;
        page.find("button", "Presenter mode").await.click().await;
        page.find("button", "Kill broker 1").await.click().await;
        page.press("\u{e00f}").await;
        page.find("button", "Play").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_theme_leads_through_light_dark_and_high_contrast_and_is_kept() {
    with_page("themes", async |page| {
        page.open("").await;
        let look = async || {
            let script =
                "const d = document.documentElement.dataset; return `${d.theme ?? ''} ${d.contrast ?? ''}`.trim()";
            page.script(script, vec![]).await.as_str().unwrap_or_default().to_owned()
        };
        for expected in ["dark", "light more", "dark more", "light"] {
            page.find("button", "Theme").await.click().await;
            page.wait_until(&format!("it is {expected}"), async || look().await == expected).await;
        }
        page.find("button", "Theme").await.click().await;
        page.find("button", "Theme").await.click().await;
        page.reload().await;
        page.find("grid", "Partitions").await;
        assert_eq!(look().await, "light more", "it is kept");
        type_line(&page, "kill broker 1").await;
        page.find("button", "Start broker 1").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn nothing_else_is_shown_before_the_lesson_that_was_asked_for() {
    let slow = "
        const get = window.fetch.bind(window);
        window.fetch = async (what, ...rest) => {
            if (!String(what).includes('lessons/')) return get(what, ...rest);
            await new Promise((go) => setTimeout(go, 2000));
            if (String(what).includes('rebalance')) throw new Error('no network');
            return get(what, ...rest);
        };";
    with_page("a slow lesson", async |page| {
        page.before_loading(slow).await;
        page.open("#lesson=acks").await;
        page.wait_for_text("Starting the lesson").await;
        assert!(!page.has("grid", "Partitions").await, "another cluster is shown first");
        page.find("grid", "Partitions").await;
        told(&page, "acks").await;

        page.open("icons/highwater.svg").await;
        page.open("#lesson=rebalance").await;
        page.find("grid", "Partitions").await;
        page.wait_for_text("cannot be loaded").await;
    });
}
