//! The console speaks the whole language: what lets time pass does so, what is asked for is answered.

use crate::browser::{Page, Theme, with_page};

async fn said(page: &Page) -> String {
    let script = "return document.querySelector('[aria-label=\"Console output\"]').textContent";
    page.script(script, vec![]).await.as_str().unwrap_or_default().to_owned()
}

async fn type_line(page: &Page, line: &str) {
    page.find("textbox", "Console input").await.fill(line).await;
    page.press("\u{e007}").await;
}

/// Virtual seconds, as the timeline shows them.
async fn seconds(page: &Page) -> f64 {
    let text = page.script("return document.querySelector('.reading-time .now').textContent", vec![]).await;
    text.as_str().and_then(|text| text.strip_suffix(" s")?.parse().ok()).expect("the time is shown in seconds")
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn what_is_typed_lets_time_pass_and_is_answered() {
    with_page("console", async |page| {
        page.look(1440, 900, Theme::Light).await;
        page.open("").await;
        page.find("button", "Pause").await.click().await;
        let before = seconds(&page).await;
        type_line(&page, "wait 5min").await;
        let passed = async || seconds(&page).await - before;
        page.wait_until("five minutes have passed", async || passed().await >= 300.0).await;
        assert!((passed().await - 300.0).abs() < 0.002, "{}", passed().await);
        page.find("button", "Play").await;

        type_line(&page, "expect isr orders-0 = 1,2,3").await;
        page.wait_until("it is answered", async || said(&page).await.contains("holds at")).await;
        type_line(&page, "kill broker 1").await;
        type_line(&page, "until leader orders-0 = 2 within 20s").await;
        page.wait_until("another leads", async || said(&page).await.contains("within 20s` holds at")).await;
        assert!((5.0..10.0).contains(&(passed().await - 300.0)), "no further than that: {}", passed().await);
        page.find("button", "Play").await;

        type_line(&page, "expect leader orders-0 = 1").await;
        page.wait_until("it does not hold", async || said(&page).await.contains("does not hold at")).await;
        type_line(&page, "expect").await;
        page.wait_until("it says where", async || said(&page).await.contains("column 7: expected a condition")).await;
        type_line(&page, "help").await;
        page.wait_until("it tells the language", async || {
            said(&page).await.contains("A line begins with: cluster, topic")
        })
        .await;
        assert_eq!(page.complaints().await, Vec::<String>::new());
    });
}
