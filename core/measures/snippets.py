"""A few lines of PyTorch for each step of a walk: they print its numbers from an exported run and the stored weights.

They are shown to be copied: after `python -m core trace SENTENCE --out run.npz` each of them runs as it stands, in the
folder of the repository. Indices count from 0.
"""

from __future__ import annotations

from string import Template

from core.attention import Relative
from core.measures.walk import Place, sublayer
from core.positions import POSITIONS, Rotations
from core.transformer import Config

PARTS = ("self_attention", "cross_attention", "feed_forward")
RUN = """\
import numpy as np
import torch
run = np.load("run.npz")
"""
WITH_WEIGHTS = """\
import numpy as np
import torch
from safetensors.torch import load_file
run, weights = np.load("run.npz"), load_file("assets/models/$model/weights.safetensors")
"""
VECTOR = """\
x = torch.tensor(run["$side.embedding"] + run["$side.position"])[$i]
"""
LAYERS_BELOW = """\
for layer in range($layer):
    for part in $parts:
        x += torch.tensor(run[f"$stack.{layer}.{part}.output"])[$i]
"""
SAME_LAYER = """\
x += torch.tensor(run["$stack.$layer.self_attention.output"])[$i]
"""
LENGTH = """\
print(x.norm().item())
"""
NORM = """\
norm = "$norm"
x = torch.tensor(run[f"{norm}.input"])[$i]
normalized = (x - x.mean()) / torch.sqrt(x.var(correction=0) + 1e-5)
y = weights[f"{norm}.gain"].float() * normalized + weights[f"{norm}.bias"].float()
print(y.norm().item())
"""
STEPS = {
    "projections": WITH_WEIGHTS
    + """\
x = torch.tensor(run["$norm.output"])[$i]
y = torch.tensor(run["$memory"])[$j]
for name, vector in ("query", x), ("key", y), ("value", y):
    linear = f"$attention.{name}_projection"
    projected = weights[f"{linear}.weight"].float() @ vector + weights[f"{linear}.bias"].float()
    print(projected[$first:$last].norm().item())
""",
    "scores": RUN
    + """\
q = torch.tensor(run["$attention.query"])[$h, $i]
k = torch.tensor(run["$attention.key"])[$h, $j]
print((q * k).sum().item())
""",
    "scale": RUN
    + """\
q = torch.tensor(run["$attention.query"])[$h, $i]
keys = torch.tensor(run["$attention.key"])[$h]
scores = keys @ q / $d**0.5
print(scores[$j].item())
""",
    "mask": RUN
    + """\
scores = torch.tensor(run["$attention.scores"])[$h, $i]
mask = torch.tensor(run["$attention.mask"])[$row]
print(scores.masked_fill(~mask, -torch.inf)[$j].item())
""",
    "softmax": RUN
    + """\
scores = torch.tensor(run["$attention.scores"])[$h, $i]
mask = torch.tensor(run["$attention.mask"])[$row]
scores = scores.masked_fill(~mask, -torch.inf)
exponentials = torch.exp(scores - scores.max())
print((exponentials / exponentials.sum())[$j].item())
""",
    "values": RUN
    + """\
weights = torch.tensor(run["$attention.weights"])[$h, $i]
values = torch.tensor(run["$attention.value"])[$h]
output = sum(weight * value for weight, value in zip(weights, values))
print(output.norm().item())
""",
    "slice": WITH_WEIGHTS
    + """\
output = torch.tensor(run["$attention.head_outputs"])[$h, $i]
columns = weights["$attention.output_projection.weight"].float()[:, $first:$last]
print((columns @ output).norm().item())
""",
    "heads": WITH_WEIGHTS
    + """\
contributions = torch.tensor(run["$attention.head_contributions"])[:, $i]
bias = weights["$attention.output_projection.bias"].float()
print((contributions.sum(0) + bias).norm().item())
""",
    "residual": RUN
    + """\
x = torch.tensor(run["$norm.input"])[$i]
change = torch.tensor(run["$attention.output"])[$i]
print((x + change).norm().item())
""",
}


def snippet(step: str, place: Place, *, channels: int, model: str, head_masks: bool = False) -> str:
    """The code of one step; `channels` is d_k, and `head_masks` tells that every head has a mask of its own."""
    paths, head, query = sublayer(place.kind, place.layer), place.head, place.query
    parts = ("self_attention", "feed_forward") if place.kind == "encoder" else PARTS
    names = {
        **{"h": head, "i": query, "j": place.key, "row": f"{head}, {query}" if head_masks else query},
        **{"d": channels, "first": head * channels, "last": (head + 1) * channels, "model": model},
        **{"side": paths.side, "attention": paths.attention, "memory": paths.memory},
        **{"stack": paths.attention.split(".")[0], "layer": place.layer, "parts": str(parts)[1:-1].replace("'", '"')},
        "norm": paths.next_norm if step == "next_norm" else paths.norm,
    }
    return Template(_text(step, place)).substitute(names).strip()


def holds(step: str, config: Config) -> bool:
    """Whether the code of a step is what a model of this configuration computes there."""
    plain = POSITIONS[config.positions].relative is Relative
    before = config.residual == "pre-norm"
    needs = {
        "vector": before and config.width == config.content_width,
        "norm": before and config.norm == "layer",
        "next_norm": before and config.norm == "layer" and config.activation != "none",
        "residual": before,
        "projections": POSITIONS[config.positions].relative is not Rotations,
        "scale": config.scale == "root" and plain,
    }
    return needs.get(step, True)


def _text(step: str, place: Place) -> str:
    if step == "vector":
        below = LAYERS_BELOW if place.layer else ""
        return RUN + VECTOR + below + (SAME_LAYER if place.kind == "cross" else "") + LENGTH
    return WITH_WEIGHTS + NORM if step in ("norm", "next_norm") else STEPS[step]
