"""``workbench tokenizer``: tokenizers on their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import Json, console, download_bars, print_result
from workbench.errors import RequestError
from workbench.i18n import _
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.data.text.tokenizers import TokenizerSpec, TrainedTokenizer
    from workbench.spec import DataSpec

app = typer.Typer(help="Train a tokenizer of your own.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Train a tokenizer of your own."""  # with one command only, typer would make it the group


@app.command("train")
def train_command(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A data set of the catalogue, or a file of texts.")],
    out: Annotated[Path, typer.Option(help="The folder to write. It must not exist, or be empty.")],
    kind: Annotated[str, typer.Option(help="bpe, wordpiece, unigram or character.")] = "wordpiece",
    vocab_size: Annotated[int, typer.Option(help="Maximum vocabulary size, with special tokens.")] = 8000,
    lowercase: Annotated[bool, typer.Option(help="Convert texts to lower case.")] = False,
    min_frequency: Annotated[int, typer.Option(help="Minimum frequency of a token.")] = 2,
    column: Annotated[str | None, typer.Option(help="Column that holds the texts. Default: matched by name.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="Maximum number of rows to learn from. Required for a data set of the hub (hf:).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a tokenizer on all texts of a corpus, and save it as a folder that transformers reads."""
    from workbench.data.text.tokenizers import train_on_corpus

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RequestError(f"{out} exists and is not an empty folder.", "Name another folder with --out.")
    data, spec = _specs(
        corpus, column, limit, train=kind, vocab_size=vocab_size, lowercase=lowercase, min_frequency=min_frequency
    )
    with download_bars() as progress:
        result = train_on_corpus(data, spec, Workspace.current(), out, progress)
    print_result(result, as_json, lambda: _show(result))


def _specs(corpus: str, column: str | None, limit: int | None, **options: Any) -> tuple[DataSpec, TokenizerSpec]:
    """Validate the options. Raises RequestError that names every wrong one."""
    from pydantic import ValidationError

    from workbench.data.text.tokenizers import TokenizerSpec
    from workbench.spec import DataSpec, Holdout, explain_validation

    try:
        data = DataSpec.model_validate(
            {"train": corpus, "columns": {"text": column} if column else {}, "limit": {"train": limit}}
        )
        if limit is not None:  # the rows are sampled; from all of them, because nothing is evaluated here
            data = data.model_copy(update={"holdout": Holdout(test=0, valid=0)})
        return data, TokenizerSpec(**options)
    except ValidationError as error:
        message = "; ".join(f"{field}: {text}" for field, text in explain_validation(error))
        raise RequestError(
            f"This tokenizer cannot be trained: {message}.", "See: workbench tokenizer train --help"
        ) from error


def _show(result: TrainedTokenizer) -> None:
    text = _("{kind}: {tokens:,} tokens, learned from {texts:,} texts, in {folder}")
    console.print(
        text.format(kind=result["kind"], tokens=result["vocab_size"], texts=result["texts"], folder=result["folder"]),
        markup=False,
        soft_wrap=True,
    )
    for note in result.get("notes") or []:
        console.print(_("Note: {note}").format(note=note), markup=False, soft_wrap=True)
