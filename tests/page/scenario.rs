//! What a person does on the page.

use highwater::kafka::client::partitioner::partition_for_key;

use crate::browser::{Page, with_page};

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_page_opens_without_a_complaint_and_asks_no_other_host() {
    with_page("the page opens", async |page| {
        page.open("").await;
        page.find("heading", "Highwater").await;
        assert_eq!(page.title().await, "Highwater");

        let own = page.url().await;
        let foreign: Vec<_> = page.requests().await.into_iter().filter(|address| !address.starts_with(&own)).collect();
        assert_eq!(foreign, Vec::<String>::new(), "requests outside {own}");
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn after_the_first_load_the_page_opens_without_a_network() {
    with_page("the page opens offline", async |page| {
        page.open("").await;
        page.find("heading", "Highwater").await;
        page.script_that_waits("await navigator.serviceWorker.ready").await;

        page.offline(true).await;
        page.open("?embed=1").await;
        page.find("heading", "Highwater").await;
    });
}

/// What the table `Partition state` says of a partition, column by column.
struct State {
    leader: String,
    leader_epoch: i32,
    isr: Vec<String>,
    high_watermark: i64,
    log_end: i64,
}

async fn state(page: &Page, partition: &str) -> Option<State> {
    let script = "
        const table = [...document.querySelectorAll('table')].find((t) => t.getAttribute('aria-label') === 'Partition state');
        const row = [...(table?.querySelectorAll('tbody tr') ?? [])].find((r) => r.cells[0].textContent === arguments[0]);
        return row ? [...row.cells].map((cell) => cell.textContent) : [];
    ";
    let cells = page.script(script, vec![partition.into()]).await;
    let cells: Vec<String> =
        cells.as_array()?.iter().map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect();
    let [_, leader, leader_epoch, isr, _, _, high_watermark, log_end] = cells.as_slice() else { return None };
    Some(State {
        leader: leader.clone(),
        leader_epoch: leader_epoch.parse().ok()?,
        isr: isr.split(',').map(str::to_owned).collect(),
        high_watermark: high_watermark.parse().ok()?,
        log_end: log_end.parse().ok()?,
    })
}

/// How many replicas of the partition show a record with this in its words.
async fn replicas_with(page: &Page, partition: &str, words: &str) -> u64 {
    let script = "
        const row = [...document.querySelectorAll('[role=row]')].find((r) => r.getAttribute('aria-label') === arguments[0]);
        const cells = [...(row?.querySelectorAll('[role=gridcell]') ?? [])];
        return cells.filter((cell) => [...cell.querySelectorAll('[title]')].some((r) => r.title.includes(arguments[1]))).length;
    ";
    page.script(script, vec![partition.into(), words.into()]).await.as_u64().unwrap_or(0)
}

/// Moves a range slider as dragging it to its end would, and lets go.
async fn move_slider(page: &Page, name: &str, value: &str) {
    page.find("slider", name).await;
    let script = "
        const slider = [...document.querySelectorAll('input[type=range]')].find((s) => s.getAttribute('aria-label') === arguments[0]);
        slider.value = arguments[1];
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        slider.dispatchEvent(new Event('change', { bubbles: true }));
    ";
    page.script(script, vec![name.into(), value.into()]).await;
}

async fn time(page: &Page) -> f64 {
    page.find("slider", "Time").await;
    let script = "return Number(document.querySelector('input[aria-label=Time]').value)";
    page.script(script, vec![]).await.as_f64().unwrap_or(0.0)
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_record_outlives_its_leader_and_time_goes_back() {
    with_page("a record outlives its leader", main_path);
}

/// The main path through the page, in whichever browser.
pub async fn main_path(page: Page) {
    page.open("").await;
    let partition = format!("orders-{}", partition_for_key(b"alice", 3));
    page.wait_until("the table knows the partition", async || state(&page, &partition).await.is_some()).await;

    // A record typed by a person reaches the leader and both followers.
    page.find("textbox", "Key").await.fill("alice").await;
    page.find("textbox", "Value").await.fill("created").await;
    let app = page.find("region", "Producer app").await;
    page.find_within(&app, "button", "Send").await.click().await;
    page.wait_until("the record stands on three brokers", async || {
        replicas_with(&page, &partition, "alice = created").await == 3
    })
    .await;
    let before = state(&page, &partition).await.expect("the partition is in the table");
    page.wait_until("the record is committed", async || {
        state(&page, &partition).await.is_some_and(|now| now.high_watermark == now.log_end)
    })
    .await;
    let moment = time(&page).await;

    // Its leader dies: another one leads, in a new epoch, and the ISR is smaller.
    page.find("button", &format!("Kill broker {}", before.leader)).await.click().await;
    page.wait_until("another broker leads", async || {
        let now = state(&page, &partition).await;
        now.is_some_and(|now| {
            now.leader != before.leader && now.leader_epoch == before.leader_epoch + 1 && now.isr.len() == 2
        })
    })
    .await;

    // It returns and is in sync again.
    page.find("button", &format!("Start broker {}", before.leader)).await.click().await;
    page.wait_until("the ISR is whole again", async || {
        state(&page, &partition).await.is_some_and(|now| now.isr.len() == 3)
    })
    .await;

    // Dragged back to the beginning, the consumer gets the record again.
    let sliders = page.all("slider").await;
    let position = sliders.iter().find(|slider| slider.name.ends_with(&format!(" in {partition}")));
    let position = position.expect("some consumer reads the partition").name.clone();
    // Not before it has read everything: what is read for the first time would soon push the repeated from view.
    page.wait_until("the consumer has caught up", async || {
        let script = "
            const slider = [...document.querySelectorAll('input[type=range]')].find((s) => s.getAttribute('aria-label') === arguments[0]);
            return Number(slider?.max) > 0 && slider.value === slider.max;";
        page.script(script, vec![position.as_str().into()]).await == true
    })
    .await;
    move_slider(&page, &position, "0").await;
    page.wait_until("the record is delivered again", async || {
        let script = "return [...document.querySelectorAll('[aria-label=\"Recent deliveries\"] [aria-label]')]
                .some((r) => r.getAttribute('aria-label').includes('again'))";
        page.script(script, vec![]).await.as_bool().unwrap_or(false)
    })
    .await;

    // Time goes back to before the kill: the old leader leads.
    move_slider(&page, "Time", &moment.to_string()).await;
    page.wait_until("the old leader leads", async || {
        let now = state(&page, &partition).await;
        now.is_some_and(|now| now.leader == before.leader && now.leader_epoch == before.leader_epoch)
    })
    .await;
    assert_eq!(page.complaints().await, Vec::<String>::new());
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_broken_link_says_so_and_opens_the_default_cluster() {
    with_page("a broken link", async |page| {
        page.open("#s=1.nonsense<script>alert(1)</script>").await;
        page.find("alert", "").await;
        page.wait_until("the default cluster is there", async || state(&page, "orders-0").await.is_some()).await;
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_console_answers_a_wrong_line_with_the_nearest_word() {
    with_page("the console", async |page| {
        page.open("").await;
        page.wait_until("the cluster is there", async || state(&page, "orders-0").await.is_some()).await;
        page.find("tab", "Console").await.click().await;
        let input = page.find("textbox", "Console input").await;
        input.fill("kil broker 1").await;
        page.press("\u{e007}").await;
        page.wait_for_text("did you mean").await;
    });
}
