"""Part 2: which rows of the table lie near each other, whether words of one kind do, and the table as a map."""

from collections import Counter
from collections.abc import Collection, Sequence

import streamlit as st
from torch import Tensor

from core.charts import embeddings as charts
from core.checkpoint import Model
from core.measures import embeddings as measures
from core.measures.wordclasses import Word
from core.tokens import Token
from pages.parts import models
from pages.parts.address import keep, one_of
from pages.parts.bar import clean
from pages.parts.escape import facts, in_markdown
from pages.parts.frame import Visit
from pages.parts.options import choose_one
from pages.parts.positions.show import predict
from pages.parts.tokens.alone import alone
from pages.parts.tokens.kinds import class_names, first_noun, kind_names, kinds_of, word_list, word_pairs
from pages.parts.words import Words

NEIGHBOURS = 10
LONGEST_WORD = 30
MOST_CLASSES = 7
LARGEST = 18  # classes that are shown one by one
SHARES = {"5": 5, "25": 25, "50": 50, "95": 95}


def rows_in_space(here: Visit) -> None:
    """Neighbours of one piece, then of all words, then everything at once."""
    _neighbours(here)
    st.divider()
    _alike(here)
    st.divider()
    _map(here)


def rows_of(model: Model) -> Tensor:
    """The embedding table."""
    return model.network.embedding.weight.detach()


# --- neighbours of one piece ----------------------------------------------------------------------------------------


@alone
def _neighbours(here: Visit) -> None:
    _ = here.words
    st.subheader(_("Who lies near whom?"))
    st.markdown(
        _(
            "Two rows are near if they point the same way: their **cosine** is near 1, and near 0 for unrelated ones. "
            "Nobody told the model what words mean; rows come close when words occur in like contexts."
        )
    )
    piece = _chosen(here)
    found = _nearest(here.model.name, piece)
    null = _nearest_untrained(here.model.name, piece)
    left, right = st.columns([6, 5], gap="large")
    names = [spelled(here.model, other) for other in found[0]]
    with left:
        st.markdown(_("**The ten rows nearest to “{piece}”**").format(piece=in_markdown(spelled(here.model, piece))))
        words = {
            "cosine": _("cosine"),
            "trained": _("trained"),
            "untrained": _("untrained table, same rank"),
            "neighbour": _("neighbour"),
        }
        st.vega_lite_chart(charts.neighbours(names, found[1], null, words))
        st.caption(
            _(
                "Of {pieces} rows; measured on the stored weights. Grey: the cosine of the neighbour of the same rank "
                "in a table of random rows, which is what training began with."
            ).format(pieces=f"{len(rows_of(here.model)):,}")
        )
    with right:
        _about(here, piece, found[0])


def _chosen(here: Visit) -> int:
    """The piece looked at: one of the sentence, or of a word that was typed."""
    _, tokenizer = here.words, here.model.tokenizer
    tokens = [token for token in here.run.source_tokens if not token.special] or list(here.run.source_tokens)
    options = list(dict.fromkeys(token.id for token in tokens))
    labels = {token.id: token.piece for token in tokens}
    typed = clean(keep("near_word", "", lambda text: text[:LONGEST_WORD]))
    spelled_here = {labels[piece]: piece for piece in reversed(options)}
    first = tokens[first_noun(here.model.name, tokens)].piece
    name = keep("near", first, one_of(spelled_here))
    left, right = st.columns([6, 5], gap="large", vertical_alignment="bottom")
    left.pills(
        _("A token of your sentence"),
        list(dict.fromkeys(labels[piece] for piece in options)),
        format_func=in_markdown,
        key="near",
        required=True,
        persist_state="session",
        wrap=True,
        disabled=bool(typed),
    )
    right.text_input(_("or any other word"), key="near_word", persist_state="session", placeholder="apple")
    pieces = tokenizer.encode(_inside(typed, tokenizer.first_words)) if typed else ()
    if len(pieces) > 1:
        spelling = " · ".join(in_markdown(token.piece) for token in pieces)
        st.caption(_("This word is cut into {pieces}; the first piece is shown.").format(pieces=spelling))
    return pieces[0].id if pieces else spelled_here[name]


def _inside(word: str, first_words: Collection[str]) -> str:
    """The word as it opens a sentence: a small letter there would be marked as unusual."""
    return word[0].upper() + word[1:] if word in first_words else word


def spelled(model: Model, piece: int) -> str:
    """A piece as people write it."""
    return model.tokenizer.tokens([piece])[0].piece


@st.cache_data(max_entries=256, show_spinner=False)
def _nearest(name: str, piece: int) -> tuple[list[int], list[float]]:
    return measures.nearest(rows_of(models.model(name)), piece, NEIGHBOURS)


@st.cache_data(max_entries=256, show_spinner=False)
def _nearest_untrained(name: str, piece: int) -> list[float]:
    return measures.nearest(measures.untrained(*rows_of(models.model(name)).shape), piece, NEIGHBOURS)[1]


@st.cache_resource(max_entries=2, show_spinner=False)
def _hardly_trained(name: str) -> Tensor:
    model = models.model(name)
    return measures.hardly_trained(rows_of(model), model.tokenizer)


def _about(here: Visit, piece: int, near: Sequence[int]) -> None:
    """What the tables say about the piece and its neighbours."""
    _, known = here.words, word_list(here.model.name)
    word = known.get(piece)
    st.markdown(_("**What it is**"))
    about = {
        _("id"): str(piece),
        _("kind"): kinds_of(_, word) or _("not in the word tables"),
        _("class"): _classes(_, word),
        _("length of the row"): f"{float(rows_of(here.model)[piece].norm()):.3f}",
    }
    st.html(facts({name: value for name, value in about.items() if value}))
    same = [other for other in near if word and other in known and known[other].kinds & word.kinds]
    if word:
        st.markdown(_("**{same} of {all}** neighbours are of the same kind.").format(same=len(same), all=len(near)))
    _its_translations(here, piece)
    if bool(_hardly_trained(here.model.name)[piece]):
        st.info(
            _(
                "Training hardly used this piece. Rows of such pieces lie close together, not because they mean the "
                "same: the output layer shares the table, and pushed all pieces that were never right the same way."
            ),
            icon=":material/info:",
        )


def _classes(_: Words, word: Word | None) -> str:
    names = class_names(_)
    return " · ".join(names.get(each, each.strip("_")) for each in sorted(word.classes)) if word else ""


def _its_translations(here: Visit, piece: int) -> None:
    """How near the row of its translation is, and how many rows are nearer."""
    _ = here.words
    pairs = word_pairs(here.model.name)
    others = [other for one, other in pairs if one == piece] + [one for one, other in pairs if other == piece]
    if not others:
        return
    likeness = measures.cosines(rows_of(here.model), rows_of(here.model)[piece])
    for other in others[:3]:
        nearer = int((likeness > likeness[other]).sum()) - 1
        st.markdown(
            _("Its translation **{word}**: cosine **{cosine}**, and {nearer} rows are nearer.").format(
                word=in_markdown(spelled(here.model, other)),
                cosine=f"{float(likeness[other]):.2f}",
                nearer=f"{nearer:,}",
            )
        )


# --- are words of one kind near each other? -------------------------------------------------------------------------


@alone
def _alike(here: Visit) -> None:
    _ = here.words
    st.subheader(_("Are words of like meaning close?"))
    chance = _closeness(here.model.name, "en", "classes").chance
    guess = predict(
        _,
        "kin_guess",
        _(
            "The word tables give every noun a class: food, jobs, animals and so on. Draw two English nouns at random: "
            "they share a class in **{chance}** of all cases. How often does a noun's **nearest** noun in the trained "
            "table share its class?"
        ).format(chance=f"{chance:.0%}"),
        {name: f"{share}%" for name, share in SHARES.items()},
    )
    if guess is None:
        return
    found = _closeness(here.model.name, "en", "classes").observed
    st.markdown(
        _("You said **{guess}**; measured: **{found}**.").format(guess=f"{SHARES[guess]}%", found=f"{found:.0%}")
    )
    left, right = st.columns([6, 5], gap="large")
    with left:
        _against_chance(here)
    with right:
        _by_class(here)


def _against_chance(here: Visit) -> None:
    _, name = here.words, here.model.name
    titles = {
        ("en", "kinds"): _("English words, same kind"),
        ("ko", "kinds"): _("Korean words, same kind"),
        ("en", "classes"): _("English nouns, same class"),
        ("ko", "classes"): _("Korean nouns, same class"),
    }
    found = {title: _closeness(name, *which) for which, title in titles.items()}
    rows = [
        charts.Against(title, each.observed, each.chance, each.untrained, *each.shuffled)
        for title, each in found.items()
    ]
    words = {
        "share": _("nearest word is alike"),
        "trained": _("trained table"),
        "untrained": _("untrained table"),
        "chance": _("chance: all pairs"),
        "shuffled": _("labels shuffled, ten times"),
    }
    st.vega_lite_chart(charts.against_chance(rows, words))
    words_alike, nouns = found[titles["en", "kinds"]], found[titles["en", "classes"]]
    translated = _translated(name)
    st.markdown(
        _(
            "For {kinds} of the English words the nearest shares their **kind** (noun, verb, name …; by chance "
            "{kinds_chance}): what can stand in the same slot gets a like row. For {classes} of the nouns it shares "
            "their **class** (by chance {classes_chance}): pairs with a class in common have a mean cosine of {alike}, "
            "others of {unlike}."
        ).format(
            kinds=f"{words_alike.observed:.0%}",
            kinds_chance=f"{words_alike.chance:.0%}",
            classes=f"{nouns.observed:.0%}",
            classes_chance=f"{nouns.chance:.0%}",
            alike=f"{nouns.alike:.2f}",
            unlike=f"{nouns.unlike:.2f}",
        )
    )
    st.markdown(
        _(
            "**Translations**: both languages share the table. A word and its translation have a mean cosine of "
            "{cosine} (unrelated words: {unrelated}); for {nearest} of the {pairs} pairs the translation is the "
            "nearest word of the other language, and its median rank is {rank} of {among}."
        ).format(
            cosine=f"{translated.cosine:.2f}",
            unrelated=f"{translated.unrelated:.2f}",
            nearest=f"{translated.nearest:.1%}",
            pairs=f"{translated.pairs:,}",
            rank=f"{translated.median_rank:.0f}",
            among=f"{translated.among:,}",
        )
    )
    hardly = int(_hardly_trained(name).sum())
    st.caption(
        _(
            "Measured on the stored weights, words in the form a dictionary lists. {hardly} rows that training hardly "
            "used are left out: they lie together for that reason alone."
        ).format(hardly=hardly)
    )


def _by_class(here: Visit) -> None:
    _ = here.words
    names = class_names(_)
    options = {"en": _("English nouns"), "ko": _("Korean nouns")}
    language = choose_one(_("Language of the nouns"), "kin_language", options, "en", labelled=False)
    found = [kin for kin in _closeness(here.model.name, language, "classes").kin if kin.name in names]
    least = sorted((kin.words for kin in found), reverse=True)[:LARGEST][-1]
    rows = [(f"{names[kin.name]} ({kin.words})", kin.observed, kin.chance) for kin in found if kin.words >= least]
    words = {"share": _("nearest noun is in the class"), "chance": _("chance")}
    st.vega_lite_chart(charts.shares(rows, words))
    st.caption(_("The largest classes; in brackets, how many nouns each has. Grey: chance."))


@st.cache_data(max_entries=8, show_spinner=False)
def _closeness(name: str, language: str, which: str) -> measures.Closeness:
    """`which` is "kinds" for all words, "classes" for what is a noun and nothing else."""
    nouns = which == "classes"
    words = [
        word
        for word in word_list(name).values()
        if word.base and word.language == language and (not nouns or word.kinds == {"noun"})
    ]
    hardly = _hardly_trained(name)
    words = [word for word in words if not hardly[word.piece]]
    labels = [word.classes if nouns else word.kinds for word in words]
    return measures.closeness(rows_of(models.model(name))[[word.piece for word in words]], labels)


@st.cache_data(max_entries=2, show_spinner=False)
def _translated(name: str) -> measures.Translations:
    hardly = _hardly_trained(name)
    pairs = [pair for pair in word_pairs(name) if not hardly[list(pair)].any()]
    return measures.translations(rows_of(models.model(name)), pairs)


# --- the map --------------------------------------------------------------------------------------------------------


@alone
def _map(here: Visit) -> None:
    _ = here.words
    st.subheader(_("The table as a map"))
    group, deep = _map_choice(_)
    words = _on_map(here.model.name, group)
    projection = _projection(here.model.name, group)
    labels, order = _grouped(_, words, group)
    rows = rows_of(here.model)
    points = charts.Points(
        projection.place(rows[[word.piece for word in words]]).numpy(), [word.text for word in words], labels
    )
    tokens = _distinct(here.run.source_tokens)
    marked = charts.Points(
        projection.place(rows[[token.id for token in tokens]]).numpy(),
        [token.piece for token in tokens],
        [kinds_of(_, word_list(here.model.name).get(token.id)) for token in tokens],
    )
    names = {
        "component": _("component {number} ({share} of the variance)"),
        "word": _("word"),
        "group": _("group"),
        "marked": _("your sentence"),
    }
    if deep:
        names["component"] = "{number} ({share})"
        st.plotly_chart(
            charts.deep_map(points, marked, order, projection.shares, names), key="space_deep", config=_QUIET
        )
    else:
        st.vega_lite_chart(charts.flat_map(points, marked, order, projection.shares[:2], names))
    _map_caption(here, words, projection.shares[: 3 if deep else 2])


_QUIET = {"displayModeBar": False, "scrollZoom": False}


def _map_choice(_: Words) -> tuple[str, bool]:
    names = {
        "kinds": _("Kinds of words"),
        "language": _("Languages"),
        "en": _("English nouns"),
        "ko": _("Korean nouns"),
    }
    with st.container(horizontal=True, gap="medium"):
        group = choose_one(_("What the map shows"), "space_map", names, "kinds", labelled=False)
        deep = choose_one(
            _("Dimensions"), "space_dimensions", {"2": _("flat"), "3": _("in space")}, "2", labelled=False
        )
    return group, deep == "3"


def _distinct(tokens: tuple[Token, ...]) -> list[Token]:
    return list({token.id: token for token in tokens if not token.special}.values()) or list(tokens)


@st.cache_resource(max_entries=8, show_spinner=False)
def _on_map(name: str, group: str) -> list[Word]:
    """The words that decide a map and are shown on it."""
    hardly = _hardly_trained(name)
    words = [word for word in word_list(name).values() if word.base and not hardly[word.piece]]
    if group in ("en", "ko"):
        words = [word for word in words if word.language == group and word.kinds == {"noun"}]
    return words


@st.cache_resource(max_entries=8, show_spinner=False)
def _projection(name: str, group: str) -> measures.Projection:
    rows = rows_of(models.model(name))
    return measures.principal_components(rows[[word.piece for word in _on_map(name, group)]], 3)


@st.cache_data(max_entries=8, show_spinner=False)
def _untrained_shares(count: int, width: int) -> tuple[float, ...]:
    return measures.principal_components(measures.untrained(count, width), 3).shares


def _grouped(_: Words, words: Sequence[Word], group: str) -> tuple[list[str], list[str]]:
    """Each word's group, and the groups in the order of the legend."""
    if group == "language":
        names = {"en": _("English"), "ko": _("Korean")}
        return [names[word.language] for word in words], list(names.values())
    if group == "kinds":
        names, several = kind_names(_), _("several kinds")
        labels = [names[next(iter(word.kinds))] if len(word.kinds) == 1 else several for word in words]
        return labels, [*names.values(), several]
    names = class_names(_)
    counts = Counter(next(iter(sorted(word.classes)), "") for word in words)
    largest = [kin for kin, _count in counts.most_common() if kin in names][:MOST_CLASSES]
    rest = _("other classes")
    kin = [next((each for each in sorted(word.classes) if each in largest), "") for word in words]
    return [names.get(each, rest) for each in kin], [*(names[each] for each in largest), rest]


def _map_caption(here: Visit, words: Sequence[Word], shares: Sequence[float]) -> None:
    _ = here.words
    null = sum(_untrained_shares(len(words), rows_of(here.model).shape[1])[: len(shares)])
    st.caption(
        _(
            "{count} words along the {dimensions} directions in which their rows differ most (principal components). "
            "These show **{share}** of the variance, and of as many random rows {null}: a map of {width} dimensions "
            "leaves most of it out, and what looks near may be far. Red: the tokens of your sentence."
        ).format(
            count=f"{len(words):,}",
            dimensions=len(shares),
            share=f"{sum(shares):.1%}",
            null=f"{null:.1%}",
            width=rows_of(here.model).shape[1],
        )
    )
