//! Twenty thousand people with five attributes each.

use anyhow::{Context, Result, bail};
use serde_json::Value as Json;

use super::{Data, Origin, shared, text};
use crate::random::Random;

/// How many are generated.
const PEOPLE: u64 = 20_000;
/// The seed of the generated ones.
const SEED: u64 = 20_251_122;
const NAMES: [&str; 8] = ["Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis"];
const LAST_NAMES: [&str; 6] = ["Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi"];

/// One person.
pub struct Person {
    /// first name
    pub name: String,
    /// last name
    pub last_name: String,
    /// `male` or `female`
    pub sex: String,
    /// years
    pub age: u64,
    /// money
    pub salary: u64,
}

impl Person {
    /// As an entity map.
    pub fn map(&self) -> String {
        let values = self.values();
        let pairs: Vec<String> =
            values.iter().map(|(attribute, value)| format!(":{attribute} {value}")).collect();
        format!("{{{}}}", pairs.join(" "))
    }

    /// Attributes and values, EDN.
    pub fn values(&self) -> [(&'static str, String); 5] {
        [
            ("name", format!("{:?}", self.name)),
            ("last-name", format!("{:?}", self.last_name)),
            ("sex", format!(":{}", self.sex)),
            ("age", self.age.to_string()),
            ("salary", self.salary.to_string()),
        ]
    }
}

/// The people.
///
/// # Errors
/// A shared file that is not as expected.
pub fn people() -> Result<Data<Vec<Person>>> {
    let Some(path) = shared("people20k.json") else {
        let mut random = Random(SEED);
        let set = (0..PEOPLE).map(|_| generated(&mut random)).collect();
        return Ok(Data { set, origin: Origin::Generated });
    };
    let Json::Array(items) = serde_json::from_str(&text(&path)?)? else {
        bail!("people20k.json is no array")
    };
    let set =
        items.iter().map(|item| person(item).context("a person lacks a field")).collect::<Result<_>>()?;
    Ok(Data { set, origin: Origin::Shared })
}

fn person(json: &Json) -> Option<Person> {
    let text = |name: &str| json[name].as_str().map(str::to_string);
    let (name, last_name, sex) = (text("name")?, text("last_name")?, text("sex")?);
    Some(Person { name, last_name, sex, age: json["age"].as_u64()?, salary: json["salary"].as_u64()? })
}

fn generated(random: &mut Random) -> Person {
    Person {
        name: random.pick(&NAMES).to_string(),
        last_name: random.pick(&LAST_NAMES).to_string(),
        sex: random.pick(&["male", "female"]).to_string(),
        age: random.below(100),
        salary: random.below(100_000),
    }
}
