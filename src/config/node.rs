//! The merged tree of values, and how what is wrong is taken out of it.

mod reading;

use super::places::join;
use serde_path_to_error::{Path, Segment};
use std::collections::BTreeMap;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node(pub(super) Kind);

/// What it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Bool(bool),
    Int(i64),
    Text(String),
    /// A text of the environment, to be read as whatever the key wants.
    Loose(String),
    /// The items with the index they were written at: it stays when others are taken out.
    List(Vec<(usize, Node)>),
    Table(BTreeMap<String, Node>),
    /// Stands in for a required key that is missing, so that the rest can be read and its mistakes
    /// be told; what is read then is never used.
    StandIn,
    /// A value that no key takes; reported when it was read.
    Refused,
}

impl Node {
    /// Takes out the node that serde's path leads to; gives its path in our words.
    pub(super) fn take_out(&mut self, at: &Path) -> String {
        let mut steps = Vec::new();
        let mut here: &Node = self;
        let mut path = String::new();
        for segment in at.iter() {
            let next = match (segment, &here.0) {
                (Segment::Map { key } | Segment::Enum { variant: key }, Kind::Table(table)) => {
                    path = join(&path, key);
                    steps.push(Step::Key(key.clone()));
                    table.get(key)
                }
                (Segment::Seq { index }, Kind::List(items)) => {
                    let written = items.get(*index).map_or(*index, |(written, _)| *written);
                    path = format!("{path}[{written}]");
                    steps.push(Step::Position(*index));
                    items.get(*index).map(|(_, node)| node)
                }
                _ => None,
            };
            let Some(next) = next else { break };
            here = next;
        }
        self.drop_at(&steps);
        path
    }

    fn drop_at(&mut self, steps: &[Step]) {
        match (&mut self.0, steps) {
            (Kind::Table(table), [Step::Key(key)]) => drop(table.remove(key)),
            // An item leaves a stand-in, so that those after it keep their index; where that does
            // not read either, nothing.
            (Kind::List(items), [Step::Position(at)]) => match items.get_mut(*at) {
                Some((_, Node(Kind::StandIn))) => drop(items.remove(*at)),
                Some((_, node)) => *node = Node(Kind::StandIn),
                None => {}
            },
            (Kind::Table(table), [Step::Key(key), rest @ ..]) => {
                if let Some(node) = table.get_mut(key) {
                    node.drop_at(rest);
                }
            }
            (Kind::List(items), [Step::Position(at), rest @ ..]) => {
                if let Some((_, node)) = items.get_mut(*at) {
                    node.drop_at(rest);
                }
            }
            _ => {}
        }
    }

    /// Puts a stand-in for the missing `key` into the table that serde's path leads to; gives the
    /// path of the key, or nothing when there is no such table.
    pub(super) fn stand_in(&mut self, at: &Path, key: &str) -> Option<String> {
        let mut here = self;
        let mut path = String::new();
        for segment in at.iter() {
            here = match (segment, &mut here.0) {
                (Segment::Map { key } | Segment::Enum { variant: key }, Kind::Table(table)) => {
                    path = join(&path, key);
                    table.get_mut(key)?
                }
                (Segment::Seq { index }, Kind::List(items)) => {
                    let (written, node) = items.get_mut(*index)?;
                    path = format!("{path}[{written}]");
                    node
                }
                _ => return None,
            };
        }
        let Kind::Table(table) = &mut here.0 else { return None };
        table.insert(key.to_owned(), Node(Kind::StandIn));
        Some(join(&path, key))
    }
}

enum Step {
    Key(String),
    Position(usize),
}
