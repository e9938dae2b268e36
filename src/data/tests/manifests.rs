use super::*;

#[test]
fn manifests_are_read() {
    fn check(csv: &str, expected: &str) {
        let split_csv = format!("split.csv={csv}");
        check_tree(
            &[
                &split_csv,
                "a.wav",
                "b.FLAC",
                "sub/c.wav",
                "f.bin",
                "short.bin=1",
            ],
            expected,
        );
    }
    // Any order of columns, spaces, a byte order mark, further columns; empty means the default.
    check(
        "\u{feff}domain, split ,speed,file,label\r\ntarget,train,3,a.wav,\r\n,test,,./b.FLAC,anomaly\r\n",
        "
        default default Train Target Unlabelled 1
        default default Test Source Anomaly 1
        note: too few training clips to learn what is normal: default default
        note: no normal test clips, so no AUC: default default
        ",
    );
    check(
        "file,split\na.wav,train\nsub/c.wav,test\ngone.wav,test\n",
        "
        default default Train Source Unlabelled 1
        default default Test Source Unlabelled 1
        note: 1 file left out, because it is missing: gone.wav (line 4)
        note: too few training clips to learn what is normal: default default
        note: no test clip has a label: clips get scores, but there is no AUC
        ",
    );
    check("file,split,section\nf.bin,train,1\nshort.bin,test,1\n", "
        default 1 Train Source Unlabelled 1
        note: 1 file left out, because it has 1 byte, which is not a multiple of 512 (128 bands of f32): short.bin (line 3)
        note: too few training clips to learn what is normal: default section 1
        note: no test clips: nothing can be scored
        ");
    check(
        "file,split\ngone.wav,train\n",
        "error: nothing in `ROOT/split.csv` can be used: gone.wav (line 2) is missing",
    );
    check(
        "file,split\na.wav,train\nf.bin,train\n",
        "error: `a.wav` is a recording and `f.bin` holds ready features; a data set must be all of one kind",
    );
    check(
        "file,split\nsub,train\n",
        "error: manifest `ROOT/split.csv`: line 2, column file: `sub` should be the path of a .wav, .flac, .ogg, .mp3 or .bin file inside the manifest's folder",
    );
    check(
        "file,split\na.m4a,train\n",
        "error: manifest `ROOT/split.csv`: line 2, column file: `a.m4a` should be the path of a .wav, .flac, .ogg, .mp3 or .bin file inside the manifest's folder",
    );
    for outside in ["../a.wav", "b/../../a.wav", "/tmp/a.wav"] {
        check(
            &format!("file,split\n{outside},train\n"),
            &format!(
                "error: manifest `ROOT/split.csv`: line 2, column file: `{outside}` should be the path of a .wav, .flac, .ogg, .mp3 or .bin file inside the manifest's folder"
            ),
        );
    }
    check(
        "file,split\n,train\n",
        "error: manifest `ROOT/split.csv`: line 2, column file: `` should be the path of a .wav, .flac, .ogg, .mp3 or .bin file inside the manifest's folder",
    );
    check(
        "file,split\na.wav,validation\n",
        "error: manifest `ROOT/split.csv`: line 2, column split: `validation` should be `train` or `test`",
    );
    check(
        "file,split,label\na.wav,train,normal\nb.FLAC,test,abnormal\n",
        "error: manifest `ROOT/split.csv`: line 3, column label: `abnormal` should be `normal`, `anomaly` or empty",
    );
    check(
        "file,split,domain\na.wav,train,north\n",
        "error: manifest `ROOT/split.csv`: line 2, column domain: `north` should be `source`, `target` or empty",
    );
    check(
        "file,split\na.wav,train\nsub/../a.wav,test\n",
        "error: manifest `ROOT/split.csv`: line 3, column file: `a.wav` is already in line 2",
    );
    check(
        "file,split\na.wav,train,normal\n",
        "error: manifest `ROOT/split.csv`: line 2 has 3 columns where line 1 names 2",
    );
    check(
        "file,split,file\na.wav,train,a.wav\n",
        "error: manifest `ROOT/split.csv`: line 1 names the column `file` twice",
    );
    check(
        "file,label\na.wav,normal\n",
        "error: manifest `ROOT/split.csv`: line 1 has no column `split`; it should name the columns, separated by commas: file,split,label,machine,section,domain (all but file and split may be left out)",
    );
    check(
        "file;split\na.wav;train\n",
        "error: manifest `ROOT/split.csv`: line 1 has no column `file`; it should name the columns, separated by commas: file,split,label,machine,section,domain (all but file and split may be left out)",
    );
    check(
        "file,split\n",
        "error: manifest `ROOT/split.csv`: it lists no files: line 1 only names the columns",
    );
    check(
        "",
        "error: manifest `ROOT/split.csv`: line 1 has no column `file`; it should name the columns, separated by commas: file,split,label,machine,section,domain (all but file and split may be left out)",
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_table_or_an_error(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
    ) {
        let _ = manifest::parse(&bytes[..]);
        let _ = dcase_names::parse_attributes(&bytes[..]);
        let _ = dcase_names::parse_name(&String::from_utf8_lossy(&bytes));
    }
}
