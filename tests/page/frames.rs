//! How long the page computes for each frame.

use crate::browser::{Page, Theme, with_page};
use crate::scale::{LARGE, shared};

/// Notes how long the scripts of each frame take: what is done in its callbacks and in the tasks
/// that these leave to be done right after.
const WATCH: &str = "
    const asked = window.requestAnimationFrame.bind(window);
    window.__frames = new Map();
    window.requestAnimationFrame = (callback) => asked((frame) => {
        const from = performance.now();
        const note = (hops) => queueMicrotask(() => {
            if (hops > 0) return note(hops - 1);
            window.__frames.set(frame, (window.__frames.get(frame) ?? 0) + performance.now() - from);
        });
        try { callback(frame) } finally { note(4) }
    });
";

#[test]
#[ignore = "needs the page and a browser: cargo xtask bench"]
fn the_scripting_of_each_frame_is_timed() {
    with_page("frames", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.before_loading(WATCH).await;
        page.open("").await;
        page.find("grid", "Partitions").await;
        measure(&page, "the default cluster").await;
        show(&page, "Metrics").await;
        measure(&page, "the default cluster's metrics").await;
        show(&page, "Guarantees").await;
        page.find("textbox", "Console input").await.fill("load app orders rate=200/s keys=50 size=100 for=1h").await;
        page.press("\u{e007}").await;
        measure(&page, "200 records a second").await;
        page.find("button", "Kill broker 1").await.click().await;
        measure(&page, "a failover under that load").await;
        show(&page, "Metrics").await;
        measure(&page, "its metrics").await;
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask bench"]
fn the_scripting_of_each_frame_of_a_large_cluster_is_timed() {
    with_page("frames of a large cluster", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.before_loading(WATCH).await;
        page.open(&shared(LARGE)).await;
        page.find("grid", "Partitions").await;
        for level in ["tiles", "bars", "records"] {
            measure(&page, &format!("30 brokers × 1,000 partitions, 200 records a second, {level}")).await;
            page.press("+").await;
        }
        page.press("0").await;
        page.find("button", "Kill broker 7").await.click().await;
        measure(&page, "30 brokers × 1,000 partitions, a failover under that load").await;
    });
}

/// Brings a panel of the dock to the front.
async fn show(page: &Page, tab: &str) {
    page.find("tab", tab).await.click().await;
}

async fn measure(page: &Page, what: &str) {
    let times = page
        .script_that_waits(
            "window.__frames.clear();
            await new Promise((over) => setTimeout(over, 5000));
            return [...window.__frames.values()].sort((a, b) => a - b);",
        )
        .await;
    let times: Vec<f64> =
        times.as_array().expect("the script returns a list").iter().filter_map(|time| time.as_f64()).collect();
    assert!(!times.is_empty(), "the page draws no frames");
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what}: {} frames in 5 s; scripting a frame: median {:.2} ms, p95 {:.2} ms, longest {:.2} ms",
        times.len(),
        at(50),
        at(95),
        at(100)
    );
}
