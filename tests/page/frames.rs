//! How evenly the page draws.

use crate::browser::{Theme, with_page};

/// Collects the time between frames for some seconds, in milliseconds, smallest first.
const MEASURE: &str = "
    const times = [];
    const until = performance.now() + 5000;
    let last = await new Promise(requestAnimationFrame);
    while (last < until) {
        const now = await new Promise(requestAnimationFrame);
        times.push(now - last);
        last = now;
    }
    return times.sort((a, b) => a - b);
";

#[test]
#[ignore = "needs the page and a browser: cargo xtask bench"]
fn frames_are_timed() {
    with_page("frames", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.open("").await;
        page.wait_for_text("Highwater").await;
        let times = page.script_that_waits(MEASURE).await;
        let times: Vec<f64> =
            times.as_array().expect("the script returns a list").iter().filter_map(|time| time.as_f64()).collect();
        assert!(!times.is_empty(), "the page draws no frames");
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        println!(
            "{} frames in 5 s; between two frames: median {:.1} ms, 95 of 100 within {:.1} ms, longest {:.1} ms",
            times.len(),
            at(50),
            at(95),
            at(100)
        );
    });
}
