"""What a visitor waits for, in a real browser: from the key or the click to the frame that shows the answer."""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from bench.models import assets
from bench.table import Section

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
PATIENCE = 120.0
SENTENCE = "The {} did not cross the street because it was too tired."
ANIMALS = ("dog", "cat", "bird", "horse", "cow", "pig", "bear", "lion", "tiger", "rabbit", "mouse", "fox", "duck")
HEADER = ("", "milliseconds", "quartiles", "beside the trivial rerun")

# Once a frame: has the read-out another text, were the canvases painted again? The last frame that differs counts.
WATCH = """
() => {
  let paints = 0
  const clear = CanvasRenderingContext2D.prototype.clearRect
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    if (this.canvas.isConnected) paints += 1
    return clear.apply(this, box)
  }
  const texts = () => [...document.querySelectorAll("[data-testid=stHtml], [data-testid=stText]")]
  const seen = {
    canvas: () => paints,
    text: () => texts().map(each => each.textContent).find(each => each.includes("before the mask")),
  }
  window.watch = (what, event) => {
    const watched = { begun: null, shown: null }
    let before = seen[what]()
    addEventListener(event, () => { watched.begun = performance.now() }, { capture: true, once: true })
    const look = () => {
      const now = seen[what]()
      if (watched.begun !== null && now !== before) watched.shown = performance.now()
      before = now
      if (window.watched === watched) requestAnimationFrame(look)
    }
    window.watched = watched
    requestAnimationFrame(look)
  }
  window.settled = () => {
    const { begun, shown } = window.watched
    const quiet = document.querySelector("[data-test-script-state=notRunning]")
    return quiet && shown !== null && performance.now() - shown > 700 ? shown - begun : null
  }
}
"""


def measured(rounds: int = 8) -> Section:
    """A click, a new sentence and a trivial rerun in turn, each on a tab of its own."""
    if not CHROMIUM:
        return Section("On the screen", "Not measured: there is no Chromium on this machine.", HEADER, ())
    with ExitStack() as stack:
        environment = {"HEADROOM_ASSETS": str(stack.enter_context(assets()))}
        app, widget = (
            stack.enter_context(serving(script, environment)) for script in ("app.py", "bench/one_widget.py")
        )
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.callback(browser.close)
        times = taken(browser, app, widget, rounds)
        version = browser.version
    about = (
        f"Chromium {version}, {rounds} rounds in turn, after one that warms up; each from the browser's own event to "
        "the last frame in which something changed. Every sentence is new to the server; all three canvases count."
    )
    return Section("On the screen", about, HEADER, tuple(rows(times)))


def taken(browser: Browser, app: str, widget: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each round."""
    heads, trivial = (
        opened(browser, f"{app}/heads?lang=en&text={quote(SENTENCE.format('animal'))}"),
        opened(browser, widget),
    )
    heads.locator(".headroom-map canvas").nth(2).wait_for()
    times: dict[str, list[float]] = {TRIVIAL: [], CLICK: [], READ: []}
    for number in range(rounds + 1):
        times[TRIVIAL].append(toggled(trivial))
        times[CLICK].append(clicked(heads, number))
        times[READ].append(read(heads, SENTENCE.format(ANIMALS[number])))
    return {name: each[1:] for name, each in times.items()}


TRIVIAL = "trivial rerun: a page with one toggle, same process set-up"
CLICK = "click on a cell to its read-out"
READ = "Enter after a new sentence to all heads painted"


def toggled(page: Page) -> float:
    page.bring_to_front()
    page.evaluate("watch('text', 'pointerdown')")
    page.get_by_text("Toggle").click()
    return waited(page)


def clicked(page: Page, number: int) -> float:
    """A click on another cell of the large head than the last time."""
    page.bring_to_front()
    matrix = page.locator(".headroom-map canvas").nth(1)
    matrix.scroll_into_view_if_needed()
    box = matrix.bounding_box()
    page.evaluate("watch('text', 'pointerdown')")
    matrix.click(
        position={"x": box["width"] * (0.35 + 0.06 * (number % 5)), "y": box["height"] * (0.45 + 0.1 * (number % 3))}
    )
    return waited(page)


def read(page: Page, text: str) -> float:
    page.bring_to_front()
    field = page.get_by_role("textbox").first
    field.click()
    field.press("Control+a")
    page.keyboard.insert_text(text)
    page.evaluate("watch('canvas', 'keydown')")
    field.press("Enter")
    return waited(page)


def waited(page: Page) -> float:
    """How long the page took, once nothing changes any more."""
    return float(page.wait_for_function("settled()").json_value())


def opened(browser: Browser, address: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(1_000 * PATIENCE)
    page.goto(address)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_function("() => document.querySelector('[data-test-script-state=notRunning]')")
    page.evaluate(WATCH)
    return page


@contextmanager
def serving(script: str, environment: dict[str, str]) -> Iterator[str]:
    """The address of a server of its own, gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1", "--logger.level", "error"]
    environment = os.environ | environment | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server did not start")


def rows(times: dict[str, list[float]]) -> Iterator[tuple[str, ...]]:
    trivial = statistics.median(times[TRIVIAL])
    for name, each in times.items():
        lower, middle, upper = statistics.quantiles(each, n=4, method="inclusive")
        yield name, f"{middle:.0f}", f"{lower:.0f}–{upper:.0f}", f"{middle / trivial:.1f} ×"
