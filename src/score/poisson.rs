//! Intervals of counts of rare events.

use super::gamma::Gamma;

/// The exact interval of the mean of which so many events are a sample, that holds in at least 95 %.
///
/// Source: Garwood 1936, Biometrika 28, 437-442.
pub fn poisson_interval(events: usize) -> [f64; 2] {
    let quantile = |shape: usize, p: f64| {
        let gamma = Gamma {
            shape: shape as f64,
            location: 0.0,
            scale: 1.0,
        };
        gamma.quantile(p)
    };
    let low = match events {
        0 => 0.0,
        events => quantile(events, 0.025),
    };
    [low, quantile(events + 1, 0.975)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Garwood's table of 95 % limits.
        for (events, low, high) in [
            (0, 0.0, 3.6889),
            (1, 0.0253, 5.5716),
            (5, 1.6235, 11.6683),
            (50, 37.1110, 65.9190),
        ] {
            let found = poisson_interval(events);
            let is_near = |a: f64, b: f64| (a - b).abs() < 2e-3;
            assert!(
                is_near(found[0], low) && is_near(found[1], high),
                "{found:?}"
            );
        }
    }
}
