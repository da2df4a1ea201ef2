//! Tests of single parts inside a browser: `cargo xtask test browser`.
#![cfg(target_arch = "wasm32")]

use std::sync::Arc;

use gloo::utils::{body, document};
use highwater::history::Run;
use highwater::scenario::script::Script;
use include_dir::{Dir, include_dir};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn the_page_can_be_mounted_anywhere() {
    let place = document().create_element("div").expect("a div is an element");
    body().append_child(&place).expect("the body takes a div");
    yew::Renderer::<highwater::ui::App>::with_root(place.clone()).render();
    yew::platform::time::sleep(std::time::Duration::ZERO).await;
    let text = place.text_content().unwrap_or_default();
    assert!(text.contains("Highwater"), "{text}");
    place.remove();
}

static SCRIPTS: Dir = include_dir!("$CARGO_MANIFEST_DIR/tests/scripts");
static LESSONS: Dir = include_dir!("$CARGO_MANIFEST_DIR/src/lesson");

/// `digest name` line by line, as the native command printed them for this very tree.
const NATIVE: Option<&str> = option_env!("HIGHWATER_DIGESTS");

#[wasm_bindgen_test]
fn every_script_ends_in_the_same_state_as_natively() {
    let native = NATIVE.expect("`cargo xtask test browser` hands over the native digests");
    let mut compared = 0;
    let mut differing = Vec::new();
    for line in native.lines() {
        let (digest, name) = line.split_once(' ').expect("a line is a digest and a name");
        let file = SCRIPTS.get_file(name).or_else(|| LESSONS.get_file(name)).expect("the scripts are the same");
        let text = file.contents_utf8().expect("a script is text");
        let script = Script::read(text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let mut run = Run::start(Arc::new(script), None).expect("the scripts' clusters settle");
        run.finish(None, |_, _| {});
        compared += 1;
        if run.world.digest().to_string() != digest {
            differing.push(name);
        }
    }
    assert!(compared >= 20, "there are scripts to compare: {compared}");
    assert!(differing.is_empty(), "not as natively: {differing:?}");
}
