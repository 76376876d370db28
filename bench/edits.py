"""What a visitor waits for after changing a head: from the click to the last frame of before, after and difference."""

from contextlib import ExitStack
from itertools import product
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from bench.models import ENGLISH, assets, beginning
from bench.screen import CHROMIUM, HEADER, TRIVIAL, opened, rows, serving, toggled, waited
from bench.table import Section
from core.tokens import load_tokenizer

LENGTHS = (12, 60)
SCALES, INSTEAD = range(3), (3, 4, 5)  # buttons; the ways to replace a head's weights, which change its map each time
MOST_ROUNDS = len(SCALES) * len(INSTEAD) - 1


def measured(rounds: int = 8) -> Section:
    """An edit of a short and of a long sentence and a trivial rerun in turn, each on a tab of its own."""
    title = "Edits on the screen"
    if not CHROMIUM:
        return Section(title, "Not measured: there is no Chromium on this machine.", HEADER, ())
    with ExitStack() as stack:
        folder = stack.enter_context(assets())
        sentences = [
            beginning(f"{ENGLISH} " * 4, length, load_tokenizer(folder / "tokenizer.json")) for length in LENGTHS
        ]
        app, widget = (
            stack.enter_context(serving(script, {"HEADROOM_ASSETS": str(folder)}))
            for script in ("app.py", "bench/one_widget.py")
        )
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.callback(browser.close)
        times = taken(browser, app, widget, sentences, min(rounds, MOST_ROUNDS))
        version = browser.version
    about = (
        f"Chromium {version}, {len(times[TRIVIAL])} rounds in turn, after one that warms up; each from the browser's "
        "own event to the last frame in which a canvas was painted. Every edit is new to the server: it reads the same "
        "translation with the edited model, lets that write its own, and draws the head's map before, after and as a "
        "difference, every token's log-probability, and the rest of the page."
    )
    return Section(title, about, HEADER, tuple(rows(times)))


def taken(browser: Browser, app: str, widget: str, sentences: list[str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each round."""
    trivial = opened(browser, widget)
    pages = {
        f"edit of a head to its repainted difference, {length} tokens": opened(
            browser, f"{app}/heads?lang=en&text={quote(text)}"
        )
        for length, text in zip(LENGTHS, sentences, strict=True)
    }
    for page in pages.values():
        page.locator(".headroom-map canvas").nth(2).wait_for()
        page.wait_for_function("() => document.querySelector('[data-test-script-state=notRunning]')")
    times: dict[str, list[float]] = {TRIVIAL: []} | {name: [] for name in pages}
    for number in range(rounds + 1):
        times[TRIVIAL].append(toggled(trivial))
        for name, page in pages.items():
            times[name].append(edited(page, number))
    return {name: each[1:] for name, each in times.items()}


def edited(page: Page, number: int) -> float:
    """Change the chosen head in a way in which it has not been changed before."""
    page.bring_to_front()
    scale, instead = list(product(SCALES, INSTEAD))[number]
    if scale and instead == INSTEAD[0]:
        page.locator(".st-key-scale button").nth(scale).click()
        page.wait_for_timeout(2_000)
    button = page.locator(".st-key-instead button").nth(instead)
    button.scroll_into_view_if_needed()
    page.evaluate("watch('canvas', 'pointerdown')")
    button.click()
    return waited(page)
