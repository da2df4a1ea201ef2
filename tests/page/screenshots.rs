//! Pictures of the page in every size and theme that is promised.

use std::path::PathBuf;
use std::time::Duration;

use crate::browser::{Page, Theme, with_page};

/// What is shown, by the name of its picture.
#[derive(Clone, Copy, Debug)]
enum Scene {
    Opening,
    MidFailover,
    FailoverDone,
    Past,
    Record,
    Help,
    Comparison,
    Lessons,
    Question,
    Goal,
    Presenter,
    Contrast,
}

const SCENES: [Scene; 12] = [
    Scene::Opening,
    Scene::MidFailover,
    Scene::FailoverDone,
    Scene::Past,
    Scene::Record,
    Scene::Help,
    Scene::Comparison,
    Scene::Lessons,
    Scene::Question,
    Scene::Goal,
    Scene::Presenter,
    Scene::Contrast,
];

const SIZES: [(u32, u32); 4] = [(1440, 900), (1366, 680), (820, 1100), (360, 800)];

impl Scene {
    fn name(self) -> &'static str {
        match self {
            Scene::Opening => "opening",
            Scene::MidFailover => "mid-failover",
            Scene::FailoverDone => "failover-done",
            Scene::Past => "past",
            Scene::Record => "record",
            Scene::Help => "help",
            Scene::Comparison => "comparison",
            Scene::Lessons => "lessons",
            Scene::Question => "question",
            Scene::Goal => "goal",
            Scene::Presenter => "presenter",
            Scene::Contrast => "contrast",
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
            Scene::Past => {
                let script = "
                    const time = document.querySelector('[aria-label=Time]');
                    time.value = Number(time.max) * 0.6;
                    time.dispatchEvent(new InputEvent('input', { bubbles: true }));";
                page.script(script, vec![]).await;
                page.script(
                    "[...document.querySelectorAll('[role=tab]')].find((tab) => tab.textContent === 'Events').click()",
                    vec![],
                )
                .await;
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
        }
    }
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
