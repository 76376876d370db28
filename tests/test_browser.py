"""A few journeys through the app in a real browser: what only JavaScript does, and cold links."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlparse

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from pages.parts.bar import LONGEST
from pages.parts.tour import stops
from pages.parts.words import words

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: browser tests skipped")
STUDY = "나는 공부하러 독서실에 간다"
HEADS = json.loads((ROOT / "assets/models/translator/card.json").read_text(encoding="utf-8"))["config"]["heads"]
EXPECTED = "open=1-3-4-8&gradient_guess=grows&moved_value=none&exp_guess=same&itself_guess=few"
ANSWERED = "mask_measured=1&mask_code=1&pad_guess=none&future_guess=none"


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server of its own, gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    try:
        wait_for_health(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for_health(address: str, process: subprocess.Popen[bytes], patience: float = 120) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
                if answer.read() == b"ok":
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server did not start")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`visit(address, locale=, width=)` opens a page in a context of its own and waits until it is drawn."""
    contexts = []

    def visit(address: str, *, locale: str = "en-US", width: int = 1440) -> Page:
        context = browser.new_context(locale=locale, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        expect.set_options(timeout=90_000)
        page.goto(address)
        page.get_by_role("heading", level=1).wait_for()
        return settled(page)

    yield visit
    for context in contexts:
        context.close()


def settled(page: Page) -> Page:
    """The page once the app has run to its end."""
    page.wait_for_timeout(150)
    page.wait_for_function("() => document.querySelector('[data-test-script-state=notRunning]')")
    page.wait_for_timeout(250)
    return page


def canvases(page: Page) -> list[Locator]:
    """The grid of all heads, the matrix and the lines of the chosen one."""
    page.locator(".headroom-map canvas").nth(2).wait_for()
    return page.locator(".headroom-map canvas").all()


def picture(canvas: Locator) -> str:
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def turn_to(page: Page, title: str, group: str = "Explore a run") -> None:
    """Two clicks in the navigation: a group, and a page of it."""
    page.get_by_test_id("stTopNavSection").filter(has_text=group).click()
    page.get_by_test_id("stTopNavDropdownLink").filter(has_text=title).click()


def field(page: Page) -> Locator:
    """Where the sentence is typed."""
    return page.locator(".st-key-text input")


def type_sentence(page: Page, text: str) -> None:
    field(page).click()
    field(page).press("Control+a")
    page.keyboard.insert_text(text)
    field(page).press("Enter")
    settled(page)


def in_link(page: Page, name: str) -> str | None:
    return parse_qs(urlparse(page.url).query).get(name, [None])[0]


def head_at(grid: Locator, layer: int, head: int) -> dict[str, float]:
    """The middle of one of the small maps (the layout of pages/parts/heatmap.js on a wide screen)."""
    width = grid.bounding_box()["width"]
    size = min(132, (width - 26 - 6 - 8 * (HEADS - 1)) // HEADS)
    return {"x": 29 + head * (size + 8) + size / 2, "y": 23 + layer * (size + 8) + size / 2}


def test_typing_a_sentence_changes_the_heads(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/heads")
    before = [picture(canvas) for canvas in canvases(page)]
    type_sentence(page, "I am a cat")
    after = [picture(canvas) for canvas in canvases(page)]
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert in_link(page, "text") == "I am a cat"


def test_korean_is_read_and_translated_into_english(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/heads")
    type_sentence(page, STUDY)
    assert in_link(page, "text") == STUDY
    page.get_by_text("Translation into English").wait_for()
    page.get_by_text("공부하", exact=True).first.wait_for()


def test_clicking_a_head_and_a_cell_shows_them(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/heads?text=I%20am%20a%20cat")
    grid, matrix, _lines = canvases(page)
    grid.click(position=head_at(grid, 1, 2))
    page.get_by_text("Layer 2, head 3", exact=True).wait_for()
    settled(page)
    assert in_link(page, "head") == "2.3"

    box = matrix.bounding_box()
    matrix.click(position={"x": box["width"] * 0.4, "y": box["height"] * 0.6})
    settled(page)
    cell = in_link(page, "cell")
    assert cell and re.fullmatch(r"\d+\.\d+", cell)
    query, _key = (int(number) - 1 for number in cell.split("."))
    token = ["<to-korean>", "i", "am", "a", "cat", "<end>"][query]
    read_out = page.get_by_text("before the mask").locator("xpath=ancestor::*[@data-testid='stHtml']").first
    assert token in read_out.inner_text().lower()


def test_arrow_keys_move_from_head_to_head(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/heads")
    grid = canvases(page)[0]
    grid.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    page.get_by_text("Layer 2, head 2", exact=True).wait_for()


def test_fast_arrow_keys_are_not_set_back(server: str, visit: Callable[..., Page]) -> None:
    """The page answers more slowly than keys repeat; an answer to an earlier key must not undo a later one."""
    page = visit(f"{server}/heads?text=I%20am%20a%20cat&kind=encoder&cell=1.1")
    matrix = canvases(page)[1]
    matrix.focus()
    for key in ["ArrowDown"] * 4 + ["ArrowRight"] * 4 + ["ArrowUp"]:
        page.keyboard.press(key)
        page.wait_for_timeout(30)
    page.wait_for_function("() => new URLSearchParams(location.search).get('cell') === '4.5'")
    settled(page)
    assert in_link(page, "cell") == "4.5"


def test_a_long_text_that_is_pasted_is_cut_and_said(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/heads")
    type_sentence(page, "I am a cat. " * 20)
    page.get_by_text(f"A sentence may have {LONGEST} characters").wait_for()
    assert len(field(page).input_value()) == LONGEST


def test_pointing_at_a_cell_says_its_words_at_once(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/heads?text=I%20am%20a%20cat")
    matrix = canvases(page)[1]
    box = matrix.bounding_box()
    matrix.hover(position={"x": box["width"] * 0.4, "y": box["height"] * 0.6})
    tip = page.locator(".headroom-map .tip").nth(1)
    tip.wait_for(state="visible")
    assert "query" in tip.inner_text() and "weight" in tip.inner_text()


def test_a_cold_link_reproduces_the_view(visit: Callable[..., Page]) -> None:
    with serving() as address:
        link = f"{address}/heads?text={quote(STUDY)}&kind=cross&head=3.2&cell=2.3&edits=off_encoder.1.3_zero&lang=ko"
        page = visit(link)
        page.get_by_text("3층 2번 헤드").first.wait_for()
        expect(field(page)).to_have_value(STUDY)
        page.get_by_role("button", name="인코더 셀프 어텐션 1층 3번 헤드").wait_for()
        assert canvases(page)[0].get_attribute("aria-label") == words("ko")("All heads; arrow keys choose one")
        assert in_link(page, "cell") == "2.3" and in_link(page, "kind") == "cross"


def test_a_tampered_cold_link_opens_all_the_same(visit: Callable[..., Page]) -> None:
    with serving() as address:
        page = visit(f"{address}/heads?head=99.99&kind=%3Cb%3E&cell=-1.x&model=none&lang=xx&edits=a-b")
        canvases(page)
        page.get_by_text("Layer 1, head 1", exact=True).wait_for()
        assert in_link(page, "head") is None


def test_back_returns_to_the_view_before(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/heads?text=I%20am%20a%20cat")
    type_sentence(page, STUDY)
    page.get_by_text("Cross-attention", exact=True).click()
    settled(page)
    assert in_link(page, "kind") == "cross"
    page.go_back()
    page.wait_for_function("() => !location.search.includes('kind=')")
    settled(page)
    assert in_link(page, "kind") is None
    expect(field(page)).to_have_value(STUDY)
    page.go_back()
    page.wait_for_function("() => location.search.includes('cat')")
    settled(page)
    expect(field(page)).to_have_value("I am a cat")


def test_the_language_follows_the_browser_and_can_be_changed(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/", locale="ko-KR")
    assert page.get_by_role("heading", level=1).inner_text() == "문장이 번역이 되기까지"
    page.get_by_text("English", exact=True).click()
    page.get_by_text("From a sentence to its translation").wait_for()
    settled(page)
    assert in_link(page, "lang") == "en"
    page.reload()
    page.get_by_text("From a sentence to its translation").wait_for()
    for language in ("한국어", "English", "한국어"):
        page.get_by_text(language, exact=True).click()
        settled(page)
    page.get_by_role("heading", name="문장이 번역이 되기까지").wait_for()
    assert not page.get_by_test_id("stAlert").count(), "the model chosen is still known by its name"


def test_boxes_of_the_diagram_lead_on(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/?text=I%20am%20a%20cat")
    page.get_by_role("link", name=re.compile("^Linear")).click()
    page.get_by_role("heading", name="Linear + softmax").wait_for()
    page.get_by_role("link", name=re.compile("^Cross-attention")).click(position={"x": 20, "y": 10})
    page.get_by_role("heading", name="Cross-attention").wait_for()
    page.get_by_role("button", name="All its heads").click()
    page.get_by_role("heading", name="Attention heads").wait_for()
    settled(page)
    assert in_link(page, "kind") == "cross" and in_link(page, "text") == "I am a cat"


def test_a_small_map_of_the_diagram_leads_to_its_head(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/?text=I%20am%20a%20cat")
    page.get_by_role("link", name=re.compile("^Masked self-attention")).locator(".edge").nth(2).click()
    page.get_by_role("heading", name="Attention heads").wait_for()
    settled(page)
    assert in_link(page, "kind") == "decoder" and in_link(page, "head") == "1.3"


def test_the_tour_goes_through_the_pages_and_back(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/?text=I%20am%20a%20cat")
    page.get_by_role("button", name="Walk through it").click()
    every = list(stops(lambda message: message).items())
    for number, (name, stop) in enumerate(every, 1):
        page.get_by_text(f"Tour {number} of {len(every)} · {stop.title}", exact=True).wait_for()
        settled(page)
        assert urlparse(page.url).path.strip("/") == stop.path
        assert in_link(page, "tour") == name and in_link(page, "text") == "I am a cat"
        assert not page.get_by_test_id("stException").count()
        if number < len(every):
            page.locator(".st-key-tour_next button").click()
    page.locator(".st-key-tour_back button").first.click()
    page.get_by_text(re.compile(f"^Tour {len(every) - 1} of")).wait_for()
    turn_to(page, "Overview")
    page.get_by_role("button", name="To this stop").click()
    page.get_by_role("heading", name="Attention heads").wait_for()
    settled(page)
    assert in_link(page, "kind") == "cross" and in_link(page, "tour") == "cross"
    page.locator(".st-key-tour_end button").first.click()
    page.locator(".st-key-tour_bar").wait_for(state="detached")
    settled(page)
    assert in_link(page, "tour") is None


def test_undoing_an_edit_restores_the_view(server: str, visit: Callable[..., Page]) -> None:
    """What a control changes is in the link, on every page, and gone to the last pixel once it is taken back."""
    page = visit(f"{server}/heads?text=I%20am%20a%20cat&kind=cross&head=2.3")
    before = [picture(canvas) for canvas in canvases(page)]
    page.get_by_text("looks at the token before", exact=True).click()
    page.wait_for_function("() => location.search.includes('edits=pattern_cross.2.3_previous')")
    page.locator(".headroom-map canvas").nth(5).wait_for()
    settled(page)
    page.get_by_role("heading", name="Attention heads").hover()
    after = [picture(canvas) for canvas in canvases(page)]
    assert len(after) == len(before) + 3, "the head before and after, and the difference"
    assert after[0] != before[0] and after[1] == before[1], "the grid marks the head, the large map stays measured"
    page.reload()
    page.get_by_role("button", name="Cross-attention, layer 2, head 3").wait_for()
    turn_to(page, "Overview")
    page.get_by_role("heading", name="From a sentence to its translation").wait_for()
    settled(page)
    page.get_by_role("button", name="Undo last").click()
    page.get_by_role("button", name="Undo last").wait_for(state="detached")
    page.wait_for_function("() => !location.search.includes('edits=')")
    turn_to(page, "Heads")
    page.get_by_role("heading", name="Attention heads").wait_for()
    settled(page)
    page.get_by_role("heading", name="Attention heads").hover()
    assert [picture(canvas) for canvas in canvases(page)] == before


def test_a_sample_is_one_click_away(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/")
    page.get_by_role("radio", name=STUDY).or_(page.get_by_role("button", name=STUDY)).first.click()
    page.get_by_text("Translation into English").wait_for()
    expect(field(page)).to_have_value(STUDY)


def test_typed_markup_stays_text_and_nothing_else_is_fetched(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/heads")
    hosts: set[str | None] = set()
    page.on("request", lambda request: hosts.add(urlparse(request.url).hostname))
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    type_sentence(page, "<img src=http://example.org/x onerror=alert(1)> $x$ **b**")
    page.reload()
    page.get_by_role("heading", level=1).wait_for()
    settled(page)
    assert hosts <= {"127.0.0.1", None}


def test_an_opened_cell_shows_its_products(server: str, visit: Callable[..., Page]) -> None:
    """A click in the map, then one on a bar, and the sum of the products is that of the new cell."""
    page = visit(f"{server}/attention?text=I%20am%20a%20cat&cell=1.1")
    matrix, bars = page.locator(".headroom-map canvas").first, page.get_by_test_id("stVegaLiteChart").first
    matrix.wait_for()
    page.get_by_text("their sum, q · k").wait_for()
    before = page.get_by_test_id("stHtml").filter(has_text="their sum, q · k").inner_text()
    box = matrix.bounding_box()
    matrix.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    page.wait_for_function("() => !location.search.includes('cell=1.1')")
    settled(page)
    products = page.get_by_test_id("stHtml").filter(has_text="their sum, q · k")
    assert products.inner_text() != before

    query, key = in_link(page, "cell").split(".")
    bars.locator("svg, canvas").first.wait_for()
    box = bars.bounding_box()
    bars.click(position={"x": box["width"] - 12, "y": 40})
    page.wait_for_function(f"() => !location.search.includes('cell={query}.{key}')")
    assert in_link(page, "cell").split(".")[0] == query
    page.get_by_role("button", name="7 · Softmax").click()
    page.get_by_text("normaliser: the sum of the row").wait_for()


def test_sum_and_concat_are_compared(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/positions?part=sum&text=I%20am%20a%20cat")
    small, large = page.locator(".headroom-map canvas").first, page.locator(".headroom-map canvas").nth(1)
    large.wait_for()
    before = picture(large)
    small.click(position={"x": 40, "y": 60})
    settled(page)
    assert in_link(page, "term") == "1.1" and picture(large) != before

    summed = picture(small)
    page.get_by_text("Concat, wider", exact=True).last.click()
    settled(page)
    assert in_link(page, "twin") == "positions-concat" and picture(small) != summed
    page.get_by_text("4 What order is worth").click()
    page.get_by_text("none", exact=True).click()
    page.get_by_text("Your sentence, shuffled").wait_for()


def test_a_cell_of_the_mask_opens_and_closes(server: str, visit: Callable[..., Page]) -> None:
    """A click opens a cell of the future and shows the leak; undo and another key press restore every pixel."""
    page = visit(f"{server}/masks?text=I%20am%20a%20cat&mask_pads=0")
    matrix, weights = (page.locator(".headroom-map canvas").nth(place) for place in (1, 2))
    weights.wait_for()
    box = matrix.bounding_box()
    matrix.click(position={"x": box["width"] * 0.6, "y": box["height"] * 0.4})
    settled(page)
    query, key = (in_link(page, "mask_cell") or "0.0").split(".")
    assert int(key) > int(query) and in_link(page, "edits") == f"cell_decoder_{query}_{key}_open"
    page.get_by_text("The leak").wait_for()
    page.get_by_role("heading", name="Masks", exact=True).hover()
    opened = picture(weights)
    page.get_by_role("button", name="Undo last").click()
    page.get_by_text("The leak").wait_for(state="detached")
    settled(page)
    page.get_by_role("heading", name="Masks", exact=True).hover()
    shut = picture(weights)
    assert in_link(page, "edits") is None and shut != opened

    for expected in (opened, shut):
        matrix.focus()
        page.keyboard.press("Enter")
        settled(page)
        assert picture(weights) == expected

    page = visit(f"{server}/masks?text=I%20am%20a%20cat&mask_pads=0&mask_cell=1.1")
    page.locator(".headroom-map canvas").nth(1).focus()
    page.keyboard.press("Enter")
    page.get_by_text("it is the last one of its row").wait_for()
    settled(page)
    assert in_link(page, "edits") is None


def test_a_translation_is_stepped_through_and_played(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/decoding?text=I%20am%20a%20cat")
    player = page.locator(".headroom-player")
    count, written, whole = player.locator("output"), player.locator(".now"), player.locator(".ghost")
    count.wait_for()
    tall = player.bounding_box()["height"]

    def press(name: str) -> None:
        player.get_by_role("button", name=name, exact=True).click()

    first = written.inner_text()
    press("Next step")
    press("Next step")
    assert count.inner_text().startswith("Step 3 of") and written.inner_text().startswith(first)
    page.wait_for_function("() => location.search.includes('decoding_step=3')")
    press("Step back")
    assert count.inner_text().startswith("Step 2 of")
    press("Last step")
    assert written.inner_text() == whole.text_content()
    assert player.get_by_role("button", name="Next step").is_disabled()
    player.get_by_role("slider").focus()
    page.keyboard.press("Home")
    assert count.inner_text().startswith("Step 1 of")
    press("Play")
    page.get_by_text(re.compile("^Step 2 of")).first.wait_for()
    press("Pause")
    settled(page)
    assert player.bounding_box()["height"] == tall, "no step moves what is below"
    reached = re.search(r"Step (\d+)", count.inner_text())[1]
    page.wait_for_function(f"() => location.search.includes('decoding_step={reached}')")


def test_a_cell_of_the_gradient_is_worked_out(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/decoding?decoding=back&text=I%20am%20a%20cat")
    gradient = page.locator(".headroom-map canvas").first
    gradient.wait_for()
    gradient.focus()
    before = page.get_by_text("finite difference").locator("xpath=ancestor::*[@data-testid='stHtml']").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => location.search.includes('decoding_cell=')")
    settled(page)
    after = page.get_by_text("finite difference").locator("xpath=ancestor::*[@data-testid='stHtml']").inner_text()
    assert after != before


@pytest.mark.parametrize(
    "path",
    ["/?tour=heads", "/heads?kind=cross&edits=off_cross.1.1_zero~swap_source_2_3"]
    + [f"/positions?part={part}&size_guess=tenth&order_guess=none" for part in ("pattern", "size", "sum", "order")]
    + [f"/tokens?tokens_part={part}&kin_guess=25&row_guess=same" for part in ("pieces", "space", "context")]
    + [f"/masks?mask_part={part}&{ANSWERED}" for part in ("three", "ways", "padding", "future")]
    + [
        f"/attention?attention={part}&read=formula&{EXPECTED}"
        for part in ("steps", "scaling", "asking", "exp", "itself")
    ]
    + [f"/decoding?decoding={part}&decoding_how=beam" for part in ("steps", "input", "forcing", "back", "cache")],
)
def test_nothing_sticks_out_on_a_phone(server: str, visit: Callable[..., Page], path: str) -> None:
    page = visit(f"{server}{path}", width=390)
    edges = page.locator("[data-testid=stMain] h1, [data-testid=stMain] [data-testid=stMarkdown]").evaluate_all(
        "blocks => blocks.map(block => block.getBoundingClientRect().right)"
    )
    assert max(edges) <= 391
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth")


def test_the_maps_follow_the_player_of_the_time_lapse(server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{server}/training?lang=en&training=lapse&lapse_guess=loss&lapse_kind=encoder")
    maps = page.locator(".headroom-map canvas")
    maps.nth(1).wait_for()
    settled(page)
    before = [picture(each) for each in maps.all()]
    page.get_by_role("button", name="Play").click()
    page.locator(".headroom-player output", has_text=re.compile(r"\(1\d of")).wait_for()
    page.get_by_role("button", name="Pause").click()
    page.wait_for_function("() => location.search.includes('lapse_step=')")
    settled(page)
    after = [picture(each) for each in maps.all()]
    assert all(young != old for young, old in zip(before, after, strict=True))
