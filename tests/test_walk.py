"""Every step of a walk is what NumPy finds in the exported run, and the code shown for it runs and prints it."""

import contextlib
import io
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worked import Worked

from core import load, trace
from core.__main__ import main
from core.measures.snippets import snippet
from core.measures.walk import STEPS, Place, Walk
from core.run import Run
from pages.parts.models import assets

SENTENCE = "The animal did not cross the street because it was too tired."
LONGEST_CODE = 10  # lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a learner would stand: an export beside the repository's assets."""
    here = tmp_path_factory.mktemp("learner")
    command = ["trace", SENTENCE, "--to", "ko", "--out", str(here / "run.npz"), "--assets", str(assets())]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(command) == 0
    (here / "assets").symlink_to(assets())
    return here


@pytest.fixture(scope="module")
def run() -> Run:
    return trace(load("translator", assets=assets()), SENTENCE, direction="en-ko")


def worked(folder: Path, place: Place) -> Worked:
    weights = folder / "assets" / "models" / "translator" / "weights.safetensors"
    return Worked(folder / "run.npz", weights, place.kind, place.layer, place.head, place.query, place.key)


def some_place(run: Run, data: st.DataObject) -> Place:
    """Any cell that a visitor may choose."""
    kind = data.draw(st.sampled_from(["encoder", "decoder", "cross"]))
    layers = run.encoder if kind == "encoder" else run.decoder
    queries = len(run.source_tokens if kind == "encoder" else run.target_tokens)
    keys = len(run.target_tokens if kind == "decoder" else run.source_tokens)
    counts = (len(layers), run.encoder[0].self_attention.query.shape[0], queries, keys)
    return Place(kind, *(data.draw(st.integers(0, count - 1)) for count in counts))


@given(data=st.data())
def test_every_step_is_what_numpy_finds_in_the_export(run: Run, folder: Path, data: st.DataObject) -> None:
    place = some_place(run, data)
    walk, found = Walk(run, place), worked(folder, place)
    i, j, h = place.query, place.key, place.head
    pairs = {
        "vector": (walk.vector, found.stream[i]),
        "norm": (walk.norm.output, found.normed[i]),
        "query": (walk.projections["query"].output, found.q),
        "key": (walk.projections["key"].output, found.k[j]),
        "value": (walk.projections["value"].output, found.v[j]),
        "products": (walk.products, found.products),
        "raw": (walk.raw_scores, found.raw),
        "scores": (walk.scores, found.scores),
        "weights": (walk.softmax.weights, found.row),
        "exponentials": (walk.softmax.exponentials, found.exponentials),
        "terms": (walk.terms, found.terms),
        "output": (walk.head_output, found.output),
        "contribution": (walk.contributions[h], found.contributions[h]),
        "heads": (walk.output, found.sum),
        "residual": (walk.residual, found.residual),
        "next_norm": (walk.next_norm.output, found.next_normed),
    }
    for name, (ours, theirs) in pairs.items():
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4, err_msg=name)
    assert (walk.open == found.open).all()


@given(data=st.data())
def test_every_step_is_the_models_own_to_rounding(run: Run, data: st.DataObject) -> None:
    walk = Walk(run, some_place(run, data))
    assert {step: walk.error(step) for step in STEPS} == pytest.approx(dict.fromkeys(STEPS, 0.0), abs=1e-5)


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[io.StringIO]:
    """What is printed while the working directory is another."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("last", [False, True])
def test_the_code_of_every_step_runs_as_shown_and_prints_its_number(
    run: Run, folder: Path, kind: str, step: str, last: bool
) -> None:
    """On the first layer, with nothing but embeddings below, and on the last."""
    stack = run.encoder if kind == "encoder" else run.decoder
    place = Place(kind, (len(stack) - 1) * last, int(last), 2, 1)
    walk = Walk(run, place)
    text = snippet(step, place, channels=len(walk.query), model="translator")
    assert len(text.splitlines()) <= LONGEST_CODE and max(map(len, text.splitlines())) < 100
    with inside(folder) as printed:
        exec(compile(text, step, "exec"), {})
    found = [float(number) for number in printed.getvalue().split()]
    assert found == pytest.approx(walk.figures(step), rel=1e-4, abs=1e-5)


def test_a_future_key_has_no_weight_and_no_term(run: Run) -> None:
    walk = Walk(run, Place("decoder", 0, 0, 1, 3))
    assert walk.figures("mask") == (-np.inf,) and walk.figures("softmax") == (0.0,)
    assert not walk.terms[2:].any() and walk.softmax.weights.sum() == pytest.approx(1.0)


def test_the_first_token_of_a_layer_is_word_and_position_alone(run: Run) -> None:
    walk = Walk(run, Place("encoder", 0, 0, 0, 0))
    assert list(walk.addends) == ["source.embedding", "source.position"]
    assert len(Walk(run, Place("cross", 1, 0, 0, 0)).addends) == 6


def test_the_command_shown_exports_what_the_page_shows(tmp_path: Path, run: Run) -> None:
    """A sentence full of what a shell would take for itself arrives whole."""
    text = """He said: "it's $5 & 'free'"; *go*"""
    words = shlex.split(shlex.join(["trace", text, "--to", "ko", "--out", str(tmp_path / "run.npz")]))
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*words, "--assets", str(assets())]) == 0
    with np.load(tmp_path / "run.npz") as arrays:
        assert str(arrays["source_text"]) == text
