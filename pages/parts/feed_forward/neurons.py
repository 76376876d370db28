"""Part 3: the neurons of this model: what fires them in held-out sentences and here, and what they promote."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.charts.positions import limit_of, matrix
from core.experiments import feed_forward as experiments
from core.experiments.feed_forward import Survey
from core.experiments.residuals import depth
from core.tokens import Token
from pages.parts import models
from pages.parts.address import keep
from pages.parts.decoding.show import whole
from pages.parts.escape import facts, in_html, in_markdown
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap
from pages.parts.options import choose_one
from pages.parts.residuals.show import tokens_of
from pages.parts.selection import clicked

SHOWN = 14
AROUND = 6
NAMES = "neuron_names"
LONGEST_NAME = 40
MAP = "feed_map"
Neuron = tuple[str, str, int, int]


def neurons(here: Visit) -> None:
    """Choose a layer and a neuron; then its contexts, what it promotes, and what it is needed for here."""
    _, config = here.words, here.model.transformer.config
    st.subheader(_("What a neuron answers to"))
    if config.activation == "none":
        st.info(_("This model has no feed-forward network. Choose another above."), icon=":material/info:")
        return
    st.markdown(
        _(
            "Geva et al. (2021) read a feed-forward network as a memory: column of $W_1$ **key**, row of $W_2$ "
            "**value**. A neuron fires where its key fits, and then adds its value to the stream. They found patterns "
            "that people could describe for every key they looked at. And here?"
        )
    )
    stack, layer = _choose_layer(here)
    _map(here, stack, layer)
    neuron = _choose_neuron(here, stack, layer)
    which = (here.model.name, stack, layer, neuron)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _contexts(here, which)
    with right:
        _name(here, which)
        _promotes(here, which)
        _needed(here, which)


def _choose_layer(here: Visit) -> tuple[str, int]:
    _, config = here.words, here.model.transformer.config
    with st.container(horizontal=True, gap="medium"):
        stack = choose_one(_("Stack"), "feed_stack", {"decoder": _("Decoder"), "encoder": _("Encoder")}, "decoder")
        layers = {str(number): str(number) for number in range(1, depth(config, stack) + 1)}
        layer = int(choose_one(_("Layer"), "feed_layer", layers, "1")) - 1
    return stack, layer


def _choose_neuron(here: Visit, stack: str, layer: int) -> int:
    """The neuron chosen by number or by a click, counted from 0 inside and from 1 on the screen."""
    _, count = here.words, here.model.transformer.config.feed_forward
    first = experiments.strongest_here(here.run, stack, layer, 1)[0] + 1
    neuron = keep("feed_neuron", first, whole(1, count))
    st.number_input(
        _("Neuron, 1 to {count}").format(count=count),
        min_value=1,
        max_value=count,
        key="feed_neuron",
        persist_state="session",
        width=220,
    )
    return neuron - 1


# --- on this sentence -----------------------------------------------------------------------------------------------


def _map(here: Visit, stack: str, layer: int) -> None:
    _, run = here.words, here.run
    order = experiments.strongest_here(run, stack, layer, SHOWN)
    values = run.tensor(f"{stack}.{layer}.feed_forward.activation")[:, order].T.numpy().astype(np.float64)
    chosen = keep("feed_neuron", order[0] + 1, whole(1, run.transformer.config.feed_forward)) - 1
    row = order.index(chosen) if chosen in order else 0
    labels = [_label((here.model.name, stack, layer, neuron)) for neuron in order]
    words = {
        "label": _("Activation of the neurons that write most on this sentence; click a row to choose a neuron"),
        "query": _("neuron"),
        "key": _("token"),
        "weight": _("activation"),
        "sum": "",
        "masked": "",
    }
    tokens = [token.piece for token in tokens_of(run, stack)]
    strongest = int(values[row].argmax())
    data = matrix(values, rows=labels, columns=tokens, cell=(row, strongest), limit=limit_of(values), words=words)

    def take() -> None:
        place = clicked(MAP, "cell", len(order), len(tokens))
        if place:
            st.session_state["feed_neuron"] = order[place[0]] + 1

    heatmap(data, key=MAP, on_cell=take)
    st.caption(
        _(
            "Measured on this sentence: the {count} neurons of this layer that write most (largest activation × length "
            "of their row of W₂). Click one, or type a number."
        ).format(count=len(order))
    )


def _label(which: Neuron) -> str:
    name = st.session_state.get(NAMES, {}).get(which, "")
    return f"{which[3] + 1} {name}".strip()


# --- in held-out sentences ------------------------------------------------------------------------------------------


@st.cache_resource(max_entries=6, show_spinner=False)
def _survey(name: str, stack: str) -> Survey:
    texts = experiments.probe_texts(None if stack == "encoder" else experiments.WRITTEN)
    return experiments.survey(models.model(name), stack, texts)


def _contexts(here: Visit, which: Neuron) -> None:
    _ = here.words
    name, stack, layer, neuron = which
    st.markdown(_("**Where it fires most**, in sentences held out from training"))
    try:
        with st.spinner(_("Reading the held-out sentences …")):
            found = _survey(name, stack)
    except (OSError, ValueError) as error:
        st.warning(_("The held-out sentences cannot be read. This command restores them:"), icon=":material/error:")
        st.code("python -m core corpus probes", language="sh")
        st.text(str(error))
        return
    fired = found.layers[layer]
    triples = zip(
        fired.activation[neuron].tolist(), fired.sentence[neuron].tolist(), fired.place[neuron].tolist(), strict=True
    )
    lines = [_context(found.sentences[sentence], place, value) for value, sentence, place in triples if value > 0]
    if not lines:
        st.info(_("It fires nowhere in them: a dead neuron, as far as these sentences go."), icon=":material/info:")
        return
    st.html("".join(lines))
    piece, share = experiments.commonest(found.pieces(layer, neuron)[: len(lines)])
    st.html(
        facts(
            {
                _("commonest token"): piece,
                _("its share of these"): f"{share:.0%}",
                _("by chance"): f"{_chance(name, stack):.0%}",
                _("open at"): _("{share} of tokens").format(share=f"{float(fired.open[neuron]):.1%}"),
            }
        )
    )
    said = _("{count} sentences, {tokens} tokens.").format(count=len(found.sentences), tokens=f"{found.tokens:,}")
    if stack == "decoder":
        said += " " + _("The decoder reads its own translations of them.")
    st.caption(
        said
        + " "
        + _("“By chance”: the commonest token among as many tokens drawn at random, averaged over many draws.")
    )


@st.cache_data(max_entries=12, show_spinner=False)
def _chance(name: str, stack: str) -> float:
    return experiments.commonest_by_chance(_survey(name, stack))


def _context(tokens: Sequence[Token], place: int, value: float) -> str:
    """A line of HTML: the activation, and the token in bold among its neighbours."""
    first, last = max(0, place - AROUND), place + AROUND + 1
    before = " ".join(token.piece for token in tokens[first:place])
    after = " ".join(token.piece for token in tokens[place + 1 : last])
    return (
        '<div style="display:flex;gap:.7rem;margin:.15rem 0;line-height:1.45">'
        f'<span style="opacity:.65;min-width:2.6rem;text-align:right">{value:z.2f}</span>'
        f'<span style="overflow-wrap:anywhere">{"… " if first else ""}{in_html(before)} '
        f'<b style="background:#f08c0040;border-radius:4px;padding:0 .2rem">{in_html(tokens[place].piece)}</b> '
        f"{in_html(after)}{' …' if last < len(tokens) else ''}</span></div>"
    )


# --- its name, its value --------------------------------------------------------------------------------------------


def _name(here: Visit, which: Neuron) -> None:
    """A name of the learner's own, kept as long as the session."""
    _, named = here.words, st.session_state.setdefault(NAMES, {})
    key = f"feed_name_{'_'.join(map(str, which))}"

    def store() -> None:
        named[which] = " ".join(st.session_state[key].split())[:LONGEST_NAME]

    st.text_input(
        _("Name this neuron"),
        value=named.get(which, ""),
        key=key,
        max_chars=LONGEST_NAME,
        placeholder=_("What do its contexts have in common?"),
        on_change=store,
    )
    given = [f"{_label(each)}" for each, name in named.items() if name and each[:3] == which[:3]]
    if given:
        st.caption(_("Named in this layer: {names}").format(names=in_markdown(", ".join(given))))


def _promotes(here: Visit, which: Neuron) -> None:
    _ = here.words
    name, stack, layer, neuron = which
    found = experiments.promoted(models.model(name).transformer, stack, layer, neuron)
    tokenizer = here.model.tokenizer
    names = {each: tokenizer.tokens([each])[0].piece for each, _score in (*found.best, *found.worst)}
    st.markdown(_("**What it promotes**: its row of W₂ times the unembedding"))
    st.dataframe(
        {
            _("raises most"): [f"{names[each]}  +{score:z.2f}" for each, score in found.best],
            _("lowers most"): [f"{names[each]}  {score:z.2f}".replace("-", "−") for each, score in found.worst],
        },
        hide_index=True,
        height="content",
    )
    said = _(
        "Logits per unit of activation, through the gain of the last norm and not its division. A random row of the "
        "same length would raise its best token by {chance}."
    ).format(chance=f"{found.chance:.2f}")
    if stack == "encoder":
        said += " " + _(
            "The output does not read the encoder's stream; the same table tells only what the row looks like."
        )
    st.caption(said)


def _needed(here: Visit, which: Neuron) -> None:
    _, (stack, layer, neuron) = here.words, which[1:]
    change = experiments.without(here.model.transformer, here.run, stack, layer, neuron)
    place = int(change.abs().argmax())
    st.html(
        facts(
            {
                _("held at 0: largest change of log p"): f"{float(change[place]):+.2g}",
                _("at"): here.run.predicted_tokens[place].piece,
            }
        )
    )
    st.caption(_("Measured on this sentence, with all other neurons as they are."))
