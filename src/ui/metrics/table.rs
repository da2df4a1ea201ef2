//! The charts' twin: every metric with its value at the viewed instant, as a table.

use std::rc::Rc;

use yew::prelude::*;

use crate::time::Instant;
use crate::view::metrics::{Area, Chart};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub charts: Rc<Vec<Rc<Chart>>>,
    pub now: Instant,
}

#[component]
pub fn Table(props: &Props) -> Html {
    let of = |area: Area| props.charts.iter().filter(move |chart| chart.about.area == area);
    html! {
        <div class="scroll" tabindex="0" role="group" aria-label="Metrics as a table">
            <table aria-label="Metrics">
                <caption>{ "At " }{ props.now.to_string() }</caption>
                <thead><tr>
                    <th scope="col">{ "Metric" }</th><th scope="col" class="number">{ "Value" }</th><th scope="col">{ "Unit" }</th>
                    <th scope="col">{ "Reported by" }</th><th scope="col">{ "Meaning" }</th>
                </tr></thead>
                { for Area::ALL.iter().filter(|area| of(**area).next().is_some()).map(|area| html! {
                    <tbody key={area.name()}>
                        <tr><th scope="rowgroup" colspan="5" class="area">{ area.name() }</th></tr>
                        { for of(*area).map(|chart| html! { <Line key={chart.about.title()} chart={chart.clone()} /> }) }
                    </tbody>
                }) }
            </table>
        </div>
    }
}

#[derive(Properties, PartialEq)]
struct LineProps {
    chart: Rc<Chart>,
}

#[component]
fn Line(props: &LineProps) -> Html {
    let chart = &props.chart;
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
