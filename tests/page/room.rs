//! Long names and many readers have room, and what is shown stays when others come before it.

use serde_json::{Value, json};

use crate::browser::{Page, Theme, with_page};
use crate::scale::shared;

/// Seven partitions, up to three readers each, names as teams really have them.
const LONG_NAMES: &str = "cluster brokers=3 controllers=3 seed=7
topic orders partitions=3 replication-factor=3
topic customer-lifecycle-events-v2 partitions=4 replication-factor=3
producer checkout-service-eu-west-1 acks=all
consumer c1 group=billing topics=orders,customer-lifecycle-events-v2
consumer analytics-reader-01 group=analytics-of-the-whole-company topics=customer-lifecycle-events-v2
share-consumer s1 group=jobs topics=orders
stream sp1 subscribe=orders startingOffsets=earliest
load checkout-service-eu-west-1 orders rate=2/s keys=6 size=12 for=1h
wait 8s
";

/// What reaches below its cell, and what cannot be slid along because there is no room for it.
const WITHOUT_ROOM: &str = "
    const cut = [...document.querySelectorAll('.cell.leader')].flatMap((cell) => {
        const edge = cell.getBoundingClientRect();
        const below = [...cell.querySelectorAll('.position-at')].filter((hand) => hand.getBoundingClientRect().bottom > edge.bottom + 1);
        return below.map((hand) => `${cell.dataset.cell}: ${hand.textContent}`);
    });
    const tight = [...document.querySelectorAll('.reading input, .reading .bar')].filter((bar) => bar.getBoundingClientRect().width < 80);
    const wide = [...document.querySelectorAll('.card .title, .reading')].filter((part) => part.scrollWidth > part.clientWidth + 1);
    return cut.concat([...tight, ...wide].map((part) => part.closest('.card').getAttribute('aria-label')));";

async fn readers(page: &Page) -> Value {
    page.script("return document.querySelectorAll('.cell.leader .position-at').length", vec![]).await
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn long_names_and_many_readers_have_room() {
    with_page("long names", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.open(&shared(LONG_NAMES)).await;
        page.wait_until("all read", async || readers(&page).await == json!(17)).await;
        for (width, height) in [(1920, 1080), (1440, 900), (1280, 720), (820, 1100), (360, 800)] {
            page.look(width, height, Theme::Light).await;
            page.wait_until(&format!("everything has room at {width}×{height}"), async || {
                page.script(WITHOUT_ROOM, vec![]).await == json!([])
            })
            .await;
        }
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_topic_that_comes_before_another_does_not_take_its_place() {
    with_page("a topic that comes before another", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.open("").await;
        let app = page.find("region", "Producer app").await;
        assert_eq!(page.find_within(&app, "combobox", "Topic").await.value, "orders");
        page.find("textbox", "Console input").await.fill("topic audit partitions=2 replication-factor=3").await;
        page.press("\u{e007}").await;
        page.find("row", "audit-0").await;
        assert_eq!(page.find_within(&app, "combobox", "Topic").await.value, "orders", "nobody chose another");
        page.wait_for_text("leaders of orders-0").await;
        assert!(!page.text().await.contains("leaders of audit-0"));
    });
}
