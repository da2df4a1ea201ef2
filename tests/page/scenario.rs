//! What a person does on the page.

use crate::browser::with_page;

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
