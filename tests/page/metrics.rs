//! The metrics: charts and their table follow the time, a chart leads to an instant.

use crate::browser::{Page, Theme, with_page};

async fn show(page: &Page, tab: &str) {
    page.find("tab", tab).await.click().await;
}

/// What a chart says at the shown or pointed instant: the number beside its name.
async fn reading(page: &Page, name: &str) -> String {
    let script = "
        const card = [...document.querySelectorAll('.metric')].find((card) => card.querySelector('.name').textContent === arguments[0]);
        return card?.querySelector('.says b').textContent ?? 'no chart';";
    page.script(script, vec![name.into()]).await.as_str().unwrap_or_default().to_owned()
}

async fn reads(page: &Page, name: &str, value: &str) {
    page.wait_until(&format!("{name} reads {value}"), async || reading(page, name).await == value).await;
}

/// Milliseconds at which the timeline stands.
async fn time(page: &Page) -> i64 {
    page.script("return Number(document.querySelector('[aria-label=Time]').value)", vec![]).await.as_i64().unwrap_or(-1)
}

async fn move_time(page: &Page, millis: i64) {
    let script = "
        const time = document.querySelector('[aria-label=Time]');
        time.value = arguments[0];
        time.dispatchEvent(new InputEvent('input', { bubbles: true }));";
    page.script(script, vec![millis.into()]).await;
}

/// Moves the pointer over the first chart to a share (in hundredths) of its axis of time, or clicks there.
async fn point(page: &Page, event: &str, hundredths: i64) {
    let script = "
        const hands = document.querySelector('.over').getBoundingClientRect();
        const at = { bubbles: true, clientX: hands.left + hands.width * arguments[1] / 100, clientY: hands.top + 5 };
        document.querySelector('.plot').dispatchEvent(arguments[0] === 'click' ? new MouseEvent('click', at) : new PointerEvent(arguments[0], at));";
    page.script(script, vec![event.into(), hundredths.into()]).await;
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_failover_is_seen_in_the_metrics_and_looked_back_at() {
    with_page("metrics", async |page| {
        page.open("").await;
        page.find("grid", "Partitions").await;
        show(&page, "Metrics").await;
        page.find("region", "Metrics").await;
        reads(&page, "UnderReplicatedPartitions", "0").await;
        reads(&page, "ActiveControllerCount", "1").await;
        page.find("image", "ActiveControllerCount over time: now 1 controllers, the same all the time").await;

        // What has been lived lies open, what has not is covered; the hand stands between.
        let places = page
            .script(
                "return ['.over', '.over .hand', '.over .unlived'].map((part) => document.querySelector(part).getBoundingClientRect().left);",
                vec![],
            )
            .await;
        let place = |index: usize| places[index].as_f64().expect("the script returns numbers");
        assert!(place(1) > place(0) + 20.0 && place(2) >= place(1) - 1.0, "{places}");

        let killed_at = time(&page).await;
        page.find("button", "Kill broker 1").await.click().await;
        reads(&page, "UnderReplicatedPartitions", "53").await;
        reads(&page, "FencedBrokerCount", "1").await;
        page.find("button", "Pause").await.click().await;
        page.find("button", "Play").await;

        // The hand of the timeline is the hand of the charts.
        move_time(&page, killed_at - 200).await;
        reads(&page, "UnderReplicatedPartitions", "0").await;
        reads(&page, "ActiveBrokerCount", "3").await;
        page.find("button", "Jump to now").await.click().await;
        reads(&page, "UnderReplicatedPartitions", "53").await;

        // Pointing reads every chart at that instant; time stands where it stood.
        let now = time(&page).await;
        point(&page, "pointermove", 10).await;
        reads(&page, "UnderReplicatedPartitions", "0").await;
        reads(&page, "FencedBrokerCount", "0").await;
        point(&page, "pointerout", 10).await;
        assert_eq!(time(&page).await, now);

        // A click goes there.
        point(&page, "click", 20).await;
        page.wait_for_text("You look at the past.").await;
        assert!((1_000..now).contains(&time(&page).await));
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_metrics_are_read_by_keys_and_as_a_table() {
    with_page("metrics by keys", async |page| {
        page.open("").await;
        page.find("grid", "Partitions").await;
        page.find("button", "Pause").await.click().await;
        page.find("button", "Play").await;
        show(&page, "Metrics").await;
        let slider = page.find("slider", "Read the charts at").await;
        // Home and one step on.
        slider.press("\u{e011}").await;
        slider.press("\u{e014}").await;
        reads(&page, "MessagesInPerSec", "0.0").await;
        let before = time(&page).await;
        page.find("button", "Go there").await.click().await;
        page.wait_for_text("You look at the past.").await;
        assert!(time(&page).await < before);

        page.find("button", "Jump to now").await.click().await;
        page.find("button", "Table").await.click().await;
        let table = page.find("table", "Metrics").await;
        for metric in ["UnderReplicatedPartitions", "LeaderCount", "RequestsPerSec FetchFollower", "records-lag-max"] {
            page.find_within(&table, "rowheader", metric).await;
        }
        let said = table.text().await;
        for says in ["broker 1 18 ·", "kafka.server:type=ReplicaManager,name=LeaderCount"] {
            assert!(said.contains(says), "the table does not say {says:?}: {said}");
        }
        // Only one part of it, and then nothing is kept drawn behind another panel.
        page.find("button", "Controller").await.click().await;
        page.wait_until("only the controller's metrics are left", async || {
            page.all_within(&page.find("table", "Metrics").await, "rowheader").await.len() < 10
        })
        .await;
        show(&page, "Events").await;
        page.wait_until_gone("table", "Metrics").await;
        assert_eq!(page.script("return document.querySelectorAll('.metrics').length", vec![]).await, 0);
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

/// What nobody sees is not drawn: a chart is, as soon as it comes into view.
#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn only_charts_in_view_are_drawn() {
    with_page("charts in view", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.open("").await;
        page.find("tab", "Metrics").await.click().await;
        let drawn = async || {
            let script = "
                const plots = [...document.querySelectorAll('.plot')];
                return [plots.filter((plot) => plot.querySelector('svg')).length, plots.length];";
            let counts = page.script(script, vec![]).await;
            (counts[0].as_u64().unwrap_or_default(), counts[1].as_u64().unwrap_or_default())
        };
        page.wait_until("those in view are drawn", async || drawn().await.0 >= 6).await;
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        let (some, all) = drawn().await;
        assert!(some < all, "{some} of {all} are drawn");
        page.find("button", "Pause").await.click().await;
        page.script("document.querySelector('.panel.of-metrics').scrollTop = 1e6", vec![]).await;
        let last = "return !!document.querySelector('.charts li:last-child .plot svg')";
        page.wait_until("the last one is drawn", async || page.script(last, vec![]).await == true).await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}
