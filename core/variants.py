"""The models that can be trained, one row each: the shape of the network, how it is trained, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from core.transformer import Config


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; `batch_tokens` counts padded source and target tokens of one step together.

    `slice` trains on the small-vocabulary slice of the corpus, where a small model can learn everything; `processes`
    share each batch, one core each.
    """

    steps: int
    batch_tokens: int
    learning_rate: float
    warmup: int
    pairs: int
    seed: int = 0
    weight_decay: float = 0.01
    slice: bool = False
    processes: int = 1


@dataclass(frozen=True)
class Variant:
    """One row; `config(vocabulary)` is complete once the tokenizer has said how many pieces it knows."""

    config: Callable[[int], Config]
    recipe: Recipe
    describe: str


small = partial(Config, heads=4, feed_forward=256, encoder_layers=2, decoder_layers=2)
twins = Recipe(steps=2_400, batch_tokens=1_000, learning_rate=3e-3, warmup=300, pairs=100_000, slice=True)

VARIANTS: dict[str, Variant] = {
    "translator": Variant(
        partial(
            Config,
            width=256,
            content_width=256,
            heads=4,
            feed_forward=512,
            encoder_layers=3,
            decoder_layers=3,
        ),
        Recipe(steps=12_000, batch_tokens=3_000, learning_rate=1.2e-3, warmup=600, pairs=600_000),
        "Translates between English and Korean in both directions; the model most pages look into.",
    ),
    "positions-sum": Variant(
        partial(small, width=64, content_width=64, positions="sinusoidal"),
        twins,
        "Adds the sinusoid to the embedding, as in the paper: words and positions share every channel.",
    ),
    "positions-concat": Variant(
        partial(small, width=128, content_width=64, positions="sinusoidal-concat"),
        twins,
        "Puts the sinusoid beside the embedding: nothing is shared, and every layer is twice as wide.",
    ),
    # 56 + 16 channels: within 2% of the parameters of positions-sum for vocabularies of 5,000 to 7,000.
    "positions-concat-equal": Variant(
        partial(small, width=72, content_width=56, positions="sinusoidal-concat"),
        twins,
        "Puts the sinusoid beside a narrower embedding: nothing is shared, and the sum has as many weights.",
    ),
    "positions-none": Variant(
        partial(small, width=64, content_width=64, positions="none"),
        twins,
        "Is told no positions: its encoder sees a bag of words; only the decoder's mask betrays an order.",
    ),
}
