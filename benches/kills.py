"""Kills `nas` again and again, continues, and compares the end with that of a process that nobody killed.

    python3 benches/kills.py target/release/nas [--only search,export] [--share 0.1]

Half of the kills come at a random time, half at the n-th fsync, rename or write (with `strace`, which must be
installed; without it all come at random times). After each, the store must open and no run may pass for running; after
the last step of each round rows, models and files must be those of the undisturbed process, byte for byte where no
time is in them. Needs Python 3; `--only measure` also QEMU and a compiler for microcontrollers.
"""

import argparse
import hashlib
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import wave
import zipfile

ROUNDS = {"search": 100, "rescore": 30, "baseline": 30, "export": 30, "fetch": 30, "measure": 30, "report": 30}
CALLS = ["fsync", "rename", "write", "pwrite64"]
STRACE = shutil.which("strace")
draw = random.Random(21)


class Nas:
    """A program, and where it works."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def command(self, text):
        return [self.program, *text.split(), "--store", str(self.folder / "nas.sqlite"), "-q"]

    def run(self, text):
        return subprocess.run(self.command(text), capture_output=True, text=True)

    def must(self, text):
        done = self.run(text)
        if done.returncode != 0:
            sys.exit(f"nas {text}: {done.stderr}")
        return done.stdout

    def runs(self):
        found = self.run("runs --json")
        return json.loads(found.stdout)["runs"] if found.returncode == 0 else []


def measured(nas, text):
    """Seconds of an undisturbed process, and its calls of each kind by its busiest thread."""
    start = time.monotonic()
    nas.must(text)
    return time.monotonic() - start


def calls(nas, text):
    if STRACE is None:
        return {}
    with tempfile.NamedTemporaryFile() as log:
        trace = [STRACE, "-f", "-qq", "-o", log.name, "-e", "trace=" + ",".join(CALLS)]
        subprocess.run(trace + nas.command(text), capture_output=True)
        counts = {}
        for line in open(log.name, errors="replace"):
            words = line.split(None, 1)
            name = words[1].split("(")[0] if len(words) > 1 else ""
            if name in CALLS:
                counts[name, words[0]] = counts.get((name, words[0]), 0) + 1
    most = {}
    for (name, _), count in counts.items():
        most[name] = max(most.get(name, 0), count)
    return most


def kill(nas, text, seconds, most):
    """Starts a command and kills it; returns whether it was killed before its end."""
    if most and draw.random() < 0.5:
        name = draw.choice(sorted(most))
        place = draw.randint(1, most[name])
        trace = [STRACE, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}"]
        trace += ["-e", f"inject={name}:signal=KILL:when={place}"]
        done = subprocess.run(trace + nas.command(text), capture_output=True)
        return done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    child = subprocess.Popen(nas.command(text), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        child.wait(draw.uniform(0, 1.05 * seconds))
        return False
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return True


def sound(nas):
    """The store opens, and no run says that it is running."""
    if not (nas.folder / "nas.sqlite").exists():
        return
    for run in nas.runs():
        assert run["state"] != "running", run
    if (nas.folder / "nas.sqlite").stat().st_size > 0:
        with sqlite3.connect(nas.folder / "nas.sqlite") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def state(folder):
    """Rows without times and names of runs, and the content of every model that a row names."""
    with sqlite3.connect(folder / "nas.sqlite") as connection:
        rows = lambda sql: connection.execute(sql).fetchall()
        found = {
            "runs": rows("SELECT seed, data_hash, state FROM runs"),
            "trials": rows("SELECT number, key, outcome, evaluation_key, hex(genome) FROM trials ORDER BY number"),
            "costs": rows("SELECT number, target, metric, value FROM costs ORDER BY 1, 2, 3"),
            "scores": rows("SELECT * FROM scores ORDER BY 1, 2, 3"),
            "fronts": rows("SELECT target, number FROM fronts ORDER BY 1, 2"),
            "repeats": rows("SELECT number, seed, evaluation_key FROM repeats ORDER BY 1, 2"),
            "measured": rows("SELECT number, place, outputs_match, instructions FROM measurements ORDER BY 1, 2"),
        }
        paths = rows("SELECT key, artefacts FROM evaluations WHERE artefacts IS NOT NULL ORDER BY key")
    found["models"] = [(key, tree(folder / path)) for key, path in paths]
    return found


def tree(folder):
    """All files below a folder with their content, none of them left over by a killed process."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert files, f"{folder} is empty"
    return [(str(path.relative_to(folder)), digest(path)) for path in files]


def equal(found, expected, what):
    if found != expected:
        keys = [key for key in expected if found[key] != expected[key]] if isinstance(expected, dict) else ""
        sys.exit(f"{what}: the end differs {keys}")


def sounds(folder):
    """A few short clips: tones in noise, the anomalies with another tone."""
    folder.mkdir()
    lines = ["file,split,label,machine,section,domain"]
    for number in range(40):
        split = "train" if number < 24 else "test"
        label = "anomaly" if number >= 32 else "normal"
        values = bytearray()
        for idx in range(16000):
            tone = 3000 if idx // (20 if label == "normal" else 9) % 2 else -3000
            values += int(tone + draw.gauss(0, 1500)).to_bytes(2, "little", signed=True)
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(values))
        lines.append(f"{number}.wav,{split},{label},fan,00,source")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder / "clips.csv"


def mirror(folder):
    """A server of one data set and its record."""
    archive = folder / "dev_data_fan.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(60):
            file.writestr(f"fan/train/section_00_source_train_normal_{number:04}.wav", draw.randbytes(20000))
    content = archive.read_bytes()
    checksum = "md5:" + hashlib.md5(content).hexdigest()
    record = {"files": [{"key": archive.name, "size": len(content), "checksum": checksum}]}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body, start = content, 0
            if self.path.startswith("/api/"):
                body = json.dumps(record).encode()
            elif "Range" in self.headers:
                start = int(self.headers["Range"].split("=")[1].rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            try:
                self.wfile.write(body[start:])
            except OSError:
                pass

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class Soak:
    def __init__(self, program, share, work):
        self.program, self.share, self.work = program, share, work
        self.table = sounds(work / "sounds")
        self.base = Nas(program, work / "base")
        self.base.folder.mkdir()
        self.search = f"search --data {self.table} --space pooled-gaussian --space pooled-mlp --target m7"
        self.search += " --trials 3 --jobs 2 --epochs 1 --name run"
        self.base.must(self.search)

    def fresh(self, copied=True):
        folder = self.work / "round"
        shutil.rmtree(folder, ignore_errors=True)
        if copied:
            shutil.copytree(self.base.folder, folder)
        else:
            folder.mkdir()
        return Nas(self.program, folder)

    def soak(self, what, begin, after, end, copied=True, rounds=None):
        """`after` continues what was killed, given whether a run exists; `end` says what has to be equal."""
        count = max(1, round(ROUNDS[what] * self.share)) if rounds is None else rounds
        whole = self.fresh(copied)
        seconds = measured(whole, begin)
        expected = end(whole)
        most = calls(self.fresh(copied), begin)
        killed = done = 0
        while killed < count and done < 4 * count:
            nas = self.fresh(copied)
            killed += kill(nas, begin, seconds, most)
            sound(nas)
            # A second kill while it continues, now and then.
            text = after(nas)
            if draw.random() < 0.3:
                killed += kill(nas, text, seconds, most)
                sound(nas)
                text = after(nas)
            nas.must(text)
            equal(end(nas), expected, what)
            done += 1
        print(f"{what} | {begin.split()[0]} | {killed} kills | {done} ends, all the same", flush=True)

    def run(self, chosen):
        if "search" in chosen:
            # The same run by a formula, and with models.
            half = max(1, round(50 * self.share))
            for text in ["search --debug-formula --target u55 --trials 24 --jobs 2 --name run", self.search]:
                formula = " --debug-formula" if "--debug-formula" in text else ""
                again = lambda nas: f"search{formula} --resume run --jobs 2" if nas.runs() else text
                self.soak("search", text, again, lambda nas: state(nas.folder), False, half)
        if "rescore" in chosen:
            text = "rescore run --seeds 2 --jobs 2"
            self.soak("rescore", text, lambda nas: text, lambda nas: state(nas.folder))
        if "baseline" in chosen:
            text = f"baseline dcase-ae --data {self.table} --epochs 1 --target m7"
            again = lambda nas: f"search --resume {nas.runs()[0]['run']}" if nas.runs() else text
            self.soak("baseline", text, again, lambda nas: state(nas.folder), False)
        if "export" in chosen:
            number = json.loads(self.base.must("front run --json"))["front"][0]["trial"]
            text = f"export run/{number} --to {self.work}/round/out"

            def again(nas):
                # What was killed at its very end is done, and nothing is exported over it.
                out = nas.folder / "out"
                names = {path.name for path in out.iterdir()} if out.exists() else set()
                return "runs" if "manifest.json" in names and ".nas-export" not in names else text

            self.soak("export", text, again, lambda nas: tree(nas.folder / "out"))
        if "report" in chosen:
            text = f"report run --to {self.work}/round/out/pictures"
            self.soak("report", text, lambda nas: text, lambda nas: tree(nas.folder / "out"))
        if "fetch" in chosen:
            server = mirror(self.work)
            text = f"data fetch dcase2021 --machine fan --yes --mirror {server} --to {self.work}/round/out"
            self.soak("fetch", text, lambda nas: text, lambda nas: tree(nas.folder / "out"), False)
        if "measure" in chosen:
            number = json.loads(self.base.must("front run --json"))["front"][0]["trial"]
            text = f"measure run/{number} --on qemu-m55"
            # Images are built once, since that takes most of the time.
            self.base.must(text)
            with sqlite3.connect(self.base.folder / "nas.sqlite") as connection:
                connection.execute("DELETE FROM measurements")
            self.soak("measure", text, lambda nas: text, lambda nas: state(nas.folder))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nas")
    parser.add_argument("--only", default=",".join(ROUNDS))
    parser.add_argument("--share", type=float, default=1.0, help="of all kills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nas-kills-") as work:
        soak = Soak(os.path.abspath(arguments.nas), arguments.share, pathlib.Path(work))
        soak.run(arguments.only.split(","))


main()
