"""The demo in a real browser: what it shows, and that nothing it shows is ever executed.

Every test fails on any message of the console that is an error, any exception in the page, any
dialog, and any request to another machine. Screenshots go to LEXIGRAM_ARTIFACTS where that is set.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio", reason="the extra `demo` is not installed")

import app
from demo_model import HOSTILE, shelf
from models import Shelf

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.browser,
    # Of gradio's own dependencies; nothing that this code can change.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


# Contrast of the text on each step of the scale (WCAG 2.2), of colours as the screen has them.
CONTRASTS = """() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(".lx-ramp [data-level]")].map((step) => {
    const style = getComputedStyle(step);
    const [dark, light] = [style.color, style.backgroundColor].map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  });
}"""


@pytest.fixture(scope="module")
def models_shown() -> Shelf:
    return shelf()


@pytest.fixture(scope="module")
def url(models_shown: Shelf) -> Iterator[str]:
    page = app.build(models_shown)
    _, address, _ = page.launch(prevent_thread_lock=True, **app.launch_options())
    yield address
    page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = os.environ.get("PLAYWRIGHT_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail(
            "no Chromium: install it (Debian: apt install chromium), or set "
            "PLAYWRIGHT_CHROMIUM to the path of one"
        )
    with sync_playwright() as playwright:
        # No sandbox: tests often run as root in a container, where Chromium's does not start.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    wrong: list[str] = []

    def request(address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
            wrong.append(f"request to {address}")

    page.on("request", lambda r: request(r.url))
    page.on("websocket", lambda w: request(w.url))
    page.on("pageerror", lambda e: wrong.append(f"exception: {e}"))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on("dialog", lambda d: (wrong.append(f"dialog: {d.message}"), d.dismiss()))
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("LEXIGRAM_ARTIFACTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def opened(page: Page, url: str, theme: str = "light") -> None:
    page.goto(f"{url}?__theme={theme}")
    page.wait_for_selector(".lx-token")
    page.evaluate("document.fonts.ready")


def generate(page: Page, *, prompt: str, model: str = "plain", count: int = 24) -> None:
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_label("Tokens", exact=True).fill(str(count))
    choose_model(page, model)
    page.locator("#read-generate").click()


def choose_model(page: Page, model: str) -> None:
    page.get_by_label("Model").click()
    page.get_by_role("option", name=model, exact=True).click()


def done(page: Page, count: int) -> None:
    page.wait_for_function(
        "n => document.querySelectorAll('.lx-token').length === n"
        " && document.querySelector('[data-state=done]')",
        arg=count,
    )


def test_look_at_what_was_chosen(page: Page, url: str, artifacts: Path) -> None:
    opened(page, url)
    assert page.locator(".lx-token").count() == 120, "a sample is there before anything is done"
    assert page.locator(".lx-alternative").count() >= 10, "and one of its tokens is open"

    generate(page, prompt="a b\té", count=24)
    done(page, 24)
    assert page.locator(".lx-prompt").all_text_contents() == ["a", "␣", "b", "⇥", "<C3>", "<A9>"]
    assert page.locator(".lx-status").text_content() == "24 tokens"

    token = page.locator(".lx-token").nth(5)
    token.click()
    assert token.get_attribute("aria-selected") == "true"
    assert page.locator(".lx-panel .lx-place").text_content().startswith("token 6,")
    assert page.locator(".lx-alternative").count() >= 10
    chosen = page.locator(".lx-chosen .lx-word")
    assert chosen.all_text_contents() == [token.text_content()]
    facts = page.locator(".lx-facts").inner_text()
    for name in ("Entropy", "Surprisal", "Rank", "Kept", "Probability", "After strategy"):
        assert name in facts

    before = page.locator(".lx-token").evaluate_all("all => all.map(t => t.dataset.level)")
    page.get_by_role("radio", name="Surprisal").click()
    after = page.locator(".lx-token").evaluate_all("all => all.map(t => t.dataset.level)")
    assert before != after, "the switch paints anew"
    label = token.get_attribute("aria-label")
    assert label is not None
    assert re.search(r"surprisal [\d.]+ bits$", label)
    page.screenshot(path=artifacts / "read-light.png")


def test_keyboard_alone(page: Page, url: str) -> None:
    opened(page, url)
    page.locator(".lx-token").first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    assert page.locator(".lx-token").nth(1).get_attribute("aria-selected") == "true"
    page.keyboard.press("End")
    page.keyboard.press("Space")
    assert page.locator(".lx-token").last.get_attribute("aria-selected") == "true"
    page.locator(".lx-switch [aria-checked=true]").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="Surprisal").get_attribute("aria-checked") == "true"


def test_hostile_text_stays_text(page: Page, url: str) -> None:
    opened(page, url)
    elements = "() => new Set([...document.querySelectorAll('.lx-reader *')].map(e => e.tagName))"
    for prompt in HOSTILE:
        generate(page, prompt=prompt, model="hostile", count=30)
        page.wait_for_function(
            "p => document.querySelectorAll('.lx-prompt').length === p"
            " && document.querySelector('[data-state=done]')",
            arg=len(prompt.encode()),
        )
        page.locator(".lx-token").nth(3).click()
        tags = page.evaluate(f"[...({elements})()]")
        assert not {"IMG", "SCRIPT", "IFRAME", "A"} & set(tags)
    shown = set(page.locator(".lx-token").all_text_contents())
    assert {"${alert(1)}", "<img␣src=x␣onerror=alert(1)>", "<U+202E>gnp.exe"} <= shown
    page.wait_for_timeout(200)  # a dialog or a request would come now


def test_an_error_is_a_line_and_leaves_the_tokens(page: Page, url: str) -> None:
    opened(page, url)
    strategy = page.get_by_label("Strategy")
    strategy.fill("<img src=x onerror=alert(1)>")
    strategy.press("Enter")
    page.locator("#read-generate").click()
    page.wait_for_selector("[data-state=error]")
    status = page.locator(".lx-status").text_content()
    assert status is not None
    assert "unknown strategy" in status
    assert page.locator(".lx-token").count() == 120


def test_it_streams_and_stops(page: Page, url: str, models_shown: Shelf) -> None:
    opened(page, url)
    generate(page, prompt="a", model="slow", count=500)
    page.wait_for_function("document.querySelector('[data-state=running] .lx-token:nth-child(9)')")
    page.locator("#read-stop").click()
    page.wait_for_function("document.querySelector('.lx-status').textContent.startsWith('Stopped')")
    page.wait_for_timeout(300)
    lm = models_shown.open("slow").lm
    steps = lm.steps  # type: ignore[attr-defined]
    page.wait_for_timeout(500)
    assert lm.steps == steps, "the model must stop too"  # type: ignore[attr-defined]
    assert steps < 500
    generate(page, prompt="a", model="plain", count=12)
    done(page, 12)


@pytest.mark.parametrize(("theme", "width"), [("dark", 1280), ("light", 390), ("dark", 390)])
def test_it_fits(page: Page, url: str, artifacts: Path, theme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 860})
    opened(page, url, theme)
    page.locator(".lx-token").nth(5).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"
    assert min(page.evaluate(CONTRASTS)) >= 4.5, "WCAG AA for text on every step of the scale"
    page.screenshot(path=artifacts / f"read-{theme}-{width}.png")
