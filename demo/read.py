"""Read: generate text and look at every choice in it.

The page gets views, which are data, and paints them as text nodes, never as HTML: the template
holds no value, and the script uses `textContent` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from models import Shelf
from views import MAX_PROMPT, View, generate

__all__ = ["NAME", "build"]

NAME = "Read"
ASSETS = Path(__file__).parent / "assets"

PRESETS = [
    "greedy",
    "sample",
    "temperature=0.8",
    "top_k=40",
    "top_p=0.95",
    "temperature=0.8,top_p=0.95",
]
PROMPT, STRATEGY, SEED, COUNT = "def __init__(self", PRESETS[-1], 1, 120
"""What the page is filled with, and what its first sample is made of."""


def build(shelf: Shelf) -> None:
    """The tab's components and events, inside the `gr.Blocks` that is open."""

    def run(model: str, prompt: str, strategy: str, seed: int, count: int) -> Iterator[View]:
        yield from generate(shelf, model, prompt, strategy, seed, count)

    name = shelf.names[0]
    *_, sample = generate(shelf, name, PROMPT, STRATEGY, SEED, COUNT)
    with gr.Column(elem_classes="lx-controls"):
        prompt = gr.Textbox(PROMPT, label="Prompt", lines=2, max_lines=8, max_length=MAX_PROMPT)
        with gr.Row():
            model = gr.Dropdown(shelf.names, value=name, label="Model", scale=3, min_width=180)
            strategy = gr.Dropdown(
                PRESETS,
                value=STRATEGY,
                label="Strategy",
                allow_custom_value=True,
                scale=3,
                min_width=180,
            )
            seed = gr.Number(SEED, label="Seed", precision=0, min_width=90)
            count = gr.Number(COUNT, label="Tokens", precision=0, min_width=90)
            go = gr.Button("Generate", variant="primary", min_width=110, elem_id="read-generate")
            stop = gr.Button("Stop", min_width=80, elem_id="read-stop")
    reader = gr.HTML(
        sample,
        html_template=_asset("reader.html"),
        js_on_load=_asset("text.js") + _asset("reader.js"),
        apply_default_css=False,
        elem_id="read-tokens",
        elem_classes="lx-bare",
    )
    event = gr.on(
        [go.click, prompt.submit],
        run,
        [model, prompt, strategy, seed, count],
        reader,
        api_name="generate",
        concurrency_id="model",
        concurrency_limit=1,
        show_progress="hidden",
    )
    stop.click(None, js="() => window.dispatchEvent(new Event('lexigram:stop'))", cancels=[event])


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
