//! The page: shows what `view` decides. The only room that knows a browser exists.

use yew::prelude::*;

/// The whole page.
#[component]
pub fn App() -> Html {
    html! {
        <main>
            <h1>{ "Highwater" }</h1>
        </main>
    }
}
