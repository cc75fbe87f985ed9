//! Random queries as text. Many are illegal; the check says so and they are passed over.

use super::data::{ENTITIES, value};
use super::random::Random;

/// A query with the arguments after the database.
pub struct Asked {
    /// up to `:where`
    head: String,
    /// behind it
    pub clauses: Vec<String>,
    pub args: Vec<String>,
}

const VARS: [&str; 6] = ["?a", "?b", "?c", "?d", "?e", "?f"];
const ATTRIBUTES: [&str; 9] = ["u", "l", "i", "s", "k", "d", "b", "r", "m"];

/// Closures, left and right, a union, one that negates another, one of two columns with a predicate.
const RULES: &str = "[[(near ?x ?y) [?x :m ?y]] [(near ?x ?y) [?x :r ?y]]
 [(right ?x ?y) [?x :m ?y]] [(right ?x ?y) [?x :m ?z] (right ?z ?y)]
 [(left ?x ?y) [?x :m ?y]] [(left ?x ?y) (left ?x ?z) [?z :m ?y]]
 [(both ?x ?y) (near ?x ?y)] [(both ?x ?y) (both ?x ?z) (both ?z ?y)]
 [(odd ?x ?y) (near ?x ?y)] [(odd ?x ?y) (near ?x ?z) (even ?z ?y)] [(even ?x ?y) (near ?x ?z) (odd ?z ?y)]
 [(apart ?x ?y) [?x :u] [?y :u] (not (right ?x ?y))]
 [(less ?x ?y) [?x :l ?n] [?y :l ?m] [(< ?n ?m)]]]";

const RULE_NAMES: [&str; 8] = ["near", "right", "left", "both", "odd", "even", "apart", "less"];

/// A query of one to five clauses.
pub fn query(random: &mut Random) -> Asked {
    let clauses: Vec<String> = (0..1 + random.below(5)).map(|_| clause(random, 2)).collect();
    let mut args = vec![RULES.to_owned()];
    let mut inputs = vec!["$".to_owned(), "%".to_owned()];
    // A lookup ref beside an attribute that is not known is compared as it is or resolved, as the plan has it.
    let open = clauses.iter().any(|clause| VARS.iter().any(|var| clause.contains(&format!(" {var} ?"))));
    if random.chance(25) {
        let (input, arg) = input(random, if open { 3 } else { 4 });
        inputs.push(input);
        args.push(arg);
    }
    let where_ = clauses.join(" ");
    let used: Vec<&str> = VARS
        .into_iter()
        .filter(|var| where_.contains(var) || inputs.iter().any(|input| input.contains(var)))
        .collect();
    let used = if used.is_empty() { VARS.to_vec() } else { used };
    let mut find: Vec<String> = (0..1 + random.below(3)).map(|_| random.pick(&used).to_owned()).collect();
    if random.chance(20) {
        let aggregate = random.pick(&["count", "count-distinct", "min", "max", "distinct"]);
        find.push(format!("({aggregate} {})", random.pick(&used)));
    }
    let with = if random.chance(15) { format!(":with {}", random.pick(&used)) } else { String::new() };
    let head = format!("[:find {} {with} :in {} :where", find.join(" "), inputs.join(" "));
    Asked { head, clauses, args }
}

impl Asked {
    /// The query as text.
    pub fn text(&self) -> String {
        format!("{} {}]", self.head, self.clauses.join(" "))
    }

    /// True when some pattern may have a variable for its attribute: then it may tell how attributes are declared.
    pub fn asks_attributes(&self) -> bool {
        let begins = |var: &str| {
            let before = VARS.iter().map(|entity| format!("[{entity} {var}"));
            before.chain([format!("[_ {var}"), format!("] {var}")]).collect::<Vec<_>>()
        };
        self.clauses
            .iter()
            .any(|clause| VARS.iter().any(|var| begins(var).iter().any(|at| clause.contains(at))))
    }

    /// The same with its clauses in another order.
    pub fn ordered(&self, order: &[usize]) -> String {
        let clauses: Vec<&str> = order.iter().map(|at| self.clauses[*at].as_str()).collect();
        format!("{} {}]", self.head, clauses.join(" "))
    }
}

fn input(random: &mut Random, kinds: usize) -> (String, String) {
    let var = random.pick(&VARS);
    match random.below(kinds) {
        0 => (var.to_owned(), random.below(5).to_string()),
        1 => (format!("[{var} ...]"), format!("[{} {} \"a\"]", random.below(5), random.below(5))),
        2 => (format!("[[{var} {}]]", random.pick(&VARS)), "[[1 2] [2 2] [3 \"b\"] [0 1]]".to_owned()),
        _ => (var.to_owned(), format!("[:u {}]", random.below(ENTITIES))),
    }
}

fn clause(random: &mut Random, depth: usize) -> String {
    match random.below(if depth > 0 { 22 } else { 15 }) {
        0..=10 => pattern(random),
        11 => {
            let comparison = random.pick(&["<", "<=", ">", ">=", "=", "!=", "not="]);
            format!("[({comparison} {} {})]", random.pick(&VARS), operand(random))
        }
        12 => format!(
            "[({} {}) {}]",
            random.pick(&["str", "identity", "vector"]),
            random.pick(&VARS),
            random.pick(&VARS)
        ),
        13 => format!("[(ground [{} {}]) [{} ...]]", random.below(5), random.below(5), random.pick(&VARS)),
        14..=16 => rule(random),
        17 => format!("(not {})", clauses(random, depth)),
        18 => format!("(not-join [{}] {})", head(random), clauses(random, depth)),
        19 => {
            let var = random.pick(&VARS);
            format!("(or [{var} :{}] [{var} :{} {}])", attribute(random), "l", random.below(5))
        }
        20 => format!(
            "(or-join [{}] {} (and {}))",
            head(random),
            clause(random, depth - 1),
            clauses(random, depth)
        ),
        _ => format!(
            "[(get-else $ {} :{} {}) {}]",
            random.pick(&VARS),
            random.pick(&["l", "s", "r"]),
            random.below(5),
            random.pick(&VARS)
        ),
    }
}

fn clauses(random: &mut Random, depth: usize) -> String {
    (0..1 + random.below(2)).map(|_| clause(random, depth - 1)).collect::<Vec<_>>().join(" ")
}

fn head(random: &mut Random) -> String {
    let first = random.below(VARS.len());
    match random.chance(50) {
        true => VARS[first].to_owned(),
        false => format!("{} {}", VARS[first], VARS[(first + 1) % VARS.len()]),
    }
}

fn attribute(random: &mut Random) -> &'static str {
    random.pick(&ATTRIBUTES)
}

fn pattern(random: &mut Random) -> String {
    let attribute = attribute(random);
    let entity = match random.below(10) {
        0 => "_".to_owned(),
        1 => format!("[:u {}]", random.below(ENTITIES)),
        _ => random.pick(&VARS).to_owned(),
    };
    let named = match random.below(14) {
        0 => random.pick(&VARS).to_owned(),
        _ => format!(":{attribute}"),
    };
    let v = match random.below(10) {
        0 => "_".to_owned(),
        1 | 2 => value(attribute, random),
        _ => random.pick(&VARS).to_owned(),
    };
    match random.below(12) {
        0 => format!("[{entity} {named}]"),
        1 => format!("[{entity} {named} {v} {}]", random.pick(&VARS)),
        2 => format!("[{entity} {named} {v} _ {}]", random.pick(&["true", "false", "?f"])),
        _ => format!("[{entity} {named} {v}]"),
    }
}

fn operand(random: &mut Random) -> String {
    match random.below(4) {
        0 => random.pick(&VARS).to_owned(),
        1 => "\"b\"".to_owned(),
        _ => random.below(5).to_string(),
    }
}

fn rule(random: &mut Random) -> String {
    let term = |random: &mut Random| match random.below(8) {
        0 => "_".to_owned(),
        1 => format!("[:u {}]", random.below(ENTITIES)),
        _ => random.pick(&VARS).to_owned(),
    };
    format!("({} {} {})", random.pick(&RULE_NAMES), term(random), term(random))
}
