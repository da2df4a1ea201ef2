//! What the page lets a person find out and do beyond looking: messages, reasons, futures, additions.

use crate::browser::{Page, with_page};
use crate::scale::shared;

async fn type_line(page: &Page, line: &str) {
    let input = page.find("textbox", "Console input").await;
    input.fill(line).await;
    input.press("\u{e007}").await;
}

async fn text_of(page: &Page, label: &str) -> String {
    let script = "return document.querySelector(`section[aria-label='${arguments[0]}']`)?.textContent ?? ''";
    page.script(script, vec![label.into()]).await.as_str().unwrap_or_default().to_owned()
}

/// Presses a button that a panel in front may have scrolled out of view.
async fn press(page: &Page, name: &str) {
    page.find("button", name).await;
    let script = "
        const named = [...document.querySelectorAll('button')].filter((b) => (b.ariaLabel ?? b.textContent) === arguments[0]);
        named[0].click();";
    page.script(script, vec![name.into()]).await;
}

async fn move_time(page: &Page, millis: i64) {
    let script = "
        const time = document.querySelector('[aria-label=Time]');
        time.value = arguments[0];
        time.dispatchEvent(new InputEvent('input', { bubbles: true }));";
    page.script(script, vec![millis.into()]).await;
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_message_on_its_way_is_read_and_lost() {
    with_page("a message", async |page| {
        page.open("").await;
        page.find("button", "Pause").await.click().await;
        page.find("button", "Play").await;
        type_line(&page, "send app orders alice=watched").await;
        page.find("tab", "Packets").await.click().await;
        let mut message = None;
        for _ in 0..60 {
            page.find("button", "Step").await.click().await;
            let buttons = page.all_within(&page.find("region", "Packets").await, "button").await;
            message =
                buttons.into_iter().find(|part| part.name.starts_with("PRODUCE app") && part.name.contains("watched"));
            if message.is_some() {
                break;
            }
        }
        message.expect("the record is sent within sixty steps").click().await;
        page.find("heading", "PRODUCE request").await;
        let read = text_of(&page, "Inspector").await;
        for name in ["Delay", "Duplicate"] {
            page.find("button", name).await;
        }
        for says in ["every replica of the ISR", "correlation id", "version", "Bytes", "000000", "watched"] {
            assert!(read.contains(says), "the inspector does not say {says:?}");
        }
        let why = "return !!document.querySelector('.inspection .why[aria-label^=\"Why is sent at\"]')";
        assert_eq!(page.script(why, vec![]).await, true, "who sent it and why");
        page.find("button", "Drop").await.click().await;
        page.wait_until("it is gone", async || !text_of(&page, "Packets").await.contains("watched")).await;
        page.find("checkbox", "only what matters").await.click().await;
        page.wait_until("its loss is told", async || {
            let told = text_of(&page, "Events").await;
            told.contains("PRODUCE") && told.contains("lost")
        })
        .await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn why_leads_from_a_value_to_its_causes() {
    with_page("why", async |page| {
        page.open("").await;
        page.find("button", "Kill broker 1").await.click().await;
        page.wait_for_text("Broker 1 is out.").await;
        press(&page, "orders-0").await;
        page.find("heading", "orders-0").await;
        press(&page, "Why is leader 2?").await;
        page.wait_until("the causes are shown", async || {
            let told = text_of(&page, "Events").await;
            told.contains("orders-0: leader 1 → 2") && told.contains("broker 1 died")
        })
        .await;
        // The last link is the kill; it is a jump in time.
        page.script("[...document.querySelectorAll('.chain .at')].at(-1).click()", vec![]).await;
        page.wait_for_text("You look at the past.").await;
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn why_is_asked_of_every_kind_of_value() {
    with_page("every why", async |page| {
        let script = "cluster brokers=3 controllers=3 seed=5\ntopic orders replica-assignment=1:2:3 min.insync.replicas=2\n\
            producer app linger.ms=0 retries=0\nconsumer c1 group=billing topics=orders auto.offset.reset=earliest\n\
            send app orders alice=created\nuntil acked app = 1 and delivered c1 orders-0 = 1 within 30s\nwait 6s\npause c1\n\
            kill broker 2\nuntil isr orders-0 = 1,3 within 15s\nwait 1s\nsend app orders bob=paid\n\
            until lag billing orders-0 = 1 within 10s\nkill broker 3\nuntil isr orders-0 = 1 within 15s\nwait 1s\n\
            send app orders carol=paid\nuntil failed app NOT_ENOUGH_REPLICAS = 1 within 10s\n";
        let link = highwater::scenario::link::encode(script).expect("a short script has a link");
        page.open(&link).await;
        page.find("grid", "Partitions").await;
        page.find("button", "Pause").await.click().await;
        for (thing, question, says) in [
            ("orders-0", "Why is ISR 1?", "broker 3 died"),
            ("orders-0", "Why is high watermark 2?", "app sends bob=paid"),
            ("app", "Why is failed 1?", "NOT_ENOUGH_REPLICAS"),
            ("app", "Why is NOT_ENOUGH_REPLICAS 1?", "app sends carol=paid"),
            ("billing", "Why is lag of orders-0 1?", "app sends bob=paid"),
            ("c1", "Why is assignment orders-0?", "billing"),
        ] {
            press(&page, thing).await;
            press(&page, question).await;
            page.wait_until(&format!("{question:?} is answered with {says:?}"), async || {
                text_of(&page, "Events").await.contains(says)
            })
            .await;
        }
        // Each link is a jump in time.
        page.script("[...document.querySelectorAll('.chain .at')].at(-1).click()", vec![]).await;
        page.wait_for_text("You look at the past.").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_future_that_was_left_is_kept_compared_named_and_deleted() {
    with_page("futures", async |page| {
        page.open("").await;
        page.find("button", "Pause").await.click().await;
        page.find("button", "Play").await;
        let before = page.script("return Number(document.querySelector('[aria-label=Time]').value)", vec![]).await;
        let before = before.as_i64().expect("the slider has a value");
        page.find("button", "Kill broker 1").await.click().await;
        page.find("button", "Start broker 1").await;
        let leads = async |leader: &str| {
            let script = "return document.querySelector('.partition-state tbody tr').cells[1].textContent";
            page.script(script, vec![]).await == leader
        };
        for _ in 0..12 {
            page.find("button", "Next event").await.click().await;
            if leads("2").await {
                break;
            }
        }
        assert!(leads("2").await, "broker 2 took over within twelve events");

        move_time(&page, before - 100).await;
        page.wait_for_text("You look at the past.").await;
        press(&page, "Freeze broker 3").await;
        page.find("tab", "Branches").await.click().await;
        page.find("textbox", "Name of Future 1").await;
        for _ in 0..8 {
            page.find("button", "Next event").await.click().await;
        }
        press(&page, "Compare with Future 1").await;
        let table = page.find("table", "Differences").await;
        assert!(table.text().await.contains("orders-0: leader"), "{}", table.text().await);
        // The tree has a line for each future, and the stage marks what differs.
        let drawn = page.script("return document.querySelectorAll('.tree path').length", vec![]).await;
        assert_eq!(drawn, 2);
        let marks = "return [...document.querySelectorAll('.fact.differs')].map((m) => m.textContent).join(' | ')";
        let marked = page.script(marks, vec![]).await;
        assert!(marked.as_str().unwrap_or_default().contains("≠ Future 1: leader"), "{marked}");
        let script = "
            const name = document.querySelector('[aria-label=\"Name of Future 1\"]');
            name.value = 'The kill';
            name.dispatchEvent(new Event('change', { bubbles: true }));";
        page.script(script, vec![]).await;
        page.wait_until("the comparison has the new name", async || {
            page.script(marks, vec![]).await.as_str().unwrap_or_default().contains("≠ The kill: leader")
        })
        .await;
        press(&page, "End the comparison").await;
        page.wait_until_gone("table", "Differences").await;
        assert_eq!(page.script(marks, vec![]).await, "");

        press(&page, "Go to The kill").await;
        page.find("button", "Start broker 1").await;
        assert!(leads("2").await, "the future that was left is as it was");
        assert_eq!(page.find("textbox", "Name of this future").await.value, "The kill");
        page.find("button", "Delete Future 2").await.press("\u{e007}").await;
        page.wait_until_gone("button", "Delete Future 2").await;
        let focus = "return document.activeElement.ariaLabel";
        assert_eq!(page.script(focus, vec![]).await, "Branches", "the focus stays in the panel");
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn topics_brokers_and_clients_are_added_by_forms_with_kafkas_names() {
    with_page("additions", async |page| {
        page.open("").await;
        page.find("button", "Add a topic").await.click().await;
        let dialog = page.find("dialog", "Add a topic").await;
        page.find_within(&dialog, "textbox", "name").await.fill("payments").await;
        page.find_within(&dialog, "textbox", "partitions").await.fill("0").await;
        page.find_within(&dialog, "button", "Add").await.click().await;
        page.find_within(&dialog, "alert", "").await;
        page.find_within(&dialog, "textbox", "partitions").await.fill("1").await;
        page.find_within(&dialog, "button", "Add").await.click().await;
        page.wait_until_gone("dialog", "Add a topic").await;
        page.find("row", "payments-0").await;

        for (what, field, value, region) in [
            ("Add a producer", "client.id", "shop", "Producer shop"),
            ("Add a consumer", "client.id", "c9", "Consumer c9"),
            ("Add a stream", "name", "s9", "Stream s9"),
            ("Add a broker", "id", "4", "Broker 4"),
        ] {
            page.find("button", what).await.click().await;
            let dialog = page.find("dialog", what).await;
            page.find_within(&dialog, "textbox", field).await.fill(value).await;
            page.find_within(&dialog, "button", "Add").await.click().await;
            page.find("region", region).await;
        }
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn who_asks_for_the_next_event_hears_that_there_is_none() {
    with_page("no next event", async |page| {
        page.open(&shared("cluster brokers=1 controllers=1 seed=1\n")).await;
        page.find("button", "Pause").await.click().await;
        let now =
            async || page.script("return Number(document.querySelector('[aria-label=Time]').value)", vec![]).await;
        let before = now().await.as_i64().expect("the slider has a value");
        page.find("button", "Next event").await.click().await;
        let told = "return document.querySelector('[role=status]').textContent";
        page.wait_until("it is told", async || {
            page.script(told, vec![])
                .await
                .as_str()
                .unwrap_or_default()
                .contains("Nothing that matters happens by itself")
        })
        .await;
        let passed = now().await.as_i64().expect("the slider has a value") - before;
        assert!((59_000..=60_000).contains(&passed), "{passed}");
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}
