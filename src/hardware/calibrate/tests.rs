use super::{solve::non_negative_least_squares, *};
use crate::{
    hardware::{ALIASES, Target, builtin, find},
    units::Rng,
};

/// The table of a profile beside it.
fn table(name: &str, target: &Target, wanted: Option<Count>) -> Measurements {
    let path = format!("{}/hardware_profiles/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let model = |_: &str| Err("no models here".to_string());
    Measurements::parse(&text, name, wanted, target, &model).unwrap_or_else(|e| panic!("{e}"))
}

fn groups(texts: &[String]) -> Vec<Group> {
    texts
        .iter()
        .map(|text| Group::parse(text).unwrap())
        .collect()
}

#[test]
fn shipped_profiles_are_what_their_tables_give() {
    let mut calibrated = 0;
    for target in builtin() {
        let Some(calibration) = &target.calibration else {
            continue;
        };
        let measurements = table(&calibration.table, target, None);
        let fit = calibrate(&measurements.rows, &groups(&calibration.terms), target).unwrap();
        let text = calibrated_profile(
            &target.text,
            &target.name,
            &fit,
            &measurements,
            &calibration.table,
        );
        assert_eq!(text.unwrap(), target.text, "{}", target.name);
        calibrated += 1;
    }
    assert!(calibrated >= 9, "only {calibrated} profiles are calibrated");
}

/// Projected coordinate descent: slow, but plainly right.
fn coordinate_descent(rows: &[&[f64]], targets: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; rows[0].len()];
    for _ in 0..20_000 {
        for column in 0..x.len() {
            let (mut slope, mut curve) = (0.0, 0.0);
            for (row, target) in rows.iter().zip(targets) {
                slope += row[column] * (dot(row, &x) - target);
                curve += row[column] * row[column];
            }
            x[column] = f64::max(0.0, x[column] - slope / curve);
        }
    }
    x
}

#[test]
fn the_solver_agrees_with_coordinate_descent() {
    let mut rng = Rng::new(7, 0);
    let mut zeros = 0;
    for _ in 0..200 {
        let (len, count) = (1 + rng.below(4), 6 + rng.below(20));
        let mut rows: Vec<Vec<f64>> = Vec::new();
        let mut targets = Vec::new();
        for _ in 0..count {
            // Columns of very different size, as MACs and operators are.
            rows.push(
                (0..len)
                    .map(|column| rng.uniform() * 10f64.powi(2 * column as i32))
                    .collect(),
            );
            targets.push(1.0 + 0.3 * (rng.uniform() - 0.5));
        }
        let rows: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
        let (found, expected) = (
            non_negative_least_squares(&rows, &targets).unwrap(),
            coordinate_descent(&rows, &targets),
        );
        let cost = |x: &[f64]| -> f64 {
            let residual = |(row, target): (&&[f64], &f64)| (dot(row, x) - target).powi(2);
            rows.iter().zip(&targets).map(residual).sum()
        };
        // Costs are near 0.1; both stop near the limit of f64.
        assert!(
            cost(&found) <= cost(&expected) + 1e-9,
            "{found:?} {expected:?}"
        );
        zeros += found.iter().filter(|x| **x == 0.0).count();
    }
    assert!(zeros > 0, "no bound was ever active");
}

/// A network of two terms with exact cycles.
fn measurement(name: &str, family: &str, macs: f64, outputs: f64, cycles: f64) -> Measurement {
    let mut work = [0.0; Term::COUNT];
    work[Term::ConvMac as usize] = macs;
    work[Term::ConvOutput as usize] = outputs;
    Measurement {
        name: name.to_string(),
        family: family.to_string(),
        work,
        count: cycles,
        source: "made up".to_string(),
    }
}

fn exact(name: &str, family: &str, macs: f64, outputs: f64) -> Measurement {
    measurement(name, family, macs, outputs, 2.0 * macs + 30.0 * outputs)
}

#[test]
fn exact_data_are_fitted_exactly_in_every_fold() {
    let rows = [
        exact("a1", "a", 1e6, 1e3),
        exact("a2", "a", 2e5, 1e4),
        exact("b1", "b", 5e5, 5e3),
        exact("b2", "b", 3e6, 9e4),
        exact("c", "c", 7e4, 2e4),
    ];
    let groups = groups(&["conv_mac".to_string(), "conv_output".to_string()]);
    let fit = calibrate(&rows, &groups, &find("m7").unwrap()).unwrap();
    // The solver stops at gradients of 1e-12.
    assert!((fit.coefficients[0] - 2.0).abs() < 1e-5 && (fit.coefficients[1] - 30.0).abs() < 1e-4);
    assert!(fit.in_sample() < 1e-6 && fit.leave_one_out() < 1e-6 && fit.leave_family_out() < 1e-6);
    assert_eq!((fit.kendall_tau, fit.families), (1.0, 3));
    assert_eq!(fit.is_tested, [true, true]);
}

#[test]
fn what_the_data_do_not_carry_is_refused() {
    let rows = [
        exact("a1", "a", 1e6, 1e4),
        exact("a2", "a", 2e6, 2e4),
        exact("b1", "b", 4e6, 4e4),
        exact("b2", "b", 5e5, 5e3),
    ];
    let target = find("m7-xcubeai").unwrap();
    let check = |rows: &[Measurement], terms: &[&str], expected: &str| {
        let groups: Result<Vec<Group>, _> = terms.iter().map(|text| Group::parse(text)).collect();
        let error = groups
            .and_then(|groups| calibrate(rows, &groups, &target))
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        &rows,
        &["conv_mac", "conv_output"],
        "do not determine `conv_output`: it always comes in the same proportion",
    );
    check(
        &rows,
        &["conv_mac", "depthwise_mac"],
        "no row has any of it",
    );
    check(
        &rows[..3],
        &["conv_mac", "conv_output"],
        "at least 4 different networks, but the table has 3",
    );
    check(
        &rows,
        &["conv_mac", "conv_mac"],
        "`conv_mac` is in two groups",
    );
    check(
        &rows,
        &["conv_mca"],
        "`conv_mca` is not a term of a network; known terms are conv_mac, ",
    );
    check(&rows, &["fft_point"], "not a term of a network");
    let cheap = [rows[0].clone(), measurement("free", "c", 1e6, 1e6, 1e3)];
    check(&cheap, &["conv_mac"], "already cost 3340000 % of `free`");
}

#[test]
fn a_term_of_one_family_is_not_called_tested() {
    let rows = [
        exact("a1", "a", 1e6, 0.0),
        exact("a2", "a", 2e6, 0.0),
        exact("b1", "b", 4e6, 0.0),
        exact("c1", "c", 5e5, 5e5),
        exact("c2", "c", 5e5, 6e4),
    ];
    let groups = groups(&["conv_mac".to_string(), "conv_output".to_string()]);
    let fit = calibrate(&rows, &groups, &find("m7").unwrap()).unwrap();
    assert_eq!(fit.is_tested, [true, false]);
    let untested: Vec<&str> = fit.untested().map(|row| row.name.as_str()).collect();
    assert_eq!(untested, ["c1", "c2"]);
}

#[test]
fn suggestions_shrink_the_largest_uncertainty() {
    // Nothing but convolution MACs was measured well: a network of outputs teaches most.
    let rows: Vec<Measurement> = (1..8)
        .map(|i| {
            let wobble = 1.0 + 0.02 * f64::from(i % 3);
            let (macs, outputs) = (1e6 * f64::from(i), 2e4 * f64::from(i % 4));
            measurement(
                "n",
                ["a", "b"][i as usize % 2],
                macs,
                outputs,
                wobble * (2.0 * macs + 30.0 * outputs),
            )
        })
        .collect();
    let groups = groups(&["conv_mac".to_string(), "conv_output".to_string()]);
    let fit = calibrate(&rows, &groups, &find("m7").unwrap());
    let fit = fit.unwrap();
    let work = |macs: f64, outputs: f64| measurement("", "", macs, outputs, 1.0).work;
    let candidates = [
        work(1e6, 1e2),
        work(1e3, 1e5),
        work(1e6, 1e5),
        work(1e3, 1e5),
    ];
    let order: Vec<usize> = next_to_measure(&candidates, &fit, 3)
        .iter()
        .map(|s| s.idx)
        .collect();
    // After the first of two like networks, the mixed one teaches more than the second.
    assert_eq!(order[0], 1);
    assert_eq!(next_to_measure(&candidates, &fit, 9).len(), 4);
    assert!(order.contains(&2) || order.contains(&3));
}

#[test]
fn tables_name_what_is_wrong_with_them() {
    let check = |text: &str, expected: &str| {
        let model = |name: &str| Err(format!("`{name}` is not a trial"));
        let message = match Measurements::parse(text, "t.csv", None, &find("m7").unwrap(), &model) {
            Ok(measurements) => format!("{measurements:?}"),
            Err(error) => error.to_string(),
        };
        assert!(message.contains(expected), "{message}");
    };
    check(
        "name,family,source,clok\n",
        "t.csv: the column `clok` is not known; known columns are name,",
    );
    check("name,family\n", "the column `source` is missing");
    check("name,family,source,cycles\n", "there are no rows");
    check(
        "name,family,source,cycles\nn,f,s,\n",
        "row 2: give `cycles`, or `latency_ms`",
    );
    check(
        "name,family,source,cycles\nn,f,s,-4\n",
        "row 2: `cycles` must be zero or a positive number",
    );
    check("name,family,source,cycles\nn,f,s,nan\n", "but is `nan`");
    check(
        "name,family,source,cycles\nn,,s,4\n",
        "row 2: `family` is empty",
    );
    check(
        "name,family,source,cycles\nn,f,s\n",
        "cannot read the measurements t.csv",
    );
    check(
        "name,family,source,cycles,model\nn,f,s,4,best\n",
        "row 2: `best` is not a trial",
    );
    check(
        "name,family,source,cycles,instructions\nn,f,s,4,\nm,f,s,,9\n",
        "row 3: give `cycles`",
    );
    check(
        "name,family,source,cycles,network\nn,f,s,4,8x8x1; cnov\n",
        "row 2: `cnov` is not an operator",
    );
    check(
        "# a note\nname,family,source,latency_ms,clock_mhz,op\nn,f,s,2,100,3\n",
        "count: 200000.0",
    );
    check(
        "name,family,source,instructions\nn,f,s,12\n",
        "count: Instructions",
    );
}

proptest::proptest! {
    #[test]
    fn any_table_is_read_or_refused(text in "(name|family|source|cycles|op|,|\n|#|\"|[0-9a-z.-]{0,4}){0,40}") {
        let m7 = find("m7").unwrap();
        let _ = Measurements::parse(&text, "t.csv", None, &m7, &|_| Err(String::new()));
    }
}

#[test]
fn aliases_stand_for_shipped_profiles() {
    for (alias, name) in ALIASES {
        let target = find(alias).unwrap();
        assert_eq!(target.name, alias);
        assert_eq!(Target::parse(&target.text, "again").unwrap(), target);
        assert_eq!(find(name).unwrap().cpu, target.cpu);
    }
}

/// The fit of a shipped profile.
fn shipped_fit(name: &str) -> Fit {
    let target = find(name).unwrap();
    let calibration = target.calibration.as_ref().expect("a calibrated profile");
    let groups = groups(&calibration.terms);
    calibrate(
        &table(&calibration.table, &target, None).rows,
        &groups,
        &target,
    )
    .unwrap()
}

#[test]
fn families_left_out_are_predicted_within_the_bars() {
    let check = |name: &str, bar: f64| {
        let fit = shipped_fit(name);
        let error = fit.leave_family_out();
        println!("{name}: leave-family-out {:.1} %", 100.0 * error);
        assert!(error <= bar, "{name}: {error}");
        // The band is a root mean square: of normal errors 68 % lie inside, of few rows some 60 %.
        let band = fit
            .root_mean_square()
            .hypot(find(name).unwrap().cpu.whole_network.error);
        let inside = fit
            .errors(|row| row.without_family)
            .filter(|e| e.abs() <= band)
            .count();
        let tested = fit.rows.len() - fit.untested().count();
        assert!(
            inside as f64 >= 0.6 * tested as f64,
            "{name}: {inside} of {tested}"
        );
    };
    check("stm32h7a3-xcubeai-7", 0.10);
    check("stm32h747-xcubeai-8", 0.10);
    check("stm32h7a3-xcubeai-9", 0.10);
    check("stm32h747-xcubeai-10", 0.10);
    check("apollo510", 0.15);
    check("alif-e7-hp", 0.15);
    // Cycles that LLVM schedules, of layers of one kernel size predicted from the others.
    check("stm32h743-nas", 0.10);
    check("alif-e7-hp-nas", 0.10);
}

#[test]
fn loops_of_our_kernels_give_their_instructions() {
    let check = |name: &str| {
        let target = find(name).unwrap();
        let calibration = target.calibration.as_ref().unwrap();
        let rows = table(&calibration.table, &target, Some(Count::Instructions)).rows;
        let fit = calibrate(&rows, &groups(&calibration.terms), &target).unwrap();
        // Single layers, small ones too, all residues of the loops; whole networks are nearer (`cargo bench --bench counts`).
        println!("{name}: leave-one-out {:.1} %", 100.0 * fit.leave_one_out());
        assert!(fit.leave_one_out() <= 0.03, "{name}");
    };
    check("stm32h743-nas");
    check("alif-e7-hp-nas");
}

#[test]
fn networks_outside_every_fit_lie_within_the_bars() {
    let check = |name: &str, networks: &str, bar: f64| {
        let target = find(name).unwrap();
        let cycles = |work: &Work| -> f64 {
            let terms = target.cpu.cycles.iter();
            let sum: f64 = terms.map(|(&term, c)| c.value * work[term as usize]).sum();
            sum * target.cpu.whole_network.value
        };
        let errors = table(networks, &target, None)
            .rows
            .into_iter()
            .map(|network| {
                let error = cycles(&network.work) / network.count - 1.0;
                println!("{name}: {}: {:+.1} %", network.name, 100.0 * error);
                error.abs()
            });
        assert!(mean(errors) <= bar);
    };
    check("apollo510", "calibration/m55-networks.csv", 0.15);
    check(
        "stm32h743-tflm-cmsis-nn",
        "calibration/tflm-networks.csv",
        0.10,
    );
}

#[test]
fn the_ratio_of_two_runtimes_is_the_one_of_the_profile() {
    let path = "hardware_profiles/calibration/cmsis-nn-to-xcubeai.csv";
    let text = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let rows: Vec<(String, f64)> = reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let number = |column: usize| record[column].parse::<f64>().unwrap();
            (record[1].to_string(), (number(2) / number(3)).ln())
        })
        .collect();
    let whole_network = find("stm32h743-tflm-cmsis-nn").unwrap().cpu.whole_network;
    let ratio = mean(rows.iter().map(|row| row.1)).exp();
    // The profile rounds it to three digits.
    assert!((ratio - whole_network.value).abs() < 0.005, "{ratio}");
    let squares = rows.iter().map(|(family, log)| {
        let others = rows.iter().filter(|row| row.0 != *family).map(|row| row.1);
        ((mean(others) - log).exp() - 1.0).powi(2)
    });
    let error = mean(squares).sqrt();
    assert!(error <= whole_network.error, "{error}");
}

#[test]
fn one_power_per_set_gives_the_energies_of_mlperf_tiny() {
    let path = "hardware_profiles/calibration/mlperf-tiny-energy.csv";
    let text = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let powers = fit_powers(&parse_energies(&text, path).unwrap());
    let errors = powers
        .iter()
        .flat_map(|power| power.errors.iter().map(|e| e.abs()));
    assert!(mean(errors) <= 0.05);
    let left_out = powers
        .iter()
        .flat_map(|power| power.errors_without_row.iter().map(|e| e.abs()));
    assert!(mean(left_out) <= 0.05);
    // Profiles of measured boards have the power of their set.
    let check = |name: &str, set: &str| {
        let power = powers.iter().find(|power| power.set.contains(set)).unwrap();
        let profile = find(name).unwrap().cpu.active_power.value;
        // Three digits of the profile.
        assert!(
            (power.active_mw / profile - 1.0).abs() < 0.005,
            "{name}: {}",
            power.active_mw
        );
    };
    check(
        "stm32h7a3-xcubeai-7",
        "NUCLEO-H7A3ZI-Q), X-CUBE-AI 7.3.0, 280 MHz, 3.3V",
    );
    check("stm32h7a3-xcubeai-9", "NUCLEO-H7A3ZI-Q), X-CUBE-AI 9.0.0");
}
