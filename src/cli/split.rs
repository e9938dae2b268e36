//! How commands that hear clips split a set of folds.

use nas::data::SplitBy;

// The group has a name of its own, because the arguments of every command are called `Args`.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(id = "split_of_folds")]
pub struct Args {
    /// Split of a set of folds into training and test clips: folds[:N], recordings or random
    #[arg(
        long,
        value_name = "HOW",
        default_value = "official",
        hide_default_value = true
    )]
    pub split: SplitBy,
}
