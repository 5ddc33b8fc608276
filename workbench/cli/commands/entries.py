"""``workbench tasks``, ``models``, ``tunings``, ``explainers`` and ``presets``: what a spec may name."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from workbench.cli import views
from workbench.cli.output import Json, print_result, print_warning, table
from workbench.cli.views import Entry
from workbench.i18n import _
from workbench.registry import Registry
from workbench.runs.run import Run
from workbench.types import Json as JsonValue
from workbench.workspace import Workspace


def list_entries(registry: Registry[Any]) -> list[Entry]:
    """Describe every entry of a registry.

    Args:
        registry: a registry of classes with a ``Config``.
    """
    return [
        {
            "name": name,
            "label": registry.label(name),
            "options": [
                {"name": option, "default": _default(field), "help": field.description}
                for option, field in entry.Config.model_fields.items()
            ],
        }
        for name, entry in registry.items()
    ]


def _default(field: FieldInfo) -> JsonValue:
    """Return an option's default as JSON; of an option with fields of its own (a tokenizer), their defaults."""
    default: Any = field.get_default(call_default_factory=True)
    document: JsonValue = default.model_dump(mode="json") if hasattr(default, "model_dump") else default
    return document


def _print(registry: Registry[Any], entries: list[Entry], as_json: bool) -> None:
    """Print entries, and a warning for each that could not be loaded."""
    for problem in registry.problems():
        print_warning(str(problem))
    print_result(entries, as_json, lambda: views.show_entries(entries))


def tasks_command(as_json: Json = False) -> None:
    """List the tasks: what a model can learn."""
    from workbench.tasks.base import tasks

    _print(tasks, list_entries(tasks), as_json)


def models_command(as_json: Json = False) -> None:
    """List the models: where the weights come from."""
    from workbench.models.base import models

    entries = list_entries(models)
    for entry in entries:
        form = models.get(entry["name"]).argument_form
        entry["form"] = f"{entry['name']}:{form}" if form else entry["name"]
    _print(models, entries, as_json)


def tunings_command(as_json: Json = False) -> None:
    """List the fine-tuning methods: which weights are trained."""
    from workbench.tuning.base import tunings

    _print(tunings, list_entries(tunings), as_json)


def explainers_command(
    run_id: Annotated[str | None, typer.Option("--run", help="Only explainers that fit this run.")] = None,
    as_json: Json = False,
) -> None:
    """List the explainers: what can be shown of a decision."""
    from workbench.explain import explainers

    entries = list_entries(explainers)
    if run_id is not None:
        from workbench.explain import compatible_methods
        from workbench.inference.predictor import Predictor

        names = compatible_methods(Predictor.load(Run.open(run_id, Workspace.current())))
        entries = [entry for entry in entries if entry["name"] in names]
    _print(explainers, entries, as_json)


def presets_command(as_json: Json = False) -> None:
    """List the specs that come with the workbench."""
    from workbench.check import presets

    rows = [
        {
            "name": name,
            "task": spec.task.name,
            "data": spec.data.train,
            "model": spec.model.source,
            "tuning": spec.tuning.method,
        }
        for name, spec in presets().items()
    ]
    columns = {"name": _("name"), "task": _("task"), "data": _("data"), "model": _("model"), "tuning": _("tuning")}
    print_result(rows, as_json, lambda: table(rows, columns, _("There are no presets.")))
