"""The demo: a page that shows what a language model chose, and what it could have chosen.

    python demo/app.py [--model PATH …] [--host 127.0.0.1] [--port N] [--share]

It listens on this machine only unless told otherwise, and nothing that it shows or loads comes
from elsewhere: fonts, styles and scripts are served by the page's own server.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is, as in lexigram.cli

import gradio as gr
from gradio.themes.utils.fonts import LocalFont

import read
from lexigram.errors import LexigramError
from models import Shelf, shelf_of

__all__ = ["build", "launch_options", "main"]

TABS: tuple[ModuleType, ...] = (read,)
"""Each has a NAME and `build(shelf)`; one file a tab."""

ASSETS = Path(__file__).parent / "assets"
HEADER = """<header class="lx-header"><h1>lexigram</h1>
<p>Every token a model chose, and what it could have chosen instead.</p></header>"""


def build(shelf: Shelf) -> gr.Blocks:
    """The page for the models of `shelf`. Raises what opening the first of them raises: a page
    without a model would be of no use."""
    shelf.open(shelf.names[0])
    page = gr.Blocks(title="lexigram", analytics_enabled=False)
    with page:
        gr.HTML(HEADER, html_template="${value}", js_on_load=None, elem_classes="lx-bare")
        if shelf.note:
            gr.Markdown(shelf.note, elem_classes="lx-note")
        if len(TABS) == 1:
            TABS[0].build(shelf)
        else:
            for tab in TABS:
                with gr.Tab(tab.NAME):
                    tab.build(shelf)
    page.queue(max_size=32)
    return page


def launch_options() -> dict[str, Any]:
    """What the page is launched with, wherever it listens."""
    return {
        "theme": _theme(),
        "css_paths": sorted(ASSETS.glob("*.css")),
        "footer_links": [],
        "run_history": False,
        "max_file_size": "100kb",
        "ssr_mode": False,
        "quiet": True,
    }


def _theme() -> gr.themes.Base:
    """Ink on paper: no boxes around boxes, and fonts that gradio brings along."""
    weights = (400, 700)  # gradio's SemiBold files hold a part of the alphabet only
    theme = gr.themes.Base(
        primary_hue="stone",
        secondary_hue="stone",
        neutral_hue="stone",
        radius_size="sm",
        font=[LocalFont("IBM Plex Sans", weights), "ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=[LocalFont("IBM Plex Mono", weights), "ui-monospace", "monospace"],
    )
    return theme.set(
        body_background_fill="#fdfcfb",
        body_background_fill_dark="#171514",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_padding="0px",
        block_title_text_size="*text_sm",
        input_border_width="1px",
        input_background_fill="white",
        input_background_fill_dark="#1f1c1b",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        button_primary_background_fill="*neutral_900",
        button_primary_background_fill_dark="*neutral_100",
        button_primary_background_fill_hover="*neutral_700",
        button_primary_background_fill_hover_dark="*neutral_300",
        button_primary_text_color="white",
        button_primary_text_color_dark="*neutral_900",
        button_secondary_background_fill="transparent",
        button_secondary_background_fill_dark="transparent",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_large_text_size="*text_md",
        button_large_text_weight="400",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Serves the page until it is interrupted."""
    parser = argparse.ArgumentParser(description="Look at what a language model chooses.")
    parser.add_argument("--model", type=Path, nargs="+", default=[], metavar="PATH")
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="a public address, through Gradio")
    args = parser.parse_args(argv)
    try:
        shelf = shelf_of(args.model)
        if shelf.note:
            print(shelf.note, file=sys.stderr)
        page = build(shelf)
        _, url, _ = page.launch(
            server_name=args.host,
            server_port=args.port,
            share=args.share,
            prevent_thread_lock=True,
            **launch_options(),
        )
        print(f"Open {page.share_url or url} (Ctrl-C ends it)", flush=True)
        page.block_thread()
    except (LexigramError, OSError) as error:
        print("lexigram:", " ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
