"""Each step as a formula, and the same with this cell's numbers in it."""

from collections.abc import Callable

from core.measures.walk import Walk, length
from pages.parts.attention.choosing import Chosen

Formula = Callable[[Chosen, Walk], str]


def _vector(chosen: Chosen, worked: Walk) -> str:
    addends, begun = list(worked.addends.values()), any("position" in path for path in worked.addends)
    terms = (r"\sqrt{d}\,E_{w} + PE_{pos}" + (r" + \sum_{\ell} f_{\ell}" if len(addends) > 2 else "")) if begun else ""
    terms = terms or (r"y_{\ell - 1} + f_{\ell - 1}" if len(addends) > 1 else r"f_{\ell - 1}")
    lengths = r",\ ".join(_number(length(each)) for each in addends)
    return _lines(rf"x &= {terms}", rf"\|\cdot\|:\quad &{lengths} \;\longrightarrow\; {_number(length(worked.vector))}")


def _normed(name: str) -> Formula:
    def formula(chosen: Chosen, worked: Walk) -> str:
        norm = getattr(worked, name)
        mean, variance = _number(norm.mean[0]), _number(norm.variance[0])
        first = r"y &= \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta"
        gain, one, bias = _number(norm.gain[0]), _number(norm.input[0]), _signed(norm.bias[0])
        epsilon = r" + 10^{-5}" if norm.epsilon else ""
        second = rf"y_1 &= {gain} \cdot \frac{{{one} {_signed(-norm.mean[0])}}}{{\sqrt{{{variance}{epsilon}}}}} {bias}"
        mark = "_1" if norm.mean.size > 1 else ""
        third = rf"\mu{mark} &= {mean},\quad \sigma^2{mark} = {variance}"
        return _lines(first, third, f"{second} = {_number(norm.output[0])}")

    return formula


def _projections(chosen: Chosen, worked: Walk) -> str:
    width, channels = worked.projections["query"].weight.shape[1], len(worked.query)
    shape = rf"\in \mathbb{{R}}^{{{channels} \times {width}}}"
    source = r"y" if chosen.place.kind != "cross" else r"m"
    i, j = chosen.place.query + 1, chosen.place.key + 1
    turned = worked.projections["query"].angles is not None
    turns = [rf"R_{{{place}}} \left( " if turned else "" for place in (i, j)]
    end = r" \right)" if turned else ""
    return _lines(
        rf"q_{{{i}}} &= {turns[0]}W_q\, y_{{{i}}} + b_q{end}, \qquad W_q {shape}",
        rf"k_{{{j}}} &= {turns[1]}W_k\, {source}_{{{j}}} + b_k{end}",
        rf"v_{{{chosen.place.key + 1}}} &= W_v\, {source}_{{{chosen.place.key + 1}}} + b_v",
    )


def _scores(chosen: Chosen, worked: Walk) -> str:
    i, j, channels = chosen.place.query + 1, chosen.place.key + 1, len(worked.query)
    key = worked.keys[chosen.place.key]
    terms = " ".join(
        rf"{'+' if index else ''} ({_number(worked.query[index])})({_number(key[index])})"
        for index in range(min(3, channels))
    )
    more = r" + \dots" if channels > 3 else ""
    total = _number(float(worked.raw_scores[chosen.place.key]))
    return _lines(
        rf"q_{{{i}}} \cdot k_{{{j}}} &= \sum_{{c=1}}^{{{channels}}} q_{{{i},c}}\, k_{{{j},c}}",
        rf"&= {terms}{more}",
        rf"&= {total}",
    )


def _scale(chosen: Chosen, worked: Walk) -> str:
    i, j, key = chosen.place.query + 1, chosen.place.key + 1, chosen.place.key
    raw, scaled = _number(float(worked.raw_scores[key])), _number(float(worked.scores[key]))
    if worked.divisor == 1:
        return rf"s_{{{i},{j}}} = q_{{{i}}} \cdot k_{{{j}}} = {scaled}"
    less, number = "", ""
    if worked.biases.any():
        less, number = " - m_h |i - j|", _signed(float(worked.biases[key]))
    return (
        rf"s_{{{i},{j}}} = \frac{{q_{{{i}}} \cdot k_{{{j}}}}}{{\sqrt{{d_k}}}}{less} = "
        rf"\frac{{{raw}}}{{\sqrt{{{len(worked.query)}}}}} {number} = {scaled}"
    )


def _mask(chosen: Chosen, worked: Walk) -> str:
    i, j, key = chosen.place.query + 1, chosen.place.key + 1, chosen.place.key
    rule = (
        rf"\tilde s_{{{i},j}} = \begin{{cases}} s_{{{i},j}} & \text{{open}} \\ -\infty & \text{{masked}} \end{{cases}}"
    )
    found = r"-\infty" if not worked.open[key] else _number(float(worked.scores[key]))
    return rf"{rule} \qquad \tilde s_{{{i},{j}}} = {found}"


def _softmax(chosen: Chosen, worked: Walk) -> str:
    i, j, key, row = chosen.place.query + 1, chosen.place.key + 1, chosen.place.key, worked.softmax
    largest, weight = _number(row.largest), _number(float(row.weights[key]))
    fraction = rf"\frac{{e^{{s_{{{i},{j}}} - m}}}}{{\sum_{{j'}} e^{{s_{{{i},j'}} - m}}}}"
    rule = rf"w_{{{i},{j}}} &= {fraction}, \qquad m = {largest}"
    found = rf"&= \frac{{{_number(float(row.exponentials[key]))}}}{{{_number(row.normaliser)}}} = {weight}"
    return _lines(rule, found)


def _values(chosen: Chosen, worked: Walk) -> str:
    i = chosen.place.query + 1
    order = sorted(range(len(worked.keys)), key=lambda key: -length(worked.terms[key]))[:3]
    weights = worked.softmax.weights
    terms = " + ".join(rf"{_number(float(weights[key]))}\, v_{{{key + 1}}}" for key in order)
    more = r" + \dots" if len(worked.keys) > len(order) else ""
    return _lines(
        rf"o_{{{i}}} &= \sum_j w_{{{i},j}}\, v_j = \mathbb{{E}}_{{j \sim w_{{{i}}}}}[v_j]",
        rf"&= {terms}{more}, \qquad \|o_{{{i}}}\| = {_number(length(worked.head_output))}",
    )


def _slice(chosen: Chosen, worked: Walk) -> str:
    h, channels, width = chosen.place.head + 1, len(worked.query), len(worked.vector)
    written = _number(length(worked.contributions[chosen.place.head]))
    shape = rf"W_O^{{({h})}} \in \mathbb{{R}}^{{{width} \times {channels}}}"
    return rf"W_O^{{({h})}}\, o^{{({h})}}, \quad {shape}, \qquad \|W_O^{{({h})}}\, o^{{({h})}}\| = {written}"


def _heads(chosen: Chosen, worked: Walk) -> str:
    heads = len(worked.contributions)
    return _lines(
        rf"\text{{out}} &= W_O\,[o^{{(1)}};\dots;o^{{({heads})}}] + b_O",
        rf"&= \sum_{{h=1}}^{{{heads}}} W_O^{{(h)}} o^{{(h)}} + b_O",
        rf"\|\text{{out}}\| &= {_number(length(worked.output))}",
    )


def _residual(chosen: Chosen, worked: Walk) -> str:
    before = {"pre-norm": "x + ", "post-norm": "y + ", "none": ""}[worked.config.residual]
    return rf"x' = {before}\text{{out}}, \qquad \|x'\| = {_number(length(worked.residual))}"


FORMULAS: dict[str, Formula] = {
    "vector": _vector,
    "norm": _normed("norm"),
    "projections": _projections,
    "scores": _scores,
    "scale": _scale,
    "mask": _mask,
    "softmax": _softmax,
    "values": _values,
    "slice": _slice,
    "heads": _heads,
    "residual": _residual,
    "next_norm": _normed("next_norm"),
}


def _number(value: float) -> str:
    """Three decimals, or a power of ten where those would say nothing."""
    if value == 0 or abs(value) >= 0.001:
        return f"{value:z.3f}"
    digits, power = f"{value:.1e}".split("e")
    return rf"{digits} \cdot 10^{{{int(power)}}}"


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '-'} {_number(abs(value))}"


def _lines(*lines: str) -> str:
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"
