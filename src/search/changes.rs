//! Finds the smallest changes of a genome that give it a property.

use crate::space::{Candidate, Genome, Spaces};

/// A genome near another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The changed axes, each with its value before and after.
    pub axes: Vec<(&'static str, f64, f64)>,
    /// The changed genome.
    pub genome: Genome,
    /// Its front end and network.
    pub candidate: Candidate,
    /// Steps along all axes, added up.
    steps: usize,
}

/// The smallest changes for which `accept` holds: at most `count`, smallest first.
///
/// Tries one axis, and two axes where no single one is enough. Fewer steps are smaller. With equal steps, a network
/// with more multiply-accumulates comes first, because it is nearer to the original.
pub fn smallest_changes(
    spaces: &Spaces,
    genome: &Genome,
    count: usize,
    accept: impl Fn(&Candidate) -> bool,
) -> Vec<Change> {
    let axes = spaces.space_of(genome).axes.len();
    let single = (0..axes).map(|axis| vec![axis]);
    let pairs = (0..axes).flat_map(|a| (a + 1..axes).map(move |b| vec![a, b]));
    let mut found: Vec<Change> = single
        .flat_map(|axes| variants(spaces, genome, &axes))
        .filter(|change| accept(&change.candidate))
        .collect();
    if found.is_empty() {
        found = pairs
            .flat_map(|axes| variants(spaces, genome, &axes))
            .filter(|change| accept(&change.candidate))
            .collect();
    }
    let macs = |change: &Change| std::cmp::Reverse(change.candidate.graph.macs());
    found.sort_by(|a, b| (a.steps, macs(a), &a.genome).cmp(&(b.steps, macs(b), &b.genome)));
    let mut networks: Vec<String> = Vec::new();
    found.retain(|change| {
        let key = change.candidate.key();
        let new = networks.len() < count && !networks.contains(&key);
        if new {
            networks.push(key);
        }
        new
    });
    found
}

/// All genomes that differ from this one in all of these axes and in no other.
fn variants(spaces: &Spaces, genome: &Genome, changed: &[usize]) -> Vec<Change> {
    let space = spaces.space_of(genome);
    let bytes = spaces.encode(genome);
    let mut variants = vec![(bytes.clone(), 0usize)];
    for &axis in changed {
        // The first byte names the space.
        let (at, len) = (axis + 1, space.axes[axis].values.len());
        variants = variants
            .into_iter()
            .flat_map(|(bytes, steps)| {
                let current = bytes[at];
                let others = (0..len as u8).filter(move |value| *value != current);
                others.map(move |value| {
                    let mut bytes = bytes.clone();
                    bytes[at] = value;
                    (bytes, steps + usize::from(value.abs_diff(current)))
                })
            })
            .collect();
    }
    let change = |(variant, steps): (Vec<u8>, usize)| {
        let genome = spaces.decode_bytes(&variant)?;
        let value =
            |axis: usize, bytes: &[u8]| space.axes[axis].values[usize::from(bytes[axis + 1])];
        let axes = changed.iter().map(|&axis| {
            (
                space.axes[axis].name,
                value(axis, &bytes),
                value(axis, &variant),
            )
        });
        Some(Change {
            axes: axes.collect(),
            candidate: spaces.decode(&genome),
            genome,
            steps,
        })
    };
    variants.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        space::{Axis, builtin},
        units::Rng,
    };

    #[test]
    fn changes_are_the_fewest_axes_that_do() {
        let spaces = Spaces::new(builtin(), 3);
        let mut rng = Rng::new(5, 0);
        let mut kinds = [0; 3];
        for _ in 0..40 {
            let genome = spaces.random(&mut rng);
            let before = spaces.decode(&genome).graph.macs();
            let accept = |candidate: &Candidate| candidate.graph.macs() * 3 < before;
            let changes = smallest_changes(&spaces, &genome, 3, accept);
            let axes = changes.first().map_or(0, |change| change.axes.len());
            kinds[axes] += 1;
            for change in &changes {
                assert!(accept(&change.candidate));
                assert_eq!(change.axes.len(), axes);
                let named = |name| {
                    spaces
                        .explain(&change.genome)
                        .into_iter()
                        .find(|(n, _)| *n == name)
                };
                for (name, from, to) in &change.axes {
                    assert_ne!(from, to);
                    assert_eq!(named(*name), Some((*name, Axis::show(name, *to))));
                }
            }
            assert!(changes.is_sorted_by_key(|change| change.steps));
        }
        assert!(kinds[1] > 0, "{kinds:?}");
    }
}
