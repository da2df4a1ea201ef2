//! What a person can ask of the page. Components send these; only `app` carries them out.

use yew::Callback;

use crate::history::Speed;
use crate::time::Instant;
use crate::ui::cuts::Link;
use crate::ui::dialog::Over;
use crate::ui::manage::Thing;
use crate::ui::session::Intervention;
use crate::ui::zoom::Zoom;
use crate::view::inspect::Selection;

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A line of the script, from a click.
    Act(String),
    /// A line of the script, typed into the console.
    Type(String),
    /// Has a message on its way fare otherwise.
    Intervene(u64, Intervention),
    Play(bool),
    Step,
    StepBack,
    NextEvent,
    PreviousEvent,
    JumpToNow,
    Seek(Instant),
    JumpToEvent(u64),
    Speed(Speed),
    Select(Selection),
    /// The chain of causes of an event; `None` closes it.
    Why(Option<u64>),
    Show(Tab),
    OnlyWhatMatters(bool),
    Mute(crate::view::flights::Family),
    Theme,
    /// Lays a dialog over the page, or takes it away.
    Open(Option<Over>),
    Share,
    /// A line from a form in a dialog, which shows what is wrong with it.
    Add(String),
    /// Of a future that was left: what differs (`None`: no more), take it up, name it (`None`: the one
    /// that is looked at), forget it.
    Compare(Option<u64>),
    GoTo(u64),
    Rename(Option<u64>, String),
    Forget(u64),
    /// Opens what can be changed of something.
    Manage(Thing),
    /// Cuts the link between two nodes, or heals it.
    Link(Link),
    /// How closely the partitions are looked at, and which.
    Zoom(Zoom),
    Dismiss,
    /// Opens the lesson of this name.
    Lesson(&'static str),
    /// To the beginning of a part of the lesson.
    Part(usize),
    /// The reader's prediction.
    Answer(String),
    /// Large type for a back row, and keys of a clicker.
    Present,
    /// To the next part, or event; and back.
    Onward(bool),
}

/// The panels of the dock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Guarantees,
    Events,
    Inspector,
    Metrics,
    Packets,
    Console,
    Branches,
    PartitionState,
    Lesson,
}

impl Tab {
    pub const ALL: [Tab; 9] = [
        Tab::Guarantees,
        Tab::Events,
        Tab::Inspector,
        Tab::Metrics,
        Tab::Packets,
        Tab::Console,
        Tab::Branches,
        Tab::PartitionState,
        Tab::Lesson,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Tab::Guarantees => "Guarantees",
            Tab::Events => "Events",
            Tab::Inspector => "Inspector",
            Tab::Metrics => "Metrics",
            Tab::Packets => "Packets",
            Tab::Console => "Console",
            Tab::Branches => "Branches",
            Tab::PartitionState => "Partition state",
            Tab::Lesson => "Lesson",
        }
    }
}

/// How a component asks.
pub type Ask = Callback<Command>;

/// A click that asks for one thing.
pub fn on<E>(ask: &Ask, command: Command) -> Callback<E> {
    let ask = ask.clone();
    Callback::from(move |_: E| ask.emit(command.clone()))
}
