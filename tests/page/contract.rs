//! The page's fixed accessible names and keys: what lessons, tests and assistive technology rely on.

use crate::browser::{Page, Theme, with_page};

/// What is there at once, in every corner of the page, by role and name.
const AT_ONCE: &[(&str, &[&str])] = &[
    ("heading", &["Highwater"]),
    (
        "region",
        &[
            "Producer app",
            "Broker 1",
            "Broker 2",
            "Broker 3",
            "Controllers",
            "Consumer c1",
            "Consumer c2",
            "Group billing",
            "Timeline",
            "Inspector",
            "Events",
            "Guarantees",
            "Metrics",
            "Packets",
            "Console",
            "Lesson",
        ],
    ),
    (
        "button",
        &[
            "Kill broker 1",
            "Power off broker 1",
            "Stop broker 1",
            "Freeze broker 1",
            "Kill broker 3",
            "Kill controller c1",
            "Kill controller c3",
            "Send",
            "Pause",
            "Step",
            "Step back",
            "Next event",
            "Previous event",
            "Jump to now",
            "Share",
            "Lessons",
            "New cluster",
            "Presenter mode",
            "Embed",
            "Add a topic",
            "Add a broker",
            "Add a producer",
            "Add a consumer",
            "Add a stream",
            "Help",
            "Theme",
        ],
    ),
    (
        "tab",
        &[
            "Guarantees",
            "Events",
            "Inspector",
            "Metrics",
            "Packets",
            "Console",
            "Branches",
            "Partition state",
            "Lesson",
        ],
    ),
    ("grid", &["Partitions"]),
    ("row", &["orders-0", "orders-1", "orders-2"]),
    ("columnheader", &["Broker 1", "Broker 2", "Broker 3"]),
    ("table", &["Partition state"]),
    ("slider", &["Position of c1 in orders-0", "Time", "Speed"]),
    ("textbox", &["Key", "Value", "Console input"]),
    ("combobox", &["Topic", "Partition"]),
    ("log", &["Console output"]),
];

const COLUMNS: [&str; 8] =
    ["Partition", "Leader", "Leader epoch", "ISR", "ELR", "Replicas", "High watermark", "Log end"];

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn everything_has_its_fixed_name_as_soon_as_the_page_is_there() {
    with_page("the names", async |page| {
        page.open("").await;
        page.find("heading", "Highwater").await;
        for (role, names) in AT_ONCE {
            for name in *names {
                page.find(role, name).await;
            }
        }
        let app = page.find("region", "Producer app").await;
        for (role, name) in [
            ("combobox", "Topic"),
            ("textbox", "Key"),
            ("textbox", "Value"),
            ("combobox", "Partition"),
            ("button", "Send"),
        ] {
            page.find_within(&app, role, name).await;
        }
        assert_eq!(page.all("status").await.len(), 1, "one live region tells what matters");

        let console = page.find("region", "Console").await;
        page.find_within(&console, "textbox", "Console input").await;
        page.find_within(&console, "log", "Console output").await;

        let table = page.find("table", "Partition state").await;
        let columns: Vec<_> = page.all_within(&table, "columnheader").await.into_iter().map(|part| part.name).collect();
        assert_eq!(columns, COLUMNS);
        assert_eq!(page.all_within(&table, "row").await.len(), 4, "a head and three partitions");
        let words = table.text().await;
        assert!(words.contains("orders-0"), "the table can be read while another panel is in front: {words:?}");

        let row = page.find("row", "orders-0").await;
        let cells = page.all_within(&row, "gridcell").await;
        assert_eq!(cells.len(), 3);
        for cell in cells {
            let words: Vec<_> = cell.description.split(", ").collect();
            let [role, epoch, end, high_watermark, sync] = words[..] else { panic!("{:?}", cell.description) };
            assert!(["leader", "follower"].contains(&role), "{role}");
            assert_eq!((epoch, sync), ("epoch 0", "in sync"));
            assert!(end.starts_with("log end ") && high_watermark.starts_with("high watermark "));
        }
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn buttons_are_there_when_they_apply() {
    with_page("the buttons", async |page| {
        page.open("").await;
        let press = async |name: &str| page.find("button", name).await.click().await;
        let swapped = async |before: &str, after: &str| {
            press(before).await;
            page.find("button", after).await;
            page.wait_until_gone("button", before).await;
        };
        swapped("Kill broker 1", "Start broker 1").await;
        assert!(!page.has("button", "Stop broker 1").await);
        swapped("Start broker 1", "Kill broker 1").await;
        swapped("Power off broker 2", "Start broker 2").await;
        swapped("Freeze broker 3", "Thaw broker 3").await;
        swapped("Thaw broker 3", "Freeze broker 3").await;
        swapped("Kill controller c1", "Start controller c1").await;
        swapped("Start controller c1", "Kill controller c1").await;
        swapped("Pause", "Play").await;
        swapped("Play", "Pause").await;
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn what_matters_is_announced_in_a_sentence() {
    with_page("the announcements", async |page| {
        page.open("").await;
        page.find("button", "Kill broker 1").await.click().await;
        for sentence in ["Broker 1 died.", "orders-0: leader 1 → 2, epoch 1, ISR 2,3."] {
            page.wait_until(&format!("{sentence:?} is told"), async || {
                let told = page.script("return document.querySelector('[role=status]').textContent", vec![]).await;
                told.as_str().unwrap_or_default().contains(sentence)
            })
            .await;
        }
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn keys_do_what_they_promise_and_none_acts_while_typing() {
    with_page("the keys", async |page| {
        page.open("").await;
        page.find("button", "Pause").await;
        page.press(" ").await;
        page.find("button", "Play").await;
        let time = async || {
            let script = "return document.querySelector('input[aria-label=Time]').getAttribute('aria-valuetext')";
            page.script(script, vec![]).await.as_str().unwrap_or_default().to_owned()
        };
        for key in [".", "n", ",", "p"] {
            let before = time().await;
            // A step can be shorter than the milliseconds that are told.
            let moves = async || {
                page.press(key).await;
                time().await != before
            };
            page.wait_until(&format!("{key:?} moves the time"), moves).await;
        }
        page.press(" ").await;
        page.find("button", "Pause").await;

        page.press("2").await;
        page.find("heading", "Broker 2").await;
        page.press("k").await;
        page.find("button", "Start broker 2").await;
        page.press("k").await;
        page.find("button", "Kill broker 2").await;

        page.press("l").await;
        page.find("dialog", "Lessons").await;
        page.press("\u{e00c}").await;
        page.wait_until_gone("dialog", "Lessons").await;

        page.press("?").await;
        page.find("dialog", "Help").await;
        page.press("\u{e00c}").await;
        page.wait_until_gone("dialog", "Help").await;

        page.press("/").await;
        let typed = async |page: &Page| page.find("textbox", "Console input").await.value;
        page.wait_until("the console has the focus", async || {
            let script = "return document.activeElement.getAttribute('aria-label')";
            page.script(script, vec![]).await == "Console input"
        })
        .await;
        page.press("k 2.n?").await;
        assert_eq!(typed(&page).await, "k 2.n?");
        assert!(page.has("button", "Kill broker 2").await, "a key killed a broker while typing");
        assert!(!page.has("dialog", "Help").await);
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn an_embedded_page_has_no_chrome_and_talks_to_its_host() {
    with_page("embedding", async |page| {
        page.open("").await;
        page.find("button", "Embed").await.click().await;
        let dialog = page.find("dialog", "Embed").await;
        let text = page.find_within(&dialog, "textbox", "Text for your page").await.value;
        assert!(text.contains("?embed=1#s=1."), "{text}");
        let chosen = "return [...document.querySelectorAll('dialog select')].map((select) => select.value).join()";
        assert_eq!(page.script(chosen, vec![]).await, ",", "what is shown as chosen stands in the text");

        // The page inside itself: its own policy must allow the frame, so the host is another document.
        let address = text.split('"').nth(1).unwrap_or_default().to_owned();
        let script = "
            const heard = [];
            window.addEventListener('message', (event) => heard.push(event.data));
            const frame = document.createElement('iframe');
            frame.src = arguments[0];
            document.body.replaceChildren(frame);
            window.__heard = heard;
        ";
        page.open("sw.js").await;
        page.script(script, vec![address.into()]).await;
        page.wait_until("the frame says that it is ready and how large it is", async || {
            let heard = page.script("return (window.__heard ?? []).map((m) => m.source + ' ' + m.type)", vec![]).await;
            let heard = heard.to_string();
            heard.contains("highwater ready") && heard.contains("highwater size")
        })
        .await;

        page.complaints().await;
        page.open("?embed=1&controls=min&theme=dark").await;
        page.find("grid", "Partitions").await;
        page.find("slider", "Time").await;
        for (role, name) in [("button", "Share"), ("region", "Console"), ("region", "Producer app")] {
            assert!(!page.has(role, name).await, "{name} is chrome");
        }
        let theme = page.script("return document.documentElement.dataset.theme", vec![]).await;
        assert_eq!(theme, "dark");
        page.open("?embed=1&controls=none").await;
        page.find("grid", "Partitions").await;
        assert!(!page.has("slider", "Time").await);
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn an_embedded_page_says_how_large_it_is_and_nothing_in_it_overlaps() {
    with_page("the size of a frame", async |page| {
        for width in [1200, 900, 720, 360] {
            for rest in ["", "&controls=min", "&controls=none&lesson=acks"] {
                let script = "
                    window.__size = undefined;
                    window.onmessage = ({ data }) => {
                        if (data.type === 'size') frame.height = window.__size = data.height;
                    };
                    const frame = document.createElement('iframe');
                    frame.style.cssText = `border: 0; width: ${arguments[0]}px`;
                    frame.src = `./?embed=1${arguments[1]}`;
                    document.body.replaceChildren(frame);";
                page.open("sw.js").await;
                page.script(script, vec![width.into(), rest.into()]).await;
                let wrong = "
                    const inside = document.querySelector('iframe')?.contentDocument;
                    if (!window.__size || !inside?.querySelector('.stage')) return 'nothing is there';
                    const whole = inside.documentElement;
                    if (whole.scrollHeight > window.__size) return `${whole.scrollHeight} high, said ${window.__size}`;
                    if (whole.scrollWidth > whole.clientWidth) return `${whole.scrollWidth} wide`;
                    const parts = [...inside.querySelector('.page').children].filter((part) => part.matches('header, main, aside, footer, section'));
                    const edges = parts.map((part) => part.getBoundingClientRect());
                    const over = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
                    const pair = edges.findIndex((edge, i) => edges.slice(i + 1).some((other) => over(edge, other)));
                    return pair < 0 ? '' : `${parts[pair].className} is overlapped`;";
                page.wait_until(&format!("a frame of {width} with {rest:?} is right"), async || {
                    page.script(wrong, vec![]).await == ""
                })
                .await;
            }
        }
    });
}

/// Whichever panel is in front, no row of the opening hides behind it, and nothing sticks out of the page.
#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn every_panel_leaves_the_stage_in_view() {
    with_page("panels and the stage", async |page| {
        for (width, height) in [(1440, 900), (360, 800)] {
            page.look(width, height, Theme::Light).await;
            page.open("").await;
            page.find("row", "orders-2").await;
            for tab in page.all("tab").await {
                let show = "[...document.querySelectorAll('[role=tab]')].find((tab) => tab.textContent === arguments[0]).click()";
                page.script(show, vec![tab.name.clone().into()]).await;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                let overlaps = "
                    const edge = (selector) => document.querySelector(selector).getBoundingClientRect();
                    const rows = [...document.querySelectorAll('.partition-row')].map((row) => row.getBoundingClientRect());
                    const grid = document.querySelector('.grid');
                    const said = [];
                    if (rows.at(-1).bottom > edge('.dock').top + 0.5) said.push('the last row is behind the panel');
                    if (grid.scrollHeight > grid.clientHeight + 1 && getComputedStyle(grid).overflowY === 'auto')
                        said.push(`the rows need ${grid.scrollHeight} of ${grid.clientHeight}`);
                    rows.slice(1).forEach((row, i) => { if (row.top < rows[i].bottom - 0.5) said.push(`row ${i + 1} overlaps`); });
                    if (document.documentElement.scrollWidth > innerWidth) said.push('the page is too wide');
                    return said.join(', ');";
                let said = page.script(overlaps, vec![]).await;
                assert_eq!(said, "", "{} at {width}×{height}", tab.name);
            }
        }
    });
}
