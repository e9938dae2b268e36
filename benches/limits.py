"""Peak memory, time and cache of one search on clips of ten seconds, for one or more builds of `nas`.

    python3 benches/limits.py --clips 2000 target/release/nas [OTHER/nas ...]

Each clip joins parts of clips of `nas data synth` (fan), the same every time: 70 % normal training clips, the rest
normal and anomalous test clips. Every build searches them with an empty store; what follows `--` is added to its
arguments. Needs Python 3 and nothing else.
"""

import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import wave

RATE, SECONDS = 16000, 10


def samples(path):
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


def make(nas, folder, clips):
    """Writes the clips and their table, which it returns."""
    table = folder / "clips.csv"
    if table.exists():
        return table
    made = folder / "synth"
    if not made.exists():
        subprocess.run([nas, "data", "synth", "--machine", "fan", "--to", made, "-q"], check=True)
    kinds = {("train", "normal"): [], ("test", "normal"): [], ("test", "anomaly"): []}
    for path in sorted(made.rglob("*.wav")):
        split = path.parent.name
        kinds[split, "anomaly" if "anomaly" in path.name else "normal"].append(path)
    draw = random.Random(1)
    lines = ["file,split,label,machine,section,domain"]
    for number in range(clips):
        share = number / clips
        kind = ("train", "normal") if share < 0.7 else ("test", "normal" if share < 0.85 else "anomaly")
        joined = b"".join(samples(path) for path in draw.choices(kinds[kind], k=4))
        start = 2 * draw.randrange(4 * RATE)
        name = f"{number:05}.wav"
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(joined[start : start + 2 * RATE * SECONDS])
        lines.append(f"{name},{kind[0]},{kind[1]},fan,00,source")
    table.write_text("\n".join(lines) + "\n")
    return table


def search(nas, table, trials, jobs, more):
    """Peak resident MB, seconds, and MB of features on disk."""
    with tempfile.TemporaryDirectory(prefix="nas-limits-") as folder:
        arguments = ["search", "--data", table, "--trials", trials, "--jobs", jobs, "--name", "limits"]
        arguments += ["--store", f"{folder}/nas.sqlite", "-q", *more]
        start = time.monotonic()
        child = subprocess.Popen([nas, *map(str, arguments)], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status != 0:
            sys.exit(f"{nas} failed: {status}")
        cache = sum(path.stat().st_size for path in pathlib.Path(folder, "cache").glob("*.features"))
        return usage.ru_maxrss / 1024, time.monotonic() - start, cache / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data", type=pathlib.Path, help="where the clips are made and kept")
    parser.add_argument("nas", nargs="+", help="builds")
    arguments, more = parser.parse_known_args(sys.argv[1:])
    more = [argument for argument in more if argument != "--"]
    folder = arguments.data or pathlib.Path(tempfile.gettempdir(), f"nas-limits-{arguments.clips}")
    folder.mkdir(parents=True, exist_ok=True)
    table = make(arguments.nas[0], folder, arguments.clips)
    print("build | peak MB | seconds | cache MB")
    for nas in arguments.nas:
        peak, seconds, cache = search(nas, table, arguments.trials, arguments.jobs, more)
        print(f"{nas} | {peak:.0f} | {seconds:.0f} | {cache:.0f}", flush=True)


main()
