"""What stands behind each box of the overview, measured on the typed sentence, and the page that takes it apart."""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st
from torch import Tensor, nn

from core.attention import MultiHeadAttention
from core.charts import steps as charts
from core.charts.diagram import COLUMNS
from core.charts.pictures import inlined
from core.charts.positions import limit_of, matrix
from core.run import Run
from core.tokens import Token
from core.transformer import Config
from pages.parts.address import go, keep
from pages.parts.escape import facts, in_html, in_markdown
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.norm_words import norm_words
from pages.parts.selection import of_kind
from pages.parts.tables import table_height
from pages.parts.words import Words

CANDIDATES = 6
STICKY = """<style>@media (min-width: 900px) {
[data-testid="stColumn"]:has(.st-key-explanation) { position: sticky; top: 3.5rem; align-self: flex-start }
}</style>"""


def explain(here: Visit, step: str) -> None:
    """Prose and numbers of one step, and always the tokens that everything is about."""
    st.html(STICKY)
    with st.container(border=True, key="explanation"):
        EXPLANATIONS[step](here)
    if step in ("norm", "residual", "feed_forward", "memory", "output"):
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
    _lead(_("From text to rows"), "pages/tokens.py", {"tokens_part": "pieces"})


def _target_tokens(here: Visit) -> None:
    _, run = here.words, here.run
    table = {
        _("decoder reads"): [token.piece for token in run.target_tokens],
        _("it predicts"): [token.piece for token in run.predicted_tokens],
        _("probability"): run.log_probabilities.exp().tolist(),
    }
    columns = {
        _("decoder reads"): st.column_config.TextColumn(width=104),
        _("it predicts"): st.column_config.TextColumn(width=88),
        _("probability"): st.column_config.ProgressColumn(width=130, format="%.3f", min_value=0.0, max_value=1.0),
    }
    height = table_height(len(run.target_tokens), 460)
    st.dataframe(table, column_config=columns, height=height, hide_index=True)


def _embedding(here: Visit) -> None:
    _, run = here.words, here.run
    st.subheader(_("Embedding"))
    st.markdown(
        _(
            "Each token is looked up in one table of {vocabulary} rows, shared by encoder, decoder and "
            "output. Its row is multiplied by √{width}, so that positions do not drown it where they are added. "
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
    _vectors(_, _("word vector × √d"), run.source.embedding, run.source_tokens)
    _lead(_("The space of the rows"), "pages/tokens.py", {"tokens_part": "space"})


def _position(here: Visit) -> None:
    _, run = here.words, here.run
    st.subheader(_("Positional encoding"))
    st.markdown(_position_words(_, here.model.transformer.config).format(width=run.source.position.shape[-1]))
    _vectors(_, _("position vector"), run.source.position, run.source_tokens)
    _lead(_("More about positions"), "pages/positions.py", {})


def _position_words(_: Words, config: Config) -> str:
    """How this model learns where a token stands."""
    bag = _("To attention a sentence is a bag of words.")
    rows = {
        "sinusoidal": _(
            "So a vector that depends on the place alone, {width} values of sines and cosines, is added to each word "
            "vector; their sum is what enters the first layer."
        ),
        "sinusoidal-concat": _(
            "So a vector that depends on the place alone, {width} values of sines and cosines, is put beside each word "
            "vector; both together enter the first layer."
        ),
        "learned": _("So a trained vector of {width} values, one for each place, is added to each word vector."),
        "learned-concat": _(
            "So a trained vector of {width} values, one for each place, is put beside each word vector."
        ),
        "rotary": _(
            "This model adds nothing here: in every self-attention it turns queries and keys by angles that depend on "
            "the place (RoPE)."
        ),
        "alibi": _(
            "This model adds nothing here: in every self-attention scores fall with the distance of query and key "
            "(ALiBi)."
        ),
        "none": _("And this model is told nothing more: no place reaches its encoder."),
    }
    return f"{bag} {rows[config.positions]}"


def _attention(here: Visit, kind: str, title: str, said: str) -> None:
    """What all three kinds of attention have in common: four matrices, and what they turn the stream into."""
    _, run = here.words, here.run
    st.subheader(title)
    st.markdown(said)
    attention = of_kind(run, kind)[0]
    heads, queries, keys = attention.weights.shape
    width = attention.output.shape[-1]
    shapes = {
        _("queries"): f"{heads} × {queries} × {width // heads}",
        _("keys and values"): f"{heads} × {keys} × {width // heads}",
        _("scores and weights"): f"{heads} × {queries} × {keys}",
        _("output"): f"{queries} × {width}",
    }
    st.html(facts(shapes))
    stack = here.model.transformer.encoder if kind == "encoder" else here.model.transformer.decoder
    layer = stack.layers[0]
    _matrices(_, layer.cross_attention if kind == "cross" else layer.self_attention)
    with st.container(horizontal=True, gap="small"):
        _lead(_("Step by step"), "pages/attention.py", {"attention": "steps", "kind": kind})
        _lead(_("All its heads"), "pages/heads.py", {"kind": kind})
        _lead(_("Its mask"), "pages/masks.py", {"mask_part": "three", "mask_kind": kind})


def _encoder(here: Visit) -> None:
    _ = here.words
    said = _(
        "Every source token asks all others what they know: its **query** is compared with their **keys**, and it "
        "takes the mean of their **values** under the weights that come out. Shapes of one layer, heads × tokens × "
        "channels:"
    )
    _attention(here, "encoder", _("Self-attention"), said)


def _decoder(here: Visit) -> None:
    _ = here.words
    said = _(
        "The same among the tokens of the translation, but none may look at what comes after it: in training all of "
        "them stand there at once. Shapes of one layer, heads × tokens × channels:"
    )
    _attention(here, "decoder", _("Masked self-attention"), said)


def _cross(here: Visit) -> None:
    _ = here.words
    said = _(
        "Here the two sentences meet: queries come from the translation, keys and values from the encoder's output. "
        "Shapes of one layer, heads × tokens × channels:"
    )
    _attention(here, "cross", _("Cross-attention"), said)


def _matrices(_: Words, attention: MultiHeadAttention) -> None:
    """The corner of each of the four matrices as a picture."""
    parts = {
        "W_Q": attention.query_projection,
        "W_K": attention.key_projection,
        "W_V": attention.value_projection,
        "W_O": attention.output_projection,
    }
    _corners(_, parts)


def _corners(_: Words, parts: Mapping[str, nn.Linear]) -> None:
    corners = {name: part.weight.detach()[:COLUMNS, :COLUMNS] for name, part in parts.items()}
    limit = max(limit_of(corner.numpy()) for corner in corners.values())
    cells = "".join(
        f'<div style="flex:1 1 5rem;max-width:9rem"><div style="font-size:.8rem;opacity:.7">{in_html(name)}</div>'
        f'<img alt="{name}" style="width:100%;image-rendering:pixelated;border-radius:4px" '
        f'src="{inlined(corner.numpy(), limit)}"></div>'
        for name, corner in corners.items()
    )
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:.6rem">{cells}</div>')
    shape = " × ".join(str(size) for size in next(iter(parts.values())).weight.shape)
    st.caption(
        _(
            "The trained matrices of the first layer, the first {count} rows and columns (whole: {shape}); violet "
            "up to {limit}, red down to −{limit}. They are the same for every sentence."
        ).format(count=COLUMNS, shape=shape, limit=f"{limit:.2f}")
    )


def _vectors(_: Words, name: str, vectors: Tensor, tokens: Sequence[Token]) -> None:
    """The first channels of each token's vector as a map to point at."""
    shown = vectors[:, :COLUMNS].numpy()
    words = {
        "label": name,
        "query": _("token"),
        "key": _("channel"),
        "weight": _("value"),
        "sum": _("values, not weights"),
        "masked": "",
    }
    data = matrix(
        shown,
        rows=[token.piece for token in tokens],
        columns=[str(channel + 1) for channel in range(shown.shape[1])],
        cell=(0, 0),
        limit=limit_of(shown),
        words=words,
    )
    st.markdown(f"**{name}**, {len(vectors)} × {vectors.shape[1]}")
    draw(data, key="vectors")


def _lead(label: str, page: str, choices: Mapping[str, str]) -> None:
    """A button that leads to a page with the right choices."""
    icon = ":material/arrow_forward:"
    st.button(label, icon=icon, key=f"lead_{page}", on_click=go, args=(page, choices))


def _norm(here: Visit) -> None:
    _, run = here.words, here.run
    st.subheader(_("Norm"))
    st.markdown(norm_words(_, here.model.transformer.config))
    norm = run.encoder[0].norm_before_feed_forward
    spreads = {_("before"): _spreads(norm.input), _("after"): _spreads(norm.output)}
    pieces = [token.piece for token in run.source_tokens]
    st.markdown(_("Standard deviation over the channels of each token, around the second norm of the encoder:"))
    st.altair_chart(charts.dots(pieces, spreads, axis=_("standard deviation"), token=_("token")))
    with st.container(horizontal=True, gap="small"):
        steps = {"attention": "steps", "kind": "encoder", "open": "2-12"}
        _lead(_("Step by step"), "pages/attention.py", steps)
        _lead(_("Why norm, and over what?"), "pages/norms.py", {})


def _spreads(vectors: Tensor) -> list[float]:
    spreads: list[float] = vectors.std(-1, correction=0).tolist()
    return spreads


def _residual(here: Visit) -> None:
    _ = here.words
    st.subheader(_("Residual stream"))
    if here.model.transformer.config.residual == "none":
        said = _("This model has **no residuals**: what a sub-layer gives takes the place of what came in.")
    else:
        said = _("Every sub-layer **adds** its result to what came in (⊕). What passes through so is the stream.")
    st.markdown(said + " " + _("Its mean length after each sub-layer, in this sentence:"))
    _stream(_, here.run)
    with st.container(horizontal=True, gap="small"):
        steps = {"attention": "steps", "kind": "encoder", "open": "11"}
        _lead(_("Step by step"), "pages/attention.py", steps)
        _lead(_("Why residuals?"), "pages/residuals.py", {})


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
    _vectors(_, _("Encoder output"), run.encoder.final_norm.output, run.source_tokens)
    with st.container(horizontal=True, gap="small"):
        _lead(_("Where the decoder reads it"), "pages/heads.py", {"kind": "cross"})
        _lead(_("What was there before attention?"), "pages/before_attention.py", {})


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
    _, run, config = here.words, here.run, here.model.transformer.config
    st.subheader(_("Feed-forward"))
    if config.activation == "none":
        st.markdown(_("This model has **none**: attention moves information between tokens, and nothing works on it."))
        _lead(_("What would be missing without it?"), "pages/feed_forward.py", {})
        return
    st.markdown(
        _(
            "The same two-layer network for every token, one token at a time: {width} → {inner} → {width}, "
            "with a {function} between. Attention moves information between tokens, this works on what has "
            "arrived. Share of its {inner} inner units that are active (above 0) in this sentence:"
        ).format(
            width=config.width,
            inner=config.feed_forward,
            function={"relu": "ReLU", "gelu": "GELU"}[config.activation],
        )
    )
    layers = {_("encoder"): run.encoder, _("decoder"): run.decoder}
    names, shares = [], []
    for stack, parts in layers.items():
        for number, layer in enumerate(parts, 1):
            names.append(_("{stack}, layer {number}").format(stack=stack, number=number))
            shares.append(float((layer.feed_forward.activation > 0).float().mean()))
    st.altair_chart(charts.bars(names, shares, axis=_("share of active units")))
    first = here.model.transformer.encoder.layers[0].feed_forward
    _corners(_, {"W_1": first.inner, "W_2": first.outer})
    steps = {"attention": "steps", "kind": "encoder", "open": "11-12"}
    with st.container(horizontal=True, gap="small"):
        _lead(_("What it reads, step by step"), "pages/attention.py", steps)
        _lead(_("What would be missing without it?"), "pages/feed_forward.py", {})


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
    with st.container(horizontal=True, gap="small"):
        _lead(_("Writing it token by token"), "pages/decoding.py", {"decoding": "steps"})
        _lead(_("How it was trained"), "pages/training.py", {})
        _lead(_("And if it were built otherwise?"), "pages/design_choices.py", {})


def _norms(vectors: Tensor) -> list[float]:
    lengths: list[float] = vectors.norm(dim=-1).tolist()
    return lengths


EXPLANATIONS: dict[str, Callable[[Visit], None]] = {
    "tokens": _tokens,
    "embedding": _embedding,
    "position": _position,
    "encoder": _encoder,
    "decoder": _decoder,
    "cross": _cross,
    "norm": _norm,
    "residual": _residual,
    "feed_forward": _feed_forward,
    "memory": _memory,
    "output": _output,
}
