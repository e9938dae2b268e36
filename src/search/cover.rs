//! The fewest members that serve every place of a line of products.

/// One that may join the family.
#[derive(Debug, Clone, PartialEq)]
pub struct Applicant {
    /// The places that it serves, a bit each, the first one lowest.
    pub serves: u32,
    /// What members of one family would rather share, such as the front end, by number.
    pub shares: usize,
    /// How good it is; more is better.
    pub merit: f64,
}

/// The most places: every set of them is looked at.
pub const MOST_PLACES: usize = 16;

/// Indices of the smallest family that serves all places that any applicant serves, ascending.
///
/// Of families of that size one with the fewest different [`Applicant::shares`] is taken, and of those one with the
/// highest sum of merits; of equals the first. Places are at most [`MOST_PLACES`].
pub fn smallest_family(applicants: &[Applicant]) -> Vec<usize> {
    // Of those that serve and share the same only the best one matters.
    let mut useful: Vec<usize> = Vec::new();
    for (idx, applicant) in applicants.iter().enumerate() {
        let alike = |other: &&mut usize| {
            let other = &applicants[**other];
            (other.serves, other.shares) == (applicant.serves, applicant.shares)
        };
        match useful.iter_mut().find(alike) {
            Some(other) if applicants[*other].merit < applicant.merit => *other = idx,
            Some(_) => (),
            None if applicant.serves != 0 => useful.push(idx),
            None => (),
        }
    }
    useful.sort_unstable();
    let all = useful
        .iter()
        .fold(0, |all, idx| all | applicants[*idx].serves);
    let mut search = Families {
        applicants,
        useful,
        all,
        fewest: fewest(applicants, all),
        best: None,
        steps: 0,
    };
    search.extend(&mut Vec::new(), 0);
    let mut family = search.best.map_or(Vec::new(), |(_, family)| family);
    family.sort_unstable();
    family
}

/// For every set of places the fewest applicants that serve it.
fn fewest(applicants: &[Applicant], all: u32) -> Vec<usize> {
    let mut fewest = vec![usize::MAX; all as usize + 1];
    fewest[0] = 0;
    for places in 1..=all {
        if places & !all != 0 {
            continue;
        }
        let first = places & places.wrapping_neg();
        let served = applicants.iter().filter(|one| one.serves & first != 0);
        let rest = served.map(|one| fewest[(places & !one.serves) as usize]);
        fewest[places as usize] = rest.min().unwrap_or(usize::MAX).saturating_add(1);
    }
    fewest
}

struct Families<'a> {
    applicants: &'a [Applicant],
    useful: Vec<usize>,
    all: u32,
    fewest: Vec<usize>,
    /// Number of different shares, negative sum of merits, and the family.
    best: Option<((usize, f64), Vec<usize>)>,
    steps: usize,
}

impl Families<'_> {
    /// The search among families of one size ends here; what it found has the right size all the same.
    const MOST_STEPS: usize = 1_000_000;

    fn extend(&mut self, family: &mut Vec<usize>, served: u32) {
        let open = self.all & !served;
        if open == 0 {
            let mut shares: Vec<usize> = family
                .iter()
                .map(|idx| self.applicants[*idx].shares)
                .collect();
            shares.sort_unstable();
            shares.dedup();
            let merits: f64 = family.iter().map(|idx| self.applicants[*idx].merit).sum();
            let value = (shares.len(), -merits);
            if self.best.as_ref().is_none_or(|(best, _)| value < *best) {
                self.best = Some((value, family.clone()));
            }
            return;
        }
        let left = self.fewest[self.all as usize] - family.len();
        let first = open & open.wrapping_neg();
        for place in 0..self.useful.len() {
            let idx = self.useful[place];
            let serves = self.applicants[idx].serves;
            let rest = self.fewest[(open & !serves) as usize];
            if serves & first == 0 || rest >= left {
                continue;
            }
            self.steps += 1;
            if self.steps > Self::MOST_STEPS {
                return;
            }
            family.push(idx);
            self.extend(family, served | serves);
            family.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Applicant, smallest_family};
    use proptest::prelude::*;

    fn check(applicants: &[(u32, usize, f64)], expected: &[usize]) {
        let applicants: Vec<Applicant> = applicants
            .iter()
            .map(|&(serves, shares, merit)| Applicant {
                serves,
                shares,
                merit,
            })
            .collect();
        assert_eq!(smallest_family(&applicants), expected, "{applicants:?}");
    }

    #[test]
    fn families_are_small_then_alike_then_good() {
        check(&[], &[]);
        check(&[(0, 0, 1.0)], &[]);
        // One for all beats two that are better; of equals the best.
        check(&[(0b01, 0, 1.0), (0b10, 0, 1.0), (0b11, 0, 0.1)], &[2]);
        check(&[(0b11, 0, 0.1), (0b11, 0, 0.2), (0b11, 0, 0.2)], &[1]);
        // What takes the most at a time would end with three.
        check(
            &[
                (0b001111, 0, 9.0),
                (0b010101, 1, 0.1),
                (0b101010, 2, 0.1),
                (0b110000, 0, 0.0),
            ],
            &[0, 3],
        );
        // One front end before merit.
        check(&[(0b01, 0, 0.1), (0b01, 1, 0.9), (0b10, 0, 0.1)], &[0, 2]);
    }

    proptest! {
        /// Against all families there are.
        #[test]
        fn no_family_is_smaller(
            served in prop::collection::vec((0u32..64, 0usize..3, 0.0..1.0), 0..9),
        ) {
            let applicants: Vec<Applicant> = served
                .iter()
                .map(|&(serves, shares, merit)| Applicant { serves, shares, merit })
                .collect();
            let union = |family: &[usize]| family.iter().fold(0, |all, idx| all | applicants[*idx].serves);
            let found = smallest_family(&applicants);
            let all: Vec<usize> = (0..applicants.len()).collect();
            prop_assert_eq!(union(&found), union(&all));
            let value = |family: &[usize]| {
                let shares: std::collections::BTreeSet<usize> =
                    family.iter().map(|idx| applicants[*idx].shares).collect();
                let merits: f64 = family.iter().map(|idx| applicants[*idx].merit).sum();
                (family.len(), shares.len(), -merits)
            };
            for chosen in 0u32..1 << applicants.len() {
                let family: Vec<usize> =
                    all.iter().copied().filter(|idx| chosen >> idx & 1 == 1).collect();
                if union(&family) == union(&all) {
                    let (other, ours) = (value(&family), value(&found));
                    prop_assert!(
                        (ours.0, ours.1) < (other.0, other.1)
                            || ((ours.0, ours.1) == (other.0, other.1) && ours.2 <= other.2 + 1e-9),
                        "{:?} {:?}", family, found
                    );
                }
            }
        }
    }
}
