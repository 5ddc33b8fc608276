"""``workbench tokenizer``: tokenizers on their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.output import Json, answer, console, download_bars
from workbench.errors import RequestError
from workbench.workspace import Workspace

app = typer.Typer(help="Tokenizers on their own.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Tokenizers on their own."""  # with one command alone, typer would make it the group


@app.command()
def train(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A name of the catalogue, or a file of texts.")],
    out: Annotated[Path, typer.Option(help="The folder to write it to; it must not exist, or be empty.")],
    kind: Annotated[str, typer.Option(help="bpe, wordpiece, unigram or character.")] = "wordpiece",
    vocab_size: Annotated[int, typer.Option(help="Most tokens in the vocabulary, special ones included.")] = 8000,
    lowercase: Annotated[bool, typer.Option(help="Make all letters small.")] = False,
    min_frequency: Annotated[int, typer.Option(help="Times that a piece must stand in the texts.")] = 2,
    column: Annotated[str | None, typer.Option(help="Column that holds the texts; found by name if left out.")] = None,
    limit: Annotated[int | None, typer.Option(help="Most rows to learn from; the hub's (hf:...) need it.")] = None,
    as_json: Json = False,
) -> None:
    """Train a tokenizer on texts, all of them, and save it as a folder that transformers reads."""
    from workbench.data.text.tokenizers import train_on_corpus

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RequestError(f"{out} exists and is not an empty folder.", "Name another folder with --out.")
    data, spec = _specs(
        corpus, column, limit, train=kind, vocab_size=vocab_size, lowercase=lowercase, min_frequency=min_frequency
    )
    with download_bars() as progress:
        found = train_on_corpus(data, spec, Workspace.current(), out, progress)
    answer(found, as_json, lambda: _show(found))


def _specs(corpus: str, column: str | None, limit: int | None, **options: Any) -> tuple[Any, Any]:
    """What the options say, validated. Raises RequestError, which names every wrong one."""
    from pydantic import ValidationError

    from workbench.data.text.tokenizers import TokenizerSpec
    from workbench.spec import DataSpec, Holdout, explain_validation

    try:
        data = DataSpec.model_validate(
            {"train": corpus, "columns": {"text": column} if column else {}, "limit": {"train": limit}}
        )
        if limit is not None:  # the rows are drawn; of all of them, as nothing is measured here
            data = data.model_copy(update={"holdout": Holdout(test=0, valid=0)})
        return data, TokenizerSpec(**options)
    except ValidationError as error:
        told = "; ".join(f"{field}: {message}" for field, message in explain_validation(error))
        raise RequestError(
            f"This tokenizer cannot be trained: {told}.", "See: workbench tokenizer train --help"
        ) from error


def _show(found: dict[str, Any]) -> None:
    console.print(
        f"{found['kind']}: {found['vocab_size']:,} tokens, learned from {found['texts']:,} texts, in {found['folder']}",
        markup=False,
        soft_wrap=True,
    )
    for note in found.get("notes") or []:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)
