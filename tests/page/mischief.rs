//! Whatever anybody types, clicks or opens: the page says what is wrong, and goes on.

use serde_json::Value;

use crate::browser::{Page, with_page};
use crate::scale::shared;

/// Does so many things at random, as quickly as the page lets it; what it did last is returned.
/// The same seed does the same, as far as the page offers the same.
const MISCHIEF: &str = r##"
    let state = SEED;
    const random = (below) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 4294967296) * below);
    };
    const one = (list) => list[random(list.length)];
    const texts = [
        "", " ", "=", "a=b", "\"", "\\", "'", "#", "<script>alert(1)</script>", "🙂", "\u202e abc", "null", "-1",
        "9999999999999999999", "\u0000\u0007", "x".repeat(5000), "${1}", "%00", "é\u0301", "orders-0", "> prose",
    ];
    const lines = [
        "kill broker 1", "start broker 1", "kill broker 99", "kill broker", "kil broker 1", "wipe broker 2", "heal",
        "cut 1 | 2,3,c1,c2,c3", "freeze broker 2", "thaw broker 2", "topic orders partitions=3", "topic t partitions=0",
        "topic new partitions=2 replication-factor=3", "delete topic new", "send app orders alice=paid", "send nobody orders a=b",
        "send app nowhere a=b", "seek c1 orders-0 0", "seek c1 orders-0 -5", "wait 1s", "wait 1us", "at 1s", "cluster brokers=9",
        "expect leader orders-0 = 9", "close c1", "kill consumer c2", "start consumer c2", "load app orders rate=50/s keys=5 size=10 for=2s",
        "elect preferred orders-0", "create-partitions orders 4", "alter topic orders min.insync.replicas=9", "drop next FETCH 2->1",
        "link 1->2 latency=300ms", "consumer c1 group=g topics=orders", "producer app", "delete-records orders-0 before=2", "\u0000", "🙂",
    ];
    const set = (field, value) => {
        const prototype = field.tagName === "SELECT" ? HTMLSelectElement.prototype : HTMLInputElement.prototype;
        Object.getOwnPropertyDescriptor(prototype, "value").set.call(field, value);
        field.dispatchEvent(new InputEvent("input", { bubbles: true }));
        field.dispatchEvent(new Event("change", { bubbles: true }));
    };
    const done = [];
    const acts = {
        click() {
            const buttons = [...document.querySelectorAll("button:not([disabled])")];
            const button = one(buttons.filter((b) => b.getClientRects().length > 0));
            if (!button) return;
            done.push(`click ${button.ariaLabel ?? button.textContent}`);
            for (let times = random(3); times >= 0 && button.isConnected; times--) button.click();
        },
        stage() {
            const thing = one([...document.querySelectorAll("[role=gridcell], .rec, .chip, .card, .hands")]);
            done.push(`click ${thing?.className}`);
            thing?.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: random(1400), clientY: random(800) }));
        },
        type() {
            const field = one([...document.querySelectorAll("input[type=text]")]);
            const text = one(texts);
            done.push(`type ${JSON.stringify(text.slice(0, 30))} into ${field.ariaLabel}`);
            set(field, text);
            if (random(2)) field.form?.requestSubmit();
        },
        line() {
            const field = document.querySelector("[aria-label='Console input']");
            const line = one(lines);
            done.push(`line ${line}`);
            set(field, line);
            field.form.requestSubmit();
        },
        choose() {
            // At the very beginning there is no client yet.
            const field = one([...document.querySelectorAll("select")]);
            if (!field) return;
            done.push(`choose in ${field.ariaLabel}`);
            set(field, one([...field.options, { value: "nonsense" }]).value);
        },
        slide() {
            const slider = one([...document.querySelectorAll("input[type=range]")]);
            const share = random(101) / 100;
            done.push(`slide ${slider.ariaLabel} to ${share}`);
            set(slider, String(Number(slider.min) + share * (Number(slider.max) - Number(slider.min))));
        },
        scrub() {
            const slider = document.querySelector("[aria-label=Time]");
            done.push("scrub");
            for (let i = 0; i < 8; i++) set(slider, String(random(Number(slider.max) + 1)));
        },
        key() {
            const key = one([" ", ".", ",", "n", "p", "1", "2", "9", "k", "/", "?", "b", "l", "PageDown", "PageUp", "Escape", "ArrowDown", "Enter", "Tab"]);
            done.push(`key ${key}`);
            (document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        },
        link() {
            const hash = one(["#", "#s=1.AAAA", "#s=", "#lesson=nope", "#lesson=acks", "#lesson=zombie&step=3", "#%%%"]);
            done.push(`link ${hash}`);
            location.hash = hash;
        },
    };
    const often = ["click", "click", "click", "stage", "type", "line", "line", "choose", "slide", "scrub", "key", "key"];
    const until = performance.now() + MILLIS;
    while (performance.now() < until) {
        const act = random(60) === 0 ? "link" : one(often);
        acts[act]();
        if (document.querySelector(".panic")) return { panicked: done.slice(-12) };
        if (random(3) === 0) await new Promise(requestAnimationFrame);
    }
    // A dialog hides everything else from whoever looks next.
    for (const dialog of document.querySelectorAll("dialog")) dialog.close();
    return { acts: done.length };
"##;

async fn mischief(page: &Page, seed: u32) {
    page.open("").await;
    page.find("grid", "Partitions").await;
    page.complaints().await;
    // What is copied in a tab without a person is refused by the browser, not by the page.
    page.script("navigator.clipboard && (navigator.clipboard.writeText = async () => {})", vec![]).await;
    let script = MISCHIEF.replace("SEED", &seed.to_string()).replace("MILLIS", "6000");
    let outcome = page.script_that_waits(&script).await;
    assert!(outcome["acts"].is_u64(), "seed {seed}: {outcome}");
    println!("seed {seed}: {} acts", outcome["acts"]);
    assert_eq!(page.complaints().await, Vec::<String>::new(), "seed {seed}");
    assert!(!page.text().await.contains("Something went wrong in Highwater"), "seed {seed}");
    page.find("grid", "Partitions").await;
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn anything_clicked_and_typed_in_any_order_leaves_the_page_alive() {
    with_page("mischief", async |page| {
        for seed in 1..=4 {
            mischief(&page, seed).await;
        }
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn no_link_can_break_the_page() {
    with_page("bad links", async |page| {
        page.open("").await;
        page.find("button", "Share").await.click().await;
        page.wait_until("the address holds the run", async || page.url().await.contains("#s=1.")).await;
        let good = page.url().await;
        let good = good.split('#').nth(1).unwrap_or_default().to_owned();
        let bad = [
            ("#s=1.<img src=x onerror=alert(1)>", "damaged"),
            ("#s=", "damaged"),
            ("#s=9.AAAA", "reload the page"),
            ("#lesson=no-such-lesson", "no lesson"),
            ("#lesson=", "no lesson"),
            ("?embed=1&lesson=nope", "no lesson"),
            ("#whatever", "holds no scenario"),
            ("#s=1.%00%ff", "damaged"),
            ("?embed=1&s=1.AAAA", "damaged"),
            (&format!("#{}", &good[..good.len() - 9]), "damaged"),
            (&format!("#{}", good.replace(&good[20..23], "AAA")), "damaged"),
            (&format!("#s=1.{}", "A".repeat(80_000)), "too long"),
        ];
        for (link, says) in bad {
            // A changed fragment alone would not load the page anew.
            page.open("icons/highwater.svg").await;
            page.open(link).await;
            page.find("grid", "Partitions").await;
            let shown: String = link.chars().take(60).collect();
            let alert = page.find("alert", "").await.text().await;
            assert!(alert.contains(says) && alert.contains("default cluster"), "{shown}: {alert}");
            let rows = page.all("row").await;
            assert!(rows.iter().any(|row| row.name == "orders-0"), "{shown}: the default cluster is not there");
        }
        page.open("icons/highwater.svg").await;
        page.open(&format!("#{good}")).await;
        page.find("grid", "Partitions").await;
        assert!(page.all("alert").await.is_empty(), "a good link is opened without a word");
        assert_eq!(page.script("return document.images.length", vec![]).await, Value::from(0));
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_link_to_ten_years_is_seen_on_its_way_and_can_be_stopped() {
    with_page("ten years", async |page| {
        page.open(&shared("cluster\nstep \"One\"\ntopic orders\nwait 87000h\nstep \"Two\"\n")).await;
        let time = async || {
            let text = page.script("return document.querySelector('.reading-time .now').textContent", vec![]).await;
            text.as_str().unwrap_or_default().to_owned()
        };
        page.find("grid", "Partitions").await;
        let before = time().await;
        page.wait_until("it goes on", async || time().await != before).await;
        page.find("button", "Pause").await.click().await;
        page.find("button", "Play").await;
        let stopped = time().await;
        page.find("button", "Kill broker 1").await.click().await;
        page.find("button", "Start broker 1").await;
        assert_eq!(time().await, stopped, "time stands");
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn what_kafka_refuses_is_refused_in_its_words() {
    with_page("refusals", async |page| {
        page.open("").await;
        page.find("grid", "Partitions").await;
        for (line, says) in [
            ("topic orders partitions=3 replication-factor=3", "already exists"),
            ("topic wide partitions=1 replication-factor=5", "replication factor"),
            ("wipe broker 1", "wipe"),
            ("kil broker 1", "did you mean `kill`"),
        ] {
            let input = page.find("textbox", "Console input").await;
            input.fill(line).await;
            input.press("\u{e007}").await;
            page.wait_until(&format!("{line:?} is refused with {says:?}"), async || {
                let script = "return document.querySelector('[aria-label=\"Console output\"]').textContent";
                let said = page.script(script, vec![]).await;
                let said = said.as_str().unwrap_or_default().to_owned();
                said.rsplit(line).next().is_some_and(|rest| rest.to_lowercase().contains(says)) && said.contains(line)
            })
            .await;
        }
    });
}
