"""A worked example by NumPy alone, from an exported run and the stored weights: what the attention page must show."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

Array = np.ndarray


class Worked:
    """One cell of one head, every step from the one before, in double precision; indices count from 0."""

    def __init__(self, export: Path, weights: Path, kind: str, layer: int, head: int, query: int, key: int) -> None:
        with np.load(export) as arrays:
            self.run = dict(arrays)
        self.weights = {name: value.astype(np.float64) for name, value in load_file(weights).items()}
        self.kind, self.layer, self.head, self.i, self.j = kind, layer, head, query, key
        self.part = "cross_attention" if kind == "cross" else "self_attention"
        self.place = f"{'encoder' if kind == 'encoder' else 'decoder'}.{layer}"
        self.path = f"{self.place}.{self.part}"
        self.heads = len(self.run[f"{self.path}.query"])
        self.before_attention()
        self.inside()
        self.after()

    def before_attention(self) -> None:
        side = "source" if self.kind == "encoder" else "target"
        self.addends = [self.run[f"{side}.embedding"], self.run[f"{side}.position"]]
        self.addends += [self.run[f"{path}.output"] for path in self.written_before()]
        self.stream = np.sum([each.astype(np.float64) for each in self.addends], axis=0)
        norm = "attention" if self.kind == "encoder" else self.part
        self.normed = self.norm(f"{self.place}.norm_before_{norm}", self.stream)
        self.memory = self.run["encoder.final_norm.output"] if self.kind == "cross" else self.normed

    def written_before(self) -> list[str]:
        parts = ["self_attention", "feed_forward"]
        if self.kind != "encoder":
            parts.insert(1, "cross_attention")
        stack = self.place.split(".")[0]
        below = [f"{stack}.{layer}.{part}" for layer in range(self.layer) for part in parts]
        return [*below, f"{self.place}.self_attention"] if self.kind == "cross" else below

    def inside(self) -> None:
        self.q = self.projected("query", self.normed)[self.i]
        self.k, self.v = (self.projected(name, self.memory) for name in ("key", "value"))
        self.d = len(self.q)
        self.products = self.q * self.k[self.j]
        self.raw = self.k @ self.q
        self.scores = self.raw / np.sqrt(self.d)
        self.open = self.run[f"{self.path}.mask"][self.i]
        self.largest = self.scores[self.open].max()
        self.exponentials = np.exp(self.scores - self.largest) * self.open
        self.row = self.exponentials / self.exponentials.sum()
        self.terms = self.row[:, None] * self.v
        self.output = self.terms.sum(0)

    def after(self) -> None:
        weight, bias = (self.weights[f"{self.path}.output_projection.{name}"] for name in ("weight", "bias"))
        outputs = self.run[f"{self.path}.head_outputs"][:, self.i].astype(np.float64)
        outputs[self.head] = self.output
        columns = np.split(weight, self.heads, axis=1)
        self.contributions = np.array([part @ each for part, each in zip(columns, outputs, strict=True)])
        self.bias, self.sum = bias, self.contributions.sum(0) + bias
        self.residual = self.stream[self.i] + self.sum
        following = "cross_attention" if self.kind == "decoder" else "feed_forward"
        self.next_normed = self.norm(f"{self.place}.norm_before_{following}", self.residual)

    def norm(self, path: str, x: Array) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * self.weights[f"{path}.gain"] + self.weights[f"{path}.bias"]

    def projected(self, name: str, x: Array) -> Array:
        weight, bias = (self.weights[f"{self.path}.{name}_projection.{part}"] for part in ("weight", "bias"))
        rows = np.arange(len(bias)).reshape(self.heads, -1)[self.head]
        return x @ weight[rows].T + bias[rows]
