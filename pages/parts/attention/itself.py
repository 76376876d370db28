"""Part 5: is attention always highest on itself? Here, over 1,000 sentences, and where it would have to be (E03)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.charts import attention as charts
from core.experiments import diagonal as experiments
from core.measures.heads import diagonal_share
from core.run import Run
from pages.parts.address import flag, keep, write_flag
from pages.parts.attention.choosing import clicked_key
from pages.parts.edits import unedited
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.selection import of_kind
from pages.parts.words import Words

SEEDS = range(5)
SHARES = tuple(round(-1 + step / 8, 3) for step in range(17))
TOKENS = (2, 40)
KINDS = ("encoder", "decoder")


def itself(here: Visit) -> None:
    """A prediction, the measurement on this sentence and on many, and what would make the claim true."""
    _ = here.words
    st.subheader(_("Is attention always highest on itself?"))
    unedited(here)
    guess = predict(_, "itself_guess", _question(_, here), _guesses(_))
    if guess is None:
        return
    found = {kind: _measured(here.run, kind) for kind in KINDS}
    _verdict(_, found, guess)
    _heads(here, found)
    st.divider()
    _when(here)


def _question(_: Words, here: Visit) -> str:
    config = here.model.network.config
    heads = config.heads * (config.encoder_layers + config.decoder_layers)
    return _(
        "Two learners' notes ask whether a token's attention is always highest on itself, because nothing is more "
        "like it. This model has {heads} heads of self-attention. In how many of them does more than half of the "
        "tokens of this sentence look **most at themselves**?"
    ).format(heads=heads)


def _guesses(_: Words) -> dict[str, str]:
    return {
        "none": _("in none"),
        "few": _("in fewer than half"),
        "many": _("in more than half, not all"),
        "all": _("in all"),
    }


# --- measured -------------------------------------------------------------------------------------------------------


def _measured(run: Run, kind: str) -> dict[str, np.ndarray]:
    """Share of the queries that look at themselves most, and mean weight on themselves, of every head."""
    weights = np.stack([attention.weights.numpy() for attention in of_kind(run, kind)])
    return {"strongest": diagonal_share(weights).ravel(), "weight": experiments.own_weight(weights).ravel()}


def _even(run: Run, kind: str) -> float:
    mask = of_kind(run, kind)[0].mask.double()
    return float((1 / mask.sum(-1)).mean())


def _verdict(_: Words, found: Mapping[str, Mapping[str, np.ndarray]], guess: str) -> None:
    shares = np.concatenate([each["strongest"] for each in found.values()])
    most, count = int((shares > 0.5).sum()), len(shares)
    answer = "none" if most == 0 else "all" if most == count else "few" if most * 2 < count else "many"
    said = _("You said **{guess}**. On this sentence it is **{most} of {count}** heads: {answer}.")
    st.markdown(said.format(guess=_guesses(_)[guess], most=most, count=count, answer=_guesses(_)[answer]))
    st.markdown(
        _(
            "Neither always nor never: training decides it head by head. A head need not keep a token's own content, "
            "because the residual connection carries that anyway. And query and key come from two different matrices, "
            "so what a token looks for need not be like what it offers."
        )
    )


def _heads(here: Visit, found: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    _ = here.words
    stored = here.model.card.get("metrics", {}).get("self_attention")
    names = {"weight": _("mean weight on itself"), "strongest": _("share of tokens that look at themselves most")}
    what = choose_one(_("For every head"), "itself_what", names, "weight")
    for column, kind in zip(st.columns(2, gap="large"), KINDS, strict=True):
        with column:
            _dots(here, kind, found[kind][what], names[what], _stored(stored, kind, what, len(found[kind][what])))
    _about(_, here, stored)


def _dots(here: Visit, kind: str, values: np.ndarray, axis: str, stored: list[float] | None) -> None:
    _, heads = here.words, here.model.network.config.heads
    titles = {"encoder": _("Encoder self-attention"), "decoder": _("Masked decoder self-attention")}
    st.markdown(f"**{titles[kind]}**")
    names = [f"{index // heads + 1}.{index % heads + 1}" for index in range(len(values))]
    words = {"head": _("layer.head"), "value": axis, "stored": _("over the held-out sentences")}
    mine = st.session_state.get("head", (0, 0)) if st.session_state.get("kind", "encoder") == kind else None
    chosen = mine[0] * heads + mine[1] if mine else None
    spec = charts.heads(names, values.tolist(), chosen=chosen, even=_even(here.run, kind), words=words, stored=stored)
    read = clicked_key(f"itself_{kind}", len(values))

    def take() -> None:
        index = read()
        if index is not None:
            st.session_state.update(kind=kind, head=(index // heads, index % heads))

    st.vega_lite_chart(spec, key=f"itself_{kind}", on_select=take)


def _stored(report: Mapping[str, Any] | None, kind: str, what: str, count: int) -> list[float] | None:
    """The figures of every head on the model's card, if it has them for all of this kind."""
    if not report:
        return None
    field = {"weight": "weight_on_itself", "strongest": "strongest_on_itself"}[what]
    found = [each[field] for head, each in report["heads"].items() if head.startswith(kind)]
    return found if len(found) == count else None


def _about(_: Words, here: Visit, report: Mapping[str, Any] | None) -> None:
    st.caption(
        _(
            "Filled: measured on this sentence, the special tokens included. Dashed: uniform attention, which would "
            "put {encoder} on itself in the encoder and {decoder} in the decoder, where early tokens have few others "
            "to look at. Click a column to choose that head for the other parts."
        ).format(encoder=f"{_even(here.run, 'encoder'):.3f}", decoder=f"{_even(here.run, 'decoder'):.3f}")
    )
    if report:
        _many(_, report)
    else:
        st.markdown(
            _(
                "The card of this model has no figures over held-out sentences yet. This measures them and puts them "
                "there:"
            )
        )
        st.code(f"python -m core evaluate {here.model.name} --save", language="bash")


def _many(_: Words, report: Mapping[str, Any]) -> None:
    shares = np.array([each["strongest_on_itself"] for each in report["heads"].values()])
    weights = {
        kind: [each["weight_on_itself"] for head, each in report["heads"].items() if head.startswith(kind)]
        for kind in KINDS
    }
    st.markdown(
        _(
            "Hollow: *stored*, over **{sentences}** held-out sentences. There **{most} of {count}** heads have more "
            "than half of the tokens looking at themselves most."
        ).format(sentences=f"{report['sentences']:,}", most=int((shares > 0.5).sum()), count=len(shares))
    )
    st.html(
        facts(
            {
                _("encoder: mean weight on itself"): _range(weights["encoder"]),
                _("encoder, uniform attention"): f"{report['uniform']['encoder']:.3f}",
                _("decoder: mean weight on itself"): _range(weights["decoder"]),
                _("decoder, uniform attention"): f"{report['uniform']['decoder']:.3f}",
            }
        )
    )


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3f} – {max(values):.3f}".replace("-", "−")


# --- when it must be ------------------------------------------------------------------------------------------------


def _when(here: Visit) -> None:
    _ = here.words
    st.subheader(_("When would it have to be?"))
    st.markdown(
        _(
            "Nothing has a larger product with x, among vectors as long as x, than x itself (Cauchy–Schwarz). So raw "
            "products x · y, or queries and keys from **one** matrix, favour the diagonal; Reformer (Kitaev et al. "
            "2020), which shares them, has to forbid a token to look at itself. With two matrices the form x W_q W_kᵀ "
            "y is neither symmetric nor positive, and the diagonal is a place like any other."
        )
    )
    tokens = keep("itself_tokens", 10, lambda text: min(max(int(text), TOKENS[0]), TOKENS[1]))
    equal = keep("itself_equal", False, flag, write_flag)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        st.slider(_("Tokens in a sentence"), *TOKENS, key="itself_tokens", persist_state="session", width=320)
        st.toggle(_("All tokens equally long"), key="itself_equal", persist_state="session")
    _ties(_, tokens, equal)
    _cosines(here)


@st.cache_data(max_entries=120, show_spinner=False)
def _random(tie: experiments.Tie, tokens: int, share: float, equal: bool) -> list[experiments.OnItself]:
    return experiments.over_seeds(tie, tokens, SEEDS, share=share, equal_lengths=equal)


def _ties(_: Words, tokens: int, equal: bool) -> None:
    names = {
        "raw": _("no matrices: x · y"),
        "tied": _("W_k = W_q"),
        "independent": _("W_k drawn apart from W_q"),
        "negated": _("W_k = −W_q"),
    }
    found = {tie: _random(tie, tokens, 0.0, equal) for tie in experiments.TIES}
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(_("**Random tokens and matrices**, lowest to highest of {seeds} seeds").format(seeds=len(SEEDS)))
        table = {
            _("queries and keys"): [names[tie] for tie in found],
            _("look at themselves most"): [_range([each.strongest for each in rows]) for rows in found.values()],
            _("mean weight on itself"): [_range([each.weight for each in rows]) for rows in found.values()],
        }
        st.dataframe(table, hide_index=True, height="content")
        st.caption(_("By chance, both would be {even}.").format(even=f"{1 / tokens:.3f}"))
    with right:
        st.markdown(_("**From opposed to tied**: by the correlation of W_k with W_q"))
        rows = {share: _random("mixed", tokens, share, equal) for share in SHARES}
        curves = {
            _("look at themselves most"): [
                (share, *_spread([each.strongest for each in row])) for share, row in rows.items()
            ],
            _("mean weight on itself"): [
                (share, *_spread([each.weight for each in row])) for share, row in rows.items()
            ],
        }
        words = {"x": _("correlation of W_k with W_q"), "y": _("share")}
        st.vega_lite_chart(charts.fans(curves, words=words, across="linear", domain=(0.0, 1.0)), key="itself_mixed")


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return min(values), float(np.median(values)), max(values)


def _cosines(here: Visit) -> None:
    """How alike W_q and W_k are in the trained heads."""
    _, found = here.words, experiments.projection_cosines(here.model.network)
    st.html(facts({_("cosine of W_q and W_k in this model's self-attention heads"): _range(list(found.values()))}))
