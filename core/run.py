"""One translation with everything the model computed on the way: a value that outlives the model."""

from collections.abc import Container, Iterator, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, is_dataclass, replace
from functools import cache, cached_property
from inspect import get_annotations
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from core.attention import Cache, contributions
from core.checkpoint import Model
from core.decoding import greedy
from core.editing import Reading, editing
from core.edits import Edit, check, write_edits
from core.hooks import Listener, listen, someone_listens
from core.network import Network, transformer
from core.tokens import Direction, Token, detect_direction
from core.transformer import Transformer

CONTRIBUTIONS = "head_contributions"
DERIVED = frozenset({CONTRIBUTIONS, "mean", "variance", "normalized"})  # from what was captured, when asked for
TEXTS = ("model_name", "direction", "source_text", "translation")
SENTENCES = ("source_tokens", "target_tokens", "predicted_tokens")
Tokens = tuple[Token, ...]
Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class EmbeddingRun:
    """Where a sentence becomes vectors; `input` is what enters layer 0."""

    embedding: Float[Tensor, "position content"]
    position: Float[Tensor, "position channel"]
    input: Float[Tensor, "position width"]


@dataclass(frozen=True, eq=False)
class NormRun:
    """One norm: output = gain · normalized + bias, normalized = (input − mean) / √(variance + ε).

    Mean and variance have one value for each token, or for each channel, as the norm shares them.
    """

    input: Float[Tensor, "position width"]
    mean: Float[Tensor, "#position #width"]
    variance: Float[Tensor, "#position #width"]
    normalized: Float[Tensor, "position width"]
    output: Float[Tensor, "position width"]


@dataclass(frozen=True, eq=False)
class AttentionRun:
    """One attention: scores are scaled and not yet masked; the mask is True where a query may look.

    The mask has a head axis only where someone gave the heads different ones.
    """

    query: Float[Tensor, "head query channel"]
    key: Float[Tensor, "head key channel"]
    value: Float[Tensor, "head key channel"]
    scores: Float[Tensor, "head query key"]
    mask: Bool[Tensor, "*head query key"]
    weights: Float[Tensor, "head query key"]
    head_outputs: Float[Tensor, "head query channel"]
    head_contributions: Float[Tensor, "head query width"]
    output: Float[Tensor, "query width"]


@dataclass(frozen=True, eq=False)
class FeedForwardRun:
    """One feed-forward network: activation = max(0, preactivation)."""

    preactivation: Float[Tensor, "position inner"]
    activation: Float[Tensor, "position inner"]
    output: Float[Tensor, "position width"]


@dataclass(frozen=True, eq=False)
class EncoderLayerRun:
    """One encoder layer; `after_...` is the residual stream after that sub-layer."""

    norm_before_attention: NormRun
    self_attention: AttentionRun
    after_attention: Float[Tensor, "source width"]
    norm_before_feed_forward: NormRun
    feed_forward: FeedForwardRun
    after_feed_forward: Float[Tensor, "source width"]


@dataclass(frozen=True, eq=False)
class DecoderLayerRun:
    """One decoder layer; `after_...` is the residual stream after that sub-layer."""

    norm_before_self_attention: NormRun
    self_attention: AttentionRun
    after_self_attention: Float[Tensor, "target width"]
    norm_before_cross_attention: NormRun
    cross_attention: AttentionRun
    after_cross_attention: Float[Tensor, "target width"]
    norm_before_feed_forward: NormRun
    feed_forward: FeedForwardRun
    after_feed_forward: Float[Tensor, "target width"]


@dataclass(frozen=True, eq=False)
class StackRun(Generic[Part]):
    """The layers of the encoder or the decoder, by number, and the norm after the last."""

    layers: tuple[Part, ...]
    final_norm: NormRun

    def __getitem__(self, index: int) -> Part:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Part]:
        return iter(self.layers)


@dataclass(frozen=True, eq=False)
class Run:
    """A pass over a sentence pair with every target position at once; tensors have no batch axis.

    `target_tokens` is what the decoder read (`<start>` y1 .. yn), `predicted_tokens` what each of its
    positions was asked for (y1 .. yn `<end>`). What was captured is cut into parts when a part is first asked
    for, so that a run costs little more than the pass itself. Where there are `edits`, every number is edited.
    """

    model_name: str
    direction: Direction
    source_text: str
    translation: str
    source_tokens: tuple[Token, ...]
    target_tokens: tuple[Token, ...]
    predicted_tokens: tuple[Token, ...]
    captured: Mapping[str, Tensor]
    network: Network
    edits: tuple[Edit, ...] = ()

    @property
    def transformer(self) -> Transformer:
        """The network, where only a Transformer will do; raises TypeError for a recurrent one."""
        return transformer(self.network)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every hook point, in the order of the modules."""
        return self.network.paths

    @cached_property
    def output_weights(self) -> Mapping[str, Float[Tensor, "width joined"]]:
        """W_O of each attention by its path."""
        return {path: each.output_projection.weight.detach() for path, each in self.network.attentions.items()}

    @cached_property
    def source(self) -> EmbeddingRun:
        """The source sentence on its way into the encoder."""
        return self._part(EmbeddingRun, "source")

    @cached_property
    def target(self) -> EmbeddingRun:
        """The target sentence on its way into the decoder."""
        return self._part(EmbeddingRun, "target")

    @cached_property
    def encoder(self) -> StackRun[EncoderLayerRun]:
        """The encoder's layers and final norm."""
        return self._stack(EncoderLayerRun, "encoder")

    @cached_property
    def decoder(self) -> StackRun[DecoderLayerRun]:
        """The decoder's layers and final norm."""
        return self._stack(DecoderLayerRun, "decoder")

    @property
    def logits(self) -> Float[Tensor, "target vocab"]:
        """The score of every piece at every target position."""
        return self.tensor("logits")

    @cached_property
    def log_probabilities(self) -> Float[Tensor, " target"]:
        """Natural logarithm of the probability of each predicted token."""
        wanted = torch.tensor([[token.id] for token in self.predicted_tokens])
        return self.logits.gather(-1, wanted)[:, 0] - self.logits.logsumexp(-1)

    def tensor(self, path: str) -> Tensor:
        """What passed the hook point at a path, without the batch axis; KeyError for a path that is none."""
        part, _, name = path.rpartition(".")
        if name == CONTRIBUTIONS:
            return contributions(self.captured[f"{part}.head_outputs"], self.output_weights[part])[0]
        if path not in self.captured and name in DERIVED:
            return Context().run(self._replayed, part, path)[0]
        value = self.captured[path][0].detach()  # a trained table of positions is heard as it is
        return value[0] if name == "mask" and len(value) == 1 else value

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every tensor under its hook point's path, and the sentence as arrays of strings."""
        numbers = {path: self.tensor(path).numpy() for path in self.paths}
        texts = {name: np.array(getattr(self, name)) for name in TEXTS}
        texts |= {"edits": np.array(write_edits(self.edits))} if self.edits else {}
        tokens = {name: np.array([token.piece for token in getattr(self, name)]) for name in SENTENCES}
        return numbers | texts | tokens | {"log_probabilities": self.log_probabilities.numpy()}

    def save(self, path: Path) -> None:
        """Write `arrays()` as an npz file, readable without pickle."""
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **self.arrays())

    @torch.inference_mode()
    def _replayed(self, norm: str, path: str) -> Tensor:
        """A part of a norm, computed again by that norm from what it read; a context of its own has no listener."""
        heard: dict[str, Tensor] = {}
        with listen(heard.__setitem__, paths={path}):
            self.network.get_submodule(norm)(self.captured[f"{norm}.input"])
        return heard[path]

    def _stack(self, kind: type[Part], path: str) -> StackRun[Part]:
        count = len({name.split(".")[1] for name in self.paths if name.startswith(f"{path}.")}) - 1
        layers = tuple(self._part(kind, f"{path}.{index}") for index in range(count))
        return StackRun(layers, self._part(NormRun, f"{path}.final_norm"))

    def _part(self, kind: type[Part], path: str) -> Part:
        """The dataclasses mirror the paths: a field is the hook point, or the part, of that name below."""
        return kind(**{name: self._value(hint, f"{path}.{name}") for name, hint in get_annotations(kind).items()})

    def _value(self, kind: Any, path: str) -> Any:
        return self._part(kind, path) if isinstance(kind, type) and is_dataclass(kind) else self.tensor(path)


def trace(
    model: Model,
    text: str,
    target: str | None = None,
    *,
    direction: Direction | None = None,
    edits: Sequence[Edit] = (),
    listeners: Sequence[Listener] = (),
) -> Run:
    """Translate a text, or read a given target, and keep everything the model computes.

    Its own translation is decoded greedily; the decoder then reads that again, all positions at once, except that
    the logits, a quarter of that pass, are those that chose each token. Edits and listeners hear and change both
    passes, so that switching a head off changes the translation too. Raises EditError when an edit does not fit.
    """
    tokenizer = model.tokenizer
    direction = direction or detect_direction(text)
    source = tokenizer.source(text, direction)
    given = None if target is None else tokenizer.target(target)
    sentence, captured = _watched(model, source, given, tuple(edits), listeners)
    written = [token.id for token in sentence if not token.special]
    return Run(
        model_name=model.name,
        direction=direction,
        source_text=text,
        translation=tokenizer.decode(written) if target is None else target,
        source_tokens=source,
        target_tokens=sentence[:-1],
        predicted_tokens=sentence[1:],
        captured=captured,
        network=model.network,
        edits=tuple(edits),
    )


def reread(model: Model, run: Run, edits: Sequence[Edit]) -> Run:
    """The tokens of a run, read by the edited model: every tensor can be compared with the run's, cell by cell.

    Raises EditError when an edit does not fit.
    """
    given = (*run.target_tokens, run.predicted_tokens[-1])
    _, captured = _watched(model, run.source_tokens, given, tuple(edits), ())
    return replace(run, captured=captured, edits=tuple(edits))


@torch.inference_mode()
def _watched(
    model: Model,
    source: Tokens,
    given: Tokens | None,
    edits: tuple[Edit, ...],
    listeners: Sequence[Listener],
) -> tuple[Tokens, dict[str, Tensor]]:
    """The target sentence from its start to its last token, and what encoder and decoder computed for it."""
    check(edits, model.network.config, len(source), None if given is None else len(given) - 1)
    kept = _kept(model.network.paths, everything=bool(listeners) or someone_listens())
    reading = Reading(model.network)
    with editing(edits, reading), listen(*listeners):
        return _captured(model, source, given, kept, reading, edits)


def _captured(
    model: Model,
    source: Tokens,
    given: Tokens | None,
    kept: Container[str],
    reading: Reading,
    edits: tuple[Edit, ...],
) -> tuple[Tokens, dict[str, Tensor]]:
    network, ids = model.network, _ids(source)
    mask = torch.ones_like(ids, dtype=torch.bool)
    captured: dict[str, Tensor] = {}
    with listen(captured.__setitem__, paths=kept):
        memory = network.encode(ids, mask)
    steps: list[Tensor] = []
    with listen(lambda _, logits: steps.append(logits[:, -1:]), paths={"logits"}):
        sentence = given or _written(model, memory, mask, reading.begin(edits))
    reading.end()
    with listen(captured.__setitem__, paths=kept):
        read = network.states if steps else network.decode
        read(_ids(sentence[:-1]), memory, mask)
    return sentence, captured | ({"logits": torch.cat(steps, dim=1)} if steps else {})


@cache
def _kept(paths: tuple[str, ...], *, everything: bool) -> frozenset[str]:
    """What a run captures: parts of a norm can be computed again, unless a listener may have edited them."""
    derived = {CONTRIBUTIONS} if everything else DERIVED
    return frozenset(path for path in paths if path.rpartition(".")[2] not in derived)


def _written(model: Model, memory: Tensor, mask: Tensor, cache: Cache) -> Tokens:
    start, end = model.tokenizer.start_id, model.tokenizer.end_id
    ids = greedy(model.network, memory, mask, start=start, end=end, cache=cache)[0]
    return model.tokenizer.tokens([start, *ids])


def _ids(tokens: Tokens) -> Int[Tensor, "1 position"]:
    return torch.tensor([[token.id for token in tokens]])
