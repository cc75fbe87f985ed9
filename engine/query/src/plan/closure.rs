//! Recognises recursive rules that are the transitive closure of a relation, however they are written: left-linear,
//! right-linear, double-linear, or several of these at once.

use rustc_hash::FxHashMap;

use crate::ast::VarId;

use super::logic::{Attr, Call, CallArg, Conj, DataPattern, Node, Program, TableNode};
use super::vars::VarSet;

/// The relation whose transitive closure a program is.
#[derive(Clone, Debug)]
pub(crate) struct Closure {
    /// the relation
    pub body: Conj,
    /// its ends
    pub ends: (VarId, VarId),
}

/// The closure that `program` is, if it is one: one rule of two arguments, one branch that does not recurse, and
/// branches that join it with itself.
/// Variables in `fixed` are constants: each corresponds only to itself.
pub(crate) fn recognise(program: &Program, fixed: &VarSet) -> Option<Closure> {
    let [pred] = program.preds.as_slice() else { return None };
    if pred.arity != 2 || pred.required.contains(&true) {
        return None;
    }
    let recurses = |body: &Conj| body.iter().any(|node| matches!(node, Node::Table(_)));
    let mut plain = pred.branches.iter().filter(|(_, body)| !recurses(body));
    let (Some((head, body)), None) = (plain.next(), plain.next()) else { return None };
    let closure = Closure { body: body.clone(), ends: (head[0], head[1]) };
    let mut recursive = pred.branches.iter().filter(|(_, body)| recurses(body));
    recursive.all(|(head, body)| joins(head, body, &closure, fixed)).then_some(closure)
}

/// True when the branch is the relation joined with the rule, on either side, or the rule with itself.
fn joins(head: &[VarId], body: &Conj, closure: &Closure, fixed: &VarSet) -> bool {
    let tables: Vec<&TableNode> = body.iter().filter_map(table).collect();
    let rest: Vec<&Node> = body.iter().filter(|node| table(node).is_none()).collect();
    let (x, y) = (head[0], head[1]);
    match tables.as_slice() {
        [one, two] if rest.is_empty() => chains(x, y, one, two) || chains(x, y, two, one),
        [one] if one.args[1] == y && one.args[0] != x => same(&rest, closure, (x, one.args[0]), fixed),
        [one] if one.args[0] == x && one.args[1] != y => same(&rest, closure, (one.args[1], y), fixed),
        _ => false,
    }
}

fn table(node: &Node) -> Option<&TableNode> {
    match node {
        Node::Table(table) => Some(table),
        _ => None,
    }
}

fn chains(x: VarId, y: VarId, first: &TableNode, second: &TableNode) -> bool {
    first.args[0] == x && second.args[1] == y && first.args[1] == second.args[0] && first.args[1] != y
}

/// True when `nodes` are the relation between `ends`, up to names.
fn same(nodes: &[&Node], closure: &Closure, ends: (VarId, VarId), fixed: &VarSet) -> bool {
    let mut names = Renaming { fixed, there: FxHashMap::default(), back: FxHashMap::default() };
    names.pair(closure.ends.0, ends.0)
        && names.pair(closure.ends.1, ends.1)
        && closure.body.len() == nodes.len()
        && closure.body.iter().zip(nodes).all(|(x, y)| names.node(x, y))
}

/// A one-to-one correspondence of variables.
struct Renaming<'a> {
    fixed: &'a VarSet,
    there: FxHashMap<VarId, VarId>,
    back: FxHashMap<VarId, VarId>,
}

impl Renaming<'_> {
    fn pair(&mut self, x: VarId, y: VarId) -> bool {
        if self.fixed.has(x) || self.fixed.has(y) {
            return x == y;
        }
        *self.there.entry(x).or_insert(y) == y && *self.back.entry(y).or_insert(x) == x
    }

    fn maybe(&mut self, x: Option<VarId>, y: Option<VarId>) -> bool {
        match (x, y) {
            (Some(x), Some(y)) => self.pair(x, y),
            (None, None) => true,
            _ => false,
        }
    }

    fn node(&mut self, x: &Node, y: &Node) -> bool {
        match (x, y) {
            (Node::Data(x), Node::Data(y)) => self.data(x, y),
            (Node::Tuple(x), Node::Tuple(y)) => {
                let terms = x.terms.iter().zip(&y.terms);
                x.source == y.source
                    && x.terms.len() == y.terms.len()
                    && terms.into_iter().all(|(x, y)| self.maybe(*x, *y))
            }
            (Node::Filter(x), Node::Filter(y)) => self.call(x, y),
            (Node::Same(a, b), Node::Same(c, d)) => self.pair(*a, *c) && self.pair(*b, *d),
            _ => false,
        }
    }

    fn data(&mut self, x: &DataPattern, y: &DataPattern) -> bool {
        let attributes = match (&x.a, &y.a) {
            (Attr::Known(x), Attr::Known(y)) => x.id == y.id,
            (Attr::Var(x), Attr::Var(y)) => self.pair(*x, *y),
            (Attr::Blank, Attr::Blank) => true,
            _ => false,
        };
        attributes
            && x.source == y.source
            && self.maybe(x.e, y.e)
            && self.maybe(x.v, y.v)
            && self.maybe(x.tx, y.tx)
            && self.maybe(x.op, y.op)
    }

    fn call(&mut self, x: &Call, y: &Call) -> bool {
        let mut arg = |x: &CallArg, y: &CallArg| match (x, y) {
            (CallArg::Var(x), CallArg::Var(y)) => self.pair(*x, *y),
            (x, y) => x == y,
        };
        x.function == y.function
            && x.args.len() == y.args.len()
            && x.args.iter().zip(&y.args).all(|(x, y)| arg(x, y))
    }
}
