"""``workbench explain``: why a run answers a text as it does; :mod:`workbench.cli.explaining` computes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import RunId, read_changes
from workbench.cli.output import Json, print_result
from workbench.runs.run import Run
from workbench.workspace import Workspace


def explain_command(
    run_id: RunId,
    text: Annotated[str, typer.Option("--text", help="The text whose answer is explained.")],
    method: Annotated[str, typer.Option(help="An explainer: `workbench explainers`.")] = "attention",
    text_pair: Annotated[str | None, typer.Option("--text-pair", help="The second text of a pair.")] = None,
    target: Annotated[
        str | None, typer.Option(help="The label, answer or next token to explain. Default: the model's own answer.")
    ] = None,
    word: Annotated[str | None, typer.Option(help="For labels of words: the word, or its index from 0.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the method: --set layer=2")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write an offline HTML page to this file.")] = None,
    view: Annotated[list[str] | None, typer.Option(help="tokens, head, model, neuron or canvas. Repeatable.")] = None,
    layers: Annotated[str | None, typer.Option(help="Layers to draw: 0,3,5-7.")] = None,
    heads: Annotated[str | None, typer.Option(help="Heads to draw: 0,3,5-7.")] = None,
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Evaluate how faithful the explanation is.")
    ] = False,
    lens: Annotated[bool, typer.Option("--lens", help="Show what the model would answer after each layer.")] = False,
    compare: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Compare with another run, or `base` (the model before fine-tuning)."),
    ] = None,
    other_text: Annotated[
        str | None,
        typer.Option(help="Compare with another text and locate the difference by activation patching."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain which words of a text decided its answer.

    Every explanation comes with a measure of its faithfulness.
    """
    from workbench.cli import explaining

    views = tuple(dict.fromkeys(view or ["tokens"]))
    request = explaining.ExplainRequest(
        text=text,
        text_pair=text_pair,
        method=method,
        options=read_changes(sets),
        target=target,
        word=word,
        views=views,
        layers=explaining.parse_indices(layers, "layers"),
        heads=explaining.parse_indices(heads, "heads"),
        faithfulness=faithfulness,
        lens=lens,
        compare=compare,
        other_text=other_text,
    )
    if html is None:
        explaining.refuse_views_without_page(views)
    run = Run.open(run_id, Workspace.current())
    result = explaining.compute(run, request, draw=html is not None)
    if html is not None:
        explaining.write_page(result, run, html)
    print_result(result.as_dict(), as_json, lambda: explaining.show(result, html))
