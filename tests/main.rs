//! All tests that use the program or the library from outside, by the harness of [`runner`].

#[macro_use]
mod runner;

mod accounts;
mod bundle;
mod cli;
mod costs;
mod cuts;
mod data;
mod detectors;
mod documents;
mod field;
mod firmware;
mod fits;
mod foreign;
mod fuzz;
mod hygiene;
mod identity;
mod knocks;
mod layers;
mod made;
mod networks;
mod npu;
mod oracle;
mod package;
mod quantisation;
mod real;
mod rescore;
mod searches;
mod sounds;
mod stores;
mod targets;
mod tflite;

fn main() -> std::process::ExitCode {
    runner::run(&[
        accounts::TESTS,
        bundle::TESTS,
        cli::TESTS,
        costs::TESTS,
        cuts::TESTS,
        data::TESTS,
        detectors::TESTS,
        documents::TESTS,
        field::TESTS,
        firmware::TESTS,
        fits::TESTS,
        foreign::TESTS,
        fuzz::TESTS,
        hygiene::TESTS,
        identity::TESTS,
        knocks::TESTS,
        layers::TESTS,
        npu::TESTS,
        oracle::TESTS,
        package::TESTS,
        quantisation::TESTS,
        real::TESTS,
        rescore::TESTS,
        searches::TESTS,
        stores::TESTS,
        tflite::TESTS,
    ])
}
