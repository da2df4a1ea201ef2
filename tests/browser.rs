//! Tests of single parts inside a browser: `cargo xtask test browser`.
#![cfg(target_arch = "wasm32")]

use gloo::utils::{body, document};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn the_page_can_be_mounted_anywhere() {
    let place = document().create_element("div").expect("a div is an element");
    body().append_child(&place).expect("the body takes a div");
    yew::Renderer::<highwater::ui::App>::with_root(place.clone()).render();
    yew::platform::time::sleep(std::time::Duration::ZERO).await;
    assert_eq!(place.text_content().as_deref(), Some("Highwater"));
}
