"""Costs that Vela estimates for .tflite files, as csv: cycles, and bytes of SRAM and of constants.

usage: vela_costs.py TABLE FILE...

Writes TABLE. Every file is compiled for the four sizes of Ethos-U55 in three configurations; with VELA_FEW set, for
two sizes in two. What Vela does not compile has no rows, and a line on stderr.
"""

import csv
import os
import pathlib
import sys
import tempfile

from ethosu.vela import vela

MACS = [32, 64, 128, 256]
CONFIGURATIONS = [
    ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    ("Ethos_U55_Deep_Embedded", "Shared_Sram"),
    ("Ethos_U55_High_End_Embedded", "Sram_Only"),
]

if "VELA_FEW" in os.environ:
    MACS, CONFIGURATIONS = [32, 128], CONFIGURATIONS[::2]


def costs(path, macs, system, memory, folder):
    arguments = [str(path), "--config", "Arm/vela.ini", "--output-dir", folder]
    arguments += ["--accelerator-config", f"ethos-u55-{macs}", "--system-config", system, "--memory-mode", memory]
    vela.main(arguments)
    with open(f"{folder}/{path.stem}_summary_{system}.csv", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    kib = lambda key: round(1024 * float(row[key]))
    constants = kib("off_chip_flash_memory_used") + kib("on_chip_flash_memory_used")
    return row["cycles_total"], kib("sram_memory_used"), constants


def main():
    # Vela's compiled core prints past Python, so the whole process falls silent.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with open(sys.argv[1], "w", encoding="utf-8") as table, tempfile.TemporaryDirectory() as folder:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["model", "macs", "system", "memory", "cycles", "sram_bytes", "constant_bytes"])
        for path in map(pathlib.Path, sys.argv[2:]):
            for macs in MACS:
                for system, memory in CONFIGURATIONS:
                    try:
                        row = costs(path, macs, system, memory, folder)
                    except RuntimeError as refusal:
                        print(f"{path.stem}: Vela refuses it: {refusal}", file=sys.stderr)
                        continue
                    writer.writerow([path.stem, macs, system, memory, *row])


main()
