"""Writes float.tflite, a small float32 network with random weights, and float_values.bin, what LiteRT makes of it.

Needs the packages of `tests/oracles/requirements.txt`. float_values.bin: 8 times 48 inputs and 3 outputs, float32.
"""

import pathlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

FOLDER = pathlib.Path(__file__).parent
RELU = schema.ActivationFunctionType.RELU
NONE = schema.ActivationFunctionType.NONE
random = np.random.default_rng(3)


def normal(*shape):
    return (random.normal(size=shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)


class Network:
    def __init__(self, shape):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs = [self.tensor(shape)]
        self.model.subgraphs = [self.graph]

    def tensor(self, shape, values=None):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = list(shape), schema.TensorType.FLOAT32, str(len(self.graph.tensors))
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, values):
        return self.tensor(values.shape, values)

    def op(self, code, kind, options, inputs, shape):
        names = schema.OperatorCodeT()
        names.builtinCode = names.deprecatedBuiltinCode = code
        names.version = 1
        self.model.operatorCodes.append(names)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        operator.inputs, operator.outputs = inputs, [self.tensor(shape)]
        self.graph.operators.append(operator)
        return operator.outputs[0]

    def dense(self, x, inputs, outputs, activation):
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        weights, bias = self.constant(normal(outputs, inputs)), self.constant(normal(outputs))
        code, kind = schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOptions.FullyConnectedOptions
        return self.op(code, kind, options, [x, weights, bias], [1, outputs])

    def file(self, output):
        self.graph.outputs = [output]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


network = Network([1, 48])
x = network.dense(0, 48, 10, RELU)
x = network.dense(x, 10, 10, RELU)
file = network.file(network.dense(x, 10, 3, NONE))
(FOLDER / "float.tflite").write_bytes(file)

interpreter = Interpreter(model_content=file)
interpreter.allocate_tensors()
values = []
for _ in range(8):
    values.append(random.normal(size=(1, 48)).astype(np.float32))
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values[-1])
    interpreter.invoke()
    values.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
(FOLDER / "float_values.bin").write_bytes(b"".join(part.tobytes() for part in values))
