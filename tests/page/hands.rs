//! That the tests see and touch as a person does, shown on a small form.

use crate::browser::with_page;

const FORM: &str = r#"
    <h1>A form</h1>
    <p role="note" aria-label="Only in the form">This form is only a form.</p>
    <section aria-label="Producer app">
        <label>Topic <select><option>orders</option><option>payments</option></select></label>
        <label>Value <input value="old"></label>
        <button aria-describedby="why">Send</button>
        <p id="why">Sends one record.</p>
    </section>
    <button hidden>Send</button>
    <button>Other</button>
    <p role="status"></p>
"#;

const BEHAVIOUR: &str = r#"
    document.body.innerHTML = arguments[0];
    const [topic] = document.querySelectorAll("select");
    const [value] = document.querySelectorAll("input");
    const [send, , other] = document.querySelectorAll("button");
    const [status] = document.querySelectorAll("[role=status]");
    send.onclick = () => setTimeout(() => {
        status.textContent = `sent ${value.value} to ${topic.value}`;
        other.remove();
    }, 100);
    document.onkeydown = (event) => {
        if (event.target === document.body && event.key === "k") status.textContent = "killed";
    };
"#;

#[test]
#[ignore = "needs the page and a browser: cargo xtask test page"]
fn the_tests_find_by_role_and_name_and_use_what_they_find() {
    with_page("hands", async |page| {
        page.open("").await;
        page.find("heading", "Highwater").await;
        page.script(BEHAVIOUR, vec![FORM.into()]).await;

        let app = page.find("region", "Producer app").await;
        let send = page.find_within(&app, "button", "Send").await;
        assert_eq!(send.description, "Sends one record.");
        assert_eq!(send.text().await, "Send");
        assert_eq!(page.all("button").await.len(), 2, "what is hidden is not there");
        assert_eq!(page.all_within(&app, "button").await.len(), 1);

        assert!(page.has("note", "Only in the form").await);
        page.press("k").await;
        page.wait_for_text("killed").await;

        let value = page.find_within(&app, "textbox", "Value").await;
        assert_eq!(value.value, "old");
        value.fill("new k").await;
        assert_eq!(page.find("textbox", "Value").await.value, "new k");
        page.find("combobox", "Topic").await.choose("payments").await;
        send.click().await;
        page.wait_until_gone("button", "Other").await;
        let status = &page.all("status").await[0];
        assert_eq!(status.text().await, "sent new k to payments");

        page.script("console.error('heard')", vec![]).await;
        let complaints = page.complaints().await;
        assert!(complaints.iter().any(|complaint| complaint.contains("heard")));

        page.reload().await;
        page.find("heading", "Highwater").await;
        assert!(!page.has("note", "Only in the form").await, "the page is as it was");
    });
}
