"""Part 3: one row for every meaning, and what becomes of it in a sentence, layer by layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import streamlit as st
import torch
from torch.nn import functional

from core.charts import embeddings as charts
from core.charts.figures import GREY, INDIGO, ORANGE
from core.charts.positions import matrix
from core.experiments import senses
from core.experiments.senses import Ambiguous, Occurrence
from core.measures import context as measures
from core.run import Run
from pages.parts import models
from pages.parts.address import keep, one_of
from pages.parts.bar import LONGEST, read_sentence
from pages.parts.escape import facts, in_html, in_markdown
from pages.parts.frame import Visit
from pages.parts.heatmap import heatmap as draw
from pages.parts.positions.show import predict
from pages.parts.selection import read_clamped, take_place, write_place
from pages.parts.tokens.alone import alone
from pages.parts.words import Words

EXAMPLES = {each.word: each for each in senses.WORDS}
SENTENCES_EACH = 2
MOVED = 0.6  # share from which "it" counts as moved towards its noun; guessing gives 0.5
LEARNT = 0.05  # so much better than without training a probe must be to count


def in_context(here: Visit) -> None:
    """Meanings of one word, the same measured over held-out sentences, pronouns, and the typed sentence."""
    _meanings(here)
    st.divider()
    _pronouns(here)
    st.divider()
    _own_sentence(here)


def stage_names(_: Words, paths: Sequence[str]) -> list[str]:
    """The stages as they are called on the screen, in the order of the pass."""
    ends = {
        "source.embedding": _("row × √d"),
        "source.input": _("+ position"),
        "encoder.final_norm.output": _("final norm"),
    }
    return [ends.get(path) or _("layer {number}").format(number=int(path.split(".")[1]) + 1) for path in paths]


def sense_names(_: Words) -> dict[str, str]:
    """The meanings of our examples."""
    return {
        "pear": _("pear, eaten"),
        "ship": _("ship, ridden"),
        "stomach": _("stomach"),
        "eye": _("eye"),
        "snow": _("snow"),
        "horse": _("horse"),
        "speech": _("speech"),
        "animal": _("the animal"),
        "club": _("the club"),
        "money": _("where money is"),
        "river": _("beside a river"),
        "mail": _("what is sent"),
        "character": _("of the alphabet"),
    }


# --- one word -------------------------------------------------------------------------------------------------------


@alone
def _meanings(here: Visit) -> None:
    _ = here.words
    st.subheader(_("One row, several meanings"))
    guess = predict(
        _,
        "row_guess",
        _(
            "배 can be eaten or ridden, and it can ache. The pear in 배를 먹는다 and the ship in 배를 탄다: how alike "
            "are the two rows that the embedding looks up for 배?"
        ),
        _row_guesses(_),
    )
    if guess is None:
        return
    word = _which(_)
    occurrences, wrong = _occurrences(here.model.name, word)
    own = _own(here, word)
    if len({each.sense for each in occurrences}) < 2:
        st.info(_("This model translates too few of our sentences with this word right."), icon=":material/info:")
        return
    left, right = st.columns([5, 6], gap="large")
    with left:
        st.markdown(
            _(
                "You said **{guess}**. They are the **same** row: the cosine is exactly 1, for that is all a table can "
                "give. Position and context come later, and only they can make a difference."
            ).format(guess=_row_guesses(_)[guess])
        )
        _sentences(_, occurrences, own, wrong)
    with right:
        _by_stage(here, occurrences, own)
    _paths(here, occurrences, own)
    _held_out_senses(here)


def _row_guesses(_: Words) -> dict[str, str]:
    return {"same": _("the same"), "near": _("near each other"), "unrelated": _("unrelated")}


def _which(_: Words) -> Ambiguous:
    word = keep("sense_word", senses.WORDS[0].word, one_of(EXAMPLES))
    st.segmented_control(
        _("Word of several meanings"),
        list(EXAMPLES),
        key="sense_word",
        required=True,
        persist_state="session",
        wrap=True,
    )
    return EXAMPLES[word]


@st.cache_resource(max_entries=12, show_spinner=False)
def _occurrences(name: str, word: Ambiguous) -> tuple[list[Occurrence], list[tuple[str, str]]]:
    """The word in sentences that the model translates right, and those it was tried on and got wrong."""
    found, wrong = [], []
    for sense in word.senses:
        right: list[Occurrence] = []
        for text in sense.texts:
            run = models.run(text, word.direction, name)
            if not senses.is_right(run.translation, sense, word.direction):
                wrong.append((text, run.translation))
                continue
            seen = senses.occurrence(run, word.word, sense.name)
            right += [seen] if seen else []
            if len(right) == SENTENCES_EACH:
                break
        found += right
    return found, wrong


def _own(here: Visit, word: Ambiguous) -> Occurrence | None:
    """The word in the visitor's sentence: the one above, or one typed for this."""
    _ = here.words
    typed = keep("own_sentence", "", lambda text: text[:LONGEST])
    text, complaint = read_sentence(_, typed, here.model) if typed.strip() else ("", "")
    st.text_input(
        _("A sentence of your own with {word}").format(word=word.word),
        key="own_sentence",
        persist_state="session",
        placeholder=word.senses[0].texts[-1],
    )
    if complaint:
        st.warning(complaint, icon=":material/edit_note:")
    run = models.run(text, word.direction, here.model.name) if text else here.run
    seen = senses.occurrence(run, word.word) if run.direction == word.direction else None
    if text and seen is None:
        st.caption(_("There is no {word} in this sentence.").format(word=word.word))
    return seen


def _sentences(
    _: Words, occurrences: Sequence[Occurrence], own: Occurrence | None, wrong: Sequence[tuple[str, str]]
) -> None:
    names = sense_names(_)
    lines = "".join(_line(names[each.sense], each) for each in occurrences)
    st.html(lines + (_line(_("your sentence"), own) if own else ""))
    if wrong:
        tried = " · ".join(f"{in_markdown(text)} → {in_markdown(said or '–')}" for text, said in wrong)
        st.caption(_("Tried, translated wrong, and therefore left out: {sentences}").format(sentences=tried))


def _line(name: str, each: Occurrence) -> str:
    return (
        f'<div style="margin:.45rem 0"><span style="font-size:.8rem;opacity:.7">{in_html(name)}</span><br>'
        f"{in_html(each.text)} → {in_html(each.translation or '–')}</div>"
    )


def _by_stage(here: Visit, occurrences: Sequence[Occurrence], own: Occurrence | None) -> None:
    _ = here.words
    st.markdown(_("**How alike the word's states are**, measured on these sentences"))
    pairs = senses.pairs(occurrences)
    lines = [
        charts.Line(_("same meaning, other sentence"), pairs.same, charts.TEAL),
        charts.Line(_("other meaning"), pairs.different, ORANGE),
        charts.Line(_("the word and the other tokens of its sentence"), pairs.unrelated, GREY, null=True),
    ]
    if own:
        for number, name in enumerate(dict.fromkeys(each.sense for each in occurrences)):
            mine = [senses.likeness(own, each) for each in occurrences if each.sense == name]
            values = [sum(column) / len(mine) for column in zip(*mine, strict=True)]
            title = _("yours and {meaning}").format(meaning=sense_names(_)[name])
            lines.append(charts.Line(title, values, charts.COLOURS[(0, 3, 4)[number % 3]]))
    stages = stage_names(_, measures.stages(here.model.network))
    lines = [line for line in lines if line.values]
    st.vega_lite_chart(charts.by_stage(lines, stages, axis=_("cosine"), stage=_("stage of the encoder")))


def _paths(here: Visit, occurrences: Sequence[Occurrence], own: Occurrence | None) -> None:
    """The states of one stage as a map: one point at first, then a place for each meaning."""
    _ = here.words
    paths = measures.stages(here.model.network)
    names = stage_names(_, paths)
    stage = keep("sense_stage", len(paths), lambda text: min(max(int(text), 1), len(paths)))
    st.select_slider(
        _("Stage of the encoder"),
        list(range(1, len(paths) + 1)),
        format_func=lambda number: names[number - 1],
        key="sense_stage",
        persist_state="session",
    )
    everyone = [*occurrences, *([replace(own, sense="own")] if own else [])]
    states = functional.normalize(torch.stack([each.states for each in everyone], dim=1), dim=-1)
    places = torch.stack([_flattened(rows) for rows in states])
    titles = sense_names(_) | {"own": _("your sentence")}
    points = charts.Points(
        places[stage - 1].numpy(), [each.text for each in everyone], [titles[each.sense] for each in everyone]
    )
    words = {"first": _("first component"), "second": _("second component"), "sentence": _("sentence")}
    left, right = st.columns([6, 5], gap="large", vertical_alignment="center")
    left.vega_lite_chart(charts.sentence_map(points, float(places.abs().max()), words))
    right.markdown(
        _(
            "Each dot is the word in one sentence, at the stage chosen. Move the slider from the left: one point at "
            "the row; then the position tells the sentences apart, whatever they mean; and then the layers. Do the "
            "meanings part, and where does a sentence of your own end up?"
        )
    )
    right.caption(
        _(
            "The two directions in which these few states differ most, all lengths set to 1, one scale for all stages. "
            "The farthest two are {spread} apart here; 2 would be opposite."
        ).format(spread=f"{float(torch.pdist(states[stage - 1].double()).max()):.3f}")
    )


def _flattened(rows: torch.Tensor) -> torch.Tensor:
    """Two coordinates for each row; rows that do not differ fall on one point."""
    centred = rows - rows.mean(0)
    left, values, _right = torch.linalg.svd(centred, full_matrices=False)
    flat = (left * values)[:, :2]
    signs = flat.gather(0, flat.abs().argmax(0, keepdim=True)).sign()
    return flat * torch.where(signs == 0, 1.0, signs)


# --- over held-out sentences ----------------------------------------------------------------------------------------


def _held_out(here: Visit) -> measures.Sentences | None:
    """The stored sentences, or None with the command that restores them."""
    _ = here.words
    try:
        return measures.read_sentences(measures.FILE)
    except (OSError, ValueError):
        st.warning(_("The held-out sentences cannot be read. This command restores them:"), icon=":material/error:")
        st.code("python -m core corpus probes", language="sh")
        return None


def _source(here: Visit, sentences: measures.Sentences, count: int) -> str:
    """Where the figures come from, and whether the sentences are as new to this model as they should be."""
    _ = here.words
    said = _("Measured now, on {count} sentences of the corpus that training held out.").format(count=count)
    if sentences.data_version != here.model.card.get("data_version"):
        said += " " + _("They come from another version of the corpus than the model: it may have seen some of them.")
    return said


def _held_out_senses(here: Visit) -> None:
    _ = here.words
    sentences = _held_out(here)
    if sentences is None:
        return
    st.markdown(_("#### Over all words of several meanings"))
    with st.spinner(_("Measuring …")):
        report = _sense_report(here.model.name, sentences.data_version)
    names = stage_names(_, measures.stages(here.model.network))
    largest = measures.largest_share(sentences.senses)
    trained, untrained = report["trained"], report["untrained"]
    lines = [
        charts.Line(_("trained"), [each.accuracy for each in trained], ORANGE),
        charts.Line(_("untrained network"), [each.accuracy for each in untrained], charts.TEAL),
        charts.Line(_("trained, meanings shuffled"), [each.shuffled for each in trained], GREY, null=True),
        charts.Line(_("always the commonest meaning"), [largest] * len(names), INDIGO, null=True),
    ]
    left, right = st.columns([6, 5], gap="large")
    with left:
        chart = charts.by_stage(lines, names, axis=_("share right"), stage=_("stage of the encoder"), domain=(0.0, 1.0))
        st.vega_lite_chart(chart)
    with right:
        best = max(range(len(trained)), key=lambda stage: trained[stage].accuracy)
        st.markdown(
            _(
                "Take an ambiguous word in one sentence and look for the nearest state of the same word in another: "
                "does it mean the same? At the row, all states are equal and this is guessing ({row}). After "
                "**{stage}** it is right in **{share}** of the cases. An untrained network reaches {untrained}: "
                "attention mixes the neighbours in even before it has learned anything, and they give the meaning "
                "away."
            ).format(
                row=f"{trained[0].accuracy:.0%}",
                stage=names[best],
                share=f"{trained[best].accuracy:.0%}",
                untrained=f"{max(each.accuracy for each in untrained):.0%}",
            )
        )
        last = trained[-1]
        st.html(
            facts(
                {
                    _("mean cosine, same meaning"): f"{last.same:.2f}",
                    _("mean cosine, other meaning"): f"{last.different:.2f}",
                }
            )
        )
        words = len({(each.direction, each.word) for each in sentences.senses})
        st.caption(
            _source(here, sentences, len(sentences.senses))
            + " "
            + _("{words} words, averaged word by word; the two cosines are those of the last stage.").format(
                words=words
            )
        )


@st.cache_data(max_entries=4, show_spinner=False)
def _sense_report(name: str, _version: str) -> dict[str, list[measures.SenseStage]]:
    return measures.sense_report(models.model(name), measures.read_sentences(measures.FILE).senses)


@st.cache_data(max_entries=4, show_spinner=False)
def _antecedent_report(name: str, _version: str) -> dict[str, list[measures.AntecedentStage]]:
    return measures.antecedent_report(models.model(name), measures.read_sentences(measures.FILE).pronouns)


# --- pronouns -------------------------------------------------------------------------------------------------------


@alone
def _pronouns(here: Visit) -> None:
    _ = here.words
    st.subheader(_("Does “it” move towards its noun?"))
    guess = predict(
        _,
        "pronoun_guess",
        _(
            "A learner's note says that words which mean the same in a sentence (“car”, “this”) get vectors close to "
            "each other. In “The animal did not cross the street because it was too tired”, the row of “it” is the "
            "same as in any sentence. After the encoder, is the state of “it” nearer to that of its noun than to the "
            "other noun?"
        ),
        {"nearer": _("nearer, nearly always"), "half": _("no: half the time"), "farther": _("farther")},
    )
    sentences = _held_out(here) if guess else None
    if sentences is None:
        return
    with st.spinner(_("Measuring …")):
        report = _antecedent_report(here.model.name, sentences.data_version)
    names = stage_names(_, measures.stages(here.model.network))
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(_("**Nearer to its noun than to the other** (cosine)"))
        st.vega_lite_chart(_stage_chart(_, report, names, lambda each: each.nearer, _("share of sentences")))
    with right:
        st.markdown(_("**A linear probe reads from “it” which noun is meant**"))
        st.vega_lite_chart(
            _stage_chart(_, report, names, lambda each: each.probe, _("share right"), lambda each: each.shuffled)
        )
    st.markdown(f"{_verdict(_, report)} {_resolved(here)}")
    st.caption(
        _source(here, sentences, len(sentences.pronouns))
        + " "
        + _(
            "Each has “it” and two nouns that it could stand for. Half have the right noun first, and both halves "
            "count alike, so that standing close by gains nothing. The probe (ridge regression) is graded on each "
            "sentence after learning from all others."
        )
    )


Reports = Mapping[str, Sequence[measures.AntecedentStage]]


def _stage_chart(
    _: Words,
    report: Reports,
    names: Sequence[str],
    value: Callable[[measures.AntecedentStage], float],
    axis: str,
    null: Callable[[measures.AntecedentStage], float] | None = None,
) -> charts.Spec:
    lines = [
        charts.Line(_("trained"), [value(each) for each in report["trained"]], ORANGE),
        charts.Line(_("untrained network"), [value(each) for each in report["untrained"]], charts.TEAL),
    ]
    if null:
        shuffled = [null(each) for each in report["trained"]]
        lines.append(charts.Line(_("trained, answers shuffled"), shuffled, GREY, null=True))
    else:
        lines.append(charts.Line(_("guessing"), [0.5] * len(names), GREY, null=True))
    return charts.by_stage(lines, names, axis=axis, stage=_("stage of the encoder"), domain=(0.0, 1.0))


def _verdict(_: Words, report: Reports) -> str:
    """What was found, whichever way it went."""
    trained = report["trained"]
    nearer, probe = max(each.nearer for each in trained[2:]), max(each.probe for each in trained[2:])
    untrained = max(each.probe for each in report["untrained"])
    figures = {
        "nearer": f"{nearer:.0%}",
        "probe": f"{probe:.0%}",
        "untrained": f"{untrained:.0%}",
    }
    if nearer >= MOVED:
        return _(
            "**It does move**: at the best layer “it” is nearer to its noun in {nearer} of the sentences. A probe "
            "reads which noun is meant from {probe} of its states ({untrained} in an untrained network; guessing: 50%)."
        ).format(**figures)
    if probe < untrained + LEARNT:
        return _(
            "**It does not move there**: “it” is nearer to its noun in {nearer} of the sentences at best, which is "
            "about guessing. Nor does a linear probe read the answer from its state better than from that of an "
            "untrained network ({probe} against {untrained}; guessing: 50%): nothing shows here that this model knows "
            "it."
        ).format(**figures)
    return _(
        "**It does not move there**: “it” is nearer to its noun in {nearer} of the sentences at best, which is about "
        "guessing. The answer is in the state all the same: a linear probe reads it from {probe} ({untrained} in an "
        "untrained network; guessing: 50%). Knowing what a word stands for does not mean lying near it: the model "
        "writes it down in directions of its own."
    ).format(**figures)


def _resolved(here: Visit) -> str:
    """How often the noun is right in the translation, as the card has it."""
    _ = here.words
    figures = here.model.card.get("metrics", {}).get("en-ko", {}).get("pronoun", {})
    right = figures.get("antecedent_accuracy")
    if right is None:
        return ""
    said = _("In its translations of such sentences the noun is right in {share} (stored with the model's card).")
    return said.format(share=f"{right:.0%}")


# --- the typed sentence ---------------------------------------------------------------------------------------------


@alone
def _own_sentence(here: Visit) -> None:
    _, run = here.words, here.run
    st.subheader(_("Your sentence, token by token"))
    paths = measures.stages(run.network)
    names = stage_names(_, paths)
    stage = keep("tokens_stage", len(paths), lambda text: min(max(int(text), 1), len(paths)))
    st.select_slider(
        _("Stage of the encoder"),
        list(range(1, len(paths) + 1)),
        format_func=lambda number: names[number - 1],
        key="tokens_stage",
        persist_state="session",
    )
    cosines = _cosines(run, paths[stage - 1])
    count = len(cosines)
    chosen = keep("tokens_pair", None, read_clamped(count, count), write_place)
    cell = chosen or (min(1, count - 1), min(2, count - 1))
    pieces = [token.piece for token in run.source_tokens]
    left, right = st.columns([6, 5], gap="large")
    with left:
        data = matrix(
            cosines.numpy(),
            rows=pieces,
            columns=pieces,
            cell=cell,
            limit=1.0,
            words={
                "label": _("How alike the tokens' states are; arrow keys move from cell to cell"),
                "query": _("token"),
                "key": _("token"),
                "weight": _("cosine"),
                "sum": _("cosines, not weights"),
                "masked": "",
            },
        )

        draw(data, key="token_map", on_cell=take_place("token_map", "cell", "tokens_pair", count, count))
    with right:
        _pair_by_stage(_, run, paths, cell)


def _cosines(run: Run, path: str) -> torch.Tensor:
    states = functional.normalize(run.tensor(path), dim=-1)
    found: torch.Tensor = states @ states.T
    return found


def _pair_by_stage(_: Words, run: Run, paths: Sequence[str], cell: tuple[int, int]) -> None:
    one, other = (run.source_tokens[index].piece for index in cell)
    st.markdown(
        _("**{one}** and **{other}**, from stage to stage").format(one=in_markdown(one), other=in_markdown(other))
    )
    tables = [_cosines(run, path) for path in paths]
    pair = [float(table[cell]) for table in tables]
    off = ~torch.eye(len(tables[0]), dtype=torch.bool)
    mean = [float(table[off].mean()) for table in tables]
    lines = [
        charts.Line(_("these two"), pair, ORANGE),
        charts.Line(_("mean of all pairs of this sentence"), mean, GREY, null=True),
    ]
    names = stage_names(_, paths)
    st.vega_lite_chart(charts.by_stage(lines, names, axis=_("cosine"), stage=_("stage of the encoder")))
    st.caption(
        _(
            "Click a cell to choose two tokens. Measured on this sentence, in the encoder. Positions and attention "
            "give all states something in common, so read the line against the mean."
        )
    )
