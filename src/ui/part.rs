//! A part of the page that is drawn again only when its values change.
//!
//! Yew compiles all that a component can do once for every type of component. A part has no state
//! of its own, so that one component draws them all: what is downloaded holds it once.

use std::any::Any;
use std::rc::Rc;

use yew::prelude::*;
use yew::virtual_dom::{Key, VComp};

/// Values, and how they look.
pub trait Part: PartialEq + 'static {
    fn draw(&self) -> Html;
}

/// A part at its place.
pub fn part(values: impl Part) -> Html {
    place(None, Rc::new(values))
}

/// A part among others of its kind, which is found again by a key when they change places.
pub fn keyed(key: impl Into<Key>, values: impl Part) -> Html {
    place(Some(key.into()), Rc::new(values))
}

/// A list beside other things. Yew would count its members among them, and make anew what stands before a
/// list when it grows: its focus, and what was typed, would be gone.
pub fn list(members: impl Iterator<Item = Html>) -> Html {
    html! { <>{ for members }</> }
}

/// A sentence, with what stands between backticks in it as code.
pub fn sentence(text: &str) -> Html {
    let pieces = text.split('`').enumerate();
    pieces
        .map(|(at, piece)| {
            if at % 2 == 1 {
                html! { <code>{ piece }</code> }
            } else {
                html! { piece }
            }
        })
        .collect()
}

fn place(key: Option<Key>, part: Rc<dyn Drawn>) -> Html {
    VComp::new::<Place>(Rc::new(Values { part }), key).into()
}

/// A part of any type.
trait Drawn {
    fn draw(&self) -> Html;
    fn is(&self, other: &dyn Drawn) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<T: Part> Drawn for T {
    fn draw(&self) -> Html {
        Part::draw(self)
    }

    fn is(&self, other: &dyn Drawn) -> bool {
        other.as_any().downcast_ref::<T>().is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[derive(Properties)]
struct Values {
    part: Rc<dyn Drawn>,
}

impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        self.part.is(&*other.part)
    }
}

struct Place;

impl Component for Place {
    type Message = ();
    type Properties = Values;

    fn create(_: &Context<Self>) -> Place {
        Place
    }

    fn view(&self, context: &Context<Self>) -> Html {
        context.props().part.draw()
    }
}
