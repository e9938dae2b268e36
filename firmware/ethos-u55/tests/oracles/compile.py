"""Compiles int8 networks with Vela and runs them with TFLite Micro.

    python compile.py OUT MACS MEMORY_MODE FILE...

For each network NAME that runs on the NPU alone: OUT/NAME_vela.tflite, OUT/NAME.in with the inputs of four runs and
OUT/NAME.out with the outputs of TFLite Micro. Prints a line for each that is left out, with the reason.
Needs ethos-u-vela 5.2.0 and tflite-micro.
"""

import contextlib
import io
import os
import sys

import numpy as np
from ethosu.vela import vela
from ethosu.vela.tflite.Model import Model
from tflite_micro.python.tflite_micro import runtime

RUNS = 4
INT8 = 9


def compile_network(path, out, macs, memory_mode):
    arguments = [path, "--accelerator-config", f"ethos-u55-{macs}", "--output-dir", out]
    arguments += ["--config", "Arm/vela.ini", "--system-config", "Ethos_U55_High_End_Embedded"]
    arguments += ["--memory-mode", memory_mode]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = vela.main(arguments)
        except SystemExit as exit:
            code = exit.code
    if code:
        return f"Vela ended with {code}: {said.getvalue()[-200:]}"
    return None


def operators(path):
    model = Model.GetRootAsModel(open(path, "rb").read(), 0)
    graph = model.Subgraphs(0)
    for idx in range(graph.OperatorsLength()):
        code = model.OperatorCodes(graph.Operators(idx).OpcodeIndex())
        yield (code.CustomCode() or b"").decode() or max(code.BuiltinCode(), code.DeprecatedBuiltinCode())


def tensors(path, which):
    graph = Model.GetRootAsModel(open(path, "rb").read(), 0).Subgraphs(0)
    ids = graph.InputsAsNumpy() if which == "inputs" else graph.OutputsAsNumpy()
    for idx in ids:
        tensor = graph.Tensors(int(idx))
        yield tensor.Type(), [int(side) for side in tensor.ShapeAsNumpy()]


def sample(run, shape, generator):
    """Noise over the whole range, and in the last run values around zero."""
    if run < RUNS - 1:
        return generator.integers(-128, 128, shape).astype(np.int8)
    return np.clip(np.round(generator.normal(0, 12, shape)), -128, 127).astype(np.int8)


def main():
    out, macs, memory_mode, files = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    os.makedirs(out, exist_ok=True)
    for path in files:
        name = os.path.splitext(os.path.basename(path))[0]
        compiled = f"{out}/{name}_vela.tflite"
        inputs = list(tensors(path, "inputs"))
        if any(kind != INT8 for kind, _ in inputs + list(tensors(path, "outputs"))):
            print(f"{name}: not int8")
            continue
        problem = compile_network(path, out, macs, memory_mode)
        if problem is None and list(operators(compiled)) != ["ethos-u"]:
            problem = f"not on the NPU alone: {list(operators(compiled))}"
            os.remove(compiled)
        if problem:
            print(f"{name}: {problem}")
            continue
        interpreter = runtime.Interpreter.from_file(path, arena_size=8 << 20)
        generator = np.random.default_rng(5)
        with open(f"{out}/{name}.in", "wb") as given, open(f"{out}/{name}.out", "wb") as expected:
            for run in range(RUNS):
                for idx, (_, shape) in enumerate(inputs):
                    value = sample(run, shape, generator)
                    interpreter.set_input(value, idx)
                    given.write(value.tobytes())
                interpreter.invoke()
                for idx in range(len(list(tensors(path, "outputs")))):
                    expected.write(interpreter.get_output(idx).tobytes())


if __name__ == "__main__":
    main()
