//! The stage in words: always current, for whoever reads rather than looks.

use std::ops::Range;
use std::rc::Rc;

use yew::prelude::*;

use crate::ui::form::Text;
use crate::ui::part::{Part, keyed, part};
use crate::ui::window::{Windowed, use_window};
use crate::view::partitions::PartitionRow;
use crate::view::stage::Stage;

/// Longer tables have only the lines in the page that are near the view, and a field to find others.
const SHORT: usize = 40;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub stage: Rc<Stage>,
}

#[component]
pub fn PartitionState(props: &Props) -> Html {
    const COLUMNS: [&str; 8] =
        ["Partition", "Leader", "Leader epoch", "ISR", "ELR", "Replicas", "High watermark", "Log end"];
    let wanted = use_state(String::new);
    let near = use_state(|| 0..SHORT);
    let all = &props.stage.rows;
    let found: Vec<&Rc<PartitionRow>> = all.iter().filter(|row| row.name.contains(wanted.trim())).collect();
    let long = found.len() > SHORT;
    let shown: Range<usize> =
        if long { near.start.min(found.len())..near.end.min(found.len()) } else { 0..found.len() };
    let tell = {
        let near = near.clone();
        if long { Callback::from(move |range| near.set(range)) } else { Callback::noop() }
    };
    let Windowed { scroller, onscroll, pitch } =
        use_window("tbody tr:not([aria-hidden])", found.len(), 25.0, shown.clone(), found.len(), tell);
    let set = {
        let wanted = wanted.clone();
        Callback::from(move |text: String| wanted.set(text))
    };
    let space = |rows: usize| {
        html! { if rows > 0 { <tr aria-hidden="true"><td colspan="8" style={format!("height:{}px", rows as f64 * pitch)} /></tr> } }
    };
    html! {
        <>
            if all.len() > SHORT {
                <label class="find">{ part(Text { name: "Find a partition", value: (*wanted).clone(), example: "orders-417", set }) }</label>
            }
            <div class={if all.len() > SHORT { "scroller long" } else { "scroller" }} ref={scroller} {onscroll} tabindex={long.then_some("0")}>
                <table class="partition-state" aria-label="Partition state" aria-rowcount={(found.len() + 1).to_string()}>
                    <thead><tr aria-rowindex="1">{ for COLUMNS.iter().map(|column| html! { <th scope="col">{ *column }</th> }) }</tr></thead>
                    <tbody>
                        { space(shown.start) }
                        { for found[shown.clone()].iter().enumerate().map(|(place, row)| html! {
                            { keyed(row.name.clone(), Line { row: Rc::clone(row), index: shown.start + place }) }
                        }) }
                        { space(found.len() - shown.end) }
                    </tbody>
                </table>
            </div>
        </>
    }
}

#[derive(PartialEq)]
struct Line {
    row: Rc<PartitionRow>,
    index: usize,
}

impl Part for Line {
    fn draw(&self) -> Html {
        let row = &self.row;
        html! {
            <tr aria-rowindex={(self.index + 2).to_string()}>
                <th scope="row">{ &row.name }</th>
                <td>{ row.leader.map_or("none".to_string(), |leader| leader.to_string()) }</td>
                <td>{ row.leader_epoch }</td>
                <td>{ list(&row.isr) }</td>
                <td>{ list(&row.elr) }</td>
                <td>{ list(&row.replicas) }</td>
                <td>{ row.high_watermark }</td>
                <td>{ row.log_end }</td>
            </tr>
        }
    }
}

/// `2,3`; a dash for nobody.
fn list(brokers: &[i32]) -> String {
    if brokers.is_empty() {
        return "–".to_string();
    }
    brokers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
