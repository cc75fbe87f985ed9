//! Safety: whether the clauses can run in some order such that everything is bound that must be when its turn comes.
//!
//! The order in which clauses are written does not matter: a clause runs as soon as what it needs is bound, and then
//! binds the rest of its variables. What never can run is an error, and so is a variable that nothing binds. Of a rule
//! this is asked for every combination of bound arguments that it is called with.

use annals_edn::{Code, Error};
use rustc_hash::FxHashMap;

use crate::ast::{
    Branch, Call, Clause, FindElem, Input, Or, Pattern, Query, RuleCall, SourceId, Term, VarId, visit_vars,
};

/// The most rules that may call one another in a row, for the sake of the stack.
const MAX_CHAIN: usize = 200;

/// Which variables are bound, by number.
type Bound = Vec<bool>;

/// Checks that everything the query finds is bound and everything it asks can be asked.
pub(super) fn check(query: &Query, databases: &[bool]) -> Result<(), Error> {
    let mut safety = Safety::new(query, databases);
    let mut bound = vec![false; query.vars.len()];
    for input in &query.inputs {
        if let Input::Binding(binding, _) = input {
            binding.vars().for_each(|var| bound[var.0 as usize] = true);
        }
    }
    if let Some(clause) = query.clauses.iter().find(|clause| safety.asks_nothing(clause, &bound)) {
        return Err(safety.explain(clause, &bound));
    }
    let stuck = safety.run(&query.clauses, &mut bound)?;
    if let Some(&first) = stuck.first() {
        return Err(safety.explain(&query.clauses[first], &bound));
    }
    for elem in &query.find.elements {
        if !bound[elem.var().0 as usize] {
            return Err(unbound(query, elem));
        }
    }
    match query.with.iter().find(|var| !bound[var.0 as usize]) {
        Some(var) => {
            let name = query.name(*var);
            Err(Error::new(Code::UnboundQueryVariables, format!("nothing binds {name}"))
                .with("variable", name)
                .hint("variables of :with are bound in :where"))
        }
        None => Ok(()),
    }
}

fn unbound(query: &Query, elem: &FindElem) -> Error {
    let (FindElem::Var(_, at) | FindElem::Pull { at, .. } | FindElem::Aggregate { at, .. }) = elem;
    let name = query.name(elem.var());
    Error::new(Code::UnboundQueryVariables, format!("nothing binds {name}"))
        .at(at.0)
        .with("variable", name)
        .hint(format!("bind {name} by a clause of :where that is not in a not, or as an input"))
}

/// What is known of a rule called with some arguments bound.
#[derive(Clone, Copy, PartialEq)]
enum Status {
    /// being looked at, taken for safe meanwhile
    Open,
    Safe,
    Unsafe,
}

/// A rule and which of its arguments are bound.
type Adorned = (usize, Vec<bool>);

struct Safety<'a> {
    query: &'a Query,
    databases: &'a [bool],
    /// rules are called on databases, not on relations
    rules_read_databases: bool,
    known: FxHashMap<Adorned, Status>,
    /// open rules that were taken for safe, in order
    assumed: Vec<Adorned>,
    chain: usize,
    /// by rule: whether it can have a row at all, given data
    productive: Vec<bool>,
}

/// The rules that have a branch in which every rule called is productive too: one that only calls itself, be it through
/// others, never has a first row to start from.
fn productive(query: &Query) -> Vec<bool> {
    fn starts(clauses: &[Clause], known: &[bool]) -> bool {
        clauses.iter().all(|clause| match clause {
            Clause::Rule(call) => known[call.rule],
            Clause::Or(or) => or.branches.iter().any(|branch| starts(branch, known)),
            _ => true,
        })
    }
    let mut known = vec![false; query.rules.len()];
    loop {
        let new = |(at, rule): (usize, &crate::ast::Rule)| {
            (!known[at] && rule.branches.iter().any(|branch| starts(&branch.clauses, &known))).then_some(at)
        };
        let found: Vec<usize> = query.rules.iter().enumerate().filter_map(new).collect();
        if found.is_empty() {
            return known;
        }
        found.into_iter().for_each(|at| known[at] = true);
    }
}

impl<'a> Safety<'a> {
    fn new(query: &'a Query, databases: &'a [bool]) -> Safety<'a> {
        let mut rules_read_databases = true;
        super::calls::visit(&query.clauses, &mut |clause| {
            if let Clause::Rule(call) = clause {
                rules_read_databases &= databases.get(call.source.0 as usize) == Some(&true);
            }
            Ok(())
        })
        .expect("the visitor refuses nothing");
        let (known, assumed) = (FxHashMap::default(), Vec::new());
        let productive = productive(query);
        Safety { query, databases, rules_read_databases, known, assumed, chain: 0, productive }
    }

    /// Runs what can run, and answers the indexes of what cannot. Calls of rules come last, so that they find as much
    /// bound as possible.
    fn run(&mut self, clauses: &[Clause], bound: &mut Bound) -> Result<Vec<usize>, Error> {
        let mut pending: Vec<usize> = (0..clauses.len()).collect();
        loop {
            let before = pending.len();
            for calls in [false, true] {
                let mut left = Vec::with_capacity(pending.len());
                for &at in &pending {
                    let clause = &clauses[at];
                    let turn = matches!(clause, Clause::Rule(_)) == calls;
                    match turn && self.ready(clause, bound)? {
                        true => visit_vars(clause, &mut |var| bound[var.0 as usize] = true),
                        false => left.push(at),
                    }
                }
                let progress = left.len() < pending.len();
                pending = left;
                if progress {
                    break;
                }
            }
            if pending.is_empty() || pending.len() == before {
                return Ok(pending);
            }
        }
    }

    fn ready(&mut self, clause: &Clause, bound: &Bound) -> Result<bool, Error> {
        let is_bound = |var: VarId| bound[var.0 as usize];
        match clause {
            Clause::Pattern(pattern) => Ok(self.pattern_ready(pattern, bound)),
            Clause::Predicate(call) | Clause::Function(call, _) => Ok(call.vars().all(is_bound)),
            Clause::Not(not) => {
                if !not.join.iter().copied().all(is_bound) {
                    return Ok(false);
                }
                Ok(self.run(&not.clauses, &mut only(bound, &not.join))?.is_empty())
            }
            Clause::Or(or) => Ok(self.unready_branch(or, bound)?.is_none()),
            Clause::Rule(call) => self.call_ready(call, bound),
        }
    }

    /// `[?e _ _]`, which holds of every entity there is.
    fn asks_nothing(&self, clause: &Clause, inputs: &Bound) -> bool {
        let Clause::Pattern(pattern) = clause else { return false };
        let [Term::Var(e), rest @ ..] = pattern.terms.as_slice() else { return false };
        let reads_database = self.databases.get(usize::from(pattern.source.0)).copied().unwrap_or(false);
        let blank = rest.len() >= 2 && rest.iter().all(|term| *term == Term::Blank);
        reads_database && blank && !inputs[e.0 as usize]
    }

    fn pattern_ready(&self, pattern: &Pattern, bound: &Bound) -> bool {
        let reads_database = match pattern.source {
            SourceId::CALLER => self.rules_read_databases,
            SourceId(at) => self.databases[at as usize],
        };
        let known = |term: &Term| match term {
            Term::Var(var) => bound[var.0 as usize],
            Term::Const(_) => true,
            Term::Blank => false,
        };
        !reads_database || pattern.terms.iter().any(known)
    }

    /// The branch that cannot run, with what it leaves unbound.
    fn unready_branch(&mut self, or: &Or, bound: &Bound) -> Result<Option<(usize, Vec<VarId>)>, Error> {
        let free = |vars: &[VarId], bound: &Bound| -> Vec<VarId> {
            vars.iter().copied().filter(|var| !bound[var.0 as usize]).collect()
        };
        let missing = free(&or.join[..or.required], bound);
        if !missing.is_empty() {
            return Ok(Some((0, missing)));
        }
        for (at, branch) in or.branches.iter().enumerate() {
            let mut inside = only(bound, &or.join);
            let stuck = self.run(branch, &mut inside)?;
            let missing = free(&or.join, &inside);
            if !stuck.is_empty() || !missing.is_empty() {
                return Ok(Some((at, missing)));
            }
        }
        Ok(None)
    }

    fn call_ready(&mut self, call: &RuleCall, bound: &Bound) -> Result<bool, Error> {
        let adornment: Vec<bool> = call.args.iter().map(|arg| is_given(arg, bound)).collect();
        let rule = &self.query.rules[call.rule];
        if rule.required.iter().zip(&adornment).any(|(required, bound)| *required && !bound) {
            return Ok(false);
        }
        self.rule_safe((call.rule, adornment))
    }

    fn rule_safe(&mut self, adorned: Adorned) -> Result<bool, Error> {
        match self.known.get(&adorned) {
            Some(Status::Safe) => return Ok(true),
            Some(Status::Unsafe) => return Ok(false),
            Some(Status::Open) => {
                self.assumed.push(adorned);
                return Ok(true);
            }
            None => {}
        }
        if self.chain == MAX_CHAIN {
            let message = format!("more than {MAX_CHAIN} rules call one another in a row");
            return Err(Error::new(Code::QueryTooComplex, message));
        }
        self.known.insert(adorned.clone(), Status::Open);
        self.chain += 1;
        let safe = self.branches_safe(&adorned);
        self.chain -= 1;
        let safe = safe?;
        if !safe {
            // What was found safe meanwhile may have leant on this rule.
            self.known.retain(|_, status| *status != Status::Safe);
        }
        self.known.insert(adorned, if safe { Status::Safe } else { Status::Unsafe });
        Ok(safe)
    }

    fn branches_safe(&mut self, adorned: &Adorned) -> Result<bool, Error> {
        let query = self.query;
        let (rule, adornment) = (&query.rules[adorned.0], &adorned.1);
        for branch in &rule.branches {
            let mut bound = vec![false; query.vars.len()];
            for (var, given) in branch.head.iter().zip(adornment) {
                bound[var.0 as usize] = *given;
            }
            let mark = self.assumed.len();
            let stuck = self.run(&branch.clauses, &mut bound)?;
            let leans_on_itself = self.assumed[mark..].contains(adorned);
            if !stuck.is_empty() || branch.head.iter().any(|var| !bound[var.0 as usize]) {
                return Ok(false);
            }
            if leans_on_itself && adornment.iter().all(|bound| !bound) && self.makes_values(adorned.0, branch)
            {
                return Ok(false);
            }
        }
        Ok(self.productive[adorned.0] || adornment.iter().all(|bound| *bound))
    }

    /// Whether a recursive branch computes its arguments from those of the recursive call: from nothing bound that
    /// need not end.
    fn makes_values(&self, rule: usize, branch: &Branch) -> bool {
        let component = self.query.rules[rule].component;
        let mut derived: Vec<VarId> = Vec::new();
        let mut made: Vec<VarId> = Vec::new();
        for clause in &branch.clauses {
            if let Clause::Rule(call) = clause
                && self.query.rules[call.rule].component == component
            {
                visit_vars(clause, &mut |var| derived.push(var));
            }
        }
        for _ in 0..branch.clauses.len() {
            for clause in &branch.clauses {
                if let Clause::Function(call, binding) = clause
                    && call.vars().any(|var| derived.contains(&var) || made.contains(&var))
                {
                    made.extend(binding.vars().filter(|var| !derived.contains(var)));
                }
            }
        }
        branch.head.iter().any(|var| made.contains(var))
    }

    /// The error for a clause that never can run.
    fn explain(&mut self, clause: &Clause, bound: &Bound) -> Error {
        let mut missing: Vec<&str> = Vec::new();
        visit_vars(clause, &mut |var| {
            let name = self.query.name(var).as_str();
            if !bound[var.0 as usize] && !missing.contains(&name) {
                missing.push(name);
            }
        });
        let names = missing.join(" ");
        let (message, hint) = match clause {
            Clause::Pattern(_) => (
                "the pattern reads the whole database".to_owned(),
                "name an attribute, or bind one of its variables",
            ),
            Clause::Predicate(call) | Clause::Function(call, _) => {
                let unbound = self.names(call.vars(), bound);
                (
                    format!("{unbound} is not bound in the call of {}", call_name(call)),
                    "bind it by a pattern or an input",
                )
            }
            Clause::Not(not) => match not.join.iter().all(|var| bound[var.0 as usize]) {
                true => (self.inside(&not.clauses, &only(bound, &not.join)), "a not is a query of its own"),
                false => (
                    format!("{names} is not bound outside the not"),
                    "bind it outside, or name the variables that are joined in a not-join",
                ),
            },
            Clause::Or(_) => (
                format!(
                    "a branch of the or does not bind {}",
                    if names.is_empty() { "what it needs" } else { &names }
                ),
                "every branch binds every variable that is joined, or it is bound outside",
            ),
            Clause::Rule(call) if names.is_empty() => (
                format!("the rule {} needs an argument bound that is _ here", call.name),
                "give it a variable that something else binds, or bind it in the rule",
            ),
            Clause::Rule(call) => (
                format!("{} is not bound in the call of the rule {}", self.required(call, bound), call.name),
                "bind an argument first, by a pattern, an input or a constant",
            ),
        };
        Error::new(Code::InsufficientBinding, message).at(clause.span()).hint(hint)
    }

    /// The variables that a rule requires to be bound and are not; where it requires none, all that are not.
    fn required(&self, call: &RuleCall, bound: &Bound) -> String {
        let rule = &self.query.rules[call.rule];
        let unbound = call.args.iter().zip(&rule.required).filter_map(|(arg, required)| match arg {
            Term::Var(var) if !bound[var.0 as usize] => Some((*var, *required)),
            _ => None,
        });
        let any = unbound.clone().any(|(_, required)| required);
        self.names(unbound.filter(|(_, required)| !any || *required).map(|(var, _)| var), bound)
    }

    fn names(&self, vars: impl Iterator<Item = VarId>, bound: &Bound) -> String {
        let unbound = vars.filter(|var| !bound[var.0 as usize]).map(|var| self.query.name(var).as_str());
        unbound.collect::<Vec<_>>().join(" ")
    }

    /// What is wrong inside a not whose variables are all bound.
    fn inside(&mut self, clauses: &[Clause], bound: &Bound) -> String {
        let mut bound = bound.clone();
        match self.run(clauses, &mut bound) {
            Ok(stuck) => match stuck.first() {
                Some(&first) => self.explain(&clauses[first], &bound).message().to_owned(),
                None => "the not cannot run".to_owned(),
            },
            Err(error) => error.message().to_owned(),
        }
    }
}

fn call_name(call: &Call) -> &'static str {
    call.function.name()
}

fn is_given(arg: &Term, bound: &Bound) -> bool {
    match arg {
        Term::Var(var) => bound[var.0 as usize],
        Term::Const(_) => true,
        Term::Blank => false,
    }
}

/// Only those of `vars` that are bound.
fn only(bound: &Bound, vars: &[VarId]) -> Bound {
    let mut inside = vec![false; bound.len()];
    vars.iter().for_each(|var| inside[var.0 as usize] = bound[var.0 as usize]);
    inside
}
