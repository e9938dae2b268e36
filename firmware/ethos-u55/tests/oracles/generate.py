"""Writes random int8 networks that Vela maps to the NPU.

    python generate.py OUT COUNT [SEED]

OUT/rNNNN.tflite; the same seed gives the same networks. Needs ai-edge-litert for TFLite's schema.
"""

import os
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OPERATOR = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions
INT8, INT32 = schema.TensorType.INT8, schema.TensorType.INT32


class Network:
    """A graph that grows at its end; `current` is the tensor the next operator takes."""

    def __init__(self, generator):
        self.random = generator
        self.tensors, self.operators, self.codes = [], [], []
        self.buffers = [schema.BufferT()]
        self.known = {}

    def tensor(self, shape, scale, zero, kind=INT8, data=None, axis=0):
        tensor = schema.TensorT()
        tensor.shape, tensor.type = [int(side) for side in shape], kind
        tensor.name = f"t{len(self.tensors)}".encode()
        tensor.quantization = quantization = schema.QuantizationParametersT()
        scales = np.atleast_1d(np.asarray(scale, np.float32))
        quantization.scale = scales.tolist()
        quantization.zeroPoint = [int(zero)] * len(scales)
        quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, values):
        values = np.asarray(values, np.int32)
        idx = self.tensor(values.shape, 1.0, 0, INT32, values)
        self.tensors[idx].quantization = None
        return idx

    def operator(self, code, inputs, outputs, kind=None, options=None):
        if code not in self.known:
            row = schema.OperatorCodeT()
            row.builtinCode, row.version = code, 2
            row.deprecatedBuiltinCode = min(code, 127)
            self.known[code] = len(self.codes)
            self.codes.append(row)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.known[code]
        operator.inputs, operator.outputs = inputs, outputs
        if kind is not None:
            operator.builtinOptionsType, operator.builtinOptions = kind, options
        self.operators.append(operator)

    def shape(self, idx):
        return list(self.tensors[idx].shape)

    def scale(self, idx):
        return float(self.tensors[idx].quantization.scale[0])

    def zero(self, idx):
        return int(self.tensors[idx].quantization.zeroPoint[0])

    def like(self, idx, shape):
        return self.tensor(shape, self.scale(idx), self.zero(idx))

    def fresh(self, shape, spread):
        """An output that holds values up to about `spread`."""
        zero = int(self.random.integers(-128, 60))
        return self.tensor(shape, spread / 128 * self.random.uniform(0.3, 1.2), zero)

    def write(self, path, inputs, outputs):
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = inputs, outputs
        model = schema.ModelT()
        model.version, model.description = 3, b"random"
        model.subgraphs, model.buffers, model.operatorCodes = [graph], self.buffers, self.codes
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        open(path, "wb").write(bytes(builder.Output()))


def weights(net, shape, per_channel, axis):
    random = net.random
    kind = random.integers(0, 4)
    if kind == 0:
        values = random.integers(-127, 128, shape)
    else:
        spread = [0, 30, 8, 40][kind]
        values = np.clip(np.round(random.normal(0, spread, shape)), -127, 127)
    if kind == 3:
        values = values * (random.random(shape) < 0.3)
    channels = shape[axis]
    scale = random.uniform(0.002, 0.02, channels if per_channel else 1)
    return net.tensor(shape, scale, 0, INT8, values.astype(np.int8), axis)


def bias(net, channels, scale):
    values = net.random.integers(-2000, 2000, channels).astype(np.int32)
    return net.tensor([channels], scale, 0, INT32, values)


def scales(net, idx):
    return np.asarray(net.tensors[idx].quantization.scale)


def activation(net):
    return int(net.random.choice([0, 0, 1, 1, 3]))


def side(size, kernel, stride, dilation, same):
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if same else -(-(size - reach + 1) // stride)


def convolution(net, now, is_depthwise=False):
    random = net.random
    _, height, width, depth = net.shape(now)
    kernel = [int(random.choice([1, 2, 3, 3, 5, 9])) for _ in range(2)]
    stride = [int(random.choice([1, 1, 2, 3])) for _ in range(2)]
    dilation = int(random.choice([1, 1, 1, 2]))
    if stride != [1, 1]:
        dilation = 1
    same = bool(random.integers(0, 2))
    if not same:
        kernel = [min(kernel[0], height), min(kernel[1], width)]
        if any((k - 1) * dilation + 1 > s for k, s in zip(kernel, (height, width))):
            dilation = 1
    out = depth if is_depthwise else int(random.choice([1, 3, 4, 7, 8, 16, 17, 33, 40]))
    rows = side(height, kernel[0], stride[0], dilation, same)
    columns = side(width, kernel[1], stride[1], dilation, same)
    if is_depthwise:
        filters = weights(net, [1, *kernel, depth], True, 3)
        options, kind = schema.DepthwiseConv2DOptionsT(), OPTIONS.DepthwiseConv2DOptions
        options.depthMultiplier = 1
        code, taps = OPERATOR.DEPTHWISE_CONV_2D, kernel[0] * kernel[1]
    else:
        filters = weights(net, [out, *kernel, depth], bool(random.integers(0, 4)), 0)
        options, kind = schema.Conv2DOptionsT(), OPTIONS.Conv2DOptions
        code, taps = OPERATOR.CONV_2D, kernel[0] * kernel[1] * depth
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.strideH, options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = dilation
    options.fusedActivationFunction = activation(net)
    biases = bias(net, out, net.scale(now) * scales(net, filters))
    spread = net.scale(now) * 70 * 0.01 * 30 * np.sqrt(taps)
    result = net.fresh([1, rows, columns, out], spread)
    net.operator(code, [now, filters, biases], [result], kind, options)
    return result


def transposed(net, now):
    random = net.random
    _, height, width, depth = net.shape(now)
    kernel = [int(random.choice([2, 3, 4])) for _ in range(2)]
    same = bool(random.integers(0, 2))
    out = int(random.choice([1, 4, 8, 12]))
    sizes = [2 * size if same else 2 * size + max(k - 2, 0) for size, k in zip((height, width), kernel)]
    filters = weights(net, [out, *kernel, depth], True, 0)
    options = schema.TransposeConvOptionsT()
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.strideH = options.strideW = 2
    spread = net.scale(now) * 70 * 0.3 * np.sqrt(kernel[0] * kernel[1] * depth)
    result = net.fresh([1, *sizes, out], spread)
    shape = net.constant([1, *sizes, out])
    biases = bias(net, out, net.scale(now) * scales(net, filters))
    inputs = [shape, filters, now, biases]
    net.operator(OPERATOR.TRANSPOSE_CONV, inputs, [result], OPTIONS.TransposeConvOptions, options)
    return result


def pool(net, now):
    random = net.random
    _, height, width, depth = net.shape(now)
    same = bool(random.integers(0, 2))
    most = 3 if same else 6
    kernel = [min(int(random.integers(1, most + 1)), size) for size in (height, width)]
    stride = [int(random.choice([1, 2, 3])) for _ in range(2)]
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.strideH, options.strideW = stride
    options.filterHeight, options.filterWidth = kernel
    options.fusedActivationFunction = int(random.choice([0, 1]))
    rows = side(height, kernel[0], stride[0], 1, same)
    columns = side(width, kernel[1], stride[1], 1, same)
    code = OPERATOR.MAX_POOL_2D if random.integers(0, 2) else OPERATOR.AVERAGE_POOL_2D
    result = net.like(now, [1, rows, columns, depth])
    net.operator(code, [now], [result], OPTIONS.Pool2DOptions, options)
    return result


def arithmetic(net, now):
    random = net.random
    shape = net.shape(now)
    which = int(random.integers(0, 3))
    other = now
    if random.integers(0, 3) == 0:
        values = random.integers(-127, 128, [1, 1, 1, shape[3]]).astype(np.int8)
        other = net.tensor(values.shape, random.uniform(0.005, 0.05), int(random.integers(-20, 20)), INT8, values)
    elif min(shape[1:3]) > 0:
        other = convolution_like(net, now)
    code = [OPERATOR.ADD, OPERATOR.SUB, OPERATOR.MUL][which]
    kind = [OPTIONS.AddOptions, OPTIONS.SubOptions, OPTIONS.MulOptions][which]
    options = [schema.AddOptionsT, schema.SubOptionsT, schema.MulOptionsT][which]()
    options.fusedActivationFunction = int(random.choice([0, 1]))
    spread = 128 * (net.scale(now) + net.scale(other)) / 2
    if which == 2:
        spread = 128 * 64 * net.scale(now) * net.scale(other)
    result = net.fresh(shape, spread)
    inputs = [now, other] if random.integers(0, 2) else [other, now]
    net.operator(code, inputs, [result], kind, options)
    return result


def convolution_like(net, now):
    """Another map of the same shape."""
    shape = net.shape(now)
    filters = weights(net, [1, 3, 3, shape[3]], True, 3)
    options = schema.DepthwiseConv2DOptionsT()
    options.padding, options.depthMultiplier = schema.Padding.SAME, 1
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    biases = bias(net, shape[3], net.scale(now) * scales(net, filters))
    result = net.fresh(shape, net.scale(now) * 70)
    code = OPERATOR.DEPTHWISE_CONV_2D
    net.operator(code, [now, filters, biases], [result], OPTIONS.DepthwiseConv2DOptions, options)
    return result


def function(net, now):
    random = net.random
    shape = net.shape(now)
    which = random.choice(["logistic", "tanh", "leaky", "swish", "relu", "abs", "relu6"])
    spread = 128 * net.scale(now)
    if which == "logistic":
        result = net.tensor(shape, 1 / 256, -128)
        net.operator(OPERATOR.LOGISTIC, [now], [result])
    elif which == "tanh":
        result = net.tensor(shape, 1 / 128, 0)
        net.operator(OPERATOR.TANH, [now], [result])
    elif which == "leaky":
        options = schema.LeakyReluOptionsT()
        options.alpha = float(random.uniform(0.01, 0.5))
        result = net.fresh(shape, spread) if random.integers(0, 2) else net.like(now, shape)
        net.operator(OPERATOR.LEAKY_RELU, [now], [result], OPTIONS.LeakyReluOptions, options)
    elif which == "swish":
        result = net.fresh(shape, spread)
        net.operator(OPERATOR.HARD_SWISH, [now], [result], OPTIONS.HardSwishOptions, schema.HardSwishOptionsT())
    elif which == "abs":
        result = net.like(now, shape)
        net.operator(OPERATOR.ABS, [now], [result], OPTIONS.AbsOptions, schema.AbsOptionsT())
    else:
        result = net.like(now, shape)
        net.operator(OPERATOR.RELU if which == "relu" else OPERATOR.RELU6, [now], [result])
    return result


def resize(net, now):
    _, height, width, depth = net.shape(now)
    result = net.like(now, [1, 2 * height, 2 * width, depth])
    options = schema.ResizeNearestNeighborOptionsT()
    inputs = [now, net.constant([2 * height, 2 * width])]
    kind = OPTIONS.ResizeNearestNeighborOptions
    net.operator(OPERATOR.RESIZE_NEAREST_NEIGHBOR, inputs, [result], kind, options)
    return result


def pad(net, now):
    amounts = net.random.integers(0, 3, 4)
    _, height, width, depth = net.shape(now)
    shape = [1, height + amounts[0] + amounts[1], width + amounts[2] + amounts[3], depth]
    result = net.like(now, shape)
    paddings = net.constant([[0, 0], amounts[:2], amounts[2:], [0, 0]])
    net.operator(OPERATOR.PAD, [now, paddings], [result], OPTIONS.PadOptions, schema.PadOptionsT())
    return result


def concatenation(net, now):
    other = convolution_like(net, now)
    shape = net.shape(now)
    axis = int(net.random.integers(1, 4))
    total = list(shape)
    total[axis] *= 2
    net.tensors[other].quantization = net.tensors[now].quantization
    result = net.like(now, total)
    options = schema.ConcatenationOptionsT()
    options.axis = axis
    net.operator(OPERATOR.CONCATENATION, [now, other], [result], OPTIONS.ConcatenationOptions, options)
    return result


def strided_slice(net, now):
    shape = net.shape(now)
    begin = [0] + [int(net.random.integers(0, max(1, size // 2))) for size in shape[1:]]
    result = net.like(now, [size - first for size, first in zip(shape, begin)])
    inputs = [now, net.constant(begin), net.constant(shape), net.constant([1, 1, 1, 1])]
    options, kind = schema.StridedSliceOptionsT(), OPTIONS.StridedSliceOptions
    net.operator(OPERATOR.STRIDED_SLICE, inputs, [result], kind, options)
    return result


def mean(net, now):
    _, height, width, depth = net.shape(now)
    options = schema.ReducerOptionsT()
    options.keepDims = True
    result = net.like(now, [1, 1, 1, depth])
    inputs = [now, net.constant([1, 2])]
    net.operator(OPERATOR.MEAN, inputs, [result], OPTIONS.ReducerOptions, options)
    return result


def dense(net, now):
    count = int(np.prod(net.shape(now)))
    if count > 6000:
        now = mean(net, now)
        count = int(np.prod(net.shape(now)))
    flat = net.like(now, [1, count])
    options = schema.ReshapeOptionsT()
    options.newShape = [1, count]
    net.operator(OPERATOR.RESHAPE, [now, net.constant([1, count])], [flat], OPTIONS.ReshapeOptions, options)
    out = int(net.random.choice([1, 2, 10, 12, 35, 64]))
    filters = weights(net, [out, count], False, 0)
    biases = bias(net, out, net.scale(now) * scales(net, filters))
    result = net.fresh([1, out], net.scale(now) * 70 * 0.3 * np.sqrt(count))
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = int(net.random.choice([0, 1]))
    inputs, kind = [flat, filters, biases], OPTIONS.FullyConnectedOptions
    net.operator(OPERATOR.FULLY_CONNECTED, inputs, [result], kind, options)
    return result


def softmax(net, now):
    result = net.tensor(net.shape(now), 1 / 256, -128)
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    net.operator(OPERATOR.SOFTMAX, [now], [result], OPTIONS.SoftmaxOptions, options)
    return result


def network(path, seed):
    random = np.random.default_rng(seed)
    net = Network(random)
    shape = [1, int(random.integers(1, 25)), int(random.integers(1, 25)), int(random.choice([1, 2, 3, 4, 8, 16, 21]))]
    first = net.tensor(shape, random.uniform(0.01, 0.1), int(random.integers(-128, 100)))
    now, before = first, None
    blocks = [convolution, convolution, lambda net, now: convolution(net, now, True), transposed, pool, pool]
    blocks += [arithmetic, arithmetic, function, function, resize, pad, concatenation, strided_slice]
    for _ in range(int(random.integers(1, 6))):
        block = blocks[int(random.integers(0, len(blocks)))]
        if block in (resize, transposed, pad) and np.prod(net.shape(now)) > 20000:
            continue
        # Vela 5.2 moves the padding of a transposed convolution that reads a slice to the other side.
        if block == transposed and before == strided_slice:
            continue
        now, before = block(net, now), block
    if random.integers(0, 2):
        now = dense(net, now)
        if random.integers(0, 2):
            now = softmax(net, now)
    if now == first:
        now = convolution(net, now)
    net.write(path, [first], [now])


def main():
    out, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    os.makedirs(out, exist_ok=True)
    for idx in range(count):
        network(f"{out}/r{seed + idx:04}.tflite", seed + idx)


if __name__ == "__main__":
    main()
