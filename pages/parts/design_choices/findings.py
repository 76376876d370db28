"""What the textbook says of each choice, beside what was found here."""

from collections.abc import Mapping

import streamlit as st

from core.measures.choices import LEAST, Choice, Finding, findings
from core.measures.unigram import Plateau
from core.variants import LONGEST_TRAINED
from pages.parts import zoo
from pages.parts.frame import Visit
from pages.parts.tables import table_height
from pages.parts.words import Words


def textbook(here: Visit, choices: Mapping[str, Choice], plateau: Plateau | None) -> None:
    """Every sentence that can be tested, contradictions first."""
    _ = here.words
    found = findings(choices, plateau)
    if not found:
        return
    st.subheader(_("The textbook, tested"))
    counts = {each: sum(finding.verdict == each for finding in found) for each in verdicts(_)}
    st.markdown(
        _(
            "Of {all} textbook sentences that these models can test, **{kept}** are borne out, **{none}** show no "
            "difference, **{against}** are contradicted, and of **{untold}** nothing can be told. Small models, few "
            "words and a short training: what shows here need not show in large ones, and the other way round."
        ).format(
            all=len(found),
            kept=counts["borne out"],
            none=counts["no difference"],
            against=counts["contradicted"],
            untold=counts["cannot be told"],
        )
    )
    names = zoo.names(_)
    rows = {
        _("found"): [verdicts(_)[each.verdict] for each in found],
        _("the textbook says"): [sentences(_)[each.claim.name][0] for each in found],
        _("measured"): [_measured(each, names) for each in found],
        _("judged by"): [_judged(_, each) for each in found],
        _("counts from"): [each.noise for each in found],
        _("source"): [sentences(_)[each.claim.name][1] for each in found],
    }
    st.dataframe(
        rows,
        hide_index=True,
        height=table_height(len(found), 620),
        column_config={
            _("the textbook says"): st.column_config.TextColumn(width=380),
            _("measured"): st.column_config.TextColumn(width=290),
            _("judged by"): st.column_config.TextColumn(width=190),
            _("counts from"): st.column_config.NumberColumn(
                format="%.2f", help=_("Differences up to here are called none.")
            ),
        },
    )
    st.caption(
        _(
            "Stored from the training runs, both directions, medians of the seeds: the share of new sentences that are "
            "translated exactly, the share of tokens right when the reference of a long sentence is read, or the loss "
            "on unseen sentences. A difference counts where it is larger than {least} (a share, or nats), and than the "
            "spread over the seeds of either model. Where neither model is further than {least} from one that learned "
            "nothing from its sentences (no sentence right; tokens right and loss of who knows only how frequent "
            "pieces are), nothing can be told. The longest sentence in training has {longest} tokens."
        ).format(least=LEAST, longest=LONGEST_TRAINED)
    )
    st.caption(
        _(
            "Norms in deeper stacks: part 3 of the page “Training” has a grid of short runs with post-LN and pre-LN, "
            "with and without warm-up, and says which of them learn."
        )
    )


def verdicts(_: Words) -> dict[str, str]:
    """The verdicts as the screen has them."""
    return {
        "contradicted": _("✗ contradicted"),
        "no difference": _("≈ no difference"),
        "cannot be told": _("? cannot be told"),
        "borne out": _("✓ borne out"),
    }


def _judged(_: Words, finding: Finding) -> str:
    """The figure that a verdict rests on."""
    tokens = _("tokens right, {length} tokens or more")
    said = {
        "random": _("new sentences right"),
        "longest": tokens,
        "beyond": tokens,
        "loss": _("loss in nats (lower is better)"),
    }
    return said[finding.claim.by].format(length=finding.length)


def _measured(finding: Finding, names: Mapping[str, str]) -> str:
    claim = finding.claim
    return f"{names[claim.better]} {finding.better:.2f} · {names[claim.other]} {finding.other:.2f}"


def sentences(_: Words) -> dict[str, tuple[str, str]]:
    """Each claim in words, with where it is from."""
    vaswani = "Vaswani et al. 2017"
    return {
        "order": (_("Without positions a Transformer translates worse."), f"{vaswani}, 3.5"),
        "learned": (_("Learned positions do as well as sinusoids."), f"{vaswani}, table 3 E"),
        "concat": (_("Adding positions is as good as putting them beside, for as many weights."), _("course lore")),
        "rotary": (_("RoPE reads sentences longer than any in training better than sinusoids."), "Press et al. 2022"),
        "alibi": (_("ALiBi reads sentences longer than any in training better than sinusoids."), "Press et al. 2022"),
        "post": (_("With 2 + 2 layers and warm-up, post-LN does as well as pre-LN."), "Xiong et al. 2020"),
        "rms": (_("RMSNorm does as well as layer norm."), "Zhang & Sennrich 2019"),
        "batch": (_("In text, batch norm is worse than layer norm."), "Shen et al. 2020"),
        "instance": (
            _("A norm over the tokens shows the decoder its future, and spoils what it writes."),
            f"{vaswani}, 3.1",
        ),
        "unnormed": (_("Without norms a model learns worse."), "Ba et al. 2016"),
        "residual": (_("Without residuals a model learns worse."), "He et al. 2016"),
        "single": (_("One head is worse than four."), f"{vaswani}, table 3 A"),
        "many": (_("Twice as many heads do as well."), f"{vaswani}, table 3 A"),
        "scale": (
            _("With as few as 16 channels it hardly matters whether scores are divided by √d_k."),
            _("{source}, who compare with additive attention").format(source=f"{vaswani}, 3.2.1"),
        ),
        "scale_wide": (_("With 64 channels, scores that are not divided make it worse."), f"{vaswani}, 3.2.1"),
        "feed_forward": (_("Without feed-forward networks it translates worse."), _("course lore")),
        "feed_forward_equal": (
            _("The same with more layers of attention, so that weights are as many."),
            _("course lore"),
        ),
        "gelu": (_("GELU is about as good as ReLU."), "Shazeer 2020"),
        "mask": (_("A decoder trained without the look-ahead mask cannot translate."), f"{vaswani}, 3.1"),
        "gates": (_("Gated units learn better than a simple recurrent network."), "Chung et al. 2014"),
        "looking_back": (_("With long sentences, attention helps a recurrent network."), "Bahdanau et al. 2015"),
        "transformer": (_("A Transformer beats a recurrent network with attention."), vaswani),
    }
