"""The commands. Each one reads its arguments, calls the library, and prints; the work is done below."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from workbench.cli import asking, measuring, sweeping, views
from workbench.cli.output import Finished, Json, answer, console, download_bars, errors, table
from workbench.cli.page import write_page
from workbench.cli.tokenizer import app as tokenizer
from workbench.errors import MissingPackageError, RequestError, SpecError, UnknownNameError
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST, RunSpec
from workbench.workspace import Workspace

app = typer.Typer(
    name="workbench",
    help="Fine-tune Transformers on text, watch, compare and explain them. All commands take --debug; those that tell "
    "something take --json.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="The catalogue of data sets and models, and what is cached of it.", no_args_is_help=True)
app.add_typer(data, name="data")
app.add_typer(tokenizer, name="tokenizer")

SpecName = Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or the name of a preset (demo-full ...).")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id; its beginning, its end or its name will do.")]
EntryName = Annotated[str, typer.Argument(metavar="NAME", help="As `workbench data list` lists it.")]
EntryNames = Annotated[list[str], typer.Argument(metavar="NAME...", help="As `workbench data list` lists them.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field: --set training.epochs=2")
]


@app.command()
def demo(
    serve: Annotated[bool, typer.Option(help="Serve the dashboard afterwards.")] = True,
    port: Annotated[int, typer.Option(help="The dashboard's port.")] = 8501,
    as_json: Json = False,
) -> None:
    """Fine-tune MiniLM on film reviews twice (full and LoRA), compare the two, and serve the dashboard."""
    from workbench.cli.demo import run_demo

    runs, comparison = run_demo(Workspace.current(), quiet=as_json)
    answer(comparison.as_dict(), as_json, lambda: views.show_comparison(comparison.as_dict(), runs))
    if serve and not as_json:
        _serve(Workspace.current(), "127.0.0.1", port, [], open_browser=False)


@app.command()
def check(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Tell every problem of a spec, without starting anything. Exit code 2 if it cannot be run."""
    from workbench.check import check as find_problems
    from workbench.check import problems_of, resolve

    workspace = Workspace.current()
    try:
        whole = _spec(spec, sets)
        problems = [problem.as_dict() for problem in find_problems(whole, workspace)]
    except SpecError as error:  # not a spec at all: what is wrong is told in the same form
        problems = [problem.as_dict() for problem in problems_of(error)]
    bad = any(problem["severity"] == "error" for problem in problems)
    full = "" if bad else resolve(whole, workspace).spec.to_yaml()
    answer(problems, as_json, lambda: views.show_problems(problems, full))
    if bad:
        raise Finished(2)


@app.command()
def run(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Do a run now and show its progress. Ctrl-C stops it with a checkpoint; closing the terminal does not."""
    from workbench.jobs import submit as put

    workspace = Workspace.current()
    started = put(_spec(spec, sets), workspace)
    _await(started, workspace, as_json)


@app.command()
def estimate(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Tell what a run will take in time and memory, from a few of its real steps on this machine."""
    import signal

    from workbench.jobs import estimate

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # however the command is ended, the trial ends too
    with views.telling(quiet=as_json) as tell:
        found = estimate.estimate(_spec(spec, sets), Workspace.current(), on_progress=tell)
    answer(found.as_dict(), as_json, lambda: views.show_estimate(found))


@app.command("range-test")
def range_test(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Find a learning rate for a spec: a short training in which it rises, and where the loss falls fastest."""
    from workbench.jobs import submit as put

    workspace = Workspace.current()
    started = put(_spec(spec, sets).changed({"kind": RANGE_TEST}), workspace)
    _await(started, workspace, as_json)


@app.command()
def submit(spec: SpecName, sets: Sets = None, as_json: Json = False) -> None:
    """Put a run into the queue and come back at once."""
    from workbench.jobs import submit as put

    queued = put(_spec(spec, sets), Workspace.current())
    answer(
        queued.summary(), as_json, lambda: console.print(f"Queued {queued.id}\nWatch it: workbench show {queued.id}")
    )


@app.command()
def worker(
    slots: Annotated[int | None, typer.Option(min=1, help="Runs at once; one per GPU, or one, if left out.")] = None,
    until_empty: Annotated[bool, typer.Option(help="End when the queue is empty.")] = False,
) -> None:
    """Work off the queue in this terminal (usually a worker starts by itself)."""
    from workbench.jobs import run_worker

    run_worker(Workspace.current(), slots, until_empty)


@app.command()
def stop(
    run_id: RunId,
    kill_after: Annotated[float | None, typer.Option(min=0, help="Seconds after which to end it by force.")] = None,
    as_json: Json = False,
) -> None:
    """Stop a run; a running one writes a checkpoint first and can be resumed."""
    from workbench.jobs import stop as end

    found = Run.open(run_id, Workspace.current())
    state = end(found, kill_after, wait=10.0)
    text = "has been asked to stop, and ends after its current step" if state == "running" else f"is {state}"
    answer(found.summary(), as_json, lambda: console.print(f"{found.id} {text}."))


@app.command()
def resume(
    run_id: RunId,
    wait: Annotated[bool, typer.Option(help="Show its progress until it has ended.")] = True,
    as_json: Json = False,
) -> None:
    """Go on with a stopped, failed or interrupted run from its last checkpoint."""
    from workbench.jobs import resume as again

    workspace = Workspace.current()
    found = again(Run.open(run_id, workspace), workspace)
    if wait:
        _await(found, workspace, as_json)
    else:
        answer(found.summary(), as_json, lambda: console.print(f"Queued {found.id}"))


@app.command()
def runs(
    where: Annotated[
        str | None,
        typer.Option(help="Only those for which an SQL condition holds: \"accuracy > 0.8 AND tuning = 'lora'\"."),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only those with this tag; may be given again.")] = None,
    archived: Annotated[bool, typer.Option(help="With those that were put away.")] = False,
    sort: Annotated[str | None, typer.Option(help="By this field, least first; with a minus before it, most.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write all their fields to this .csv or .parquet file.")] = None,
    as_json: Json = False,
) -> None:
    """List all runs, oldest first."""
    from workbench.runs import table as tables
    from workbench.runs.query import list_runs

    found = list_runs(Workspace.current())[::-1]
    rows = tables.run_table(Workspace.current(), settings=bool(where or sort or out))[::-1]
    rows = tables.with_tags([row for row in rows if archived or where or not row["archived"]], tag or [])
    rows = tables.filter_rows(rows, where or "")
    if sort:
        rows = tables.sort_rows(rows, sort.removeprefix("-"), descending=sort.startswith("-"))
    if out is not None:
        tables.export(rows, out.expanduser())
    by_id = {run.id: run for run in found}
    chosen = [by_id[row["id"]].model_copy(update={"tags": row["tags"]}) for row in rows if row["id"] in by_id]
    answer(chosen, as_json, lambda: views.show_runs(chosen, "No run fits." if found else ""))


@app.command("tag")
def tag_command(
    run_id: RunId,
    tag: Annotated[list[str] | None, typer.Option(help="Add this tag. Repeatable.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Remove this tag. Repeatable.")] = None,
    note: Annotated[str | None, typer.Option(help="Replace the run's note.")] = None,
    archive: Annotated[bool | None, typer.Option(help="Hide the run from lists, or show it again.")] = None,
    as_json: Json = False,
) -> None:
    """Tag, annotate or archive a run."""
    from dataclasses import asdict

    from workbench.runs import tags

    run = Run.open(run_id, Workspace.current())
    changes = {"notes": note, "archived": archive}
    tags.update_tags(run, **{name: value for name, value in changes.items() if value is not None})
    found = tags.tag(run, tag or [], untag or [])
    said = f"{run.id}: {', '.join(found.tags) or 'no tags'}{', archived' if found.archived else ''}"
    answer({"id": run.id, **asdict(found)}, as_json, lambda: console.print(said, markup=False, soft_wrap=True))


@app.command()
def show(
    run_id: RunId,
    html: Annotated[
        Path | None, typer.Option(help="Write its figures, curve and texts as a page to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell all about a run: state, settings, results, cost, and the last texts that its model wrote."""
    found = Run.open(run_id, Workspace.current())
    summary = found.summary()
    if html is not None:
        write_page(found, summary, html)
    answer(summary, as_json, lambda: views.show_run(summary, page=html))


@app.command()
def merge(
    run_id: RunId,
    out: Annotated[Path | None, typer.Option(help="Folder to write; merged/ in the run's own if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run's base and adapter as one model, which transformers loads without the workbench."""
    from workbench.inference.merging import merge as write_whole

    folder = write_whole(Run.open(run_id, Workspace.current()), out.expanduser() if out else None)
    answer({"folder": str(folder)}, as_json, lambda: console.print(f"The whole model is in {folder}", soft_wrap=True))


@app.command()
def delete(
    run_ids: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of runs.")], as_json: Json = False
) -> None:
    """Delete runs that are not running, with all their files."""
    workspace = Workspace.current()
    found = [Run.open(run_id, workspace) for run_id in run_ids]
    for each in found:
        each.delete()
    answer([each.id for each in found], as_json, lambda: console.print(f"Deleted {len(found)}."))


@app.command()
def compare(
    run_ids: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two runs or more; the first is compared.")],
    metric: Annotated[str | None, typer.Option(help="accuracy, macro_f1 ...; the task's own if left out.")] = None,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one page that opens offline.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether one run is better than another on the same test examples, with interval and p-value."""
    from workbench.compare.differences import compare as weigh
    from workbench.compare.seeds import compare_seeds, has_seed_groups

    workspace = Workspace.current()
    runs = [Run.open(run_id, workspace) for run_id in run_ids]
    found = weigh(runs, metric).as_dict()
    found["seeds"] = compare_seeds(runs, metric).as_dict() if has_seed_groups(runs) else None
    if page is not None:
        from workbench.compare.report import write_comparison

        write_comparison(runs, page.expanduser(), metric)
    answer(found, as_json, lambda: views.show_comparison(found, [Run.open(i, workspace) for i in found["runs"]]))


@app.command()
def predict(
    run_id: RunId,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text; can be given several times.")] = None,
    text_pair: Annotated[list[str] | None, typer.Option("--text-pair", help="The second text of each pair.")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="JSON", help='Several roles: --input \'{"question": "...", "context": "..."}\''
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A CSV, JSONL or Parquet file whose columns are named as the roles.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="How it answers: --set max_new_tokens=100"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a finished run: for labels, names, answers, or to write."""
    from workbench.inference.predictor import Predictor

    if not (text or given or file):
        raise RequestError("Nothing was asked.", "Give --text, --input or --file.")
    options = _changes(sets)
    inputs = asking.inputs_of_texts(text or [], text_pair or [])
    predictor = Predictor.load(Run.open(run_id, Workspace.current()))
    inputs += asking.inputs_of_json(given or [], predictor.task)
    inputs += asking.inputs_of_file(file, predictor.task) if file else []
    found = predictor.predict(inputs, options) if options else predictor.predict(inputs)
    answer(found, as_json, lambda: asking.show_predictions(inputs, found))


@app.command()
def explain(
    run_id: RunId,
    text: Annotated[str, typer.Option("--text", help="The text whose answer is explained.")],
    method: Annotated[str, typer.Option(help="`workbench explainers` lists them.")] = "attention",
    text_pair: Annotated[str | None, typer.Option("--text-pair", help="The second text of a pair.")] = None,
    target: Annotated[
        str | None, typer.Option(help="The label, answer or next token to explain; the model's own if left out.")
    ] = None,
    place: Annotated[str | None, typer.Option(help="Of labels of words: the word, or its number from 0.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the method: --set layer=2")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page to this file that opens with no network.")] = None,
    view: Annotated[
        list[str] | None, typer.Option(help="tokens, head, model, neuron or canvas; several times for several.")
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Layers that views draw: 0,3,5-7.")] = None,
    heads: Annotated[str | None, typer.Option(help="Heads that views draw: 0,3,5-7.")] = None,
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Evaluate how faithful the explanation is.")
    ] = False,
    lens: Annotated[bool, typer.Option("--lens", help="What the model would say after each layer.")] = False,
    compare: Annotated[str | None, typer.Option(metavar="RUN", help="Beside another run, or `base`.")] = None,
    other_text: Annotated[
        str | None, typer.Option(help="Beside another text, and what in the model carries the difference.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which words of a text decided its answer, and how far that can be believed."""
    from workbench.cli import explaining

    views_asked = tuple(dict.fromkeys(view or ["tokens"]))
    request = explaining.ExplainRequest(
        text=text, text_pair=text_pair, method=method, options=_changes(sets), target=target, place=place,
        views=views_asked, layers=explaining.numbers(layers, "layers"), heads=explaining.numbers(heads, "heads"),
        faithfulness=faithfulness, lens=lens, compare=compare, other_text=other_text,
    )  # fmt: skip
    if html is None:
        explaining.drawn_without_page(views_asked)
    run = Run.open(run_id, Workspace.current())
    result = explaining.compute(run, request, draw=html is not None)
    if html is not None:
        explaining.write_page(result, run, html)
    answer(result.as_dict(), as_json, lambda: explaining.show(result, html))


@app.command()
def prune(
    run_id: RunId,
    heads: Annotated[str, typer.Option(metavar="NUMBER|SHARE", help="How many heads go: 12, or 30%.")],
    measure: Annotated[str, typer.Option(help="Of importance: gradient (quick) or ablation.")] = "gradient",
    texts: Annotated[int, typer.Option(min=1, help="Texts that importance is measured on.")] = 200,
    out: Annotated[Path | None, typer.Option(help="Also write the model to this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Cut the least important heads out of a run's model, for good; the result is a new run."""
    from workbench.compress.pruning import prune_run, show_lines

    if measure not in ("gradient", "ablation"):
        raise RequestError(f"There is no measure {measure!r}.", "Choose gradient or ablation.")
    workspace = Workspace.current()
    run = Run.open(run_id, workspace)
    pruned = prune_run(run, heads, workspace, measure, texts, out.expanduser() if out else None)  # type: ignore[arg-type]
    lines = [f"Pruned: {pruned.id}", *show_lines(pruned)]
    answer(pruned.summary(), as_json, lambda: console.print("\n".join(lines), markup=False, soft_wrap=True))


app.command()(measuring.faithfulness)
app.command()(measuring.heads)
app.command()(sweeping.sweep)
app.command()(sweeping.sweeps)
app.command()(sweeping.queue)


# -- the catalogue and the registries -------------------------------------------------------------------------------


@data.command("list")
def data_list(as_json: Json = False) -> None:
    """List the data sets, models and other files that can be fetched."""
    from workbench.data.catalogue.sources import list_entries

    found = list_entries(Workspace.current())
    columns = {"name": "name", "label": "what it is", "kind": "kind", "task": "task", "language": "language",
               "megabytes": ">MB", "cached": "cached", "licence": "licence"}  # fmt: skip
    rows = [{**entry, "megabytes": f"{entry['bytes'] / 1e6:.1f}"} for entry in found]
    answer(found, as_json, lambda: table(rows, columns, "The catalogue is empty."))


@data.command("show")
def data_show(name: EntryName, as_json: Json = False) -> None:
    """Tell all about an entry of the catalogue: licence, citation, columns, sources."""
    from workbench.data.catalogue.sources import describe

    found = describe(name, Workspace.current())
    answer(found, as_json, lambda: console.print(_yaml(found), markup=False))


@data.command("fetch")
def data_fetch(names: EntryNames, as_json: Json = False) -> None:
    """Fetch entries of the catalogue into the cache, and verify them."""
    from workbench.data.catalogue.sources import fetch

    workspace, found = Workspace.current(), []
    with download_bars() as progress:
        for name in names:
            found.append({"name": name, "path": str(fetch(name, workspace, progress))})
    answer(found, as_json, lambda: table(found, {"name": "name", "path": "is in"}, "Nothing was asked for."))


@data.command("check")
def data_check(
    name: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A file, or a data set of the catalogue.")],
    task: Annotated[str | None, typer.Option(help="What shall be learned; the data set's own if left out.")] = None,
    test: Annotated[str | None, typer.Option(help="A file with test examples; held out if left out.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="ROLE=COLUMN, where names leave a doubt.")] = None,
    alike: Annotated[float, typer.Option(help="Similarity from which on texts are near-duplicates.")] = 0.8,
    as_json: Json = False,
) -> None:
    """Check data before training: rows, labels, lengths, doubles, and near-duplicates between the parts."""
    from workbench.cli.checking import check_and_tell

    found, tell = check_and_tell(name, task, test, column or [], alike)
    answer(found, as_json, tell)


@data.command("clean")
def data_clean(as_json: Json = False) -> None:
    """Empty the cache; what is needed again is fetched again. Runs and uploads stay."""
    from workbench.data.catalogue.sources import clean_cache

    freed = clean_cache(Workspace.current())
    answer({"freed_bytes": freed}, as_json, lambda: console.print(f"Freed {freed / 1e6:.1f} MB."))


def _entries(registry: Any) -> list[dict[str, Any]]:
    fields = {name: entry.Config.model_fields for name, entry in registry.items()}
    return [
        {
            "name": name,
            "label": registry.label(name),
            "options": [
                {"name": option, "default": _default(field), "help": field.description}
                for option, field in fields[name].items()
            ],
        }
        for name in registry.names()
    ]


def _default(field: Any) -> Any:
    """An option's default as JSON has it; of an option with parts (a tokenizer), the parts' defaults."""
    default = field.get_default(call_default_factory=True)
    return default.model_dump(mode="json") if hasattr(default, "model_dump") else default


@app.command()
def tasks(as_json: Json = False) -> None:
    """List the tasks: what can be learned."""
    from workbench.tasks.base import tasks as registry

    found = _entries(registry)
    answer(found, as_json, lambda: views.show_entries(found))


@app.command()
def models(as_json: Json = False) -> None:
    """List the models: where weights come from."""
    from workbench.models.base import models as registry

    found = _entries(registry)
    for entry in found:
        form = registry.get(entry["name"]).argument_form
        entry["form"] = f"{entry['name']}:{form}" if form else entry["name"]
    answer(found, as_json, lambda: views.show_entries(found))


@app.command()
def tunings(as_json: Json = False) -> None:
    """List the tunings: which weights move."""
    from workbench.tuning.base import tunings as registry

    found = _entries(registry)
    answer(found, as_json, lambda: views.show_entries(found))


@app.command()
def explainers(
    run_id: Annotated[str | None, typer.Option("--run", help="Only those that can explain this run.")] = None,
    as_json: Json = False,
) -> None:
    """List the explainers: what can be shown of a decision."""
    from workbench.explain import explainers as registry

    found = _entries(registry)
    if run_id is not None:
        from workbench.explain import offered
        from workbench.inference.predictor import Predictor

        names = offered(Predictor.load(Run.open(run_id, Workspace.current())))
        found = [entry for entry in found if entry["name"] in names]
    answer(found, as_json, lambda: views.show_entries(found))


@app.command()
def presets(as_json: Json = False) -> None:
    """List the specs that come with the workbench."""
    from workbench.check import presets as all_presets

    found = [
        {
            "name": name,
            "task": spec.task.name,
            "data": spec.data.train,
            "model": spec.model.source,
            "tuning": spec.tuning.method,
        }
        for name, spec in all_presets().items()
    ]
    columns = {"name": "name", "task": "task", "data": "data", "model": "model", "tuning": "tuning"}
    answer(found, as_json, lambda: table(found, columns, "There are none."))


# -- the other faces ------------------------------------------------------------------------------------------------


@app.command()
def dashboard(
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than this machine needs a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; the next free one if it is taken.")] = 8501,
    allow_host: Annotated[list[str] | None, typer.Option(help="A name by which browsers may call this server.")] = None,
    set_password: Annotated[
        bool, typer.Option(help="Ask for a new password, store its hash, and end; none takes it away.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Serve the dashboard to a browser on this machine."""
    workspace = Workspace.current()
    if set_password:
        from dashboard.serving.password import set_password as store

        prompt = "New password (none takes it away)"
        given = typer.prompt(prompt, default="", show_default=False, hide_input=True, confirmation_prompt=True)
        store(workspace, given)
        told = "Stored. The dashboard asks for it from now on." if given else "Taken away: the dashboard asks for none."
        console.print(told)
        return
    _serve(workspace, host, port, allow_host or [], browser)


@app.command()
def lab(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="A notebook to open; what stands after `--` is passed on to JupyterLab.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; the next free one if it is taken.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Open the notebooks and tutorials in JupyterLab, for this machine only; its address holds a token."""
    import os
    from importlib.util import find_spec

    from workbench.cli.lab import lab_command, lab_environment

    if find_spec("jupyterlab") is None:
        raise MissingPackageError("jupyterlab", "to open notebooks")
    root = Path(__file__).resolve().parents[2]
    if not (root / "notebooks").is_dir():
        raise RequestError(f"There are no notebooks beside {root}.", "Run this from a checkout of the workbench.")
    command = lab_command(root, browser, port, arguments or [])
    os.execve(command[0], command, lab_environment(Workspace.current()))


# -- parts ----------------------------------------------------------------------------------------------------------


def _spec(name: str, sets: list[str] | None) -> RunSpec:
    from workbench.check import load_spec

    spec = load_spec(name)
    changes = _changes(sets)
    return spec.changed(changes) if changes else spec


def _changes(sets: list[str] | None) -> dict[str, Any]:
    """What ``--set FIELD=VALUE`` says, by field; a value is YAML."""
    changes = {}
    for item in sets or []:
        field, equals, value = item.partition("=")
        if not equals:
            raise RequestError(f"--set {item!r} has no '='.", "Write it as --set training.epochs=2.")
        try:
            changes[field.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            told = " ".join(str(error).split())
            raise RequestError(f"--set {item!r} has a value that is not YAML: {told}", "Put it in quotes.") from error
    return changes


def _await(started: Run, workspace: Workspace, as_json: bool) -> None:
    """Show a run's progress until it has ended; the exit code tells how."""
    views.show_progress(started, workspace, quiet=as_json)
    summary = started.summary()
    answer(summary, as_json, lambda: views.show_run(summary, brief=True))
    if summary.state != "succeeded":
        error = summary.error
        if error and not as_json:
            errors.print(f"Error: {error.message}\n{error.hint}", style="red", markup=False, soft_wrap=True)
        raise Finished(0 if summary.state == "stopped" else 1)


def _serve(workspace: Workspace, host: str, port: int, allow_hosts: list[str], open_browser: bool) -> None:
    from importlib.util import find_spec

    if find_spec("streamlit") is None:
        raise MissingPackageError("streamlit", "to serve the dashboard")
    try:
        from dashboard.serving.server import serve
    except ImportError as error:
        raise UnknownNameError("module", "dashboard", [], f"The dashboard cannot be loaded: {error}.") from error
    serve(workspace, host=host, port=port, allow_hosts=allow_hosts, open_browser=open_browser)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
