//! That nobody is shut out: axe-core finds nothing to complain of, in any view, theme and width.

use std::env;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::browser::{Page, Theme, with_page};
use crate::scale::{LARGE, shared};

/// The text of axe-core, a script for the page.
pub fn axe() -> String {
    let axe = env::var("HIGHWATER_AXE").expect("HIGHWATER_AXE is set by `cargo xtask test page`");
    fs::read_to_string(axe).expect("axe-core can be read")
}

/// Has axe-core look at the page as it is now.
pub async fn check(page: &Page, what: &str) {
    // What fades in is looked at when it is there.
    let script = "
        document.getAnimations().filter((a) => a.effect.getTiming().iterations !== Infinity).forEach((a) => a.finish());
        const found = await axe.run(document, { resultTypes: ['violations'] });
        return found.violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.target.join(' ')).slice(0, 4).join('; ')}`);";
    let found = page.script_that_waits(script).await;
    assert_eq!(found, Value::Array(Vec::new()), "{what}");
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn nothing_shuts_anybody_out() {
    with_page("access", async |page| {
        let axe = axe();
        for (width, height) in [(1440, 900), (820, 1100), (360, 800)] {
            for theme in [Theme::Light, Theme::Dark] {
                page.look(width, height, theme).await;
                page.open("").await;
                page.find("grid", "Partitions").await;
                page.script(&axe, vec![]).await;
                let what = |view: &str| format!("{view} at {width}×{height}, {theme}");
                check(&page, &what("the opening")).await;
                page.script("document.querySelector('[aria-label=\"Kill broker 1\"]').click()", vec![]).await;
                page.wait_for_text("Broker 1 is out.").await;
                page.script("document.querySelector('.play').click()", vec![]).await;
                check(&page, &what("a failover")).await;
                for tab in
                    ["Events", "Inspector", "Metrics", "Packets", "Console", "Branches", "Partition state", "Lesson"]
                {
                    let show = "
                        const tabs = [...document.querySelectorAll('[role=tab]')];
                        tabs.find((tab) => tab.textContent === arguments[0]).click();
                        if (arguments[0] === 'Inspector') document.querySelector('.row-head .title').click();";
                    page.script(show, vec![tab.into()]).await;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    check(&page, &what(tab)).await;
                }
                for dialog in ["Add a topic", "Embed", "Lessons", "Help"] {
                    let open = "document.querySelector(`[aria-label='${arguments[0]}']`).click()";
                    page.script(open, vec![dialog.into()]).await;
                    page.find("dialog", dialog).await;
                    check(&page, &what(dialog)).await;
                    page.script("document.querySelector('dialog').close()", vec![]).await;
                    page.wait_until_gone("dialog", dialog).await;
                }
            }
        }
    });
}

/// The dialogs by which things are changed: the button that opens each, and its name.
const CHANGES: [(&str, &str); 10] = [
    ("New cluster", "New cluster"),
    ("Manage topic orders", "Topic orders"),
    ("Manage broker 1", "Broker 1"),
    ("Manage controllers", "Controllers"),
    ("Manage producer app", "Producer app"),
    ("Manage consumer c1", "Consumer c1"),
    ("Manage group billing", "Group billing"),
    ("Add a consumer", "Add a consumer"),
    ("Add a stream", "Add a stream"),
    ("Cut the network", "Cut the network"),
];

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn changing_things_and_a_thousand_partitions_shut_nobody_out() {
    with_page("access to changes and to many partitions", async |page| {
        let axe = axe();
        for (width, height) in [(1440, 900), (360, 800)] {
            for theme in [Theme::Light, Theme::Dark] {
                page.look(width, height, theme).await;
                page.open("").await;
                page.find("grid", "Partitions").await;
                page.script(&axe, vec![]).await;
                page.script("document.querySelector('.play').click()", vec![]).await;
                let what = |view: &str| format!("{view} at {width}×{height}, {theme}");
                for (button, dialog) in CHANGES {
                    page.script(
                        "document.querySelector(`[aria-label='${arguments[0]}']`).click()",
                        vec![button.into()],
                    )
                    .await;
                    page.find("dialog", dialog).await;
                    page.script("document.querySelector('dialog summary')?.click()", vec![]).await;
                    check(&page, &what(dialog)).await;
                    page.script("document.querySelector('dialog').close()", vec![]).await;
                    page.wait_until_gone("dialog", dialog).await;
                }
                page.open(&shared(LARGE)).await;
                page.find("grid", "Partitions").await;
                page.script(&axe, vec![]).await;
                page.script("document.querySelector('.play').click()", vec![]).await;
                for level in ["tiles", "bars", "records"] {
                    check(&page, &what(level)).await;
                    page.script("document.querySelector('[aria-label=\"Zoom in\"]').click()", vec![]).await;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
        }
    });
}

/// The lesson, the looks that are chosen, and the colours of the system.
#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn lessons_high_contrast_and_large_type_shut_nobody_out() {
    with_page("access to lessons", async |page| {
        let axe = axe();
        let looks = [
            (1440, "light", "", true),
            (1440, "dark", "more", false),
            (360, "light", "more", false),
            (360, "dark", "", false),
        ];
        for (width, theme, contrast, presenting) in looks {
            page.look(width, 900, Theme::Light).await;
            page.open("icons/highwater.svg").await;
            page.open("#lesson=a-broker-dies&step=2").await;
            page.wait_for_text("Who will lead orders-0?").await;
            page.script(&axe, vec![]).await;
            let look =
                "Object.assign(document.documentElement.dataset, { theme: arguments[0], contrast: arguments[1] })";
            page.script(look, vec![theme.into(), contrast.into()]).await;
            if presenting {
                page.press("b").await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            let what = |view: &str| format!("{view} at {width}, {theme} {contrast}, presenting: {presenting}");
            check(&page, &what("a question")).await;
            page.script("document.querySelectorAll('.parts button')[3].click()", vec![]).await;
            page.wait_for_text("Now you").await;
            check(&page, &what("a goal")).await;
            page.press("l").await;
            page.find("dialog", "Lessons").await;
            check(&page, &what("the list of lessons")).await;
        }
        page.look_forced(1440, 900).await;
        page.open("icons/highwater.svg").await;
        page.open("#lesson=a-broker-dies&step=2").await;
        page.wait_for_text("Who will lead orders-0?").await;
        page.script(&axe, vec![]).await;
        check(&page, "the system’s colours").await;
    });
}
