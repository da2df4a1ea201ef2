//! The browser entry: mounts the page. Natively there is nothing to mount it on.

#[cfg(target_arch = "wasm32")]
fn main() {
    yew::Renderer::<highwater::ui::App>::new().render();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
