"""A chart holds the numbers it was given, and a coarser view is still a distribution."""

import numpy as np
import pytest

from core.charts import diagram, figures, heatmap, steps
from core.charts.merging import groups_of_words, merge, merge_mask
from core.charts.view import side, strongest, view
from core.tokens import Token

CHANCE = np.random.default_rng(0)


def attention(*shape: int) -> np.ndarray:
    scores = np.exp(CHANCE.normal(size=shape))
    return scores / scores.sum(-1, keepdims=True)


def token(piece: str, start: int, word: int) -> Token:
    special = word < 0
    return Token(7, piece, start, start if special else start + len(piece), False, word, special)


TOKENS = (token("<to-korean>", 0, -1), token("Zor", 0, 0), token("blax", 3, 0), token("sleeps", 8, 1))
TOKENS = (*TOKENS, token(".", 14, 1), token("<end>", 0, -1))
TEXT = "Zorblax sleeps."


def test_bytes_keep_weights_to_half_a_step_and_masked_cells_apart() -> None:
    weights, allowed = attention(3, 5, 5), np.tril(np.ones((5, 5), dtype=bool))
    cells = heatmap.to_bytes(weights, allowed)
    assert np.abs(cells[:, allowed] / heatmap.STEPS - weights[:, allowed]).max() <= 0.5 / heatmap.STEPS
    assert (cells[:, ~allowed] == heatmap.ABSENT).all()
    assert heatmap.to_bytes(np.ones((1, 1)), np.ones((1, 1), dtype=bool))[0, 0] != heatmap.ABSENT


def test_grid_payload_is_little_more_than_its_bytes() -> None:
    weights, allowed = attention(3, 4, 6, 6), np.ones((6, 6), dtype=bool)
    marked = heatmap.grid(weights, allowed, chosen=(1, 2), off=[(0, 1)], edited=[(2, 3)], language="ko")
    header, _cells = heatmap.unpack(marked)
    assert header["shape"] == [3, 4, 6, 6] and header["chosen"] == [1, 2]
    assert header["off"] == [[0, 1]] and header["edited"] == [[2, 3]]
    data = heatmap.grid(weights, allowed, chosen=(1, 2), language="ko")
    _header, cells = heatmap.unpack(data)
    assert np.abs(cells.reshape(weights.shape) / heatmap.STEPS - weights).max() <= 0.5 / heatmap.STEPS
    assert len(data) <= 1.25 * weights.size


def test_words_are_runs_of_pieces_and_specials_stand_alone() -> None:
    assert groups_of_words([-1, 0, 0, 1, 1, -1, -1]).tolist() == [0, 1, 1, 2, 2, 3, 4]
    assert groups_of_words([]).tolist() == []


def test_merged_rows_still_sum_to_one() -> None:
    weights, groups = attention(2, 3, 6, 6), groups_of_words([each.word for each in TOKENS])
    merged = merge(weights, groups, groups)
    assert merged.shape == (2, 3, 4, 4)
    assert np.allclose(merged.sum(-1), 1)
    assert np.allclose(merged[..., 1, 2], weights[..., 1:3, 3:5].sum(-1).mean(-1))


def test_a_word_may_look_where_any_of_its_pieces_may() -> None:
    causal = np.tril(np.ones((4, 4), dtype=bool))
    groups = np.array([0, 1, 1, 2])
    assert merge_mask(causal, groups, groups).tolist() == np.tril(np.ones((3, 3), dtype=bool)).tolist()


def test_a_view_names_words_as_they_were_typed() -> None:
    words = side(TOKENS, TEXT, words=True)
    assert words.labels == ("<to-korean>", "Zorblax", "sleeps.", "<end>")
    assert words.positions == ((0,), (1, 2), (3, 4), (5,))
    pieces = side(TOKENS, TEXT, words=False)
    assert pieces.labels[1:3] == ("Zor", "blax")


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("without_special", [True, False])
def test_every_view_is_a_distribution(words: bool, without_special: bool) -> None:
    tokens, weights = side(TOKENS, TEXT, words=words), attention(2, 4, 6, 6)
    shown = view(weights, np.ones((6, 6), dtype=bool), tokens, tokens, without_special=without_special)
    assert np.allclose(shown.weights.sum(-1), 1)
    assert shown.weights.shape[2:] == (len(shown.queries.labels), len(shown.keys.labels)) == shown.allowed.shape
    assert not (without_special and any(shown.queries.special))
    assert (shown.kept <= 1 + 1e-9).all() and (without_special or np.allclose(shown.kept, 1))


def test_only_special_tokens_cannot_all_be_hidden() -> None:
    lonely = side((TOKENS[0], TOKENS[5]), "", words=False)
    shown = view(attention(1, 1, 2, 2), np.ones((2, 2), dtype=bool), lonely, lonely, without_special=True)
    assert shown.queries.labels == ("<to-korean>", "<end>")


def test_the_eye_starts_at_the_strongest_pair_of_words() -> None:
    weights = np.full((1, 1, 6, 6), 0.01)
    weights[0, 0, 0, 5], weights[0, 0, 4, 4], weights[0, 0, 2, 3] = 0.9, 0.9, 0.8
    tokens = side(TOKENS, TEXT, words=False)
    shown = view(weights, np.ones((6, 6), dtype=bool), tokens, tokens, without_special=False)
    assert strongest(shown, 0, 0) == (2, 3)


def test_charts_hold_the_numbers_they_are_given() -> None:
    before, after = [-0.1, -2.0, -0.3], [-0.2, -1.0, -0.3]
    words = {name: name for name in ("before", "after", "difference", "token", "axis")}
    rows = figures.differences(["a", "b", "a"], before, after, words=words)["data"]["values"]
    assert [row["difference"] for row in rows] == pytest.approx([-0.1, 1.0, 0.0])
    assert len({row["token"] for row in rows}) == 3
    assert figures.difference_table(["a", "b", "a"], before, after, words=words)["difference"] == pytest.approx(
        [-0.1, 1.0, 0.0]
    )


def test_bars_and_dots_hold_their_values() -> None:
    shown = steps.bars(["x", "x"], [0.25, 0.5], axis="share").to_dict()
    assert [row["value"] for row in next(iter(shown["datasets"].values()))] == [0.25, 0.5]
    shown = steps.dots(["x", "y"], {"one": [1.0, 2.0], "two": [3.0, 4.0]}, axis="length", token="token").to_dict()
    rows = next(iter(shown["datasets"].values()))
    assert [row["value"] for row in rows if row["series"] == "two"] == [3.0, 4.0]


SIZES = diagram.Sizes(5, 7, 256, 256, 1024, 6000, 8, 3, 3)
BOXES = "source target predicted embedding position norm encoder decoder cross feed_forward stream memory states output"
BOX_WORDS = dict.fromkeys(BOXES.split(), "name") | {
    "layers": "{count} layers",
    "heads": "{heads} heads, {queries} × {keys}",
    "label": "model",
}
BOX_TOKENS = {"source": list("abcde"), "target": list("abcdefg"), "predicted": list("abcdefg")}
STRIPS = {
    "source_embedding": [np.linspace(-2, 2, 5 * 64).reshape(5, 64)],
    "decoder_feed_forward": [np.full((7, 64), value) for value in (0.0, 1.0, 2.0)],
    "memory": [np.zeros((5, 64))],
}


def picture(width: float) -> diagram.Picture:
    return diagram.draw(SIZES, width, BOX_TOKENS, BOX_WORDS, STRIPS)


def test_the_diagram_holds_its_tensors() -> None:
    maps = [np.zeros((3, 8, rows, columns), np.uint8) for rows, columns in ((5, 5), (7, 7), (7, 5))]
    data = diagram.diagram(SIZES, tokens=BOX_TOKENS, maps=maps, strips=STRIPS, words=BOX_WORDS)
    header, cells = heatmap.unpack(data)
    shown = cells[sum(each.size for each in maps) :]
    shapes = [tuple(shape) for shape in header["strips"]]
    assert shapes == [(5, 64), (7, 64), (7, 64), (7, 64), (5, 64)]
    first = shown[: 5 * 64].reshape(5, 64).astype(float) / (heatmap.STEPS / 2) - 1
    assert np.abs(2 * first - STRIPS["source_embedding"][0]).max() <= 2 / heatmap.STEPS + 1e-9
    boxes = {box["id"]: box for box in header["pictures"]["wide"]["boxes"]}
    assert boxes["decoder_feed_forward"]["strips"] == [1, 2, 3] and boxes["memory"]["strips"] == [4]
    assert boxes["source_embedding"]["strip"] == diagram.strip_height(5)
    assert len(shown) == 64 * (5 + 7 * 3 + 5)


def test_a_vocabulary_is_pooled_by_its_largest_scores() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 1_000))
    found = diagram.pooled(scores, 64)
    assert found.shape == (3, 64) and (found.max(1) == scores.max(1)).all()
    assert found[:, 0] == pytest.approx(scores[:, :16].max(1))


@pytest.mark.parametrize("width", [diagram.WIDE, diagram.NARROW])
def test_the_diagram_says_the_shapes_and_stays_on_the_page(width: float) -> None:
    drawn = picture(width)
    notes = {box.id: box.note for box in drawn.boxes}
    assert notes["cross"] == "8 heads, 7 × 5" and notes["memory"] == "5 × 256" and notes["output"] == "7 × 6,000"
    for box in drawn.boxes:
        assert box.x >= 0 and box.x + box.w <= drawn.width and box.y >= 0 and box.y + box.h <= drawn.height
    for x, y, w, h, _name in drawn.frames:
        assert x >= 0 and x + w <= drawn.width and y >= 0 and y + h <= drawn.height


@pytest.mark.parametrize("width", [diagram.WIDE, diagram.NARROW])
def test_no_boxes_of_the_diagram_overlap(width: float) -> None:
    boxes = picture(width).boxes
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = one.x + one.w <= other.x or other.x + other.w <= one.x
            assert apart or one.y + one.h <= other.y or other.y + other.h <= one.y
