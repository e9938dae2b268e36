//! A memory bank: a few centroids of whitened vectors, each with the width of its neighbourhood.

/// One centroid.
#[derive(Debug)]
pub struct Centroid {
    /// Places of its vectors.
    pub members: Vec<usize>,
    /// What squared distances from it are multiplied by: more where its members lie close to it.
    pub weight: f64,
}

/// Steps of k-means at most.
const STEPS: usize = 12;
/// No neighbourhood counts as more than so many times wider or narrower than usual.
const WIDEST: f64 = 4.0;

/// At most `count` centroids, by k-means from vectors that lie far apart; at least three vectors a centroid, so that its
/// neighbourhood says something.
pub fn centroids(vectors: &[&[f64]], count: usize) -> Vec<Centroid> {
    let count = count.min(vectors.len() / 3).max(1);
    let mut centres = far_apart(vectors, count);
    let mut members = nearest(vectors, &centres);
    for _ in 0..STEPS {
        centres = members
            .iter()
            .map(|members| mean(vectors, members))
            .collect();
        let next = nearest(vectors, &centres);
        if next == members {
            break;
        }
        members = next;
    }
    let width = |members: &[usize], centre: &[f64]| {
        let sum: f64 = members.iter().map(|&idx| apart(vectors[idx], centre)).sum();
        // A mean of few lies nearer to them than to others.
        sum / (members.len() as f64 - 1.0).max(1.0)
    };
    let centres: Vec<Vec<f64>> = members
        .iter()
        .map(|members| mean(vectors, members))
        .collect();
    let widths: Vec<f64> = members
        .iter()
        .zip(&centres)
        .map(|(m, c)| width(m, c))
        .collect();
    let of_many = members
        .iter()
        .zip(&widths)
        .filter(|(members, _)| members.len() > 1);
    let (sum, many) = of_many.fold((0.0, 0.0), |(sum, many), (members, width)| {
        (
            sum + width * members.len() as f64,
            many + members.len() as f64,
        )
    });
    let usual = sum / f64::max(many, 1.0);
    let weight = |(members, width): (Vec<usize>, f64)| Centroid {
        weight: match members.len() > 1 && width > 0.0 && usual > 0.0 {
            true => (usual / width).clamp(1.0 / WIDEST, WIDEST),
            false => 1.0,
        },
        members,
    };
    members.into_iter().zip(widths).map(weight).collect()
}

/// The vector nearest to the origin, then each time the one that is farthest from all before.
fn far_apart(vectors: &[&[f64]], count: usize) -> Vec<Vec<f64>> {
    let length = |vector: &[f64]| vector.iter().map(|value| value * value).sum::<f64>();
    let first = vectors
        .iter()
        .min_by(|a, b| length(a).total_cmp(&length(b)));
    let mut centres: Vec<Vec<f64>> = first.iter().map(|vector| vector.to_vec()).collect();
    let mut gaps = vec![f64::INFINITY; vectors.len()];
    while let Some(last) = centres.last().filter(|_| centres.len() < count) {
        for (gap, vector) in gaps.iter_mut().zip(vectors) {
            *gap = gap.min(apart(vector, last));
        }
        let farthest = (0..gaps.len()).max_by(|&a, &b| gaps[a].total_cmp(&gaps[b]));
        match farthest {
            Some(idx) => centres.push(vectors[idx].to_vec()),
            None => break,
        }
    }
    centres
}

/// Places of the vectors that each centre is nearest to, without centres that have none.
fn nearest(vectors: &[&[f64]], centres: &[Vec<f64>]) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); centres.len()];
    for (idx, vector) in vectors.iter().enumerate() {
        let gap = |centre: usize| apart(vector, &centres[centre]);
        let nearest = (0..centres.len()).min_by(|&a, &b| gap(a).total_cmp(&gap(b)));
        if let Some(centre) = nearest {
            members[centre].push(idx);
        }
    }
    members.retain(|members| !members.is_empty());
    members
}

fn mean(vectors: &[&[f64]], members: &[usize]) -> Vec<f64> {
    let mut sum = vec![0.0; vectors[members[0]].len()];
    for &idx in members {
        sum.iter_mut()
            .zip(vectors[idx])
            .for_each(|(sum, value)| *sum += value);
    }
    sum.iter_mut().for_each(|sum| *sum /= members.len() as f64);
    sum
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}
