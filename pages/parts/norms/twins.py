"""Part 6: the quiz of the lowest training loss, and what the twins translate once they write on their own."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.charts import norms as charts
from core.charts.figures import GREY
from core.charts.positions import COLOURS, accuracies, learning
from core.measures.curves import Record, at_the_end, exact_matches, seeds, spread
from core.norms import NORMS
from pages.parts import zoo
from pages.parts.frame import Visit
from pages.parts.norms.network import TWINS, twin_names
from pages.parts.options import choose_one
from pages.parts.positions.learning import split_names
from pages.parts.positions.show import predict
from pages.parts.words import Words

FAR = 0.5  # of the next best: a loss that stands out
GAP = 0.1  # nats: more than seeds differ by
BASE = "positions-sum"
Cards = Mapping[str, Mapping[str, Any]]
Logs = Mapping[str, list[Record]]


def twins(here: Visit) -> None:
    """Training losses, the question whether to ship the lowest, and the answer from cards and logs."""
    _ = here.words
    st.subheader(_("Which norm learns best?"))
    st.markdown(
        _(
            "Small translators trained alike (same sentences and steps); only the norm differs. Everything here "
            "is stored from their training runs."
        )
    )
    cards = zoo.cards(_, TWINS)
    logs = zoo.logs(_, cards)
    losses = {name: found for name, records in logs.items() if (found := at_the_end(records, "loss"))}
    if not losses:
        return
    _losses(here, losses)
    lowest = min(losses, key=lambda name: statistics.median(losses[name]))
    guess = predict(_, "ship_guess", _question(_, losses, lowest), _options(_))
    if guess is not None:
        _answer(here, cards, logs, lowest, guess)
        _curves(here, logs)
        _splits(here, cards)


def _palette(_: Words) -> dict[str, str]:
    return dict(zip(twin_names(_).values(), (each for each in COLOURS if each != GREY), strict=False))


def _losses(here: Visit, losses: Mapping[str, list[float]]) -> None:
    _, names = here.words, twin_names(here.words)
    words = {"twin": _("model"), "loss": _("training loss at the end"), "null": _("guessing among all pieces")}
    st.altair_chart(
        charts.twins(
            {names[name]: found for name, found in losses.items()},
            words=words,
            palette=_palette(_),
            guessing=_guessing(here),
        )
    )
    st.caption(
        _(
            "Stored: the mean of the last ten logged steps, in nats per token, a dot for each seed. Dashed: guessing "
            "among all pieces."
        )
    )


def _guessing(here: Visit) -> float:
    return math.log(here.model.network.config.vocabulary)


def _question(_: Words, losses: Mapping[str, list[float]], lowest: str) -> str:
    names = twin_names(_)
    medians = {name: statistics.median(found) for name, found in losses.items()}
    others = [value for name, value in medians.items() if name != lowest]
    ahead = bool(others) and medians[lowest] < FAR * min(others)
    form = (
        _("**{name}** has by far the lowest training loss: {loss}. Ship it?")
        if ahead
        else _("**{name}** has the lowest training loss: {loss}. Ship it?")
    )
    return form.format(name=names[lowest], loss=f"{medians[lowest]:.3f}")


def _options(_: Words) -> dict[str, str]:
    return {
        "yes": _("yes, it learned most"),
        "overfit": _("no, it has learned the training data by heart"),
        "cheats": _("no, it sees what it should predict"),
        "wait": _("that cannot be told from the loss"),
    }


# --- the answer -----------------------------------------------------------------------------------------------------


def _matches(cards: Cards, direction: str) -> dict[str, float]:
    """The median share of new sentences that each twin translates exactly when it writes on its own."""
    found = {name: exact_matches(card, direction).get("random", []) for name, card in cards.items()}
    return {name: statistics.median(shares) for name, shares in found.items() if shares}


def _answer(here: Visit, cards: Cards, logs: Logs, lowest: str, guess: str) -> None:
    _, names, losses = here.words, twin_names(here.words), _at_the_end(logs, "loss")
    matches = _matches(cards, here.run.direction)
    found = {names[name]: (losses[name], matches[name]) for name in losses if name in matches}
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.markdown(_("**What the loss promises, and what is written**"))
        words = {
            "loss": _("training loss at the end"),
            "accuracy": _("new sentences translated exactly"),
            "null": _("guessing among all pieces"),
        }
        st.altair_chart(charts.promised(found, words=words, palette=_palette(_), guessing=_guessing(here)))
    with right:
        st.markdown(_("You said **{guess}**.").format(guess=_options(_)[guess]))
        if lowest in matches:
            _verdict(_, cards, matches, lowest)
        _batch(_, logs, losses)
        _none(_, matches)
    st.caption(
        _(
            "Stored, medians over the seeds: the loss in training, where the decoder reads the right words (teacher "
            "forcing), against whole sentences of a held-out set that come out right when the model writes them "
            "itself, {direction}."
        ).format(direction="EN → KO" if here.run.direction == "en-ko" else "KO → EN")
    )


def _verdict(_: Words, cards: Cards, matches: Mapping[str, float], lowest: str) -> None:
    names = twin_names(_)
    best = max(matches, key=matches.__getitem__)
    figures = {"name": names[lowest], "share": f"{matches[lowest]:.1%}", "best": names[best]}
    figures["most"] = f"{matches[best]:.1%}"
    if lowest == best:
        st.markdown(
            _("**{name}** also writes best: {share} of new sentences come out exactly right.").format(**figures)
        )
        return
    st.markdown(
        _(
            "When it has to write on its own, **{name}** gets **{share}** of new sentences exactly right; **{best}** "
            "gets {most}."
        ).format(**figures)
    )
    norm = str(cards[lowest]["config"].get("norm", "layer"))
    if norm in NORMS and NORMS[norm].looks_ahead:
        st.markdown(
            _(
                "Its mean runs over **all** positions of the sentence, those to come included. The look-ahead mask "
                "guards attention and knows nothing of norms: in training, the words to predict leak through mean and "
                "variance, and the loss falls because of it. When it writes, there are no such words yet."
            )
        )


def _at_the_end(logs: Logs, figure: str, count: int = 10) -> dict[str, float]:
    """The median over the seeds of a figure at the end of each run."""
    found = {name: at_the_end(records, figure, count) for name, records in logs.items()}
    return {name: statistics.median(values) for name, values in found.items() if values}


def _batch(_: Words, logs: Logs, losses: Mapping[str, float]) -> None:
    """Batch norm beside layer norm, with its batch and with its moving averages, and what others report."""
    unseen, pair = _at_the_end(logs, "validation_loss", 1), ("norm-batch", BASE)
    if any(name not in losses or name not in unseen for name in pair):
        return
    gaps = [unseen[name] - losses[name] for name in pair]
    figures = {"batch": losses[pair[0]], "batch_after": unseen[pair[0]]}
    figures |= {"layer": losses[pair[1]], "layer_after": unseen[pair[1]]}
    form = (
        _(
            "**Batch norm** learns as well as layer norm while it sees its batch (loss {batch} and {layer}), and is "
            "worse on unseen sentences, where moving averages take over ({batch_after} and {layer_after})."
        )
        if gaps[0] > gaps[1] + GAP and losses[pair[0]] < losses[pair[1]] + GAP
        else _(
            "**Batch norm** ends at a training loss of {batch}, layer norm at {layer}; on unseen sentences, where "
            "moving averages take over, at {batch_after} and {layer_after}."
        )
    )
    st.markdown(form.format(**{name: f"{value:.2f}" for name, value in figures.items()}))
    st.markdown(
        _(
            "Shen et al. (2020) explain such a gap by statistics of text that fluctuate from batch to batch. Their "
            "PowerNorm, whose statistics are steadier, beats layer norm by 0.4 and 0.6 BLEU on IWSLT14 and WMT14."
        )
    )


def _none(_: Words, matches: Mapping[str, float]) -> None:
    """What a norm is worth at this depth."""
    if not {"norm-none", BASE} <= matches.keys():
        return
    form = (
        _("**No norm** at all gets {none}, layer norm {layer}: with two layers a stack, this task does not need one.")
        if matches["norm-none"] >= matches[BASE]
        else _("**No norm** at all gets {none}, layer norm {layer}.")
    )
    st.markdown(form.format(none=f"{matches['norm-none']:.1%}", layer=f"{matches[BASE]:.1%}"))


# --- curves and splits ----------------------------------------------------------------------------------------------


def _curves(here: Visit, logs: Logs) -> None:
    _, names = here.words, twin_names(here.words)
    st.subheader(_("Learning curves"))
    titles = {
        "loss": _("Loss, training"),
        "validation_loss": _("Loss, unseen"),
        "validation_accuracy": _("Tokens right, unseen"),
        "validation_exact_match": _("Sentences right, unseen"),
    }
    figure = choose_one(_("Figure"), "norm_curve", titles, "validation_exact_match", labelled=False)
    curves = {names[name]: found for name, records in logs.items() if (found := spread(records, figure))}
    losses = figure in ("validation_loss", "loss")
    st.altair_chart(
        learning(
            curves,
            words={"step": _("training step"), "figure": titles[figure], "null": _("guessing among all pieces")},
            palette=_palette(_),
            guessing=_guessing(here) if losses else None,
        )
    )
    counted = "; ".join(f"{names[name]}: {', '.join(map(str, seeds(records)))}" for name, records in logs.items())
    st.caption(
        _(
            "Stored from the training runs: the line is the median of the seeds, the band reaches from the lowest to "
            "the highest. “Tokens right” reads the right words before each (teacher forcing), “sentences right” writes "
            "on its own. Seeds: {seeds}."
        ).format(seeds=counted)
    )


def _splits(here: Visit, cards: Cards) -> None:
    _, names, direction = here.words, twin_names(here.words), here.run.direction
    st.subheader(_("Final figures"))
    splits = split_names(_)
    found = {names[name]: exact_matches(card, direction) for name, card in cards.items()}
    figures = {name: {splits[split]: each[split] for split in splits if split in each} for name, each in found.items()}
    words = {"split": _("held-out split"), "accuracy": _("share translated exactly")}
    st.altair_chart(accuracies(figures, words=words, palette=_palette(_)))
    st.caption(
        _(
            "Stored from the evaluation of the training runs, {direction}: a dot is the median, a line reaches from "
            "the lowest to the highest seed."
        ).format(direction="EN → KO" if direction == "en-ko" else "KO → EN")
    )
