//! How the page looks to whoever uses it: light or dark, with plain or with high contrast, and as
//! large as a back row needs it. What was chosen is kept on the device.

use crate::ui::browser::{self, document, window};

const KEY: &str = "highwater-theme";

/// What the page hears when its theme or its size is another: what is painted wants painting again.
pub const LOOKS_CHANGED: &str = "highwater-looks-changed";

/// Tells whoever paints.
pub fn tell_painters() {
    if let Ok(event) = web_sys::Event::new(LOOKS_CHANGED) {
        window().dispatch_event(&event).ok();
    }
}

/// What the button `Theme` leads through, in this order.
const CHOICES: [&str; 4] = ["light", "dark", "light contrast", "dark contrast"];

/// The look that was chosen earlier, if any.
pub fn restore() {
    if let Some(kept) = browser::kept(KEY) {
        set(&kept);
    }
}

/// Sets a look by its name; any other name leaves everything to the browser.
pub fn set(choice: &str) {
    let (Some(root), true) = (document().document_element(), CHOICES.contains(&choice)) else { return };
    let (theme, contrast) = choice.split_once(' ').map_or((choice, ""), |(theme, _)| (theme, "more"));
    root.set_attribute("data-theme", theme).ok();
    root.set_attribute("data-contrast", contrast).ok();
}

/// The name of the present look.
pub fn chosen() -> &'static str {
    let said = |name: &str| document().document_element().and_then(|root| root.get_attribute(name));
    let dark = match said("data-theme").as_deref() {
        Some(theme) => theme == "dark",
        None => browser::prefers("(prefers-color-scheme: dark)"),
    };
    let contrast = said("data-contrast").is_some_and(|contrast| contrast == "more");
    CHOICES[usize::from(dark) + 2 * usize::from(contrast)]
}

/// The next look.
pub fn switch() {
    let place = CHOICES.iter().position(|choice| *choice == chosen()).unwrap_or(0);
    let next = CHOICES[(place + 1) % CHOICES.len()];
    set(next);
    browser::keep(KEY, next);
}
