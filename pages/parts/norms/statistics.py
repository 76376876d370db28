"""Part 2: mean and standard deviation of every token before and after each norm, and what γ and β became."""

import streamlit as st
from torch import Tensor

from core.charts import norms as charts
from core.experiments import norms as experiments
from pages.parts.escape import facts
from pages.parts.frame import Visit
from pages.parts.norms.show import choose_site, short_site, site_names
from pages.parts.positions.show import predict
from pages.parts.words import Words

NEAR = (0.5, 2.0)
Found = dict[str, experiments.ByToken]


def statistics(here: Visit) -> None:
    """A prediction, then every norm of the model on this sentence, one norm token by token, and what was learned."""
    _ = here.words
    st.subheader(_("What goes in, what comes out"))
    if not experiments.sites(here.model.network):
        choose_site(here)
        return
    guess = predict(_, "spread_guess", _question(_), _options(_))
    if guess is None:
        return
    found = {path: experiments.by_token(here.run, path) for path in experiments.sites(here.model.network)}
    _all_sites(here, found, guess)
    st.subheader(_("One norm, token by token"))
    path = choose_site(here)
    if path is not None:
        _one_site(here, path, found[path])
    _learned(here, path)


def _question(_: Words) -> str:
    return _(
        "A learner's note says that a norm makes “variance 1, mean 0”. That is before γ and β. **After** them, what "
        "standard deviation do you expect the tokens of this model to have?"
    )


def _options(_: Words) -> dict[str, str]:
    return {"one": _("still 1"), "near": _("between ½ and 2"), "far": _("far from 1 at some norm")}


def _all_sites(here: Visit, found: Found, guess: str) -> None:
    _ = here.words
    names = site_names(_, list(found))
    words = {"site": _("norm"), "value": _("standard deviation"), "null": _null(here, 1)}
    columns = st.columns(2, gap="large")
    for column, (stack, title) in zip(columns, _stacks(_).items(), strict=True):
        paths = [path for path in found if path.startswith(stack)]
        places = [short_site(_, path) for path in paths]
        series = {
            _("what the norm reads"): [found[path].deviation_before.tolist() for path in paths],
            _("what it gives, with γ and β"): [found[path].deviation_after.tolist() for path in paths],
        }
        with column:
            st.markdown(title)
            st.altair_chart(charts.sites(places, series, words=words))
    medians = {path: float(each.deviation_after.median()) for path, each in found.items()}
    least, most = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    st.markdown(
        _(
            "You said **{guess}**. It is {least} at “{where}” and {most} at “{there}”: each norm hands its sub-layer "
            "the scale that training found useful. What the norms **read** goes from {first} in the first layer of the "
            "encoder to {last} after its last."
        ).format(
            guess=_options(_)[guess],
            least=f"{medians[least]:.2f}",
            where=names[least],
            most=f"{medians[most]:.2f}",
            there=names[most],
            **_growth(found),
        )
    )
    st.caption(
        _(
            "Measured on this sentence, over the features of each token: the line is the median token, the band "
            "reaches from the least to the most."
        )
    )


def _stacks(_: Words) -> dict[str, str]:
    return {"encoder": _("**Encoder**, norm after norm"), "decoder": _("**Decoder**, norm after norm")}


def _stack_names(_: Words) -> dict[str, str]:
    return {"encoder": _("encoder {place}"), "decoder": _("decoder {place}")}


def _growth(found: Found) -> dict[str, str]:
    before = [float(each.deviation_before.median()) for path, each in found.items() if path.startswith("encoder")]
    return {"first": f"{before[0]:.2f}", "last": f"{before[-1]:.2f}"}


def _null(here: Visit, value: int) -> str:
    """The name of the line at a value that layer norm gives every token, and the other norms do not."""
    _, own = here.words, here.model.transformer.config.norm == "layer"
    said = _("{value}: normalised, before γ and β") if own else _("{value}: what layer norm gives, before γ and β")
    return said.format(value=value)


def _one_site(here: Visit, path: str, found: experiments.ByToken) -> None:
    _, run = here.words, here.run
    tokens = run.source_tokens if path.startswith("encoder") else run.target_tokens
    pieces = [token.piece for token in tokens]
    before, after = _("what the norm reads"), _("what it gives, with γ and β")
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(_("**Standard deviation** of each token over its features"))
        words = {"token": _("token"), "value": _("standard deviation"), "null": _null(here, 1)}
        series = {before: found.deviation_before.tolist(), after: found.deviation_after.tolist()}
        st.altair_chart(charts.tokens(pieces, series, 1.0, words=words))
    with right:
        st.markdown(_("**Mean** of each token over its features"))
        words = {"token": _("token"), "value": _("mean"), "null": _null(here, 0)}
        series = {before: found.mean_before.tolist(), after: found.mean_after.tolist()}
        st.altair_chart(charts.tokens(pieces, series, 0.0, words=words))


def _learned(here: Visit, path: str | None) -> None:
    """γ and β of every norm that has them, beside the values they began with."""
    _, network = here.words, here.model.transformer
    norms = {each: network.get_submodule(each) for each in experiments.sites(network)}
    names = {each: _stack_names(_)[each.split(".")[0]].format(place=short_site(_, each)) for each in norms}
    having = {each: norm for each, norm in norms.items() if dict(norm.named_parameters())}
    st.subheader(_("γ and β as learned"))
    if not having:
        st.markdown(_("This model's norms have nothing to learn."))
        return
    st.markdown(
        _(
            "One γ and one β for each feature, shared by all tokens and positions; every norm has its own. They begin "
            "at 1 and 0 and are trained like any weight. For every norm: all of its features (thin), the middle 80 % "
            "(thick) and the median (dot)."
        )
    )
    words = {"site": _("norm"), "all": _("least"), "median": _("median"), "null": _("where training began")}
    columns = st.columns(2, gap="large")
    for column, part, start, title in zip(columns, ("gain", "bias"), (1.0, 0.0), ("γ", "β"), strict=True):
        spans = {
            names[each]: getattr(norm, part).tolist()
            for each, norm in having.items()
            if part in dict(norm.named_parameters())
        }
        if spans:
            chart = charts.learned(spans, start, words={**words, "value": title}, chosen=names.get(path or "", ""))
            column.altair_chart(chart)
        else:
            column.markdown(_("This kind of norm has no β."))
    _facts(here, path)


def _facts(here: Visit, path: str | None) -> None:
    _, network = here.words, here.model.transformer
    if path is None or not list(network.get_submodule(path).parameters()):
        return
    norm = network.get_submodule(path)
    gain, bias = norm.gain.detach(), norm.bias.detach()
    st.html(
        facts(
            {
                _("γ here: least, median, most"): _three(gain),
                _("β here: least, median, most"): _three(bias),
                _("features with γ below ½"): f"{int((gain.abs() < 0.5).sum())} / {len(gain)}",
            }
        )
    )
    st.caption(_("Stored in the weights of {name}: the same for every sentence.").format(name=here.model.name))


def _three(values: Tensor) -> str:
    return " · ".join(f"{float(values.quantile(part)):.2f}" for part in (0.0, 0.5, 1.0))
