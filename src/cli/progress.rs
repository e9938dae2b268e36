//! Shows the progress of a search: a bar on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Global, out};
use nas::{
    run::Progress,
    units::{Span, three_digits},
};

/// Seconds between two plain lines.
const LINE_SECONDS: u64 = 5;

/// Shows the progress of a search on stderr.
pub struct Display {
    kind: Kind,
    verbose: bool,
    begin: Instant,
    jobs: usize,
    last_line: Option<Instant>,
}

enum Kind {
    Silent,
    Lines,
    Bar(ProgressBar),
}

impl Display {
    pub fn new(global: &Global, jobs: usize) -> Display {
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
            jobs,
            last_line: None,
        }
    }

    pub fn show(&mut self, progress: &Progress) {
        let done = (progress.scored + progress.failed) as u64;
        let news = progress.news.as_deref().filter(|_| self.verbose);
        match &self.kind {
            Kind::Silent => (),
            Kind::Bar(bar) => {
                bar.set_length(progress.wanted as u64);
                bar.set_position(done);
                if let Some(news) = news {
                    bar.println(news);
                }
                bar.set_message(self.sentence(progress));
            }
            Kind::Lines => {
                if let Some(news) = news {
                    out::note(news);
                }
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

    fn sentence(&self, progress: &Progress) -> String {
        let Progress {
            scored,
            rejected,
            failed,
            fitted,
            wanted,
            ..
        } = *progress;
        let mut parts = vec![format!(
            "{}/{wanted} trained, {rejected} over budget",
            scored + failed
        )];
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
        if let Some(seconds) = progress.seconds_per_trial {
            let left = wanted.saturating_sub(scored + failed) as f64 * seconds / self.jobs as f64;
            parts.push(format!("{} left", Span(Duration::from_secs_f64(left))));
        }
        parts.join(", ")
    }
}
