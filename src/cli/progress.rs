//! Shows the progress of a search: a bar on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Global, out};
use nas::{
    run::{FrontMember, Objective, Progress},
    units::{Span, three_digits},
};

/// Seconds between two plain lines.
const LINE_SECONDS: u64 = 5;

/// Shows the progress of a search on stderr.
pub struct Display {
    kind: Kind,
    verbose: bool,
    begin: Instant,
    objectives: Vec<Objective>,
    last_line: Option<Instant>,
    /// Whether the first front was shown.
    has_front: bool,
}

enum Kind {
    Silent,
    Lines,
    Bar(ProgressBar),
}

impl Display {
    pub fn new(global: &Global, objectives: &[Objective]) -> Display {
        let kind = match (global.quiet, std::io::stderr().is_terminal()) {
            (true, _) => Kind::Silent,
            (false, false) => Kind::Lines,
            (false, true) => {
                let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {msg}")
                    .expect("the template is fixed")
                    .progress_chars("=> ");
                Kind::Bar(ProgressBar::new(0).with_style(style))
            }
        };
        Display {
            kind,
            verbose: global.verbose > 0,
            begin: Instant::now(),
            objectives: objectives.to_vec(),
            last_line: None,
            has_front: false,
        }
    }

    pub fn show(&mut self, progress: &Progress) {
        let done = (progress.scored + progress.failed + progress.repeated) as u64;
        let news = progress.news.as_deref().filter(|_| self.verbose);
        let mut lines: Vec<String> = news.map(str::to_string).into_iter().collect();
        // Fits are done when the first network trains; then there is something to look at.
        if !self.has_front && progress.in_flight + progress.scored > 0 && !progress.front.is_empty()
        {
            self.has_front = true;
            lines.extend(self.first_front(progress));
        }
        match &self.kind {
            Kind::Silent => (),
            Kind::Bar(bar) => {
                bar.set_length((progress.wanted + progress.further) as u64);
                bar.set_position(done);
                lines.iter().for_each(|line| bar.println(line));
                bar.set_message(self.sentence(progress));
            }
            Kind::Lines => {
                lines.iter().for_each(out::note);
                let due = self
                    .last_line
                    .is_none_or(|last| last.elapsed() >= Duration::from_secs(LINE_SECONDS));
                if due {
                    self.last_line = Some(Instant::now());
                    out::note(format!(
                        "[{}] {}",
                        Span(self.begin.elapsed()),
                        self.sentence(progress)
                    ));
                }
            }
        }
    }

    pub fn finish(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }

    /// The front of what was fitted in closed form, a line each.
    fn first_front(&self, progress: &Progress) -> Vec<String> {
        let title = format!("a first front after {}:", Span(self.begin.elapsed()));
        let line = |member: &FrontMember| {
            let shown = self.objectives.iter().zip(&member.values);
            let shown: Vec<String> = shown
                .map(|(objective, value)| show(*objective, *value))
                .collect();
            let FrontMember { number, space, .. } = member;
            format!("  trial {number:>3}  {space:<18} {}", shown.join("  "))
        };
        let lines = progress.front.iter().map(line);
        std::iter::once(title).chain(lines).collect()
    }

    fn sentence(&self, progress: &Progress) -> String {
        let Progress {
            scored,
            rejected,
            failed,
            fitted,
            wanted,
            repeated,
            further,
            ..
        } = *progress;
        let mut parts = vec![format!(
            "{}/{wanted} trained, {rejected} over budget",
            scored + failed
        )];
        if repeated > 0 {
            parts.push(format!("{repeated} of up to {further} again"));
        }
        if fitted > 0 {
            parts.insert(0, format!("{fitted} fitted"));
        }
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        if let Some((objective, best)) = progress.best {
            parts.push(format!("best {} {best:.3}", objective.title()));
        }
        if scored > 0 {
            let volumes: Vec<String> = progress
                .hypervolumes
                .iter()
                .map(|&volume| three_digits(volume))
                .collect();
            parts.push(format!("hypervolume {}", volumes.join(" / ")));
        }
        let left = progress.seconds_left.map(Duration::try_from_secs_f64);
        if let Some(Ok(left)) = left {
            parts.push(format!("{} left", Span(left)));
        }
        parts.join(", ")
    }
}

/// An objective of a detector for readers: `AUC 0.970`, `Latency 2.2 ms`.
fn show(objective: Objective, value: f64) -> String {
    match objective {
        Objective::Score(measure) => format!("{} {:.3}", measure.title(), 1.0 - value),
        Objective::Cost(_) => objective.show(value),
    }
}
