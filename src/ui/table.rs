//! The stage in words: always current, for whoever reads rather than looks.

use std::rc::Rc;

use yew::prelude::*;

use crate::view::partitions::PartitionRow;
use crate::view::stage::Stage;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub stage: Rc<Stage>,
}

#[component]
pub fn PartitionState(props: &Props) -> Html {
    const COLUMNS: [&str; 8] =
        ["Partition", "Leader", "Leader epoch", "ISR", "ELR", "Replicas", "High watermark", "Log end"];
    html! {
        <table class="partition-state" aria-label="Partition state">
            <thead><tr>{ for COLUMNS.iter().map(|column| html! { <th scope="col">{ *column }</th> }) }</tr></thead>
            <tbody>{ for props.stage.rows.iter().map(|row| html! { <Line key={row.name.clone()} row={row.clone()} /> }) }</tbody>
        </table>
    }
}

#[derive(Properties, PartialEq)]
struct LineProps {
    row: Rc<PartitionRow>,
}

#[component]
fn Line(props: &LineProps) -> Html {
    let row = &props.row;
    html! {
        <tr>
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

/// `2,3`; a dash for nobody.
fn list(brokers: &[i32]) -> String {
    if brokers.is_empty() {
        return "–".to_string();
    }
    brokers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
