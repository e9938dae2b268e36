"""Training throughput of the benchmark's two networks in PyTorch.

usage: pytorch_baseline.py ae|mobile SECONDS THREADS [channels_last] [bf16]

With bf16 the forward pass is under autocast, as PyTorch recommends it for processors with AVX512-BF16.

Trains on one fixed batch, so that nothing but forward, backward and fused Adam is timed. Prints
samples per second of wall time and of processor time, as `benches/training.rs` does.
"""

import sys
import time

import torch
from torch import nn


def dense_autoencoder():
    widths = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128]
    layers = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640))


def convolution(before, after, kernel, stride, groups, relu):
    layers = [
        nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class InvertedResidual(nn.Module):
    def __init__(self, before, after, expansion, stride):
        super().__init__()
        inner = before * expansion
        self.residual = stride == 1 and before == after
        expand = [convolution(before, inner, 1, 1, 1, True)] if expansion > 1 else []
        self.body = nn.Sequential(
            *expand,
            convolution(inner, inner, 3, stride, inner, True),
            convolution(inner, after, 1, 1, 1, False),
        )

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


def mobile_net():
    layers, before = [convolution(1, 16, 3, 2, 1, True)], 16
    blocks = [(1, 8, 1), (4, 16, 2), (4, 16, 1), (4, 24, 2), (4, 24, 1), (4, 32, 2), (4, 32, 1)]
    for expansion, after, stride in blocks:
        layers.append(InvertedResidual(before, after, expansion, stride))
        before = after
    layers += [convolution(32, 64, 1, 1, 1, True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def main():
    name, seconds, threads = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if name == "ae":
        batch, model, loss = 512, dense_autoencoder(), nn.MSELoss()
        x = torch.randn(batch, 640)
        target = x
    else:
        batch, model, loss = 64, mobile_net(), nn.CrossEntropyLoss()
        x = torch.randn(batch, 1, 64, 64)
        target = torch.arange(batch) % 10
    if "channels_last" in sys.argv:
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def steps(count):
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in sys.argv):
                value = loss(model(x), target)
            value.backward()
            optimizer.step()

    steps(5)
    start, processor, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        steps(5)
        count += 5
    wall = time.perf_counter() - start
    processor = time.process_time() - processor
    print(f"{batch * count / wall:.0f} {batch * count / processor:.0f}")


main()
