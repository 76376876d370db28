"""What the norm of a model does and where it stands, in words."""

from core.transformer import Config
from pages.parts.words import Words


def norm_words(_: Words, config: Config) -> str:
    """One to three sentences for any row of NORMS and RESIDUALS."""
    kinds = {
        "layer": _("A **layer norm** brings every token to mean 0 and variance 1 over its {width} channels."),
        "rms": _("**RMSNorm** divides every token by the root mean square of its {width} channels."),
        "batch": _(
            "**Batch norm** brings each of the {width} channels to the mean and variance that it had in training."
        ),
        "instance": _(
            "**Instance norm** brings each of the {width} channels to mean 0 and variance 1 over the tokens."
        ),
        "group": _("**Group norm** brings each group of channels to mean 0 and variance 1 over all tokens."),
        "none": _("This model norms **nothing**: each sub-layer reads the stream as it is."),
    }
    places = {
        "pre-norm": _("It stands before each sub-layer; the stream beside it is never normed: pre-LN."),
        "post-norm": _(
            "It norms the sum after each sub-layer, so the stream itself is normed: post-LN, as in the paper."
        ),
        "none": _("It stands before each sub-layer."),
    }
    said = kinds[config.norm].format(width=config.width)
    if config.norm == "none":
        return said
    learned = _("Then each channel is scaled and shifted as learned.")
    return f"{said} {learned} {places[config.residual]}"
