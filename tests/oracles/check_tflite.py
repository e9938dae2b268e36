"""Runs .tflite files through TFLM, LiteRT and Vela and compares outputs.

usage: check_tflite.py FOLDER [--vela-every N]

FOLDER holds NNN.tflite, NNN.in (any number of int8 inputs, or sets of them, behind one another) and NNN.out (the expected outputs).
Vela, which takes longest, compiles every Nth file; 0 is none. Prints one JSON object.
"""

import contextlib
import io
import json
import pathlib
import sys
import tempfile

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime

NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def operators(path):
    """Operator names of a file, custom operators by their own name."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    names = []
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        custom = code.customCode
        names.append(custom.decode() if custom else NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])
    return names


def parts(values, shapes):
    """Inputs that lie behind one another, each in its shape."""
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(values, ends[:-1]), shapes)]


def run_tflm(path, inputs, shapes):
    # The size it would choose itself forgets the alignment of some tensors.
    interpreter = runtime.Interpreter.from_file(str(path), arena_size=1 << 24)
    outputs = []
    for values in inputs:
        for idx, part in enumerate(parts(values, shapes)):
            interpreter.set_input(part, idx)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).ravel().copy())
    return np.concatenate(outputs)


def run_litert(path, inputs):
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    details, output = interpreter.get_input_details(), interpreter.get_output_details()[0]
    outputs = []
    for values in inputs:
        for input, part in zip(details, parts(values, [input["shape"] for input in details])):
            interpreter.set_tensor(input["index"], part)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(output["index"]).ravel().copy())
    return np.concatenate(outputs)


def run_vela(path, folder):
    """Names of the operators that Vela leaves to the CPU."""
    from ethosu.vela import vela

    with contextlib.redirect_stdout(io.StringIO()):
        vela.main([str(path), "--accelerator-config", "ethos-u55-128", "--output-dir", folder])
    compiled = pathlib.Path(folder) / (path.stem + "_vela.tflite")
    return [name for name in operators(compiled) if name != "ethos-u"]


def main():
    folder = pathlib.Path(sys.argv[1])
    vela_every = int(sys.argv[3]) if "--vela-every" in sys.argv else 1
    summary = {
        "models": 0,
        "inputs": 0,
        "values": 0,
        "tflm_different_models": [],
        "tflm_different_values": 0,
        "litert_loaded": 0,
        "litert_equal_models": 0,
        "vela_tried": 0,
        "vela_compiled": 0,
        "vela_all_on_npu": 0,
        "vela_on_cpu": {},
        "failures": [],
    }
    for idx, path in enumerate(sorted(folder.glob("*.tflite"))):
        expected = np.fromfile(path.with_suffix(".out"), np.int8)
        interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        shapes = [input["shape"] for input in interpreter.get_input_details()]
        length = int(sum(np.prod(shape) for shape in shapes))
        inputs = np.fromfile(path.with_suffix(".in"), np.int8).reshape(-1, length)
        summary["models"] += 1
        summary["inputs"] += len(inputs)
        summary["values"] += len(expected)
        try:
            different = int((run_tflm(path, inputs, shapes) != expected).sum())
            if different:
                summary["tflm_different_models"].append(path.stem)
                summary["tflm_different_values"] += different
        except Exception as error:
            summary["failures"].append(f"{path.stem}: TFLM: {error}")
        try:
            outputs = run_litert(path, inputs)
            summary["litert_loaded"] += 1
            summary["litert_equal_models"] += int(np.array_equal(outputs, expected))
        except Exception as error:
            summary["failures"].append(f"{path.stem}: LiteRT: {error}")
        if vela_every and idx % vela_every == 0:
            summary["vela_tried"] += 1
            try:
                with tempfile.TemporaryDirectory() as output:
                    on_cpu = run_vela(path, output)
                summary["vela_compiled"] += 1
                summary["vela_all_on_npu"] += int(not on_cpu)
                for name in on_cpu:
                    summary["vela_on_cpu"][name] = summary["vela_on_cpu"].get(name, 0) + 1
            except (Exception, SystemExit) as error:
                summary["failures"].append(f"{path.stem}: Vela: {error}")
    print(json.dumps(summary))


main()
