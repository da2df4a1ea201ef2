//! The futures that were left, as a tree: each parts from the present one or from another at an
//! instant. Whichever is looked at is the trunk; going over to another turns the tree around.

use serde::Serialize;

use crate::time::Instant;

/// A future that was left, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Future {
    pub id: u64,
    pub name: String,
    /// The future that it parts from; `None`: the one that is looked at.
    pub of: Option<u64>,
    /// When it parts from that one.
    pub left_at: Instant,
    pub end: Instant,
}

/// A future in the drawing: below the one that it parts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drawn {
    pub future: Future,
    /// The line of the drawing that it parts from; line 0 is the trunk.
    pub from: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Futures {
    kept: Vec<Future>,
    /// How many futures have ever been kept: each has a number of its own.
    numbered: u64,
}

impl Futures {
    /// The trunk is left at `left_at` and becomes a branch of what begins there; its number.
    pub fn keep(&mut self, left_at: Instant, end: Instant) -> u64 {
        self.numbered += 1;
        let id = self.numbered;
        for future in self.kept.iter_mut().filter(|future| future.of.is_none() && future.left_at > left_at) {
            future.of = Some(id);
        }
        self.kept.push(Future { id, name: format!("Future {id}"), of: None, left_at, end });
        id
    }

    /// Goes over to a future that was kept: it is the trunk now, and the old trunk, which has come to
    /// `end`, is a branch of it. Gives the old trunk's number.
    pub fn go_to(&mut self, id: u64, end: Instant) -> Option<u64> {
        let index = self.kept.iter().position(|future| future.id == id)?;
        let target = self.kept.remove(index);
        self.numbered += 1;
        let trunk = self.numbered;
        for future in &mut self.kept {
            match future.of {
                Some(parent) if parent == id => future.of = None,
                None => future.of = Some(trunk),
                Some(_) => {}
            }
        }
        self.kept.push(Future { id: trunk, name: format!("Future {trunk}"), of: None, left_at: Instant::ZERO, end });
        // From the new trunk back to the old one, every branch is turned around.
        let (mut below, mut at, mut next) = (None, target.left_at, target.of.or(Some(trunk)));
        while let Some(turned) = next.and_then(|next| self.kept.iter_mut().find(|future| future.id == next)) {
            let (parent, parted) = (turned.of, turned.left_at);
            (turned.of, turned.left_at) = (below, at);
            below = Some(turned.id);
            at = parted;
            next = if turned.id == trunk { None } else { parent };
        }
        self.straighten();
        Some(trunk)
    }

    /// What parts from a branch before that branch itself parts, parts from the branch's own trunk.
    fn straighten(&mut self) {
        loop {
            let wrong = self.kept.iter().enumerate().find_map(|(index, future)| {
                let parent = self.kept.iter().find(|parent| Some(parent.id) == future.of)?;
                (future.left_at <= parent.left_at).then_some((index, parent.of))
            });
            let Some((index, of)) = wrong else { return };
            self.kept[index].of = of;
        }
    }

    pub fn rename(&mut self, id: u64, name: &str) {
        let name = name.trim();
        if let Some(future) = self.kept.iter_mut().find(|future| future.id == id).filter(|_| !name.is_empty()) {
            future.name = name.to_string();
        }
    }

    /// What parted from it parts from where it came from, at the instant at which it did.
    pub fn forget(&mut self, id: u64) {
        let Some(index) = self.kept.iter().position(|future| future.id == id) else { return };
        let gone = self.kept.remove(index);
        for future in self.kept.iter_mut().filter(|future| future.of == Some(id)) {
            (future.of, future.left_at) = (gone.of, gone.left_at);
        }
    }

    pub fn get(&self, id: u64) -> Option<&Future> {
        self.kept.iter().find(|future| future.id == id)
    }

    /// All of them in the order in which they are drawn, each after the one that it parts from.
    pub fn drawn(&self) -> Vec<Drawn> {
        let mut lines = Vec::new();
        self.draw_below(None, 0, &mut lines);
        lines
    }

    fn draw_below(&self, parent: Option<u64>, from: usize, lines: &mut Vec<Drawn>) {
        let mut parting: Vec<&Future> = self.kept.iter().filter(|future| future.of == parent).collect();
        // Those that part last come first: then no branch crosses another.
        parting.sort_unstable_by_key(|future| std::cmp::Reverse((future.left_at, future.id)));
        for future in parting {
            lines.push(Drawn { future: future.clone(), from });
            self.draw_below(Some(future.id), lines.len(), lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant(seconds * 1_000_000)
    }

    /// `2<0@5`: future 2 parts from line 0 at 5 s.
    fn tree(futures: &Futures) -> Vec<String> {
        let line = |drawn: &Drawn| format!("{}<{}@{}", drawn.future.id, drawn.from, drawn.future.left_at.0 / 1_000_000);
        futures.drawn().iter().map(line).collect()
    }

    #[test]
    fn what_is_left_parts_where_it_was_left() {
        let mut futures = Futures::default();
        futures.keep(at(5), at(20));
        assert_eq!(tree(&futures), ["1<0@5"]);
        futures.keep(at(9), at(30));
        assert_eq!(tree(&futures), ["2<0@9", "1<0@5"]);
        // Left before the others part: they are branches of what is left.
        futures.keep(at(3), at(40));
        assert_eq!(tree(&futures), ["3<0@3", "2<1@9", "1<1@5"]);
    }

    #[test]
    fn going_over_turns_the_tree_and_back_turns_it_back() {
        let mut futures = Futures::default();
        futures.keep(at(5), at(20));
        futures.keep(at(9), at(30));
        let before: Vec<Instant> = futures.drawn().iter().map(|drawn| drawn.future.left_at).collect();
        let old = futures.go_to(2, at(50)).unwrap();
        assert_eq!(tree(&futures), ["3<0@9", "1<0@5"]);
        assert_eq!(futures.get(old).unwrap().end, at(50));
        futures.go_to(old, at(30)).unwrap();
        assert_eq!(futures.drawn().iter().map(|drawn| drawn.future.left_at).collect::<Vec<_>>(), before);
    }

    #[test]
    fn going_to_a_branch_of_a_branch_turns_both() {
        let mut futures = Futures::default();
        futures.keep(at(5), at(20));
        futures.keep(at(3), at(40));
        // The trunk parts from 2 at 3 s, and 1 from 2 at 5 s.
        assert_eq!(tree(&futures), ["2<0@3", "1<1@5"]);
        futures.go_to(1, at(60));
        assert_eq!(tree(&futures), ["2<0@5", "3<0@3"]);
        assert_eq!(futures.go_to(99, at(1)), None);
    }

    #[test]
    fn what_is_forgotten_leaves_its_branches() {
        let mut futures = Futures::default();
        futures.keep(at(5), at(20));
        futures.keep(at(3), at(40));
        futures.rename(1, "  The kill ");
        futures.rename(1, " ");
        futures.forget(2);
        assert_eq!(tree(&futures), ["1<0@3"]);
        assert_eq!(futures.get(1).unwrap().name, "The kill");
    }
}
