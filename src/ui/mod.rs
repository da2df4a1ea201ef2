//! The page: shows what `view` decides. The only room that knows a browser exists.

mod add;
pub mod app;
mod branches;
mod browser;
mod cards;
mod command;
mod console;
mod dialog;
mod dock;
mod embed;
mod events;
mod flights;
mod guarantees;
mod inspect;
mod keys;
mod lesson;
mod packets;
mod partitions;
mod session;
mod stage;
mod table;
mod theme;
mod timeline;
mod topbar;

pub use app::App;
