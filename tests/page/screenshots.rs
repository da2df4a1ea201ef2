//! Pictures of the page in every size and theme that is promised.

use std::path::PathBuf;
use std::time::Duration;

use crate::browser::{Page, Theme, with_page};
use crate::scale::{LARGE, shared};

/// What is shown, by the name of its picture.
#[derive(Clone, Copy, Debug)]
enum Scene {
    Opening,
    MidFailover,
    FailoverDone,
    Metrics,
    MetricsTable,
    Past,
    Record,
    Help,
    Comparison,
    Lessons,
    Question,
    Goal,
    Presenter,
    Contrast,
    Manage,
    Cut,
    Tiles,
    TilesFailover,
    Bars,
    Zoomed,
}

const SCENES: [Scene; 20] = [
    Scene::Opening,
    Scene::MidFailover,
    Scene::FailoverDone,
    Scene::Metrics,
    Scene::MetricsTable,
    Scene::Past,
    Scene::Record,
    Scene::Help,
    Scene::Comparison,
    Scene::Lessons,
    Scene::Question,
    Scene::Goal,
    Scene::Presenter,
    Scene::Contrast,
    Scene::Manage,
    Scene::Cut,
    Scene::Tiles,
    Scene::TilesFailover,
    Scene::Bars,
    Scene::Zoomed,
];

const SIZES: [(u32, u32); 4] = [(1440, 900), (1366, 680), (820, 1100), (360, 800)];

impl Scene {
    fn name(self) -> &'static str {
        match self {
            Scene::Opening => "opening",
            Scene::MidFailover => "mid-failover",
            Scene::FailoverDone => "failover-done",
            Scene::Metrics => "metrics",
            Scene::MetricsTable => "metrics-table",
            Scene::Past => "past",
            Scene::Record => "record",
            Scene::Help => "help",
            Scene::Comparison => "comparison",
            Scene::Lessons => "lessons",
            Scene::Question => "question",
            Scene::Goal => "goal",
            Scene::Presenter => "presenter",
            Scene::Contrast => "contrast",
            Scene::Manage => "manage",
            Scene::Cut => "cut",
            Scene::Tiles => "tiles",
            Scene::TilesFailover => "tiles-failover",
            Scene::Bars => "bars",
            Scene::Zoomed => "zoomed",
        }
    }

    /// Does what leads to the scene, after the scene before it.
    async fn prepare(self, page: &Page) {
        match self {
            Scene::Opening => {
                page.open("icons/highwater.svg").await;
                page.script("localStorage.clear()", vec![]).await;
                page.open("").await;
                page.find("grid", "Partitions").await;
                tokio::time::sleep(Duration::from_millis(2_500)).await;
            }
            Scene::MidFailover => {
                page.find("button", "Kill broker 1").await.click().await;
                tokio::time::sleep(Duration::from_millis(1_200)).await;
            }
            Scene::FailoverDone => {
                page.wait_for_text("Broker 1 is out.").await;
                tokio::time::sleep(Duration::from_millis(2_500)).await;
            }
            Scene::Metrics => {
                show(page, "Metrics").await;
                page.script("document.querySelector('.dock').scrollIntoView({ block: 'end' })", vec![]).await;
                tokio::time::sleep(Duration::from_millis(600)).await;
            }
            Scene::MetricsTable => {
                page.find("button", "Table").await.click().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Scene::Past => {
                page.script("scrollTo(0, 0)", vec![]).await;
                let script = "
                    const time = document.querySelector('[aria-label=Time]');
                    time.value = Number(time.max) * 0.6;
                    time.dispatchEvent(new InputEvent('input', { bubbles: true }));";
                page.script(script, vec![]).await;
                show(page, "Events").await;
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            Scene::Record => {
                page.script("document.querySelector('.cell.leader .rec.committed').click()", vec![]).await;
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            Scene::Help => {
                page.find("button", "Help").await.click().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Scene::Comparison => {
                page.press("\u{e00c}").await;
                page.wait_until_gone("dialog", "Help").await;
                let script = "
                    const time = document.querySelector('[aria-label=Time]');
                    time.value = Number(time.max) * 0.6;
                    time.dispatchEvent(new InputEvent('input', { bubbles: true }));";
                page.script(script, vec![]).await;
                let press = "[...document.querySelectorAll('button')].find((b) => (b.ariaLabel ?? b.textContent) === arguments[0])?.click()";
                for name in
                    ["Freeze broker 3", "Branches", "Pause", "Next event", "Next event", "Compare with Future 1"]
                {
                    page.script(press, vec![name.into()]).await;
                    tokio::time::sleep(Duration::from_millis(150)).await;
                }
            }
            Scene::Lessons => {
                page.open("icons/highwater.svg").await;
                page.open("").await;
                page.find("button", "Lessons").await.click().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Scene::Question => {
                page.open("icons/highwater.svg").await;
                page.open("#lesson=a-broker-dies&step=2").await;
                page.wait_for_text("Who will lead orders-0?").await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Scene::Goal => {
                page.open("icons/highwater.svg").await;
                page.open("#lesson=min-insync&step=5").await;
                page.wait_for_text("Now you").await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Scene::Presenter => {
                page.press("b").await;
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            Scene::Contrast => {
                page.press("b").await;
                for _ in 0..2 {
                    page.find("button", "Theme").await.click().await;
                }
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            Scene::Manage => {
                // Back to the theme that the system asks for.
                page.script("localStorage.clear()", vec![]).await;
                page.open("icons/highwater.svg").await;
                page.open("").await;
                press(page, "Manage topic orders").await;
            }
            Scene::Cut => {
                page.open("").await;
                page.find("textbox", "Console input").await.fill("cut 1,c1 | 2,3,c2,c3").await;
                page.press("\u{e007}").await;
                page.script("scrollTo(0, 0)", vec![]).await;
                tokio::time::sleep(Duration::from_millis(1_500)).await;
            }
            Scene::Tiles => {
                page.open(&shared(LARGE)).await;
                page.find("grid", "Partitions").await;
                page.script("scrollTo(0, 0)", vec![]).await;
                tokio::time::sleep(Duration::from_millis(1_500)).await;
            }
            Scene::TilesFailover => {
                press(page, "Kill broker 7").await;
                tokio::time::sleep(Duration::from_millis(6_500)).await;
            }
            Scene::Bars => press(page, "Zoom in").await,
            Scene::Zoomed => press(page, "Zoom in").await,
        }
    }
}

/// Presses a button wherever it is, and lets its effect be seen.
async fn press(page: &Page, name: &str) {
    page.find("button", name).await;
    let script = "document.querySelector(`button[aria-label='${arguments[0]}']`).click()";
    page.script(script, vec![name.into()]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// Brings a panel of the dock to the front.
async fn show(page: &Page, tab: &str) {
    let script = "[...document.querySelectorAll('[role=tab]')].find((tab) => tab.textContent === arguments[0]).click()";
    page.script(script, vec![tab.into()]).await;
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask screenshots"]
fn screenshots_are_taken() {
    with_page("screenshots", async |page| {
        for (width, height) in SIZES {
            for theme in [Theme::Light, Theme::Dark] {
                page.look(width, height, theme).await;
                for scene in SCENES {
                    scene.prepare(&page).await;
                    let name = format!("{}-{width}x{height}-{theme}.png", scene.name());
                    page.screenshot(&PathBuf::from("target/screenshots").join(&name)).await;
                    println!("{name}");
                }
            }
        }
    });
}
