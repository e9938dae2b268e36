"""Quantises float autoencoders by LiteRT's converter and by ai-edge-quantizer, and compares AUC; also with 16-bit activations.

usage: other_tools.py FOLDER

FOLDER is what `quantisation --hand-out FOLDER` wrote: one folder per network. Both tools calibrate on the windows that this
project's ranges come from. A clip's score is the mean squared difference of a window's input and output as the int8
network has them, over its windows. Vela compiles the networks of the converter with 8-bit and with 16-bit activations for
an Ethos-U55 of 128 MAC a cycle, and says what they cost. Needs tensorflow-cpu 2.21.0, ai-edge-quantizer 0.10.0 and
ethos-u-vela 5.2.0.
"""

import contextlib
import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

BATCH = 512


def keras_model(layers, numbers):
    model = tf.keras.Sequential([tf.keras.Input((layers[0]["inputs"],), batch_size=1)])
    for layer in layers:
        inputs, outputs = layer["inputs"], layer["outputs"]
        weights, biases, numbers = np.split(numbers, [inputs * outputs, inputs * outputs + outputs])
        dense = tf.keras.layers.Dense(outputs, activation="relu" if layer["relu"] else None)
        model.add(dense)
        dense.set_weights([weights.reshape(outputs, inputs).T, biases])
    assert numbers.size == 0, "weights are left over"
    return model


def by_converter(model, calibration, bits):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([window[None]] for window in calibration)
    sets, types = tf.lite.OpsSet, {8: tf.int8, 16: tf.int16}
    wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [wide if bits == 16 else sets.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = types[bits]
    return converter.convert()


def by_quantizer(float_file, calibration):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "float.tflite"
        path.write_bytes(float_file)
        tool = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        interpreter = Interpreter(str(path))
        [(signature, names)] = interpreter.get_signature_list().items()
        data = {signature: [{names["inputs"][0]: window[None]} for window in calibration]}
        return bytes(tool.quantize(tool.calibrate(data, num_threads=1)).quantized_model)


def window_scores(file, windows):
    interpreter = Interpreter(model_content=file)
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def seen(values, details):
        if details["dtype"] == np.float32:
            return values, values
        scale, zero = details["quantization"]
        ends = np.iinfo(details["dtype"])
        steps = np.clip(np.round(values / scale) + zero, ends.min, ends.max).astype(details["dtype"])
        return steps, (steps.astype(np.float32) - zero) * scale

    scores = []
    for first in range(0, len(windows), BATCH):
        given, heard = seen(windows[first : first + BATCH], source)
        interpreter.resize_tensor_input(source["index"], given.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], given)
        interpreter.invoke()
        made = interpreter.get_tensor(target["index"])
        if target["dtype"] != np.float32:
            scale, zero = target["quantization"]
            made = (made.astype(np.float32) - zero) * scale
        scores.append(((heard - made) ** 2).mean(axis=1))
    return np.concatenate(scores)


def auc(scores, counts, anomalies):
    ends = np.cumsum(counts)
    clips = np.array([part.mean() for part in np.split(scores, ends[:-1])])
    anomalies = np.array(anomalies)
    normal, anomaly = clips[~anomalies], clips[anomalies]
    higher = (anomaly[:, None] > normal).sum() + 0.5 * (anomaly[:, None] == normal).sum()
    return higher / (len(normal) * len(anomaly))


def cost(file):
    """Cycles of an inference, and bytes of SRAM, by Vela."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "network.tflite"
        path.write_bytes(file)
        arguments = ["--config", "Arm/vela.ini", "--accelerator-config", "ethos-u55-128"]
        arguments += ["--system-config", "Ethos_U55_High_End_Embedded", "--memory-mode", "Shared_Sram"]
        command = [sys.executable, "-m", "ethosu.vela", str(path), *arguments, "--output-dir", folder]
        subprocess.run(command, check=True, capture_output=True)
        [table] = pathlib.Path(folder).glob("*_summary_*.csv")
        [row] = csv.DictReader(table.open())
        return [float(row["cycles_total"]), 1024 * float(row["sram_memory_used"])]


def convolutions():
    """A depthwise-separable classifier of random weights, in which products and not weights take the time."""
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential([tf.keras.Input((32, 64, 1), batch_size=1)])
    model.add(layers.Conv2D(32, (10, 4), strides=2, padding="same", activation="relu"))
    for _ in range(3):
        model.add(layers.DepthwiseConv2D(3, padding="same", activation="relu"))
        model.add(layers.Conv2D(32, 1, activation="relu"))
    model.add(layers.Flatten())
    model.add(layers.Dense(4))
    windows = np.random.default_rng(0).normal(size=(8, 32, 64, 1)).astype(np.float32)
    return [cost(by_converter(model, windows, bits)) for bits in (8, 16)]


def main():
    folders = sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/test.json"))
    print("network,float here,float,lost here,converter,quantizer,16 bits,cycles,16 bits,SRAM,16 bits")
    rows, costs = [], []
    for folder in folders:
        layers = json.loads((folder / "network.json").read_text())
        test = json.loads((folder / "test.json").read_text())
        numbers = np.fromfile(folder / "weights.f32", np.float32)
        inputs = layers[0]["inputs"]
        windows = np.fromfile(folder / "test.f32", np.float32).reshape(-1, inputs)
        calibration = np.fromfile(folder / "calibration.f32", np.float32).reshape(-1, inputs)
        model = keras_model(layers, numbers)
        # Both tools print what they do.
        with contextlib.redirect_stdout(io.StringIO()):
            float_file = tf.lite.TFLiteConverter.from_keras_model(model).convert()
            narrow, wide = [by_converter(model, calibration, bits) for bits in (8, 16)]
            files = [float_file, narrow, by_quantizer(float_file, calibration), wide]
        seen = [window_scores(file, windows) for file in files]
        plain, *others = [auc(scores, test["windows"], test["anomalies"]) for scores in seen]
        costs.append(np.array([cost(narrow), cost(wide)]).T.ravel())
        # The loss of every int8 network is against the float network of the same scores.
        lost = [test["auc_float"] - test["auc_int8"]] + [plain - other for other in others]
        rows.append(lost)
        texts = [f"{value:.4f}" for value in [test["auc_float"], plain, *lost]]
        print(",".join([folder.name, *texts, *(f"{value:.0f}" for value in costs[-1])]), flush=True)
    rows = np.array(rows)
    for name, column in zip(["here", "converter", "quantizer", "16 bits"], rows.T):
        print(f"{name}: {len(column)} networks, mean loss {column.mean():.4f}, worst {column.max():.3f}")
    cycles, wide_cycles, sram, wide_sram = np.array(costs).T
    print(f"16 bits take {(wide_cycles / cycles).mean():.2f} times the cycles, {(wide_sram / sram).mean():.2f} times the SRAM")
    with contextlib.redirect_stdout(io.StringIO()):
        (cycles, sram), (wide_cycles, wide_sram) = convolutions()
    print(f"in a DS-CNN {cycles:.0f} cycles become {wide_cycles:.0f}, {sram:.0f} bytes of SRAM {wide_sram:.0f}")


main()
