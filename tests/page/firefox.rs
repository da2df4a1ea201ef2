//! The main path through the page in Firefox, and how that browser is asked what a person perceives.

use fantoccini::elements::Element;
use serde_json::{Value, json};

use crate::browser::{ELEMENT, Page, Part, with_firefox};
use crate::scenario::main_path;

#[test]
#[ignore = "needs the page and Firefox: cargo xtask test firefox"]
fn a_record_outlives_its_leader_and_time_goes_back() {
    with_firefox("the main path in Firefox", main_path);
}

/// What might have a role: a shortlist, of which the browser itself then says what it is.
const SHORTLIST: &str = "
    const [outer, role, name] = arguments;
    const native = {
        button: 'button', heading: 'h1,h2,h3,h4', textbox: 'input[type=text],textarea', slider: 'input[type=range]',
        combobox: 'select', region: 'section', table: 'table', row: 'tr', checkbox: 'input[type=checkbox]',
        dialog: 'dialog', link: 'a[href]',
    };
    const wanted = [`[role=${role}]`, native[role]].filter(Boolean).join(',');
    const said = (e) => [e.getAttribute('aria-label'), e.textContent, e.labels?.[0]?.textContent].map((t) => t?.trim());
    return [...(outer ?? document).querySelectorAll(wanted)].filter((e) =>
        e.getClientRects().length > 0 && (name === null || said(e).includes(name)));
";

impl Page {
    pub(crate) async fn query_firefox(&self, outer: Option<&Part>, role: &str, name: Option<&str>) -> Vec<Part> {
        let outer = outer.map_or(Value::Null, |outer| json!({ ELEMENT: outer.element_id() }));
        let Ok(listed) = self.client().execute(SHORTLIST, vec![outer, role.into(), name.into()]).await else {
            return Vec::new();
        };
        let mut parts = Vec::new();
        for id in listed.as_array().into_iter().flatten().filter_map(|found| found[ELEMENT].as_str()) {
            let said = async |what: &str| self.ask(&format!("element/{id}/{what}")).await;
            let (Some(is), Some(called)) = (said("computedrole").await, said("computedlabel").await) else { continue };
            if is == role && name.is_none_or(|name| called == name) {
                let element = Element::from_element_id(self.client().clone(), id.to_owned().into());
                parts.push(Part::found(element, is, called));
            }
        }
        parts
    }

    /// The errors that the browser noted about the page since the last time.
    pub(crate) async fn complaints_of_firefox(&self) -> Vec<String> {
        let script = "
            const noted = Services.console.getMessageArray().filter((m) => m instanceof Ci.nsIScriptError);
            const errors = noted.filter((m) => m.sourceName.startsWith(arguments[0]) && !(m.flags & Ci.nsIScriptError.warningFlag));
            Services.console.reset();
            return errors.map((m) => m.errorMessage);";
        self.command("moz/context", json!({ "context": "chrome" })).await;
        let noted = self.script(script, vec![self.address().into()]).await;
        self.command("moz/context", json!({ "context": "content" })).await;
        let noted = noted.as_array().expect("the script gives a list").iter();
        noted.map(|error| error.as_str().unwrap_or("?").to_owned()).collect()
    }
}
