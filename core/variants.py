"""The models that can be trained, one row each: the shape of the network, how it is trained, and why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from core.network import AnyConfig
from core.recurrent import RecurrentConfig
from core.transformer import Config

BASE = "positions-sum"
"""The row that every twin differs from in one choice."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; `batch_tokens` counts padded source and target tokens of one step together.

    `slice` trains on the small-vocabulary slice of the corpus, where a small model can learn everything; `processes`
    share each batch, one core each. `schedule` names a row of SCHEDULES; `snapshots` are kept on the way.
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
    schedule: str = "linear"
    snapshots: int = 0


@dataclass(frozen=True)
class Variant:
    """One row; `config(vocabulary)` is complete once the tokenizer has said how many pieces it knows.

    `group` is the choice that a twin varies; of rows that are `curves_only` the log is kept and no weights.
    """

    config: Callable[[int], AnyConfig]
    recipe: Recipe
    describe: str
    group: str
    curves_only: bool = False


def layers(count: int) -> dict[str, int]:
    """So many in each stack."""
    return {"encoder_layers": count, "decoder_layers": count}


small = partial(Config, heads=4, feed_forward=256, encoder_layers=2, decoder_layers=2)
base = partial(small, width=64, content_width=64)
beside = partial(small, width=72, content_width=56)  # 56 + 16 channels
narrow = partial(small, width=32, content_width=32, feed_forward=128)
recurrent = partial(RecurrentConfig, content_width=64)
twins = Recipe(steps=2_400, batch_tokens=1_000, learning_rate=3e-3, warmup=300, pairs=100_000, slice=True)
deep = replace(twins, steps=600, warmup=150)
short = replace(twins, steps=400, warmup=100)
grid = replace(twins, steps=400, batch_tokens=500, schedule="constant")

LEARNED = 64  # positions that a table has a row for
LONGEST_TRAINED = 35  # source tokens of the longest sentence in the slice that twins are trained on
RATES = {"low": 1e-3, "middle": 3e-3, "high": 1e-2}


def row(group: str, make: Callable[..., AnyConfig], describe: str, recipe: Recipe = twins, **choice: object) -> Variant:
    """A twin of the base that differs in `choice`."""
    return Variant(partial(make, **choice), recipe, describe, group)


def schedule_grid() -> Iterator[tuple[str, Variant]]:
    """Where the norm stands, how deep the stacks are, warm-up or none, and the highest rate (E14)."""
    places = {"pre-norm": "before", "post-norm": "after"}
    for (residual, place), depth, warmup, (word, rate) in product(places.items(), (6, 12), (0, 200), RATES.items()):
        name = f"schedule-{residual}-{depth}-{'warm' if warmup else 'cold'}-{word}"
        warmed = f"after {warmup} steps of warm-up" if warmup else "from the first step on"
        recipe = replace(grid, learning_rate=rate, warmup=warmup)
        describe = f"Norm {place} each sub-layer, {depth} + {depth} layers, learning rate {rate:g} {warmed}."
        yield (
            name,
            Variant(partial(base, residual=residual, **layers(depth)), recipe, describe, "grid", curves_only=True),
        )


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
        "translator",
    ),
    BASE: row(
        "positions",
        base,
        "Adds the sinusoid to the embedding, as in the paper: words and positions share every channel.",
    ),
    "positions-concat": Variant(
        partial(small, width=128, content_width=64, positions="sinusoidal-concat"),
        twins,
        "Puts the sinusoid beside the embedding: nothing is shared, and every layer is twice as wide.",
        "positions",
    ),
    # 56 + 16 channels: within 2% of the parameters of positions-sum for vocabularies of 5,000 to 7,000.
    "positions-concat-equal": row(
        "positions",
        beside,
        "Puts the sinusoid beside a narrower embedding: nothing is shared, and the sum has as many weights.",
        positions="sinusoidal-concat",
    ),
    "positions-learned": row(
        "positions",
        base,
        "Adds a trained vector for each position: there is none beyond the last row of the table.",
        positions="learned",
        maximum_positions=LEARNED,
    ),
    "positions-learned-concat": row(
        "positions",
        beside,
        "Puts a trained vector for each position beside a narrower embedding.",
        positions="learned-concat",
        maximum_positions=LEARNED,
    ),
    "positions-rotary": row(
        "positions",
        base,
        "Turns queries and keys by an angle that grows with the position: scores see distances alone.",
        positions="rotary",
    ),
    "positions-alibi": row(
        "positions",
        base,
        "Takes from each score the distance of query and key times a slope of the head's own.",
        positions="alibi",
    ),
    "positions-none": row(
        "positions",
        base,
        "Is told no positions: its encoder sees a bag of words; only the decoder's mask betrays an order.",
        positions="none",
    ),
    "norm-post": row(
        "norms", base, "Norms the sum after each sub-layer, as the paper does: post-LN.", residual="post-norm"
    ),
    "norm-rms": row("norms", base, "Divides by the root mean square of each token and subtracts nothing.", norm="rms"),
    "norm-batch": row("norms", base, "Shares mean and variance over all tokens of the batch.", norm="batch"),
    "norm-instance": row("norms", base, "Shares mean and variance over the tokens of a sentence.", norm="instance"),
    "norm-group": row(
        "norms", base, "Shares mean and variance over the tokens of a sentence and groups of channels.", norm="group"
    ),
    "norm-none": row("norms", base, "Norms nothing at all.", norm="none"),
    "residual-none": row("residuals", base, "Passes on what a sub-layer gives and nothing beside it.", residual="none"),
    "heads-1": row("heads", base, "One head as wide as the stream, where the base has four.", heads=1),
    "heads-2": row("heads", base, "Two heads of half the stream each.", heads=2),
    "heads-8": row("heads", base, "Eight heads of an eighth of the stream each.", heads=8),
    "scale-none": row("scale", base, "Divides no product, with four heads of 16 channels.", scale="none"),
    "scale-none-wide": row(
        "scale", base, "Divides no product, with one head of 64 channels; heads-1 divides.", scale="none", heads=1
    ),
    "feed-forward-gelu": row("feed-forward", base, "Bends with GELU where the base cuts with ReLU.", activation="gelu"),
    "feed-forward-none": row(
        "feed-forward",
        base,
        "Has attention alone, at the same depth, and so fewer weights.",
        activation="none",
    ),
    "feed-forward-none-deep": row(
        "feed-forward",
        base,
        "Has attention alone, and more layers, so that it has as many weights.",
        activation="none",
        encoder_layers=5,
        decoder_layers=4,
    ),
    "mask-none": row("masks", base, "Lets the decoder see the word it is asked for in training.", mask="open"),
    "time-lapse": Variant(
        partial(small, width=48, content_width=48, feed_forward=192),
        replace(twins, snapshots=24),
        "Is kept at steps spread evenly over the logarithm of the run, so that a sentence can be seen through it.",
        "time-lapse",
    ),
    "recurrent-tanh": row(
        "before attention", recurrent, "A simple recurrent network reads, another writes.", cell="tanh", width=212
    ),
    "recurrent-gru": row("before attention", recurrent, "Gated recurrent units read and write.", cell="gru", width=128),
    "recurrent-lstm": row(
        "before attention", recurrent, "Long short-term memories read and write.", cell="lstm", width=108
    ),
    "recurrent-bidirectional": row(
        "before attention",
        recurrent,
        "Gated recurrent units read from both ends.",
        cell="gru",
        width=96,
        bidirectional=True,
    ),
    "recurrent-attention": row(
        "before attention",
        recurrent,
        "Gated recurrent units read from both ends, and the writer looks back with additive attention.",
        cell="gru",
        width=92,
        bidirectional=True,
        context="attention",
    ),
    "depth-2": row("depth", base, "Two layers a stack, trained as briefly as the deep ones.", deep),
    "depth-6": row("depth", base, "Six layers a stack, where the base has two.", deep, **layers(6)),
    "depth-12": row("depth", base, "Twelve layers a stack.", deep, **layers(12)),
    "depth-2-bare": row("depth", base, "Two layers a stack without residuals.", deep, residual="none"),
    "depth-6-bare": row("depth", base, "Six layers a stack without residuals.", deep, residual="none", **layers(6)),
    "depth-12-bare": row(
        "depth", base, "Twelve layers a stack without residuals.", deep, residual="none", **layers(12)
    ),
    **{
        f"schedule-{name}": Variant(
            base, replace(short, schedule=name), f"Learns at a rate that is {said}.", "schedule", curves_only=True
        )
        for name, said in {
            "linear": "warmed up, then falls in a straight line",
            "inverse-square-root": "warmed up, then falls as one over the root of the step",
            "cosine": "warmed up, then falls along a cosine",
            "constant": "warmed up, then stays",
        }.items()
    },
    **dict(schedule_grid()),
}
