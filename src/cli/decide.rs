//! `nas decide`: chooses when a found model raises alarms, and says what to expect.

use super::{Failure, Global, out, taped};
use nas::{
    evaluate::{
        DecideError, DecisionCard, Expected, Goal, Promise, TapedClip, decide, sound_of, tape_clip,
    },
    report::json,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trial of a run, for example latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// Sound to choose on and to count on: a folder, a manifest, or `synthetic[:MACHINE]`. Clips that trained the model
    /// are left out
    #[arg(long, value_name = "PATH")]
    data: String,
    #[command(flatten)]
    split: super::split::Args,
    /// Most false alarms: 1/day, 2/hour, 1/week; the most faults are then found [default: 1/day]
    #[arg(long, value_name = "RATE", value_parser = rate, group = "goal")]
    max_alarms: Option<f64>,
    /// Share of the faults that must raise an alarm, for example 0.9; the fewest false alarms are then raised
    #[arg(long, value_name = "SHARE", value_parser = super::score::share, group = "goal")]
    min_recall: Option<f64>,
    /// Cost of a fault that raises no alarm; the least cost on the clips is then chosen
    #[arg(long, value_name = "COST", value_parser = cost, requires = "cost_alarm", group = "goal")]
    cost_miss: Option<f64>,
    /// Cost of a false alarm
    #[arg(long, value_name = "COST", value_parser = cost, requires = "cost_miss")]
    cost_alarm: Option<f64>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let found = taped::model(global, &self.trial)?;
        let model = &found.model;
        let (dataset, left, mut notes) =
            taped::untrained(&found.run, &self.data, self.split.split)?;
        let mut clips = Vec::new();
        for idx in left {
            let clip = &dataset.clips[idx];
            let sound = match sound_of(&clip.source, model.card.sample_rate_hz) {
                Ok(Some(sound)) => sound,
                Ok(None) => {
                    notes.push(format!(
                        "skipped {}: it holds features, not sound",
                        clip.name
                    ));
                    continue;
                }
                Err(error) => {
                    notes.push(format!("skipped {}: {error}", clip.name));
                    continue;
                }
            };
            let class = model.card.class_of(clip);
            let taped = tape_clip(model, class, taped::is_fault(clip), sound);
            clips.push(taped.map_err(|error| Failure::plain(error.to_string()))?);
        }
        let goal = self.goal();
        let chosen = decide(&model.card, &clips, goal);
        let (threshold, rule, promise) =
            chosen.map_err(|error: DecideError| Failure::plain(error))?;
        notes.extend(self.caveats(&promise));
        let card = DecisionCard {
            version: 0,
            threshold: f64::from(threshold as f32),
            alarm: rule.into(),
            goal: self.goal_words(),
            data: dataset.name.clone(),
            expected: promise,
        };
        // One that the device would refuse is not written.
        model
            .with_decision(&card)
            .map_err(|fault| Failure::plain(fault.to_string()))?;
        let card = card
            .write_next(&found.folder)
            .map_err(|error| Failure::plain(format!("the decision cannot be written: {error}")))?;
        for note in &notes {
            global.note(&format!("note: {note}"));
        }
        match global.json {
            true => out::print(json::render(&json::DecideDocument {
                schema_version: json::SCHEMA_VERSION,
                model: self.trial.clone(),
                synthetic: dataset.synthetic,
                clips: clips.len(),
                decision: card,
                notes,
            })),
            false => {
                let window_s = model.card.front_end().window_us() / 1e6;
                out::print(self.text(&card, &clips, window_s))
            }
        }
    }

    fn goal(&self) -> Goal {
        match (self.min_recall, self.cost_miss, self.cost_alarm) {
            (Some(recall), ..) => Goal::MinRecall(recall),
            (None, Some(miss), Some(alarm)) => Goal::Costs { miss, alarm },
            _ => Goal::MaxAlarms(self.max_alarms.unwrap_or(1.0)),
        }
    }

    fn goal_words(&self) -> String {
        match self.goal() {
            Goal::MaxAlarms(per_day) => format!("false alarms a day of at most {per_day}"),
            Goal::MinRecall(recall) => format!("a recall of at least {recall}"),
            Goal::Costs { miss, alarm } => {
                format!("the least cost, {miss} for a miss and {alarm} for a false alarm")
            }
        }
    }

    /// What the counts do not show.
    fn caveats(&self, promise: &Promise) -> Vec<String> {
        let mut notes = Vec::new();
        let per_day = promise.false_alarms_per_day;
        if let (Goal::MaxAlarms(most), Some(Expected { high, .. })) = (self.goal(), per_day)
            && high > most
        {
            // Without an alarm the upper end of the interval is 3.69 events.
            let needed_h = 3.69 * 24.0 / most;
            notes.push(format!(
                "{:.0} s of normal sound cannot show a rate as low as {most} a day: that takes {needed_h:.0} h without an \
                 alarm. The threshold follows the tail of the scores",
                promise.normal_s
            ));
        }
        if promise.faults == 0 {
            notes.push("no faults: nothing says how many would raise an alarm".to_string());
        }
        notes
    }

    fn text(&self, card: &DecisionCard, clips: &[TapedClip], window_s: f64) -> String {
        let DecisionCard {
            version,
            threshold,
            alarm,
            expected,
            goal,
            ..
        } = card;
        let faults = clips.iter().filter(|clip| clip.is_fault).count();
        let normal = clips.len() - faults;
        let mut text = format!(
            "decision {version} of {}, for {goal}\n\n\
             threshold    {threshold:.6}, left at {:.6}\n\
             votes        {} of {}\n\
             hold         {:.1} s\n\n\
             To expect, on half of {normal} normal clips and {faults} faults, which chose nothing (95 % intervals):\n",
            self.trial,
            threshold - f64::from(alarm.release),
            alarm.needed,
            alarm.of,
            f64::from(alarm.hold_windows) * window_s,
        );
        let line = |name: &str, expected: Option<Expected>, counted: String| match expected {
            Some(Expected { value, low, high }) => {
                format!("{name} {value:.3} ({low:.3} to {high:.3}); {counted}\n")
            }
            None => format!("{name} unknown\n"),
        };
        let counted = format!("{} in {:.0} s", expected.false_alarms, expected.normal_s);
        text += &line("false alarms a day", expected.false_alarms_per_day, counted);
        let counted = format!("of {} faults", expected.faults);
        text += &line("recall            ", expected.recall, counted);
        text += &line("delay in s        ", expected.delay_s, "median".to_string());
        text += &format!(
            "\nship it: nas export {} --decision {version} --to DIR\n",
            self.trial
        );
        text
    }
}

/// Alarms per day of `1/day`, `2/hour`, `1/week`.
fn rate(text: &str) -> Result<f64, String> {
    let wrong = || "write a rate such as 1/day, 2/hour or 1/week".to_string();
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let count: f64 = count.trim().parse().map_err(|_| wrong())?;
    let per_day = match unit.trim() {
        "hour" | "h" => 24.0,
        "day" | "d" => 1.0,
        "week" | "w" => 1.0 / 7.0,
        "month" => 1.0 / 30.0,
        "year" | "y" => 1.0 / 365.0,
        _ => return Err(wrong()),
    };
    let rate = count * per_day;
    (rate.is_finite() && rate > 0.0)
        .then_some(rate)
        .ok_or_else(wrong)
}

fn cost(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(cost) if cost.is_finite() && cost >= 0.0 => Ok(cost),
        _ => Err("write a cost of 0 or more".to_string()),
    }
}
