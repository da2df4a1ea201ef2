//! Whatever the script can say to a cluster can be said on the page: by a form with Kafka's own names,
//! which becomes a line, and which says what is wrong with it.

use crate::access::{axe, check};
use crate::browser::{Page, Part, Theme, with_page};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

async fn open(page: &Page, button: &str, dialog: &str) -> Part {
    page.find("button", button).await.click().await;
    page.find("dialog", dialog).await
}

/// Fills a form of a dialog and sends it by the keyboard.
async fn send(page: &Page, form: &str, texts: &[(&str, &str)]) {
    let part = page.find("form", form).await;
    for (name, text) in texts {
        page.find_within(&part, "textbox", name).await.fill(text).await;
    }
    page.find_within(&part, "button", form).await.press(ENTER).await;
}

async fn is_said(page: &Page, line: &str) {
    let said = async || {
        let script = "return document.querySelector('[aria-label=\"Console output\"]').textContent";
        page.script(script, vec![]).await.as_str().unwrap_or_default().contains(line)
    };
    page.wait_until(&format!("{line:?} is said"), said).await;
}

/// The dialog stays, says what is wrong, and holds what was typed.
async fn is_refused(page: &Page, dialog: &str, reason: &str, form: &str, (field, typed): (&str, &str)) {
    let part = page.find("dialog", dialog).await;
    let says = async || {
        let script = "return document.querySelector('dialog [role=alert]')?.textContent ?? ''";
        page.script(script, vec![]).await.as_str().unwrap_or_default().contains(reason)
    };
    page.wait_until(&format!("the dialog says {reason:?}"), says).await;
    let form = page.find_within(&part, "form", form).await;
    assert_eq!(page.find_within(&form, "textbox", field).await.value, typed, "nothing is lost");
}

/// Nobody is shut out of what is open now, large and small, light and dark.
async fn look(page: &Page, what: &str) {
    page.script(&axe(), vec![]).await;
    let small = page.script("return innerWidth < 500", vec![]).await == true;
    for (width, height) in [(1440, 900), (360, 800)].into_iter().filter(|(width, _)| *width < 500 || !small) {
        for theme in [Theme::Dark, Theme::Light] {
            page.look(width, height, theme).await;
            check(page, &format!("{what} at {width}×{height}, {theme}")).await;
        }
    }
    if !small {
        page.look(1440, 900, Theme::Light).await;
    }
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_partition_gets_other_replicas_another_leader_and_another_beginning() {
    with_page("forms of a partition", async |page| {
        page.open("").await;
        let topic = open(&page, "Manage topic orders", "Topic orders").await;
        look(&page, "the dialog of a topic").await;
        page.find_within(&topic, "button", "orders-0").await.press(ENTER).await;
        let dialog = "Partition orders-0";
        page.find("dialog", dialog).await;
        look(&page, "the dialog of a partition").await;

        // Wrong in itself, and wrong for the cluster, which has to be asked.
        let records = "Delete records of orders-0";
        send(&page, "Reassign orders-0", &[("replicas", "2,9")]).await;
        is_refused(&page, dialog, "no broker 9", "Reassign orders-0", ("replicas", "2,9")).await;
        send(&page, records, &[("offset", "1000000")]).await;
        is_refused(&page, dialog, "OFFSET_OUT_OF_RANGE", records, ("offset", "1000000")).await;
        look(&page, "a refusal").await;
        page.find("button", "Cancel reassignment of orders-0").await.press(ENTER).await;
        is_refused(&page, dialog, "NO_REASSIGNMENT_IN_PROGRESS", records, ("offset", "1000000")).await;

        send(&page, records, &[("offset", "1")]).await;
        page.wait_until_gone("dialog", dialog).await;
        is_said(&page, "delete-records orders-0 before=1").await;

        // From the inspector's Manage the partition is reached as well.
        page.script("document.querySelector('.row-head .title').click()", vec![]).await;
        open(&page, "Manage what is selected", dialog).await;
        send(&page, "Reassign orders-0", &[("replicas", "2,3")]).await;
        page.wait_until_gone("dialog", dialog).await;
        is_said(&page, "reassign orders-0 replicas=2,3").await;
        let moved = async || {
            let script = "return document.querySelector('.row-head').textContent";
            page.script(script, vec![]).await.as_str().unwrap_or_default().contains("ISR 2, 3 of 2")
        };
        page.wait_until("broker 1 has left", moved).await;

        // Whoever is preferred leads already: Kafka sees no need, which is no failure.
        let not_needed = "leader of orders-0: a valid leader is elected already";
        open(&page, "Manage what is selected", dialog).await;
        send(&page, "Elect leader of orders-0", &[]).await;
        page.wait_until_gone("dialog", dialog).await;
        page.wait_for_text(&format!("elect preferred {not_needed}")).await;
        open(&page, "Manage what is selected", dialog).await;
        send(&page, "Reassign orders-0", &[("replicas", "3,2")]).await;
        page.wait_until_gone("dialog", dialog).await;
        is_said(&page, "reassign orders-0 replicas=3,2").await;
        open(&page, "Manage what is selected", dialog).await;
        let form = page.find("form", "Elect leader of orders-0").await;
        page.find_within(&form, "combobox", "election-type").await.choose("unclean").await;
        send(&page, "Elect leader of orders-0", &[]).await;
        page.wait_until_gone("dialog", dialog).await;
        page.wait_for_text(&format!("elect unclean {not_needed}")).await;
        open(&page, "Manage what is selected", dialog).await;
        send(&page, "Elect leader of orders-0", &[]).await;
        page.wait_until_gone("dialog", dialog).await;
        is_said(&page, "elect preferred orders-0").await;
        let leads = "return document.querySelector('.row-head .fact i').textContent";
        page.wait_until("the preferred one leads", async || page.script(leads, vec![]).await == "3").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_brokers_disk_is_slow_for_a_while_and_processes_are_at_hand() {
    with_page("forms of machines", async |page| {
        page.open("").await;
        open(&page, "Manage broker 2", "Broker 2").await;
        look(&page, "the dialog of a broker").await;
        let form = "Slow the disk of broker 2";
        send(&page, form, &[("latency", "soon")]).await;
        is_refused(&page, "Broker 2", "a duration such as 50ms", form, ("latency", "soon")).await;
        send(&page, form, &[("latency", "80ms")]).await;
        page.wait_until_gone("dialog", "Broker 2").await;
        is_said(&page, "disk 2 latency=80ms").await;
        open(&page, "Manage broker 2", "Broker 2").await;
        page.find("button", "Quick disk for broker 2").await.press(ENTER).await;
        is_said(&page, "disk 2 latency=0ms").await;
        page.wait_until_gone("dialog", "Broker 2").await;
        let dialog = open(&page, "Manage broker 2", "Broker 2").await;
        page.find_within(&dialog, "button", "Freeze broker 2").await.press(ENTER).await;
        page.wait_until_gone("dialog", "Broker 2").await;
        page.find("button", "Thaw broker 2").await;

        for (button, then) in [("Freeze controller c2", "Thaw controller c2"), ("Power off controller c3", "")] {
            let dialog = open(&page, "Manage controllers", "Controllers").await;
            look(&page, "the dialog of the controllers").await;
            page.find_within(&dialog, "button", button).await.press(ENTER).await;
            page.wait_until_gone("dialog", "Controllers").await;
            let verb = button.to_lowercase().replace("power off", "power-off");
            is_said(&page, &verb).await;
            if !then.is_empty() {
                let dialog = open(&page, "Manage controllers", "Controllers").await;
                page.find_within(&dialog, "button", then).await.press(ENTER).await;
                page.wait_until_gone("dialog", "Controllers").await;
            }
        }
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn clients_send_anything_seek_anywhere_and_are_reset() {
    with_page("forms of clients", async |page| {
        page.open("").await;
        open(&page, "Manage producer app", "Producer app").await;
        look(&page, "the dialog of a producer").await;
        send(&page, "Start load", &[("rate", "fast")]).await;
        is_refused(&page, "Producer app", "a rate such as", "Start load", ("rate", "fast")).await;
        send(&page, "Start load", &[("rate", "30/s"), ("keys", "4"), ("for", "3s")]).await;
        is_said(&page, "load app orders rate=30/s keys=4 for=3s").await;
        page.wait_until_gone("dialog", "Producer app").await;
        open(&page, "Manage producer app", "Producer app").await;
        send(&page, "Send record", &[("key", "alice"), ("timestamp", "2s"), ("header", "a b")]).await;
        is_said(&page, "send app orders alice= timestamp=2s header.trace=\"a b\"").await;
        page.wait_until_gone("dialog", "Producer app").await;

        open(&page, "Manage consumer c1", "Consumer c1").await;
        look(&page, "the dialog of a consumer").await;
        send(&page, "Seek with c1", &[("offset", "somewhere")]).await;
        is_refused(&page, "Consumer c1", "an offset, earliest", "Seek with c1", ("offset", "somewhere")).await;
        send(&page, "Seek with c1", &[("offset", "earliest")]).await;
        page.wait_until_gone("dialog", "Consumer c1").await;
        is_said(&page, "seek c1 orders-").await;

        // Kafka resets only a group that nobody belongs to: the cluster's answer comes into the dialog.
        open(&page, "Manage group billing", "Group billing").await;
        look(&page, "the dialog of a group").await;
        send(&page, "Reset to offset", &[("offset", "2")]).await;
        let dialog = page.find("dialog", "Group billing").await;
        page.wait_until("the refusal is told", async || !page.all_within(&dialog, "alert").await.is_empty()).await;
        is_refused(&page, "Group billing", "billing", "Reset to offset", ("offset", "2")).await;

        // It is not deleted either; its own settings change all the same.
        let typed = ("offset", "2");
        page.find("button", "Delete group billing").await.press(ENTER).await;
        is_refused(&page, "Group billing", "NON_EMPTY_GROUP", "Reset to offset", typed).await;
        let dialog = page.find("dialog", "Group billing").await;
        page.find_within(&dialog, "textbox", "consumer.session.timeout.ms").await.fill("50000").await;
        page.find_within(&dialog, "button", "Alter").await.press(ENTER).await;
        page.wait_until_gone("dialog", "Group billing").await;
        is_said(&page, "alter group billing consumer.session.timeout.ms=50000").await;
        for consumer in ["c1", "c2"] {
            page.find("textbox", "Console input").await.fill(&format!("close {consumer}")).await;
            page.press(ENTER).await;
        }
        page.wait_for_text("group billing is empty").await;
        open(&page, "Manage group billing", "Group billing").await;
        page.find("button", "Delete group billing").await.press(ENTER).await;
        page.wait_until_gone("dialog", "Group billing").await;
        is_said(&page, "delete group billing").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn links_are_bent_and_messages_go_astray() {
    with_page("forms of the network", async |page| {
        page.open("").await;
        page.find("grid", "Partitions").await;
        page.press("x").await;
        page.find("dialog", "Cut the network").await;
        look(&page, "the dialog of the network").await;
        send(&page, "Bend link", &[("loss", "most")]).await;
        is_refused(&page, "Cut the network", "a percentage", "Bend link", ("loss", "most")).await;
        send(&page, "Bend link", &[("latency", "40ms"), ("loss", "10%")]).await;
        page.wait_until_gone("dialog", "Cut the network").await;
        is_said(&page, "link 1<->2 latency=40ms loss=10%").await;

        page.press("x").await;
        let form = page.find("form", "Prepare mishap").await;
        page.find_within(&form, "combobox", "mishap").await.choose("is delayed").await;
        page.find_within(&form, "combobox", "request").await.choose("FETCH").await;
        page.find_within(&form, "combobox", "from").await.choose("broker 3").await;
        page.find_within(&form, "combobox", "to").await.choose("broker 1").await;
        send(&page, "Prepare mishap", &[("by", "200ms")]).await;
        page.wait_until_gone("dialog", "Cut the network").await;
        is_said(&page, "delay next FETCH 3->1 by=200ms").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn another_cluster_begins_as_it_is_wanted() {
    with_page("a new cluster", async |page| {
        page.open("").await;
        let dialog = open(&page, "New cluster", "New cluster").await;
        look(&page, "the dialog of a new cluster").await;
        page.find_within(&dialog, "textbox", "brokers").await.fill("0").await;
        page.find_within(&dialog, "button", "Begin").await.press(ENTER).await;
        page.wait_for_text("a number of brokers from 1 to 100").await;
        page.find_within(&dialog, "textbox", "brokers").await.fill("5").await;
        page.find_within(&dialog, "textbox", "controllers").await.fill("1").await;
        page.find_within(&dialog, "button", "Begin").await.press(ENTER).await;
        page.wait_until_gone("dialog", "New cluster").await;
        page.find("button", "Kill broker 5").await;
        assert!(!page.has("button", "Kill controller c2").await);
        let dialog = open(&page, "Add a topic", "Add a topic").await;
        page.find_within(&dialog, "textbox", "name").await.fill("placed").await;
        page.find_within(&dialog, "textbox", "replica-assignment").await.fill("5:4,4:5").await;
        page.find_within(&dialog, "button", "Add").await.press(ENTER).await;
        page.find("row", "placed-1").await;
        is_said(&page, "topic placed replica-assignment=5:4,4:5").await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn everything_of_the_top_bar_is_reached_on_a_small_screen() {
    with_page("the top bar", async |page| {
        page.look(360, 800, Theme::Light).await;
        page.open("").await;
        for name in ["Lessons", "Embed", "Theme", "Help", "Share"] {
            page.find("button", name).await;
        }
        let more = page.find("button", "More").await;
        let folded = ["New cluster", "Presenter mode"];
        for name in folded {
            assert!(!page.has("button", name).await, "{name} is folded away");
        }
        more.press(ENTER).await;
        for name in folded {
            page.find("button", name).await;
        }
        look(&page, "the unfolded top bar").await;
        let inside = "
            const bar = document.querySelector('.topbar');
            return bar.scrollWidth <= innerWidth && [...bar.querySelectorAll('button')].every((b) => {
                const edge = b.getBoundingClientRect();
                return edge.left >= 0 && edge.right <= innerWidth && edge.height >= 24;
            });";
        assert_eq!(page.script(inside, vec![]).await, true, "nothing sticks out");
        page.find("button", "Presenter mode").await.press(ESCAPE).await;
        page.wait_until_gone("button", "Presenter mode").await;
        let focused = page.script("return document.activeElement.ariaLabel", vec![]).await;
        assert_eq!(focused, "More", "the focus is not lost");
        more.press(ENTER).await;
        page.find("button", "New cluster").await.press(ENTER).await;
        page.find("dialog", "New cluster").await;
        assert!(!page.has("button", "Presenter mode").await, "what was unfolded is folded away");
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}
