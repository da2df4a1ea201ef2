//! Things are changed and removed on the stage, and links are cut by hand.

use crate::browser::{Page, Part, Theme, with_page};

const ENTER: &str = "\u{e007}";

/// Presses a button inside a dialog, which closes.
async fn press_in(page: &Page, dialog: &str, button: &str) {
    let dialog_part = page.find("dialog", dialog).await;
    page.find_within(&dialog_part, "button", button).await.click().await;
    page.wait_until_gone("dialog", dialog).await;
}

async fn open(page: &Page, button: &str, dialog: &str) -> Part {
    page.find("button", button).await.click().await;
    page.find("dialog", dialog).await
}

async fn console(page: &Page) -> String {
    let said =
        page.script("return document.querySelector('[aria-label=\"Console output\"]').textContent", vec![]).await;
    said.as_str().unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_topic_is_altered_grows_and_goes() {
    with_page("a topic changes", async |page| {
        page.open("").await;
        let dialog = open(&page, "Manage topic orders", "Topic orders").await;
        let value = page.find_within(&dialog, "textbox", "min.insync.replicas").await.value;
        assert_eq!(value, "2", "what is set is shown");
        page.find_within(&dialog, "textbox", "min.insync.replicas").await.fill("3").await;
        press_in(&page, "Topic orders", "Alter").await;
        page.wait_until("the line is said", async || {
            console(&page).await.contains("alter topic orders min.insync.replicas=3")
        })
        .await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;

        let dialog = open(&page, "Manage topic orders", "Topic orders").await;
        assert_eq!(page.find_within(&dialog, "textbox", "min.insync.replicas").await.value, "3");
        page.find_within(&dialog, "textbox", "partitions").await.fill("5").await;
        press_in(&page, "Topic orders", "Add partitions").await;
        page.find("row", "orders-4").await;

        open(&page, "Manage topic orders", "Topic orders").await;
        press_in(&page, "Topic orders", "Delete topic orders").await;
        // A producer that goes on has Kafka create it anew, as auto.create.topics.enable=true says.
        page.wait_until_gone("row", "orders-4").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn every_setting_has_kafkas_name_its_default_and_a_meaning() {
    with_page("settings", async |page| {
        page.open("").await;
        for (button, names) in [
            ("Add a topic", &["min.insync.replicas", "retention.ms", "max.compaction.lag.ms"][..]),
            ("Add a producer", &["acks", "buffer.memory", "partitioner.ignore.keys"]),
            ("Add a consumer", &["auto.offset.reset", "isolation.level", "client.rack"]),
            ("Add a stream", &["startingOffsets", "failOnDataLoss", "kafka.isolation.level"]),
            ("Manage broker 1", &["log.retention.ms", "leader.replication.throttled.rate", "message.max.bytes"]),
        ] {
            page.find("button", button).await.click().await;
            let script = "
                const labels = [...document.querySelectorAll('dialog label')];
                const label = labels.find((label) => label.querySelector('code')?.textContent === arguments[0]);
                return label?.querySelector('input, select') ? label.querySelector('small').textContent : '';";
            for name in names {
                let meaning = page.script(script, vec![(*name).into()]).await;
                let meaning = meaning.as_str().unwrap_or_default();
                assert!(meaning.contains(" Default ") && meaning.len() > 40, "{button}: {name}: {meaning:?}");
            }
            page.script("document.querySelector('dialog').close()", vec![]).await;
            page.wait_until("it is closed", async || page.all("dialog").await.is_empty()).await;
        }
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn brokers_and_controllers_are_configured_added_and_removed() {
    with_page("brokers and controllers change", async |page| {
        page.open("").await;
        let dialog = open(&page, "Manage broker 1", "Broker 1").await;
        page.script("document.querySelector('dialog summary').click()", vec![]).await;
        page.find_within(&dialog, "textbox", "log.retention.ms").await;
        let field = page.find_within(&dialog, "textbox", "leader.replication.throttled.rate").await;
        field.fill("1000000").await;
        press_in(&page, "Broker 1", "Alter").await;
        page.wait_until("the line is said", async || {
            console(&page).await.contains("alter broker 1 leader.replication.throttled.rate=1000000")
        })
        .await;

        open(&page, "Manage controllers", "Controllers").await;
        press_in(&page, "Controllers", "Add controller c4").await;
        page.find("button", "Kill controller c4").await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        open(&page, "Manage controllers", "Controllers").await;
        press_in(&page, "Controllers", "Remove controller c4").await;
        page.wait_until("the line is said", async || console(&page).await.contains("remove controller c4")).await;

        page.find("button", "Kill broker 3").await.click().await;
        page.find("button", "Start broker 3").await;
        open(&page, "Manage broker 3", "Broker 3").await;
        press_in(&page, "Broker 3", "Unregister broker 3").await;
        page.wait_until("the line is said", async || console(&page).await.contains("unregister broker 3")).await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn clients_are_paused_closed_and_their_group_is_reset() {
    with_page("clients change", async |page| {
        page.open("").await;
        open(&page, "Manage consumer c1", "Consumer c1").await;
        press_in(&page, "Consumer c1", "Pause consumer c1").await;
        page.wait_for_text("paused").await;
        let other = page.find("button", "Manage consumer c2").await;
        open(&page, "Manage consumer c1", "Consumer c1").await;
        press_in(&page, "Consumer c1", "Close consumer c1").await;
        page.find("button", "Start consumer c1").await;
        // c2 gets its partitions; what a hand or the focus is on stays where it is.
        page.find("slider", "Position of c2 in orders-0").await;
        other.click().await;
        press_in(&page, "Consumer c2", "Close consumer c2").await;
        page.find("button", "Start consumer c2").await;
        page.wait_for_text("Empty").await;
        open(&page, "Manage group billing", "Group billing").await;
        press_in(&page, "Group billing", "Reset to earliest").await;
        page.wait_until("the line is said", async || {
            console(&page).await.contains("reset-offsets billing orders to=earliest")
        })
        .await;
        open(&page, "Manage producer app", "Producer app").await;
        press_in(&page, "Producer app", "Close producer app").await;
        page.wait_until("the line is said", async || console(&page).await.contains("close app")).await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn what_is_typed_stays_when_something_is_added_beside_it() {
    with_page("typing while things are added", async |page| {
        page.open("").await;
        page.find("textbox", "Key").await.fill("zoe").await;
        for (line, button) in [
            ("topic payments partitions=1 replication-factor=3", "Manage topic payments"),
            ("producer other", "Manage producer other"),
        ] {
            page.find("textbox", "Console input").await.fill(line).await;
            page.press(ENTER).await;
            page.find("button", button).await;
            let app = page.find("region", "Producer app").await;
            assert_eq!(page.find_within(&app, "textbox", "Key").await.value, "zoe", "after {line}");
        }
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

/// Drags from one place on the page to another, as a hand with a mouse does.
async fn drag(page: &Page, from: &str, to: &str) {
    let script = "
        const middle = (name) => {
            const element = document.querySelector(`[data-node='${name}']`);
            const edge = element.getBoundingClientRect();
            return [element, edge.left + edge.width / 2, edge.top + 4];
        };
        const [start, x, y] = middle(arguments[0]);
        const [end, toX, toY] = middle(arguments[1]);
        const at = (x, y) => ({ bubbles: true, button: 0, clientX: x, clientY: y });
        start.dispatchEvent(new PointerEvent('pointerdown', at(x, y)));
        end.dispatchEvent(new PointerEvent('pointermove', at((x + toX) / 2, y)));
        end.dispatchEvent(new PointerEvent('pointermove', at(toX, toY)));
        end.dispatchEvent(new PointerEvent('pointerup', at(toX, toY)));";
    page.script(script, vec![from.into(), to.into()]).await;
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn links_are_cut_and_healed_by_a_drag_and_by_the_keyboard() {
    with_page("cutting links", async |page| {
        page.open("").await;
        page.find("grid", "Partitions").await;
        drag(&page, "broker 1", "broker 2").await;
        page.wait_until("the cut is said", async || console(&page).await.contains("cut 1 | 2")).await;
        drag(&page, "broker 3", "controller c1").await;
        page.find("button", "Heal the network").await;

        // The same drag heals that link, and only that.
        drag(&page, "broker 2", "broker 1").await;
        page.wait_until("it is healed and the other cut again", async || console(&page).await.contains("cut 3 | c1"))
            .await;
        page.press("x").await;
        let dialog = page.find("dialog", "Cut the network").await;
        assert_eq!(page.all_within(&dialog, "listitem").await.len(), 1);
        page.find_within(&dialog, "button", "Heal c1 – broker 3").await.press(ENTER).await;
        page.wait_until_gone("button", "Heal the network").await;

        // A side from the rest, without a mouse.
        for node in ["broker 1", "c1"] {
            page.find_within(&dialog, "checkbox", node).await.press(" ").await;
        }
        page.find_within(&dialog, "button", "Cut this side from the rest").await.press(ENTER).await;
        page.wait_until_gone("dialog", "Cut the network").await;
        page.wait_until("the cut is said", async || {
            console(&page).await.contains("cut 1,c1 | 2,3,c2,c3,app,client:c1,client:c2")
        })
        .await;
        page.find("button", "Heal the network").await.click().await;
        page.wait_until_gone("button", "Heal the network").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_finger_that_rests_cuts_a_link_and_one_that_moves_scrolls() {
    with_page("cutting links by touch", async |page| {
        page.look(360, 800, Theme::Light).await;
        page.open("").await;
        page.find("grid", "Partitions").await;
        let middle = async |node: &str| {
            let script = "
                const edge = document.querySelector(`[data-node='${arguments[0]}']`).getBoundingClientRect();
                return [edge.left + edge.width / 2, edge.top + 4];";
            let at = page.script(script, vec![node.into()]).await;
            (at[0].as_f64().expect("a number"), at[1].as_f64().expect("a number"))
        };
        let from = middle("broker 1").await;
        let go = async |from: (f64, f64), to: (f64, f64)| {
            for step in 1..=6 {
                let part = f64::from(step) / 6.0;
                let at = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
                page.touch("touchMove", Some(at)).await;
            }
            page.touch("touchEnd", None).await;
        };
        let scrolled = async || page.script("return scrollY", vec![]).await.as_f64().unwrap_or_default();

        page.touch("touchStart", Some(from)).await;
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        go(from, middle("broker 3").await).await;
        page.wait_until("the cut is said", async || console(&page).await.contains("cut 1 | 3")).await;
        assert_eq!(scrolled().await, 0.0, "nothing scrolls under a finger that draws");

        page.touch("touchStart", Some(from)).await;
        go(from, (from.0, from.1 - 150.0)).await;
        page.wait_until("it scrolls", async || scrolled().await > 20.0).await;
        assert_eq!(console(&page).await.matches("cut ").count(), 1, "and cuts nothing");
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_message_on_its_way_is_delayed_or_arrives_twice() {
    for (button, told) in [("Delay", "longer"), ("Duplicate", "arrives twice")] {
        with_page(&format!("a message and {button}"), async move |page| {
            page.open("").await;
            page.find("button", "Pause").await.click().await;
            let input = page.find("textbox", "Console input").await;
            input.fill("send app orders alice=watched").await;
            input.press(ENTER).await;
            page.find("tab", "Packets").await.click().await;
            let watched = async || {
                let buttons = page.all_within(&page.find("region", "Packets").await, "button").await;
                buttons
                    .into_iter()
                    .filter(|part| part.name.starts_with("PRODUCE app") && part.name.contains("watched"))
                    .count()
            };
            for _ in 0..60 {
                if watched().await > 0 {
                    break;
                }
                page.find("button", "Step").await.click().await;
            }
            let script = "[...document.querySelectorAll('.packets button')].find((b) => b.textContent.includes('watched')).click()";
            page.script(script, vec![]).await;
            page.find("heading", "PRODUCE request").await;
            page.find("button", button).await.click().await;
            if button == "Duplicate" {
                page.find("tab", "Packets").await.click().await;
                page.wait_until("two are on their way", async || watched().await == 2).await;
            }
            page.find("checkbox", "only what matters").await.click().await;
            page.wait_until("it is told", async || {
                let script = "return document.querySelector('section[aria-label=Events]').textContent";
                let events = page.script(script, vec![]).await;
                events.as_str().unwrap_or_default().contains(told)
            })
            .await;
            assert_eq!(page.complaints().await, Vec::<String>::new());
        });
    }
}
