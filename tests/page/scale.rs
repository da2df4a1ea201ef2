//! Many brokers and partitions: the drawing changes with the scale, and what is read stays.

use std::time::Duration;

use crate::browser::{Page, Theme, with_page};

/// Thirty brokers, a thousand partitions, some load.
pub const LARGE: &str = "cluster brokers=30 controllers=3 seed=7
topic orders partitions=1000 replication-factor=3
producer app
consumer c1 group=billing topics=orders
load app orders rate=200/s keys=500 size=100 for=1h
wait 4s
";

/// The address of a page that shows a script.
pub fn shared(script: &str) -> String {
    highwater::scenario::link::encode(script).expect("the script is short")
}

async fn level(page: &Page) -> String {
    let level = page.script("return document.querySelector('.stage').dataset.level", vec![]).await;
    level.as_str().unwrap_or_default().to_owned()
}

async fn rows_in_page(page: &Page) -> u64 {
    let count = page.script("return document.querySelectorAll('.partition-row').length", vec![]).await;
    count.as_u64().unwrap_or_default()
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_thousand_partitions_are_tiles_and_zoom_leads_back_to_records() {
    with_page("a thousand partitions", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.open(&shared(LARGE)).await;
        page.find("grid", "Partitions").await;
        assert_eq!(level(&page).await, "tiles");
        page.find("columnheader", "Broker 30").await;
        page.find("button", "Kill broker 7").await;
        page.wait_for_text("1000 partitions").await;
        let count =
            page.script("return document.querySelector('[role=grid]').getAttribute('aria-rowcount')", vec![]).await;
        assert_eq!(count, "1001");
        assert!(rows_in_page(&page).await < 60, "only what is near is in the page");
        let row = page.find("row", "orders-0").await;
        let cells = page.all_within(&row, "gridcell").await;
        assert_eq!(cells.len(), 30);
        assert_eq!(cells.iter().filter(|cell| cell.description.contains("log end")).count(), 3);

        // Pointing at a tile tells of it, clicking zooms in to its partition: one that has records.
        let point = "
            const canvas = document.querySelector('.tiles canvas');
            const edge = canvas.getBoundingClientRect();
            const tip = document.getElementById('flight-tip');
            for (let y = 3; y < edge.height; y += 3) {
                for (let x = 3; x < 40; x += 3) {
                    const at = { bubbles: true, clientX: edge.left + x, clientY: edge.top + y };
                    canvas.dispatchEvent(new PointerEvent('pointermove', at));
                    if (tip.hidden || !/ on broker 1:.*, end [1-9]/.test(tip.textContent)) continue;
                    const told = tip.textContent;
                    canvas.dispatchEvent(new MouseEvent('click', at));
                    return told;
                }
            }
            return tip.textContent;";
        let tip = page.script(point, vec![]).await.as_str().unwrap_or_default().to_owned();
        let name = tip.split(' ').next().unwrap_or_default().to_owned();
        assert!(name.starts_with("orders-") && tip.contains("on broker 1") && tip.contains("ISR"), "{tip:?}");
        page.wait_until("the partition's records are drawn", async || {
            let script =
                "return document.querySelectorAll(`[data-cell^='${arguments[0]}@'] :is(.rec, .painted)`).length > 0";
            level(&page).await == "records" && page.script(script, vec![name.clone().into()]).await == true
        })
        .await;
        let seen = "
            const grid = document.querySelector('.grid').getBoundingClientRect();
            const cell = document.querySelector(`.cell.leader[data-cell^='${arguments[0]}@']`).getBoundingClientRect();
            return cell.left >= grid.left && cell.right <= grid.right + 1 && cell.top >= grid.top && cell.bottom <= grid.bottom + 1;";
        page.wait_until("it is in view", async || page.script(seen, vec![name.clone().into()]).await == true).await;

        page.find("button", "Zoom out").await.click().await;
        assert_eq!(level(&page).await, "bars");
        page.script("document.querySelector('.grid').scrollTop = 1e9", vec![]).await;
        page.find("row", "orders-999").await;
        assert!(rows_in_page(&page).await < 80);
        page.press("-").await;
        assert_eq!(level(&page).await, "tiles");
        page.press("+").await;
        page.press("+").await;
        assert_eq!(level(&page).await, "records");
        page.press("0").await;
        assert_eq!(level(&page).await, "tiles");

        // Where all stands in one column, the rows scroll in a place of their own.
        page.look(820, 1100, Theme::Light).await;
        page.press("+").await;
        assert_eq!(level(&page).await, "bars");
        assert!(rows_in_page(&page).await < 80, "only what is near is in the page");
        page.press("-").await;
        page.look(1440, 900, Theme::Light).await;

        // The keyboard reads on where the page had no rows yet.
        page.script("document.querySelector('.unseen [data-cell]').focus()", vec![]).await;
        for _ in 0..40 {
            page.press("\u{e015}").await;
        }
        page.wait_until("the focus has come forty rows on", async || {
            let script = "return document.activeElement.closest('[role=row]')?.ariaLabel ?? ''";
            let name = page.script(script, vec![]).await;
            let number = name.as_str().and_then(|name| name.strip_prefix("orders-")?.parse::<u32>().ok());
            number.is_some_and(|number| number >= 38)
        })
        .await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_table_of_a_thousand_partitions_scrolls_and_finds() {
    with_page("a long table", async |page| {
        page.open(&shared(LARGE)).await;
        page.find("tab", "Partition state").await.click().await;
        let rows = async || {
            let script = "return document.querySelectorAll('.partition-state tbody tr:not([aria-hidden])').length";
            page.script(script, vec![]).await.as_u64().unwrap_or_default()
        };
        page.find("table", "Partition state").await;
        assert!((10..100).contains(&rows().await), "{} rows", rows().await);
        let total = page
            .script("return document.querySelector('.partition-state').getAttribute('aria-rowcount')", vec![])
            .await;
        assert_eq!(total, "1001");
        page.script("document.querySelector('.of-partition-state .scroller').scrollTop = 1e9", vec![]).await;
        page.wait_until("its end is there", async || {
            page.find("table", "Partition state").await.text().await.contains("orders-999")
        })
        .await;
        page.find("textbox", "Find a partition").await.fill("orders-417").await;
        page.wait_until("one is left", async || rows().await == 1).await;
        assert!(page.find("table", "Partition state").await.text().await.contains("orders-417"));
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_dead_broker_is_seen_among_thirty() {
    with_page("a dead broker among thirty", async |page| {
        page.open(&shared(LARGE)).await;
        page.find("button", "Kill broker 7").await.click().await;
        page.find("button", "Start broker 7").await;
        page.wait_for_text("Broker 7 is").await;
        page.wait_until("its partitions are under-replicated", async || {
            let script = "return document.querySelector('.summary .bad')?.textContent ?? ''";
            page.script(script, vec![]).await.as_str().unwrap_or_default().contains("under-replicated")
        })
        .await;
        page.find("button", "Start broker 7").await.click().await;
        page.find("button", "Kill broker 7").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

/// The offsets of the records that are in view in the leader's log of a partition, first and last.
async fn in_view(page: &Page, partition: &str) -> (i64, i64) {
    let script = "
        const strip = document.querySelector(`.cell.leader[data-cell^='${arguments[0]}@'] .strip`);
        const edge = strip.getBoundingClientRect();
        const offsets = [...strip.querySelectorAll('.rec[data-offset]')]
            .filter((rec) => { const r = rec.getBoundingClientRect(); return r.left >= edge.left - 1 && r.right <= edge.right + 1; })
            .map((rec) => Number(rec.dataset.offset));
        return [Math.min(...offsets), Math.max(...offsets)];";
    let ends = page.script(script, vec![partition.into()]).await;
    (ends[0].as_i64().unwrap_or(-1), ends[1].as_i64().unwrap_or(-1))
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn older_records_scroll_into_view_and_the_newest_come_back() {
    with_page("older records", async |page| {
        let script = "cluster brokers=3 controllers=3 seed=7\ntopic orders partitions=1 replication-factor=3\nproducer app\n\
            load app orders rate=50/s keys=6 size=12 for=3s\nwait 4s\n";
        page.look(1440, 900, Theme::Light).await;
        page.open(&shared(script)).await;
        page.find("button", "Pause").await.click().await;
        page.wait_until("the newest are in view", async || in_view(&page, "orders-0").await.1 == 149).await;
        for _ in 0..3 {
            page.find("button", "Older records of orders-0").await.click().await;
        }
        page.wait_until("older ones are", async || in_view(&page, "orders-0").await.1 == 131).await;
        page.find("button", "Newer records of orders-0").await.click().await;
        page.wait_until("newer ones are", async || in_view(&page, "orders-0").await.1 == 137).await;

        // By the keyboard, along the log; Home is its beginning, far beyond what was there at first.
        page.script("document.querySelector('[data-cell=\"orders-0@1\"]').focus()", vec![]).await;
        page.press("\u{e011}").await;
        page.wait_until("the first is", async || in_view(&page, "orders-0").await.0 == 0).await;
        page.press("\u{e010}").await;
        page.wait_until("the newest are again", async || in_view(&page, "orders-0").await.1 == 149).await;

        // By dragging the strip to the right, and by the wheel.
        let drag = "
            const strip = document.querySelector('.cell.leader .strip');
            const edge = strip.getBoundingClientRect();
            const at = (x) => ({ bubbles: true, button: 0, pointerId: 1, clientX: edge.left + x, clientY: edge.top + 60 });
            strip.dispatchEvent(new PointerEvent('pointerdown', at(40)));
            strip.dispatchEvent(new PointerEvent('pointermove', at(40 + 27 * 4)));
            strip.dispatchEvent(new PointerEvent('pointerup', at(40 + 27 * 4)));";
        page.script(drag, vec![]).await;
        page.wait_until("four back", async || in_view(&page, "orders-0").await.1 == 145).await;
        let wheel = "document.querySelector('.cell.leader .strip').dispatchEvent(new WheelEvent('wheel', { bubbles: true, deltaX: -90 }))";
        page.script(wheel, vec![]).await;
        page.wait_until("three more", async || in_view(&page, "orders-0").await.1 == 142).await;
        page.find("button", "Newest records of orders-0").await.click().await;
        page.wait_until("the newest are back", async || in_view(&page, "orders-0").await.1 == 149).await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn tiles_follow_the_theme_while_time_stands_still() {
    with_page("tiles and the theme", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.open(&shared(LARGE)).await;
        page.wait_for_text("1000 partitions").await;
        page.find("button", "Pause").await.click().await;
        page.find("button", "Play").await;
        let picture = async || {
            let paint = page.script("return document.querySelector('.tiles canvas').toDataURL()", vec![]).await;
            paint.as_str().unwrap_or_default().to_owned()
        };
        tokio::time::sleep(Duration::from_millis(400)).await;
        let light = picture().await;
        assert_eq!(picture().await, light, "time stands still");
        page.look(1440, 900, Theme::Dark).await;
        page.wait_until("the tiles are those of the dark", async || picture().await != light).await;
        let dark = picture().await;
        page.find("button", "Theme").await.click().await;
        page.wait_until("the tiles are those of another look", async || picture().await != dark).await;
        let before = picture().await;
        page.look(1200, 700, Theme::Dark).await;
        let fits = "
            const canvas = document.querySelector('.tiles canvas');
            return Math.abs(canvas.width - canvas.clientWidth * devicePixelRatio) < 2;";
        page.wait_until("the tiles are painted anew", async || picture().await != before).await;
        page.wait_until("the tiles fit a smaller page", async || page.script(fits, vec![]).await == true).await;
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_records_of_a_stream_are_painted_and_are_elements_again_when_time_stands() {
    with_page("a stream", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.open("").await;
        let field = page.find("textbox", "Console input").await;
        field.fill("load app orders rate=200/s keys=50 size=100 for=1h").await;
        page.press("\u{e007}").await;
        let painted = "
            const strips = [...document.querySelectorAll('.cell .painted')];
            // A copy is read, made for being read: the page's own canvases stay as they are, and no warning comes.
            const copy = document.createElement('canvas');
            const pen = copy.getContext('2d', { willReadFrequently: true });
            const ink = (strip) => {
                [copy.width, copy.height] = [strip.width, strip.height];
                pen.drawImage(strip, 0, 0);
                return pen.getImageData(0, 0, strip.width, strip.height).data;
            };
            return strips.length === 9 && strips.every((strip) => ink(strip).some((part) => part > 0));";
        page.wait_until("all nine logs are painted", async || page.script(painted, vec![]).await == true).await;

        // A painted record is pressed like any other.
        let press = "
            const cell = document.querySelector('.cell.leader');
            const strip = cell.querySelector('.strip').getBoundingClientRect();
            const stream = cell.querySelector('.painted');
            const at = { bubbles: true, clientX: strip.left + strip.width / 2, clientY: stream.getBoundingClientRect().top + 9 };
            stream.dispatchEvent(new MouseEvent('click', at));
            return cell.dataset.cell;";
        let heading = "return document.querySelector('.inspection h2')?.textContent ?? ''";
        let heading = async || page.script(heading, vec![]).await.as_str().unwrap_or_default().to_owned();
        // The logs are short at first: what is pressed may still be beside the records.
        page.wait_until("the record is inspected", async || {
            let cell = page.script(press, vec![]).await.as_str().unwrap_or_default().to_owned();
            tokio::time::sleep(Duration::from_millis(200)).await;
            let heading = heading().await;
            heading.starts_with("Record ") && heading.ends_with(&format!(" of {}", cell.replace('@', " on broker ")))
        })
        .await;

        page.find("button", "Pause").await.click().await;
        let elements = "return [document.querySelectorAll('.cell .painted').length, document.querySelectorAll('.cell .rec[title]').length > 40]";
        page.wait_until("each record is an element", async || {
            page.script(elements, vec![]).await == serde_json::json!([0, true])
        })
        .await;

        // Meanwhile the page looks otherwise: what streams again looks so, too.
        page.find("button", "Theme").await.click().await;
        page.find("button", "Play").await.click().await;
        page.wait_until("all nine logs are painted", async || page.script(painted, vec![]).await == true).await;
        let same = "
            const strip = document.querySelector('.cell.leader .painted');
            const before = strip.toDataURL();
            window.dispatchEvent(new Event('highwater-looks-changed'));
            return before === strip.toDataURL();";
        assert_eq!(page.script(same, vec![]).await, true, "what is painted anew looks the same");
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}
