"""The guided tour: every step of the Transformer in order, each on the page where it can be tried on this sentence.

Where the visitor is lives in the link as `tour`; a bar above the page stays as long as the tour lasts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.parts.address import go, keep, one_of
from pages.parts.words import Words

KEY = "tour"


@dataclass(frozen=True)
class Stop:
    """A page, the choices that show the step there, and what the bar says: a title, where to look, what to try."""

    page: str
    choices: Mapping[str, str]
    title: str
    look: str
    question: str
    path: str = field(init=False)

    def __post_init__(self) -> None:
        name = self.page.removeprefix("pages/").removesuffix(".py")
        object.__setattr__(self, "path", "" if name == "overview" else name)


def stops(_: Words) -> dict[str, Stop]:
    """The stops by name, in the order of a forward pass."""
    return {
        "tokens": Stop(
            "pages/tokens.py",
            {"tokens_part": "pieces", "tokens_side": "source"},
            _("Tokens"),
            _("The text is cut into pieces, and each piece has a number. From here on, the model sees only numbers."),
            _("Add a word that does not exist to the sentence, such as “blorf”. Into how many pieces is it cut?"),
        ),
        "embedding": Stop(
            "pages/tokens.py",
            {"tokens_part": "space"},
            _("Embedding"),
            _("The number picks a row of the table: the token's vector. Rows began at random; training moved them."),
            _("Choose a noun, then a short word such as “the”. Whose ten neighbours are more of one kind?"),
        ),
        "positions": Stop(
            "pages/positions.py",
            {"part": "pattern"},
            _("Positions"),
            _("A vector of waves is added to each token's: without it, a sentence would be a bag of words."),
            _("Click a cell far left and one far right in the pattern. Which wave turns faster?"),
        ),
        "projections": Stop(
            "pages/attention.py",
            {"attention": "steps", "kind": "encoder", "head": "1.1", "open": "1-2-3"},
            _("Query, key, value"),
            _("Each head makes three vectors from a token: what it looks for, what it offers, what it hands over."),
            _("Part 3 of this page exchanges one of the three. With which one does not a single weight move?"),
        ),
        "scores": Stop(
            "pages/attention.py",
            {"attention": "steps", "kind": "encoder", "head": "1.1", "open": "4"},
            _("Scores"),
            _("A query is compared with every key: the products of their channels, summed. That is the score."),
            _("Click another cell of the map. Which channel gives the largest product now, and is it above zero?"),
        ),
        "scaling": Stop(
            "pages/attention.py",
            {"attention": "scaling"},
            _("Scaling"),
            _("Scores are divided by the root of the number of channels, so that they do not grow with it."),
            _("Set the dial to no division at all. What becomes of the largest weight of a row?"),
        ),
        "softmax": Stop(
            "pages/attention.py",
            {"attention": "exp"},
            _("Softmax"),
            _("exp makes every score positive, and a row is divided by its sum: weights that add up to 1."),
            _("Raise one score by 1. By what factor does its weight grow beside the weight of another key?"),
        ),
        "values": Stop(
            "pages/attention.py",
            {"attention": "steps", "kind": "encoder", "head": "1.1", "open": "7-8"},
            _("Weighted values"),
            _("What a head hands on is the mean of the values under its weights: an expectation."),
            _("Does the key with the largest weight also give the longest part of the sum?"),
        ),
        "heads": Stop(
            "pages/heads.py",
            {"kind": "encoder"},
            _("Multi-head"),
            _("All heads of a layer do this at once, each with matrices of its own; their results are added."),
            _("Find a head that looks mostly at the token before. In which layer is it?"),
        ),
        "residual": Stop(
            "pages/attention.py",
            {"attention": "steps", "kind": "encoder", "head": "1.1", "open": "9-10-11-12"},
            _("Residual and norm"),
            _("What the heads found is added to what was there, and normalised before the next step reads it."),
            _("How long is what all heads add, beside the vector that was there before? Compare two tokens."),
        ),
        "feed_forward": Stop(
            "pages/overview.py",
            {"box": "feed_forward"},
            _("Feed-forward"),
            _("Then each token is worked on alone, by a network of two layers with a ReLU between."),
            _("In which layer are the fewest units active? Does another sentence change that?"),
        ),
        "memory": Stop(
            "pages/overview.py",
            {"box": "memory"},
            _("Encoder output"),
            _("After the last layer there is one vector for each source token. The decoder reads these and no text."),
            _(
                "Point at a cell of the first word in the map of vectors and keep its value in mind. Then change the "
                "last word of the sentence: is it still the same?"
            ),
        ),
        "masked": Stop(
            "pages/masks.py",
            {"mask_part": "three", "mask_kind": "decoder"},
            _("Masked self-attention"),
            _("The decoder reads its own translation, but each token sees only itself and what stands before it."),
            _("Open one cell above the diagonal. Which predictions change?"),
        ),
        "cross": Stop(
            "pages/heads.py",
            {"kind": "cross"},
            _("Cross-attention"),
            _("Queries from the translation, keys and values from the encoder's output: where the two sentences meet."),
            _("Find a head in which a word of the translation looks at the word that it translates."),
        ),
        "decoding": Stop(
            "pages/decoding.py",
            {"decoding": "steps"},
            _("Output and decoding"),
            _("The last vector is compared with every row of the table; softmax gives each piece its probability."),
            _("Play the translation step by step. Where is the model least sure, and between which pieces?"),
        ),
    }


def offer(_: Words) -> None:
    """A button that begins the tour, as long as none is under way."""
    if not st.session_state[KEY]:
        label, first = _("Walk through it, step by step"), next(iter(stops(_)))
        icon = ":material/signpost:"
        st.button(label, icon=icon, type="primary", key="tour_start", on_click=_go_to, args=(first,))


def bar(_: Words, page: StreamlitPage) -> None:
    """The stop that the link names, if it names one: where to look, what to try, and the ways back and on."""
    every = stops(_)
    name = keep(KEY, "", one_of(("", *every)))
    if not name:
        return
    names, stop = list(every), every[name]
    at = names.index(name)
    with st.container(border=True, key="tour_bar", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            title = _("Tour {number} of {count}").format(number=at + 1, count=len(names))
            st.markdown(f"**{title} · {stop.title}**", width="stretch")
            with st.container(horizontal=True, gap="small", width="content"):
                _buttons(_, every, names, at, away=page.url_path != stop.path)
        st.markdown(f"{stop.look}  \n:material/touch_app: **{stop.question}**")


def _buttons(_: Words, every: Mapping[str, Stop], names: list[str], at: int, *, away: bool) -> None:
    back = {"icon": ":material/arrow_back:", "help": _("Back"), "key": "tour_back", "disabled": at == 0}
    st.button(" ", **back, on_click=_go_to, args=(names[at - 1],))
    if away:
        here = {"icon": ":material/my_location:", "key": "tour_here"}
        st.button(_("To this stop"), **here, on_click=_go_to, args=(names[at],))
    if at + 1 < len(names):
        onward = {"icon": ":material/arrow_forward:", "key": "tour_next", "type": "primary"}
        st.button(_("Next"), **onward, on_click=_go_to, args=(names[at + 1],))
    with st.popover(" ", icon=":material/list:", help=_("All stops")):
        for number, name in enumerate(names):
            entry = {"key": f"tour_{name}", "type": "tertiary", "disabled": number == at}
            st.button(f"{number + 1} · {every[name].title}", **entry, on_click=_go_to, args=(name,))
    st.button(" ", icon=":material/close:", help=_("End the tour"), key="tour_end", on_click=_end)


def _end() -> None:
    st.session_state[KEY] = ""


def _go_to(name: str) -> None:
    """Open the page of a stop with its choices; these are the same in every language."""
    stop = stops(lambda message: message)[name]
    go(stop.page, {**stop.choices, KEY: name})
