"""Each step told in words, with this sentence's tokens and numbers."""

from collections.abc import Callable

import numpy as np

from core.measures.walk import Walk, length
from pages.parts.attention.choosing import Chosen
from pages.parts.escape import in_markdown
from pages.parts.norm_words import norm_words
from pages.parts.words import Words

Story = Callable[[Words, Chosen, Walk], str]


def _vector(_: Words, chosen: Chosen, worked: Walk) -> str:
    first = _(
        "**{query}** is token {place}. It begins as its row of the embedding table, times √{width}, plus the vector of "
        "its position."
    )
    if not any(vector.any() for path, vector in worked.addends.items() if path.endswith(".position")):
        first = _("**{query}** is token {place}. It begins as its row of the embedding table, times √{width}.")
    later = {
        "pre-norm": _(
            "{count} sub-layers have added to it since, so the vector by now also says what they found in the other "
            "tokens."
        ),
        "post-norm": _("After {count} sub-layers it is what the last of them read, normed, plus what it wrote."),
        "none": _("After {count} sub-layers it is what the last of them wrote: there are no residuals."),
    }[worked.config.residual]
    place, count = chosen.place.query + 1, len(worked.paths.earlier)
    told = first.format(query=in_markdown(chosen.query), place=place, width=worked.config.content_width)
    return told + (f" {later.format(count=count)}" if count else "")


def _norm(_: Words, chosen: Chosen, worked: Walk) -> str:
    if not _as_ours(worked):
        return norm_words(_, worked.config)
    return _(
        "Before the head looks at it, a **layer norm** brings the token's {width} numbers to mean 0 and variance 1, "
        "then scales and shifts every channel as learned. This model is **pre-norm**: the norm stands before the "
        "attention, and the stream itself goes on as it is. In Vaswani et al. 2017 it stands after the sum (post-norm)."
    ).format(width=len(worked.vector))


def _projections(_: Words, chosen: Chosen, worked: Walk) -> str:
    told = _(
        "This head's own three matrices make three short vectors of {channels} numbers. The **query** of {query}: what "
        "this token looks for. The **key** of {key}: what it can be found by. The **value** of {key}: what it hands "
        "over when it is found. All three were learned; none of them was put in."
    )
    if chosen.place.kind == "cross":
        told += " " + _(
            "In cross-attention the query comes from the translation, key and value from the encoder's output."
        )
    if worked.projections["query"].angles is not None:
        told += " " + _(
            "Query and key are then **turned**, each by the angles of its own place (RoPE): so a score depends on how "
            "far apart they stand. The value is not turned."
        )
    return told.format(channels=len(worked.query), query=_token(chosen.query), key=_token(chosen.key))


def _scores(_: Words, chosen: Chosen, worked: Walk) -> str:
    products, best = worked.products, int(worked.raw_scores.argmax())
    return _(
        "Query and key are compared by multiplying them channel by channel and adding up. For {query} and {key}, "
        "{up} of {count} products pull the score up, by {rise} in all, and the others pull it down by {fall}. Of all "
        "keys, {best} answers this query best."
    ).format(
        query=_token(chosen.query),
        key=_token(chosen.key),
        up=int((products > 0).sum()),
        count=len(products),
        rise=f"{products[products > 0].sum():.2f}",
        fall=f"{-products[products < 0].sum():.2f}",
        best=_token(chosen.keys[best]),
    )


def _scale(_: Words, chosen: Chosen, worked: Walk) -> str:
    if worked.divisor == 1:
        return _(
            "This model does **not** divide: each score is the sum of its {count} products as it is. Their standard "
            "deviation is {before}; divided by √{count} it would be {after}."
        ).format(
            count=len(worked.query),
            before=f"{worked.raw_scores.std():.2f}",
            after=f"{worked.raw_scores.std() / len(worked.query) ** 0.5:.2f}",
        )
    told = _(
        "A sum of {count} products spreads the wider the more products it has. Dividing by √{count} = {root} takes "
        "that back. The order of the keys stays as it is; only the distances between their scores shrink: their "
        "standard deviation falls from {before} to {after}, and the softmax to come stays softer."
    ).format(
        count=len(worked.query),
        root=f"{worked.divisor:.3f}",
        before=f"{worked.raw_scores.std():.2f}",
        after=f"{(worked.raw_scores / worked.divisor).std():.2f}",
    )
    if worked.biases.any():
        told += " " + _("Then **distance** takes its share (ALiBi): up to {most} from the farthest key.").format(
            most=f"{-worked.biases.min():.2f}"
        )
    return told


def _mask(_: Words, chosen: Chosen, worked: Walk) -> str:
    hidden = int((~worked.open).sum())
    if hidden and chosen.edited:
        return _(
            "{hidden} of {count} scores become −∞ (hatched), and their weights will be exactly 0. Which cells are open "
            "may be *edited*."
        ).format(hidden=hidden, count=len(worked.open))
    if hidden:
        return _(
            "A token of the translation must not see what comes after it, because that is what is to be predicted. So "
            "{hidden} of {count} scores become −∞ (hatched), and their weights will be exactly 0."
        ).format(hidden=hidden, count=len(worked.open))
    if chosen.place.kind == "decoder" and worked.config.mask == "open":
        return _("This model has **no look-ahead mask**: all {count} keys are open, those to come too.").format(
            count=len(worked.open)
        )
    if chosen.place.kind == "decoder":
        return _(
            "This is the last token of the translation, and it may look at every one before it: nothing is hidden."
        )
    return _(
        "All {count} keys are open here. This mask hides only the padding that fills up shorter sentences in a batch, "
        "and a sentence alone has none."
    ).format(count=len(worked.open))


def _softmax(_: Words, chosen: Chosen, worked: Walk) -> str:
    weights, even = worked.softmax.weights, 1 / max(int(worked.open.sum()), 1)
    return _(
        "exp makes every score positive and turns differences into ratios; dividing by the sum makes the row add up to "
        "1. So {query} gives **{weight}** of its attention to {key}; spread evenly it would be {even}."
    ).format(
        query=_token(chosen.query),
        key=_token(chosen.key),
        weight=f"{weights[chosen.place.key]:.1%}",
        even=f"{even:.1%}",
    )


def _values(_: Words, chosen: Chosen, worked: Walk) -> str:
    lengths = np.linalg.norm(worked.terms, axis=-1)
    best, weightiest = int(lengths.argmax()), int(worked.softmax.weights.argmax())
    told = _(
        "From every token the head takes its value, as much of it as its weight says, and adds them up. That is an "
        "**expectation**: the mean value one would get by drawing tokens with these weights. The longest term comes "
        "from {best}."
    ).format(best=_token(chosen.keys[best]))
    if best != weightiest:
        told += " " + _(
            "The largest weight is on {other}, but its value is shorter: the weight alone does not decide."
        ).format(other=_token(chosen.keys[weightiest]))
    return told


def _slice(_: Words, chosen: Chosen, worked: Walk) -> str:
    return _(
        "What the head read, {channels} numbers, goes through its own {channels} columns of W_O. They decide what it "
        "means for the stream of {width} numbers: what this head would write if it were alone."
    ).format(channels=len(worked.query), width=len(worked.vector))


def _heads(_: Words, chosen: Chosen, worked: Walk) -> str:
    lengths = np.linalg.norm(worked.contributions, axis=-1)
    rank = int((lengths > lengths[chosen.place.head]).sum()) + 1
    return _(
        "All {heads} heads of the layer did the same, each with matrices of its own, and what they write is added up. "
        "Laying them side by side and multiplying by the whole W_O is the same sum. This head's share is number {rank} "
        "by length."
    ).format(heads=len(lengths), rank=rank)


def _residual(_: Words, chosen: Chosen, worked: Walk) -> str:
    before, change = worked.base, worked.output
    if worked.config.residual == "none":
        return _(
            "This model has no residuals: what the heads wrote, {change} long, **takes the place** of the vector, "
            "which was {before} long. What the vector said is left only in what the heads passed on."
        ).format(before=f"{length(worked.norm.input):.2f}", change=f"{length(change):.2f}")
    cosine = float(before @ change) / (length(before) * length(change) or 1.0)
    told = _(
        "The sum is **added** to the token's vector, so nothing is overwritten. The vector was {before} long, "
        "{change} is added (cosine between the two: {cosine}), and the sum is {after} long."
    ).format(
        before=f"{length(before):.2f}",
        change=f"{length(change):.2f}",
        after=f"{length(worked.residual):.2f}",
        cosine=f"{cosine:.2f}",
    )
    if worked.config.residual == "post-norm":
        told += " " + _("In this model (post-LN) the vector it is added to is the **normed** one.")
    return told


def _next_norm(_: Words, chosen: Chosen, worked: Walk) -> str:
    if not _as_ours(worked):
        return norm_words(_, worked.config)
    told = _(
        "Pre-norm again: what comes next, {next}, reads the token through a norm of its own. The stream underneath "
        "keeps its length."
    )
    names = {
        "encoder": _("the feed-forward network"),
        "decoder": _("cross-attention"),
        "cross": _("the feed-forward network"),
    }
    return told.format(next=names[chosen.place.kind])


STORIES: dict[str, Story] = {
    "vector": _vector,
    "norm": _norm,
    "projections": _projections,
    "scores": _scores,
    "scale": _scale,
    "mask": _mask,
    "softmax": _softmax,
    "values": _values,
    "slice": _slice,
    "heads": _heads,
    "residual": _residual,
    "next_norm": _next_norm,
}


def _as_ours(worked: Walk) -> bool:
    """Whether the norm is the translator's: over the channels of a token, before each sub-layer."""
    return worked.config.norm == "layer" and worked.config.residual == "pre-norm"


def _token(piece: str) -> str:
    return f"**{in_markdown(piece)}**"
