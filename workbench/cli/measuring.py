"""What is measured over many texts of a run's data: how far explanations can be believed, what heads and layers do.

The findings are kept in the run's folder, where Explain, Compare and notebooks find them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from workbench.cli.output import Json, console, errors, print_result
from workbench.errors import RequestError
from workbench.runs.run import Run
from workbench.workspace import Workspace

MEASURES = ("ablation", "gradient", "patterns", "layers")

RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id; its beginning, its end or its name will do.")]
Texts = Annotated[int, typer.Option(min=1, help="Texts at most, from all over those that the run was evaluated on.")]


def faithfulness(
    run_id: RunId,
    method: Annotated[str, typer.Option(help="`workbench explainers` lists them.")] = "occlusion",
    texts: Texts = 200,
    as_json: Json = False,
) -> None:
    """Measure over many texts how far a method's explanations can be believed; `compare` then shows it too."""
    from workbench.explain import evaluate_dataset_faithfulness

    run, predictor, chosen = _asked(run_id, texts)
    with _bar("evaluating") as tell:
        found = evaluate_dataset_faithfulness(predictor, chosen, method, progress=tell)
    found.save(run.folder)
    print_result(found.as_dict(), as_json, lambda: console.print(found.sentence, markup=False, soft_wrap=True))


def heads(
    run_id: RunId,
    measure: Annotated[
        str,
        typer.Option(help="ablation or gradient (what each head is worth), patterns (what it does), or layers."),
    ] = "ablation",
    texts: Texts = 50,
    as_json: Json = False,
) -> None:
    """Measure over many texts what each head, or each layer, does and is worth."""
    from workbench.explain.cache import keep_heads

    if measure not in MEASURES:
        raise RequestError(f"There is no measure {measure!r}.", f"Choose from: {', '.join(MEASURES)}.")
    run, predictor, chosen = _asked(run_id, texts)
    with _bar(f"measuring {measure}") as tell:
        found = _measured(predictor, measure, chosen, tell)
    keep_heads(run, found)
    print_result(
        found.as_dict(), as_json, lambda: console.print("\n".join(found.lines()), markup=False, soft_wrap=True)
    )


def _measured(predictor: Any, measure: str, texts: list[dict[str, str]], tell: Callable[[int, int], None]) -> Any:
    from workbench.explain.aggregates import head_patterns
    from workbench.explain.heads import head_importance
    from workbench.explain.layers import layer_importance

    if measure == "layers":
        return layer_importance(predictor, texts, tell)
    if measure == "patterns":
        plain = [given["text"] for given in texts]
        return head_patterns(predictor.model, predictor.tokenizer, plain, predictor.max_length, progress=tell)
    return head_importance(predictor, texts, "gradient" if measure == "gradient" else "ablation", tell)


def _asked(run_id: str, most: int) -> tuple[Run, Any, list[dict[str, str]]]:
    """The run, its predictor, and texts of its data."""
    from workbench.explain.examples import evaluated_texts
    from workbench.inference.predictor import Predictor

    run = Run.open(run_id, Workspace.current())
    predictor = Predictor.load(run)
    return run, predictor, evaluated_texts(run, predictor.task, most)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar with the time left, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
