"""What stands behind each box of the overview that has no page of its own, measured on the typed sentence."""

from collections.abc import Callable

import streamlit as st
from torch import Tensor

from core.charts import steps as charts
from core.run import Run
from pages.parts.address import keep
from pages.parts.escape import in_markdown
from pages.parts.frame import Visit
from pages.parts.tables import table_height
from pages.parts.words import Words

CANDIDATES = 6


def explain(here: Visit, step: str) -> None:
    """Prose and numbers of one step, and always the tokens that everything is about."""
    with st.container(border=True, key="explanation"):
        EXPLANATIONS[step](here)
    if step != "tokens":
        with st.container(border=True):
            _target_tokens(here)


def _tokens(here: Visit) -> None:
    _ = here.words
    st.subheader(_("Tokens"))
    st.markdown(
        _(
            "The encoder reads the sentence at once, behind a token that says into which language. The decoder "
            "reads the translation **shifted right**: at each row it sees that token and those above, and "
            "predicts the next one. Probabilities are measured on this sentence."
        )
    )
    _target_tokens(here)
    source = {_("source token"): [token.piece for token in here.run.source_tokens]}
    st.dataframe(source, height=table_height(len(here.run.source_tokens), 360), hide_index=True)


def _target_tokens(here: Visit) -> None:
    _, run = here.words, here.run
    table = {
        _("decoder reads"): [token.piece for token in run.target_tokens],
        _("it should predict"): [token.piece for token in run.predicted_tokens],
        _("probability"): run.log_probabilities.exp().tolist(),
    }
    narrow = st.column_config.TextColumn(width="small")
    columns = dict.fromkeys(table, narrow)
    columns[_("probability")] = st.column_config.ProgressColumn(format="%.3f", min_value=0.0, max_value=1.0)
    height = table_height(len(run.target_tokens), 460)
    st.dataframe(table, column_config=columns, height=height, hide_index=True)


def _embedding(here: Visit) -> None:
    _, run = here.words, here.run
    st.subheader(_("Embedding"))
    st.markdown(
        _(
            "Each token is looked up in one table of {vocabulary} rows, shared by encoder, decoder and "
            "output. Its row is multiplied by √{width}, so that the positions added next do not drown it. "
            "Here are the lengths of both vectors for this sentence."
        ).format(
            vocabulary=f"{here.model.network.config.vocabulary:,}",
            width=here.model.network.config.content_width,
        )
    )
    lengths = {
        _("word vector × √d"): _norms(run.source.embedding),
        _("position vector"): _norms(run.source.position),
    }
    pieces = [token.piece for token in run.source_tokens]
    st.altair_chart(charts.dots(pieces, lengths, axis=_("length of the vector"), token=_("token")))
    st.page_link("pages/positions.py", label=_("More about positions"), icon=":material/arrow_forward:")


def _norm(here: Visit) -> None:
    _ = here.words
    st.subheader(_("Layer norm and residual stream"))
    st.markdown(
        _(
            "Every sub-layer adds its result to what came in (⊕): the **residual stream**. Before each "
            "sub-layer a **layer norm** brings every token to mean 0 and variance 1 over its {width} "
            "channels, then scales and shifts it as learned. The stream itself is never normalised and may "
            "grow. Its mean length after each sub-layer, in this sentence:"
        ).format(width=here.model.network.config.width)
    )
    _stream(_, here.run)


def _memory(here: Visit) -> None:
    _, run = here.words, here.run
    st.subheader(_("Encoder output"))
    st.markdown(
        _(
            "One vector of {width} numbers for each of the {count} source tokens, each by now informed by "
            "the whole sentence. In every decoder layer, **cross-attention** makes its keys and values "
            "from it, while the queries come from the translation. How the sentence grew into it, as the "
            "mean length of its vectors:"
        ).format(width=here.model.network.config.width, count=len(run.source_tokens))
    )
    _stream(_, run)


def _stream(_: Words, run: Run) -> None:
    encoder = {_("input"): run.source.input}
    for number, layer in enumerate(run.encoder, 1):
        encoder[_("layer {number}, attention").format(number=number)] = layer.after_attention
        encoder[_("layer {number}, feed-forward").format(number=number)] = layer.after_feed_forward
    decoder = {_("input"): run.target.input}
    for number, each in enumerate(run.decoder, 1):
        decoder[_("layer {number}, masked attention").format(number=number)] = each.after_self_attention
        decoder[_("layer {number}, cross-attention").format(number=number)] = each.after_cross_attention
        decoder[_("layer {number}, feed-forward").format(number=number)] = each.after_feed_forward
    both = {_("encoder"): encoder, _("decoder"): decoder}
    lengths = {name: [float(part.norm(dim=-1).mean()) for part in parts.values()] for name, parts in both.items()}
    places = {name: list(parts) for name, parts in both.items()}
    st.altair_chart(charts.curves(lengths, places, axis=_("mean length"), step=_("sub-layer")))


def _feed_forward(here: Visit) -> None:
    _, run, config = here.words, here.run, here.model.network.config
    st.subheader(_("Feed-forward"))
    st.markdown(
        _(
            "The same two-layer network for every token, one token at a time: {width} → {inner} → {width}, "
            "with a ReLU between. Attention moves information between tokens, this works on what has "
            "arrived. Share of its {inner} inner units that are active (above 0) in this sentence:"
        ).format(width=config.width, inner=config.feed_forward)
    )
    layers = {_("encoder"): run.encoder, _("decoder"): run.decoder}
    names, shares = [], []
    for stack, parts in layers.items():
        for number, layer in enumerate(parts, 1):
            names.append(_("{stack}, layer {number}").format(stack=stack, number=number))
            shares.append(float((layer.feed_forward.activation > 0).float().mean()))
    st.altair_chart(charts.bars(names, shares, axis=_("share of active units")))


def _output(here: Visit) -> None:
    _, run = here.words, here.run
    st.subheader(_("Linear + softmax"))
    st.markdown(
        _(
            "The decoder's last vector is compared with every row of the embedding table; **softmax** "
            "turns the {vocabulary} scores into probabilities. The likeliest tokens at one place of this "
            "translation:"
        ).format(vocabulary=f"{run.logits.shape[-1]:,}")
    )
    count = len(run.target_tokens)
    place = keep("place", 1, lambda text: min(max(int(text), 1), count))
    if count > 1:
        st.slider(_("Place in the translation"), 1, count, key="place", persist_state="session")
    probabilities, ids = run.logits[place - 1].softmax(-1).topk(CANDIDATES)
    pieces = [here.model.tokenizer.tokens([index])[0].piece for index in ids.tolist()]
    read = in_markdown(run.target_tokens[place - 1].piece)
    st.markdown(_("After **{token}**, the model expects:").format(token=read))
    st.altair_chart(charts.bars(pieces, probabilities.tolist(), axis=_("probability")))


def _norms(vectors: Tensor) -> list[float]:
    lengths: list[float] = vectors.norm(dim=-1).tolist()
    return lengths


EXPLANATIONS: dict[str, Callable[[Visit], None]] = {
    "tokens": _tokens,
    "embedding": _embedding,
    "norm": _norm,
    "feed_forward": _feed_forward,
    "memory": _memory,
    "output": _output,
}
