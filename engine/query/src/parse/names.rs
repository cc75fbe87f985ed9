//! Numbers for what is named: variables by scope, sources, constants, calls.

use annals_edn::{Code, Edn, Error, Span, Symbol};
use rustc_hash::FxHashMap;

use crate::ast::{ConstId, Constant, Source, SourceId, Var, VarId};

/// What has been named so far, and what names mean where the parser stands.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) vars: Vec<Var>,
    pub(crate) sources: Vec<Source>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) calls: u32,
    scope: FxHashMap<Symbol, VarId>,
    default: Option<SourceId>,
    /// in a rule's body, where only the caller's source can be read
    in_rule: bool,
}

/// What is put back when a scope is left.
pub(crate) struct Outer {
    scope: FxHashMap<Symbol, VarId>,
    default: Option<SourceId>,
}

impl Names {
    /// Goes on numbering where a query's numbers end, for the rules that are given with it.
    pub(crate) fn for_rules(vars: Vec<Var>, constants: Vec<Constant>, calls: u32) -> Names {
        let default = Some(SourceId::CALLER);
        Names { vars, constants, calls, default, in_rule: true, ..Names::default() }
    }

    /// The variable of that name in this scope.
    pub(crate) fn var(&mut self, name: &Symbol) -> VarId {
        if let Some(known) = self.scope.get(name) {
            return *known;
        }
        let id = VarId(self.vars.len() as u32);
        self.vars.push(Var { name: name.clone() });
        self.scope.insert(name.clone(), id);
        id
    }

    /// The variable of that name, if this scope has it.
    pub(crate) fn known_var(&self, name: &Symbol) -> Option<VarId> {
        self.scope.get(name).copied()
    }

    /// Makes `name` known in this scope under a number it has in another.
    pub(crate) fn share(&mut self, name: &Symbol, id: VarId) {
        self.scope.insert(name.clone(), id);
    }

    /// Enters a scope in which no variable is known.
    pub(crate) fn enter(&mut self) -> Outer {
        Outer { scope: std::mem::take(&mut self.scope), default: self.default }
    }

    /// Leaves a scope.
    pub(crate) fn leave(&mut self, outer: Outer) {
        self.scope = outer.scope;
        self.default = outer.default;
    }

    /// A constant.
    pub(crate) fn constant(&mut self, form: &Edn, structural: bool) -> ConstId {
        self.constants.push(Constant { form: form.clone(), structural });
        ConstId(self.constants.len() as u32 - 1)
    }

    /// The number of the next call.
    pub(crate) fn call(&mut self) -> u32 {
        self.calls += 1;
        self.calls - 1
    }

    /// Makes a source known.
    pub(crate) fn add_source(&mut self, name: &Symbol, input: usize) -> SourceId {
        let id = SourceId(self.sources.len() as u16);
        self.sources.push(Source { name: name.clone(), input });
        if name.as_str() == "$" {
            self.default = Some(id);
        }
        id
    }

    /// The source of that name.
    pub(crate) fn source(&self, name: &Symbol, span: Span) -> Result<SourceId, Error> {
        if self.in_rule && name.as_str() == "$" {
            return Ok(SourceId::CALLER);
        }
        let found = self.sources.iter().position(|source| source.name == *name);
        found.map(|at| SourceId(at as u16)).ok_or_else(|| {
            let error = Error::new(Code::InvalidDataSource, format!("no input is named {name}")).at(span);
            match self.in_rule {
                true => error.hint("a rule reads the source it is called on: ($other rule ?x)"),
                false => error.hint(format!("add {name} to :in")),
            }
        })
    }

    /// The source of clauses that name none.
    pub(crate) fn default_source(&self, span: Span) -> Result<SourceId, Error> {
        self.default.ok_or_else(|| {
            Error::new(Code::InvalidDataSource, "the query has no default source")
                .at(span)
                .hint("add $ to :in")
        })
    }

    /// Makes `source` the one of clauses that name none, until the scope is left.
    pub(crate) fn set_default(&mut self, source: SourceId) {
        self.default = Some(source);
    }
}
