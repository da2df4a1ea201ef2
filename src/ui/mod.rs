//! The page: shows what `view` decides. The only room that knows a browser exists.

mod add;
pub mod app;
mod branches;
mod browser;
mod cards;
mod command;
mod console;
mod cuts;
mod dialog;
mod dock;
mod embed;
mod events;
mod flights;
mod form;
mod guarantees;
mod heads;
mod inspect;
mod keys;
mod lesson;
mod line_form;
mod manage;
mod metrics;
mod packets;
mod part;
mod partitions;
mod session;
mod stage;
mod streams;
mod table;
mod theme;
mod tiles;
mod timeline;
mod topbar;
mod window;
mod zoom;

pub use app::App;
