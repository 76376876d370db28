"""Each step told in words, with this sentence's tokens and numbers."""

from collections.abc import Callable

import numpy as np

from core.measures.walk import Walk, length
from pages.parts.attention.choosing import Chosen
from pages.parts.escape import in_markdown
from pages.parts.words import Words

Story = Callable[[Words, Chosen, Walk], str]


def _vector(_: Words, chosen: Chosen, worked: Walk) -> str:
    first = _(
        "**{query}** is token {place}. It begins as its row of the embedding table, times √{width}, plus the vector of "
        "its position."
    )
    later = _(
        "{count} sub-layers have added to it since, so the vector by now also says what they found in the other tokens."
    )
    place = chosen.place.query + 1
    told = first.format(query=in_markdown(chosen.query), place=place, width=len(worked.vector))
    count = len(worked.paths.earlier)
    return told + (f" {later.format(count=count)}" if count else "")


def _norm(_: Words, chosen: Chosen, worked: Walk) -> str:
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
    return _(
        "A sum of {count} products spreads the wider the more products it has. Dividing by √{count} = {root} takes "
        "that back. The order of the keys stays as it is; only the distances between their scores shrink: their "
        "standard deviation falls from {before} to {after}, and the softmax to come stays softer."
    ).format(
        count=len(worked.query),
        root=f"{worked.root:.3f}",
        before=f"{worked.raw_scores.std():.2f}",
        after=f"{worked.scores.std():.2f}",
    )


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
    before, change = worked.norm.input, worked.output
    cosine = float(before @ change) / (length(before) * length(change))
    return _(
        "The sum is **added** to the token's vector, so nothing is overwritten. The vector was {before} long, "
        "{change} is added (cosine between the two: {cosine}), and the sum is {after} long."
    ).format(
        before=f"{length(before):.2f}",
        change=f"{length(change):.2f}",
        after=f"{length(worked.residual):.2f}",
        cosine=f"{cosine:.2f}",
    )


def _next_norm(_: Words, chosen: Chosen, worked: Walk) -> str:
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


def _token(piece: str) -> str:
    return f"**{in_markdown(piece)}**"
