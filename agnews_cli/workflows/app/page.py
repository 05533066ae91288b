"""The page: a text in, its probabilities and what they rest on out; a file in, a file out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from agnews_cli.workflows.app import drawn
from agnews_cli.workflows.app.asking import SUFFIXES, AppModel, Unanswerable

_MOST_WAITING = 64
_KEPT_S = 3600
"""Files that people gave, and those that they got, go after so long."""


def quiet(folder: Path) -> None:
    """Gradio tells nobody of it, and keeps files in `folder`; before it is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def shown() -> dict[str, Any]:
    """How it looks: what `launch` and `mount_gradio_app` take."""
    import gradio

    theme = gradio.themes.Default(
        primary_hue="blue",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
    )
    return {
        "css": drawn.STYLE,
        "theme": theme,
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "show_error": False,
    }


def page(asking: AppModel) -> Any:
    """gradio.Blocks"""
    import gradio as gr

    model = asking.model
    with gr.Blocks(
        title=f"{model.name}: {len(model.labels)} classes of text",
        analytics_enabled=False,
        delete_cache=(_KEPT_S, _KEPT_S),
    ) as blocks:
        gr.HTML(_heading(asking))
        with gr.Tab("One text"):
            text = gr.Textbox(label="Text", lines=4, max_lines=12, autofocus=True)
            ask = gr.Button("Classify", variant="primary")
            said, looked = gr.HTML(), gr.HTML()
        with gr.Tab("A file"):
            given = gr.File(label="File of texts", file_types=list(SUFFIXES), type="filepath")
            label = gr.Button("Label its rows", variant="primary")
            told = gr.HTML()
            made = gr.File(label="The same with labels and probabilities", visible=False)

        def answered(text: str | None) -> tuple[str, str]:
            try:
                return drawn.answer(model.labels, asking.text(text or "")), drawn.waiting()
            except Unanswerable as error:
                return drawn.refused(str(error)), drawn.nothing()

        def seen(text: str | None, before: str | None) -> str:
            if not before:  # it was refused
                return drawn.nothing()
            try:
                return drawn.look(asking.look(text or ""))
            except Unanswerable as error:
                return drawn.refused(str(error))

        def labelled(path: str | None) -> tuple[str, Any]:
            if not path:
                return drawn.refused("Choose a file first."), gr.File(visible=False)
            try:
                found = asking.file(Path(path))
            except Unanswerable as error:
                return drawn.refused(str(error)), gr.File(visible=False)
            return drawn.file(found), gr.File(value=str(found.path), visible=True)

        here = {"api_visibility": "private"}
        first = gr.on(
            [ask.click, text.submit], answered, text, [said, looked], concurrency_limit=4, **here
        )
        first.then(seen, [text, looked], looked, show_progress="hidden", **here)
        label.click(labelled, given, [told, made], concurrency_limit=2, **here)
    blocks.queue(max_size=_MOST_WAITING)
    return blocks


def _heading(asking: AppModel) -> str:
    return drawn.heading(asking.model.name, asking.model.labels)
