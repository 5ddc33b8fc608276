"""The commands, put together. Each is a function in a file of its own, or of its small group."""

from __future__ import annotations

import typer

from workbench.cli.commands import (
    check,
    compare,
    dashboard,
    data,
    demo,
    entries,
    explain,
    lab,
    measuring,
    predict,
    prune,
    queue,
    run,
    runs,
    sweep,
    tokenizer,
)

app = typer.Typer(
    name="workbench",
    help="Fine-tune, compare and explain Transformers on text. Every command accepts --debug; commands that print "
    "results accept --json.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.add_typer(tokenizer.app, name="tokenizer")

app.command("demo")(demo.demo_command)
app.command("check")(check.check_command)
app.command("run")(run.run_command)
app.command("estimate")(check.estimate_command)
app.command("range-test")(run.range_test_command)
app.command("submit")(run.submit_command)
app.command("worker")(queue.worker_command)
app.command("stop")(run.stop_command)
app.command("resume")(run.resume_command)
app.command("runs")(runs.runs_command)
app.command("tag")(runs.tag_command)
app.command("show")(runs.show_command)
app.command("merge")(runs.merge_command)
app.command("delete")(runs.delete_command)
app.command("compare")(compare.compare_command)
app.command("predict")(predict.predict_command)
app.command("explain")(explain.explain_command)
app.command("prune")(prune.prune_command)
app.command("faithfulness")(measuring.faithfulness)
app.command("heads")(measuring.heads)
app.command("sweep")(sweep.sweep_command)
app.command("sweeps")(sweep.sweeps_command)
app.command("queue")(queue.queue_command)
app.command("tasks")(entries.tasks_command)
app.command("models")(entries.models_command)
app.command("tunings")(entries.tunings_command)
app.command("explainers")(entries.explainers_command)
app.command("presets")(entries.presets_command)
app.command("dashboard")(dashboard.dashboard_command)
app.command("lab")(lab.lab_command)
