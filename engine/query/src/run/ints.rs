//! Machine words to numbers: direct addressing where the words lie close together, as entity ids do, else a hash table.

use rustc_hash::FxHashMap;

/// So many words at least before direct addressing is thought of.
const MIN_DENSE: usize = 256;
/// Places that a directly addressed table may have for each word in it.
const SPREAD: u64 = 16;

/// Numbers of distinct words, given by the caller, ascending from 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct IntMap {
    /// the word of the first place
    first: u64,
    /// number + 1 by place; 0 for none
    places: Vec<u32>,
    /// words beyond the places
    map: FxHashMap<u64, u32>,
    /// by number
    words: Vec<u64>,
    /// the number of words at which places are considered again
    review: usize,
}

impl IntMap {
    /// Words by number.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The number of `word`, if it is there.
    #[inline]
    pub(crate) fn get(&self, word: u64) -> Option<u32> {
        let place = word.wrapping_sub(self.first);
        match self.places.get(place as usize) {
            Some(&number) => number.checked_sub(1),
            None if self.map.is_empty() => None,
            None => self.map.get(&word).copied(),
        }
    }

    /// The number of `word`, and whether it is new.
    #[inline]
    pub(crate) fn insert(&mut self, word: u64) -> (u32, bool) {
        let next = self.words.len() as u32;
        let place = word.wrapping_sub(self.first);
        if let Some(number) = self.places.get_mut(place as usize) {
            if *number != 0 {
                return (*number - 1, false);
            }
            *number = next + 1;
            self.words.push(word);
            return (next, true);
        }
        let number = *self.map.entry(word).or_insert(next);
        if number == next {
            self.words.push(word);
            if self.map.len() >= self.review.max(MIN_DENSE) {
                self.consider();
            }
        }
        (number, number == next)
    }

    /// Addresses directly if what is known lies close together.
    fn consider(&mut self) {
        self.review = self.map.len() * 2;
        let (Some(&least), Some(&most)) = (self.words.iter().min(), self.words.iter().max()) else { return };
        let span = most - least;
        if span / SPREAD > self.words.len() as u64 {
            return;
        }
        // What comes next lies near, on either side.
        let room = span / 2 + MIN_DENSE as u64;
        let first = least.saturating_sub(room);
        let len = (most - first).saturating_add(room).saturating_add(1);
        let Ok(len) = usize::try_from(len) else { return };
        (self.first, self.places) = (first, vec![0; len]);
        self.map.clear();
        for (number, word) in self.words.iter().enumerate() {
            self.places[(word - first) as usize] = number as u32 + 1;
        }
        self.review = MIN_DENSE.max(self.words.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: impl Iterator<Item = u64> + Clone) {
        let (mut ints, mut known) = (IntMap::default(), FxHashMap::default());
        for word in words.clone().chain(words.clone()) {
            let next = known.len() as u32;
            let wanted = *known.entry(word).or_insert(next);
            assert_eq!(ints.insert(word), (wanted, wanted == next && ints.words().len() as u32 == next + 1));
            assert_eq!(ints.get(word), Some(wanted));
        }
        assert_eq!(ints.get(u64::MAX - 3), None);
        assert!(words.zip(ints.words()).all(|(x, y)| x == *y));
    }

    #[test]
    fn words_near_and_far_are_found_again() {
        check(0..3000);
        check((0..3000).map(|i| i * 7 + 1_000_000));
        check((0..3000).rev().map(|i| (1 << 42) + i * 3));
        check((0..3000).map(|i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 1));
        check((0..3000).map(|i| if i % 9 == 0 { (1 << 60) + i } else { i }));
        check((0..600).map(|i| i * 2).chain((0..3000).map(|i| 5_000_000_000 + i)));
    }

    #[test]
    fn negative_numbers_do_not_widen_the_places() {
        check((0..2000u64).map(|i| if i % 2 == 0 { i } else { 0u64.wrapping_sub(i) }));
    }
}
