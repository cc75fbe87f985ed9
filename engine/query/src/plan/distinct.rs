//! Proves that rows are distinct, so that no set need be kept: what the variables that are kept determine, by
//! cardinality and uniqueness of attributes, must cover everything that made rows.

use annals_db::{Cardinality, Unique};

use crate::ast::{Binding, VarId};

use super::logic::{Attr, DataPattern, Node};
use super::vars::VarSet;

/// What has made rows so far, and what determines what.
#[derive(Clone, Debug)]
pub(crate) struct Distinctness {
    /// variables, and stand-ins for blanks, that may take several values
    all: VarSet,
    /// if the left is known, so is the right
    rules: Vec<(VarSet, VarSet)>,
    /// the next stand-in for a blank
    next: u32,
    fixed: VarSet,
}

impl Distinctness {
    /// Nothing but `fixed` variables, and `seeds`, by which rows are distinct. Blanks are numbered from `width`.
    pub(crate) fn new(fixed: &VarSet, seeds: &VarSet, width: u32) -> Distinctness {
        Distinctness { all: seeds.clone(), rules: Vec::new(), next: width + 64, fixed: fixed.clone() }
    }

    /// Takes in what `node` adds.
    pub(crate) fn add(&mut self, node: &Node, history: bool) {
        match node {
            Node::Data(pattern) => self.data(pattern, history),
            Node::Tuple(_) => {
                self.all.join(&node.vars());
                self.blank();
            }
            Node::Same(x, y) => {
                let (x, y): (VarSet, VarSet) = ([*x].into_iter().collect(), [*y].into_iter().collect());
                self.all.join(&x);
                self.all.join(&y);
                self.rules.push((x.clone(), y.clone()));
                self.rules.push((y, x));
            }
            Node::Filter(_) | Node::Not(_) => {}
            Node::Bind(call, binding) => {
                let outs: VarSet = binding.vars().collect();
                self.all.join(&outs);
                match binding {
                    Binding::Collection(_) | Binding::Relation(_) => {
                        self.blank();
                    }
                    _ => self.rules.push((call.vars().collect(), outs)),
                }
            }
            Node::Rows(_) | Node::Or(_) | Node::Rule(_) | Node::Table(_) => self.all.join(&node.vars()),
        }
    }

    /// Says that a step has just made rows distinct by `kept`.
    pub(crate) fn reset(&mut self, kept: &VarSet) {
        self.all = kept.clone();
    }

    /// True when rows are distinct by `kept`.
    pub(crate) fn proven(&self, kept: &VarSet) -> bool {
        let mut known = kept.clone();
        known.join(&self.fixed);
        loop {
            let before = known.clone();
            for (left, right) in &self.rules {
                if known.covers(left) {
                    known.join(right);
                }
            }
            if known.covers(&self.all) {
                return true;
            }
            if known == before {
                return false;
            }
        }
    }

    fn blank(&mut self) -> VarId {
        self.next += 1;
        self.all.add(VarId(self.next));
        VarId(self.next)
    }

    fn data(&mut self, pattern: &DataPattern, history: bool) {
        self.all.extend(pattern.vars());
        let e = pattern.e.unwrap_or_else(|| self.blank());
        let v = pattern.v.unwrap_or_else(|| self.blank());
        let a = match pattern.a {
            Attr::Known(_) => None,
            Attr::Var(var) => Some(var),
            Attr::Blank => Some(self.blank()),
        };
        let set = |vars: &[Option<VarId>]| vars.iter().flatten().copied().collect::<VarSet>();
        if history {
            if pattern.tx.is_none() || pattern.op.is_none() {
                self.blank();
            }
            return;
        }
        self.rules.push((set(&[Some(e), a, Some(v)]), set(&[pattern.tx, pattern.op])));
        if let Attr::Known(attribute) = &pattern.a {
            if attribute.cardinality == Cardinality::One {
                self.rules.push((set(&[Some(e)]), set(&[Some(v)])));
            }
            if matches!(attribute.unique, Some(Unique::Identity | Unique::Value)) {
                self.rules.push((set(&[Some(v)]), set(&[Some(e)])));
            }
        }
    }
}
