"""Measurements over many texts of a run's data: the faithfulness of a method, the importance of heads and layers.

Results are stored in the run's folder, where Explain, Compare and notebooks find them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from workbench.cli.output import Json, console, errors, print_result
from workbench.errors import RequestError
from workbench.files import optional_write
from workbench.i18n import _
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.explain.examples import TextInputs
    from workbench.explain.internals.cache import Measurement
    from workbench.inference.predictor import Predictor

MEASURES = ("ablation", "gradient", "patterns", "layers")

RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, the beginning or end of one, or the run's name.")
]
Texts = Annotated[int, typer.Option(min=1, help="Largest number of texts, evenly from the run's evaluated texts.")]


def faithfulness(
    run_id: RunId,
    method: Annotated[str, typer.Option(help="An explainer; `workbench explainers` lists them.")] = "occlusion",
    texts: Texts = 200,
    as_json: Json = False,
) -> None:
    """Evaluate how faithful a method's explanations are, over many texts; `compare` then shows it too."""
    from workbench.explain import evaluate_dataset_faithfulness

    run, predictor, examples = _examples(run_id, texts)
    with _progress_bar(_("evaluating")) as progress:
        result = evaluate_dataset_faithfulness(predictor, examples, method, progress=progress)
    with optional_write():  # it is printed all the same
        result.save(run.folder)
    print_result(result.as_dict(), as_json, lambda: console.print(result.sentence, markup=False, soft_wrap=True))


def heads(
    run_id: RunId,
    measure: Annotated[
        str,
        typer.Option(help="ablation or gradient (importance of heads), patterns (of their attention), or layers."),
    ] = "ablation",
    texts: Texts = 50,
    as_json: Json = False,
) -> None:
    """Measure the importance and the attention patterns of each head, or the importance of each layer."""
    from workbench.explain.internals.cache import save_measurement

    if measure not in MEASURES:
        raise RequestError(f"There is no measure {measure!r}.", f"Choose from: {', '.join(MEASURES)}.")
    run, predictor, examples = _examples(run_id, texts)
    with _progress_bar(_("measuring {measure}").format(measure=measure)) as progress:
        result = _measure(predictor, measure, examples, progress)
    save_measurement(run, result)
    print_result(
        result.as_dict(), as_json, lambda: console.print("\n".join(result.lines()), markup=False, soft_wrap=True)
    )


def _measure(
    predictor: Predictor, measure: str, examples: list[TextInputs], progress: Callable[[int, int], None]
) -> Measurement:
    from workbench.explain.internals.aggregates import head_patterns
    from workbench.explain.internals.heads import head_importance
    from workbench.explain.internals.layers import layer_importance

    if measure == "layers":
        return layer_importance(predictor, examples, progress)
    if measure == "patterns":
        texts = [example["text"] for example in examples]
        return head_patterns(predictor.model, predictor.tokenizer, texts, predictor.max_length, progress=progress)
    return head_importance(predictor, examples, "gradient" if measure == "gradient" else "ablation", progress)


def _examples(run_id: str, most: int) -> tuple[Run, Predictor, list[TextInputs]]:
    """Return the run, its predictor, and texts of its data."""
    from workbench.explain.examples import evaluated_texts
    from workbench.inference.predictor import Predictor

    run = Run.open(run_id, Workspace.current())
    predictor = Predictor.load(run)
    return run, predictor, evaluated_texts(run, predictor.task, most)


@contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar with the time left on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        bar = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
