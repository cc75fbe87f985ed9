//! The way up: maps from what was read.

use annals_edn::{Edn, Error};

use super::super::layout::{Slot, id_key};
use super::{ID, Read, Run, SKIP, Shown, SlotRef};
use crate::datum::value_to_edn;

/// What the nodes of a visit show; nothing for those without any match.
#[derive(Default)]
struct Forms {
    shown: Vec<Option<Edn>>,
    /// how often each is still to be shown
    wanted: Vec<u32>,
}

impl Forms {
    /// What node number `node` shows: a copy, the last time the thing itself.
    fn take(&mut self, node: u32) -> Option<Edn> {
        let (node, left) = (node as usize, &mut self.wanted[node as usize]);
        *left -= 1;
        if *left == 0 { self.shown[node].take() } else { self.shown[node].clone() }
    }
}

impl Run<'_, '_> {
    /// The forms of the first visit, which is of the entities asked for.
    pub(super) fn assemble(&mut self) -> Result<Vec<Option<Edn>>, Error> {
        let mut forms: Vec<Forms> = self.visits.iter().map(|_| Forms::default()).collect();
        for read in self.visits.iter().flat_map(|visit| &visit.read) {
            if let Shown::Visit { visit, nodes, .. } = &read.shown {
                let wanted = &mut forms[*visit].wanted;
                wanted.resize(self.visits[*visit].nodes.len(), 0);
                nodes.iter().filter(|node| **node < ID).for_each(|node| wanted[*node as usize] += 1);
            }
        }
        for at in (0..self.visits.len()).rev() {
            let shown = self.visit_forms(at, &mut forms)?;
            forms[at].shown = shown;
        }
        Ok(forms.swap_remove(0).shown)
    }

    fn visit_forms(&self, at: usize, forms: &mut [Forms]) -> Result<Vec<Option<Edn>>, Error> {
        let visit = &self.visits[at];
        let level = &self.layout.levels[visit.level];
        let width = visit.read.len() + 1;
        let mut shown = Vec::with_capacity(visit.nodes.len());
        for (number, node) in visit.nodes.iter().enumerate() {
            if number % 4096 == 0 {
                self.pull.check()?;
            }
            let mut entries: Vec<(Edn, Edn)> = Vec::with_capacity(width.min(16));
            if let Some(key) = &level.id {
                entries.push((key.clone(), Edn::long(node.entity as i64)));
            }
            for read in &visit.read {
                let slot = match &read.slot {
                    SlotRef::Slot(slot) => &level.slots[*slot],
                    SlotRef::Found(slot) => slot,
                };
                if let Some(value) = self.slot_form(slot, read, number, level.wildcard, forms)?
                    && !entries.iter().any(|(key, _)| *key == slot.key)
                {
                    entries.push((slot.key.clone(), value));
                }
            }
            shown.push((!entries.is_empty()).then(|| Edn::map(entries)));
        }
        Ok(shown)
    }

    fn slot_form(
        &self,
        slot: &Slot,
        read: &Read,
        node: usize,
        wildcard: Option<super::super::pattern::Wildcard>,
        forms: &mut [Forms],
    ) -> Result<Option<Edn>, Error> {
        let (first, count) = read.spans[node];
        let one = |at: u32, position: u32, forms: &mut [Forms]| match &read.shown {
            Shown::Value => Some(value_to_edn(&read.values.get(at as usize))),
            Shown::Id => Some(id_form(read, at, wildcard)),
            Shown::Visit { visit, nodes, starts } => match nodes[(starts[node] + position) as usize] {
                SKIP => None,
                ID => Some(id_form(read, at, wildcard)),
                child => forms[*visit].take(child),
            },
        };
        let found = match slot.is_many() {
            false if count > 0 => one(first, 0, forms),
            false => None,
            true => {
                let items: Vec<Edn> = (0..count).filter_map(|at| one(first + at, at, forms)).collect();
                (!items.is_empty()).then(|| Edn::vector(items))
            }
        };
        let found = match slot.xform {
            Some(xform) => {
                let form = xform.apply(found.as_ref().unwrap_or(&Edn::nil()))?;
                (!form.is_nil()).then_some(form)
            }
            None => found,
        };
        Ok(found.or_else(|| slot.default.clone()))
    }
}

fn id_form(read: &Read, at: u32, wildcard: Option<super::super::pattern::Wildcard>) -> Edn {
    let id = read.values.get(at as usize).as_integer().unwrap_or_default();
    Edn::map(vec![(id_key(wildcard), Edn::long(id))])
}
