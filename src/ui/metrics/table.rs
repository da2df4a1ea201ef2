//! The charts' twin: every metric with its value at the viewed instant, as a table.

use std::rc::Rc;

use yew::prelude::*;

use crate::time::Instant;
use crate::ui::part::{Part, keyed};
use crate::view::metrics::{Area, Chart};

#[derive(PartialEq)]
pub struct Table {
    pub charts: Rc<Vec<Rc<Chart>>>,
    pub now: Instant,
}

impl Part for Table {
    fn draw(&self) -> Html {
        let of = |area: Area| self.charts.iter().filter(move |chart| chart.about.area == area);
        html! {
            <div class="scroll" tabindex="0" role="group" aria-label="Metrics as a table">
                <table aria-label="Metrics">
                    <caption>{ "At " }{ self.now.to_string() }</caption>
                    <thead><tr>
                        <th scope="col">{ "Metric" }</th><th scope="col" class="number">{ "Value" }</th><th scope="col">{ "Unit" }</th>
                        <th scope="col">{ "Reported by" }</th><th scope="col">{ "Meaning" }</th>
                    </tr></thead>
                    { for Area::ALL.iter().filter(|area| of(**area).next().is_some()).map(|area| html! {
                        <tbody key={area.name()}>
                            <tr><th scope="rowgroup" colspan="5" class="area">{ area.name() }</th></tr>
                            { for of(*area).map(|chart| keyed(chart.about.title(), Line { chart: chart.clone() })) }
                        </tbody>
                    }) }
                </table>
            </div>
        }
    }
}

#[derive(PartialEq)]
struct Line {
    chart: Rc<Chart>,
}

impl Part for Line {
    fn draw(&self) -> Html {
        let chart = &self.chart;
        let about = &chart.about;
        let by: Vec<String> = chart.by.iter().map(|(name, value)| format!("{name} {}", about.say(*value))).collect();
        html! {
            <tr>
                <th scope="row">{ about.title() }</th>
                <td class="number">{ chart.value.map_or("–".to_string(), |value| about.say(value)) }</td>
                <td>{ about.unit }</td>
                <td class="by">{ if by.is_empty() { "nobody".to_string() } else { by.join(" · ") } }</td>
                <td class="meaning">{ about.meaning }{ " " }<code>{ about.mbean }</code></td>
            </tr>
        }
    }
}
