"""Which cross-attention head aligns words: the probe P6, over teacher-forced runs of held-out pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from core.corpus import Pair, Side
from core.hooks import listen
from core.measures.alignment import Counts, Links, count, hard_links, shuffled, words_of
from core.network import Network
from core.tokens import Direction, Token, Tokenizer

DIRECTIONS: tuple[Direction, Direction] = ("en-ko", "ko-en")
AT_ONCE = 64  # sentences decoded or read together
Tokens = tuple[Token, ...]


@dataclass(frozen=True)
class Gold:
    """A pair's alignment as (source word, target word) of one direction, and the same shuffled."""

    source: Side
    target: Side
    sure: Links
    possible: Links
    order: tuple[int, ...]

    @classmethod
    def of(cls, pair: Pair, direction: Direction, random: np.random.Generator) -> Gold:
        english, korean = pair.english, pair.korean
        if direction == "en-ko":
            order = random.permutation(len(korean.words)).tolist()
            return cls(english, korean, pair.sure, pair.possible, tuple(order))
        order = random.permutation(len(english.words)).tolist()
        return cls(korean, english, turned(pair.sure), turned(pair.possible), tuple(order))

    @property
    def content(self) -> frozenset[int]:
        """Target words that carry meaning of their own and have a sure link."""
        linked = {target for _, target in self.sure}
        return frozenset(t for t in linked if self.target.words[t].content)


def turned(links: Links) -> Links:
    return frozenset((target, source) for source, target in links)


@dataclass
class Tally:
    """What one head's links add up to."""

    counts: Counts = field(default_factory=Counts)
    shuffled: Counts = field(default_factory=Counts)
    content: int = 0
    right: int = 0

    def add(self, best: Int[Array, " target"], gold: Gold) -> None:
        links = frozenset((int(source), target) for target, source in enumerate(best) if source >= 0)
        self.counts += count(links, gold.sure, gold.possible)
        against = shuffled(gold.sure, gold.order), shuffled(gold.possible, gold.order)
        self.shuffled += count(links, *against)
        self.content += len(gold.content)
        self.right += sum((int(best[target]), target) in gold.sure for target in gold.content)

    @property
    def content_accuracy(self) -> float:
        """Share of content words whose link is a sure one."""
        return self.right / self.content if self.content else 0.0


Tallies = dict[str, Tally]


def alignment_report(network: Network, tokenizer: Tokenizer, pairs: Sequence[Pair], seed: int = 0) -> dict[str, Any]:
    """Error rate and content accuracy of the best cross-attention head, naive and shifted, both directions together.

    The best head is the one with the lowest error rate. `permutation_error_rate` is its rate against gold whose
    target words were shuffled within each sentence. `heads` holds the figures of all. A network that never looks back
    has no figure.
    """
    random = np.random.default_rng(seed)
    naive: Tallies = {}
    shifted: Tallies = {}
    for direction in DIRECTIONS:
        for pair, weights, source, target in cross_attention(network, tokenizer, pairs, direction):
            gold = Gold.of(pair, direction, random)
            key_word, word = words_of(source, gold.source.words), words_of(target, gold.target.words)
            add_links(naive, gold, weights, word[1:], key_word)
            add_links(shifted, gold, weights, word[:-1], key_word)
    if not naive:
        return {}
    heads = {head: figures(naive[head]) | figures(shifted[head], "shifted_") for head in naive}
    return best(naive) | best(shifted, "shifted_") | {"heads": heads}


def add_links(
    tallies: Tallies,
    gold: Gold,
    weights: dict[str, Float[Array, "head query key"]],
    query_word: Int[Array, " query"],
    key_word: Int[Array, " key"],
) -> None:
    sizes = len(gold.target.words), len(gold.source.words)
    for layer, matrix in weights.items():
        for head, links in enumerate(hard_links(matrix, query_word, key_word, *sizes)):
            tallies.setdefault(f"{layer}.{head}", Tally()).add(links, gold)


def figures(tally: Tally, prefix: str = "") -> dict[str, float]:
    return {
        f"{prefix}error_rate": tally.counts.error_rate,
        f"{prefix}content_accuracy": tally.content_accuracy,
    }


def best(tallies: Tallies, prefix: str = "") -> dict[str, Any]:
    """The head with the lowest error rate, and its figures."""
    head = min(tallies, key=lambda name: tallies[name].counts.error_rate)
    return {
        f"{prefix}best_head": head,
        f"{prefix}best_head_error_rate": tallies[head].counts.error_rate,
        f"{prefix}best_head_content_accuracy": tallies[head].content_accuracy,
        f"{prefix}permutation_error_rate": tallies[head].shuffled.error_rate,
    }


def cross_attention(
    network: Network, tokenizer: Tokenizer, pairs: Sequence[Pair], direction: Direction
) -> Iterator[tuple[Pair, dict[str, Array], Tokens, Tokens]]:
    """Each pair with the weights of every layer (head, query, key), its source and its target tokens.

    The queries are the target tokens but the last: query t has read token t and predicts token t + 1.
    """
    for begun in range(0, len(pairs), AT_ONCE):
        some = pairs[begun : begun + AT_ONCE]
        sources = [tokenizer.source(pair.source(direction), direction) for pair in some]
        targets = [tokenizer.target(pair.reference(direction)) for pair in some]
        captured = read_together(network, tokenizer, sources, targets)
        for row, (pair, source, target) in enumerate(zip(some, sources, targets, strict=True)):
            real = np.s_[row, :, : len(target) - 1, : len(source)]
            yield pair, {path: weights[real] for path, weights in captured.items()}, source, target


@torch.inference_mode()
def read_together(
    network: Network, tokenizer: Tokenizer, sources: Sequence[Tokens], targets: Sequence[Tokens]
) -> dict[str, Float[Array, "batch head query key"]]:
    """The cross-attention weights of a padded batch, by the path of the attention."""
    paths = [path for path in network.paths if path.endswith("cross_attention.weights")]
    source = padded_ids(network, tokenizer, sources)
    target = padded_ids(network, tokenizer, [tokens[:-1] for tokens in targets])
    captured: dict[str, Tensor] = {}
    with listen(captured.__setitem__, paths=frozenset(paths)):
        network(source, target, source != tokenizer.pad_id)
    return {path.removesuffix(".weights"): captured[path].cpu().numpy() for path in paths}


def padded_ids(network: Network, tokenizer: Tokenizer, sentences: Sequence[Tokens]) -> Int[Tensor, "batch position"]:
    """Token numbers as one rectangle, where the network is."""
    rows = [torch.tensor([token.id for token in sentence]) for sentence in sentences]
    rectangle = pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_id)
    return rectangle.to(network.embedding.weight.device)
