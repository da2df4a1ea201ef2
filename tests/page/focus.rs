//! Where the focus is and goes: what is done by the keyboard leads on, and nothing is done by accident.

use crate::browser::{Page, with_page};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";

/// The name of what has the focus; nothing in particular is `BODY`.
async fn focus(page: &Page) -> String {
    let script = "
        const here = document.activeElement;
        return here.ariaLabel ?? (here === document.body ? 'BODY' : here.textContent.trim());";
    page.script(script, vec![]).await.as_str().unwrap_or_default().to_owned()
}

async fn wait_for_focus(page: &Page, name: &str) {
    page.wait_until(&format!("the focus is on {name:?}"), async || focus(page).await == name).await;
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_key_after_a_click_does_nothing_to_what_was_clicked() {
    with_page("a key after a click", async |page| {
        page.open("").await;
        page.find("button", "Freeze broker 2").await.click().await;
        page.find("button", "Thaw broker 2").await;
        page.press(" ").await;
        page.find("button", "Play").await;
        assert!(page.has("button", "Kill broker 2").await, "the broker is frozen and not killed");
        page.press(" ").await;
        page.find("button", "Pause").await;

        page.find("button", "Power off broker 3").await.click().await;
        page.find("button", "Wipe broker 3").await;
        page.press(" ").await;
        page.find("button", "Play").await;
        assert!(page.has("button", "Start broker 3").await, "what is left on the disk stays there");
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_focus_stays_in_the_card_whose_button_goes() {
    with_page("a button that goes", async |page| {
        page.open("").await;
        for (button, card) in [
            ("Kill broker 1", "Broker 1"),
            ("Stop broker 2", "Broker 2"),
            ("Kill controller c1", "Controller c1"),
            ("Kill consumer c1", "Consumer c1"),
        ] {
            page.find("button", button).await.press(ENTER).await;
            page.wait_until_gone("button", button).await;
            wait_for_focus(&page, card).await;
        }
        page.press(TAB).await;
        assert_ne!(focus(&page).await, "BODY", "and goes on from there");
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn a_dialog_gives_the_focus_back() {
    with_page("a dialog and the focus", async |page| {
        page.open("").await;
        page.find("button", "Manage topic orders").await.press(ENTER).await;
        page.find("dialog", "Topic orders").await;
        page.press(ESCAPE).await;
        page.wait_until_gone("dialog", "Topic orders").await;
        wait_for_focus(&page, "Manage topic orders").await;

        page.find("button", "Help").await.press(ENTER).await;
        let dialog = page.find("dialog", "Help").await;
        page.find_within(&dialog, "button", "Close").await.press(ENTER).await;
        page.wait_until_gone("dialog", "Help").await;
        wait_for_focus(&page, "Help").await;
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_tab_key_steps_over_the_panels_behind() {
    with_page("the panels and the Tab key", async |page| {
        page.open("").await;
        page.find("tab", "Guarantees").await.click().await;
        let hidden = "
            const panel = document.activeElement.closest('.panel');
            return panel !== null && !document.activeElement.closest('.console form')
                && !['Guarantees', 'Events', 'Console'].includes(panel.ariaLabel) ? panel.ariaLabel : '';";
        for _ in 0..8 {
            page.press(TAB).await;
            assert_eq!(page.script(hidden, vec![]).await, "", "a panel behind has the focus");
        }
        let panel = "return document.activeElement.closest('.panel')?.ariaLabel ?? ''";
        assert_eq!(page.script(panel, vec![]).await, "Events", "within eight presses");

        // The time is played before the panels are reached.
        let order = "
            const [time, dock] = ['.timeline', '.dock'].map((part) => document.querySelector(part));
            return Boolean(time.compareDocumentPosition(dock) & Node.DOCUMENT_POSITION_FOLLOWING);";
        assert_eq!(page.script(order, vec![]).await, true);
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn escape_leaves_a_field_and_a_checkbox_takes_no_letters() {
    with_page("a field and a checkbox", async |page| {
        page.open("").await;
        let field = page.find("textbox", "Console input").await;
        field.press("k").await;
        field.press(ESCAPE).await;
        wait_for_focus(&page, "BODY").await;
        page.press(" ").await;
        page.find("button", "Play").await;

        let check = page.find("checkbox", "only what matters").await;
        check.press("?").await;
        page.find("dialog", "Help").await;
        page.press(ESCAPE).await;
        page.wait_until_gone("dialog", "Help").await;
        check.press(" ").await;
        let checked = "return document.querySelector('.events input[type=checkbox]').checked";
        page.wait_until("Space belongs to the checkbox", async || page.script(checked, vec![]).await == false).await;
        assert!(page.has("button", "Play").await);
    });
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn time_stays_where_a_hand_left_it() {
    with_page("a hand on the time", async |page| {
        page.open("").await;
        let time = async || {
            let script = "const time = document.querySelector('[aria-label=Time]'); return [Number(time.value), Number(time.max)]";
            let time = page.script(script, vec![]).await;
            (time[0].as_f64().unwrap_or_default(), time[1].as_f64().unwrap_or_default())
        };
        let drag = "
            const time = document.querySelector('[aria-label=Time]');
            time.value = arguments[0];
            time.dispatchEvent(new InputEvent('input', { bubbles: true }));";
        page.find("slider", "Time").await;
        page.script(drag, vec![3_000.into()]).await;
        page.find("button", "Play").await;
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        assert_eq!(time().await.0, 3_000.0, "it runs away under the hand");

        let (_, end) = time().await;
        page.find("slider", "Time").await.press("\u{e014}").await;
        let stride = time().await.0 - 3_000.0;
        assert!((end / 110.0..end / 90.0).contains(&stride), "a press goes {stride} ms of {end}");
        page.find("slider", "Time").await.press("\u{e012}").await;
        assert_eq!(time().await.0, 3_000.0);
        page.find("button", "Play").await.click().await;
        page.wait_until("time goes on", async || time().await.0 > 3_000.0).await;

        // Whoever acts in the past wants to see what comes of it.
        page.script(drag, vec![1_000.into()]).await;
        page.find("button", "Kill broker 1").await.click().await;
        page.wait_until("the branch goes on", async || time().await.0 > 1_100.0).await;
        assert!(time().await.1 < end, "it is another future");
    });
}
