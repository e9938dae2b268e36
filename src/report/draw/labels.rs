//! Boxes in pixels, and places for labels that do not cover each other.

/// A box in pixels: left, top, right, bottom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Rect {
    pub fn around(x: f64, y: f64, width: f64, height: f64) -> Rect {
        Rect {
            left: x - width / 2.0,
            top: y - height / 2.0,
            right: x + width / 2.0,
            bottom: y + height / 2.0,
        }
    }

    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub fn center(&self) -> [f64; 2] {
        [
            (self.left + self.right) / 2.0,
            (self.top + self.bottom) / 2.0,
        ]
    }

    /// The area that two boxes share.
    pub fn overlap(&self, other: &Rect) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    pub fn holds(&self, other: &Rect) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && self.right >= other.right
            && self.bottom >= other.bottom
    }
}

/// A marker that gets a label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    pub x: f64,
    pub y: f64,
    /// Half the size of the marker.
    pub radius: f64,
    /// Width of the label.
    pub width: f64,
    pub height: f64,
}

/// Places a label at each anchor, inside `bounds`, not over a marker or another label; `None` where there is no room.
///
/// `obstacles` are boxes that a label covers only if it must. Earlier anchors get their place first.
pub fn place_labels(anchors: &[Anchor], bounds: &Rect, obstacles: &[Rect]) -> Vec<Option<Rect>> {
    let markers: Vec<Rect> = anchors
        .iter()
        .map(|a| Rect::around(a.x, a.y, 2.0 * a.radius, 2.0 * a.radius))
        .collect();
    let mut placed: Vec<Option<Rect>> = Vec::with_capacity(anchors.len());
    for anchor in anchors {
        let free = |label: &&Rect| {
            let taken = placed.iter().flatten().chain(&markers);
            bounds.holds(label) && taken.map(|other| other.overlap(label)).sum::<f64>() == 0.0
        };
        let covered = |label: &Rect| obstacles.iter().map(|o| o.overlap(label)).sum::<f64>();
        let candidates = label_candidates(anchor);
        // Near places come first, and the first of equally good ones wins.
        let best = candidates.iter().filter(free).enumerate().min_by(|a, b| {
            let cost = |(rank, label): &(usize, &Rect)| covered(label) + 6.0 * *rank as f64;
            cost(a).total_cmp(&cost(b))
        });
        let best = best.map(|(_, label)| *label);
        placed.push(best);
    }
    placed
}

/// Places around an anchor: above and around it close by, then the same farther away.
fn label_candidates(anchor: &Anchor) -> Vec<Rect> {
    const DIRECTIONS: [[f64; 2]; 8] = [
        [0.0, -1.0],
        [-0.8, -0.8],
        [0.8, -0.8],
        [0.0, 1.0],
        [0.8, 0.8],
        [-0.8, 0.8],
        [-1.0, 0.0],
        [1.0, 0.0],
    ];
    let mut candidates = Vec::new();
    for gap in [1.0, 8.0, 18.0, 30.0] {
        for [dx, dy] in DIRECTIONS {
            let x = anchor.x + dx * (anchor.radius + gap + anchor.width / 2.0);
            let y = anchor.y + dy * (anchor.radius + gap + anchor.height / 2.0);
            candidates.push(Rect::around(x, y, anchor.width, anchor.height));
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn labels_never_cover_each_other(
            spots in prop::collection::vec((0.0..400.0f64, 0.0..300.0f64, 10.0..60.0f64), 0..25),
        ) {
            let bounds = Rect { left: 0.0, top: 0.0, right: 400.0, bottom: 300.0 };
            let anchor = |(x, y, width): &(f64, f64, f64)| Anchor {
                x: *x, y: *y, radius: 7.0, width: *width, height: 14.0,
            };
            let anchors: Vec<Anchor> = spots.iter().map(anchor).collect();
            let places: Vec<Rect> = place_labels(&anchors, &bounds, &[]).into_iter().flatten().collect();
            for (idx, place) in places.iter().enumerate() {
                prop_assert!(bounds.holds(place));
                for other in &places[..idx] {
                    prop_assert_eq!(place.overlap(other), 0.0);
                }
                for anchor in &anchors {
                    let marker = Rect::around(anchor.x, anchor.y, 14.0, 14.0);
                    prop_assert_eq!(place.overlap(&marker), 0.0);
                }
            }
            // A lone marker always finds room.
            prop_assert!(anchors.is_empty() || !places.is_empty());
        }
    }
}
