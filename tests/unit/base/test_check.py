"""``check`` reports all problems at once, with the allowed values; confined specs read only uploads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import workbench
from tests.tiny import make_model, write_csv
from workbench.check import Problem, check, fitting_tunings, load_spec, problems_of, resolve, with_absolute_paths
from workbench.data.catalogue.entries import catalogue
from workbench.data.catalogue.naming import source_kind
from workbench.errors import SpecError, UnknownNameError
from workbench.models.base import models
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings
from workbench.workspace import Workspace


def spec(**changes: Any) -> RunSpec:
    base = RunSpec.parse({"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm"})
    return base.changed({name.replace("__", "."): value for name, value in changes.items()})


def fields(problems: list[Problem], severity: str = "error") -> list[str]:
    return sorted(problem.field for problem in problems if problem.severity == severity)


def test_every_problem_at_once(workspace: Workspace) -> None:
    wrong = spec(
        task__threshold=7,
        task__pears=True,
        tuning={"method": "lora", "rank": 0},
        model={"source": "minilm", "dropout": 3},
        data__train="nowhere.csv",
        training__early_stopping_patience=2,
        data__holdout__valid=0,
        training__learning_rate=5,
    )
    problems = check(wrong, workspace)
    errors = [
        "data.train",
        "model.dropout",
        "task.pears",
        "task.threshold",
        "training.early_stopping_patience",
        "tuning.rank",
    ]
    assert fields(problems) == errors and fields(problems, "warning") == ["training.learning_rate"]
    assert [problem.severity for problem in problems] == ["error"] * 6 + ["warning"], "errors come first"
    by_field = {problem.field: problem for problem in problems}
    assert "7" in by_field["task.threshold"].message and "less than 1" in by_field["task.threshold"].message
    assert "multi_label" in by_field["task.pears"].hint and "alpha" in by_field["tuning.rank"].hint
    assert "'nowhere.csv'" in by_field["data.train"].message and "banking77" in by_field["data.train"].hint
    with pytest.raises(SpecError) as caught:
        resolve(wrong, workspace)
    assert fields(caught.value.problems) == errors


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("minilm:x", "takes no argument"),
        ("path", "lacks its argument"),
        ("path:/nowhere", "no config.json"),
        ("path:" + "a" * 5000, "no config.json"),
        ("path:a\0b", "no config.json"),
        ("hf:bert", "REPOSITORY@REVISION"),
        ("hf:google-bert/bert-base-uncased", "REPOSITORY@REVISION"),
        ("run:nothing", "no run"),
        ("run:../../x", "not a valid run id"),
        ("", "no model ''"),
    ],
)
def test_invalid_model_sources(source: str, words: str, workspace: Workspace) -> None:
    (problem,) = check(spec(model=source), workspace)
    assert problem.field == "model" and words in problem.message + problem.hint


@pytest.fixture
def traps(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Create a model and a file in the uploads, and copies outside: in a sibling of the same prefix and by links."""
    for folder in (workspace.uploads, tmp_path / "home2", workspace.root / "uploads2", workspace.cache):
        make_model(folder / "m")
        write_csv(folder / "a.csv", 20)
    (workspace.uploads / "link").symlink_to(tmp_path / "home2" / "m")
    (workspace.uploads / "link.csv").symlink_to(tmp_path / "home2" / "a.csv")
    return workspace


OUTSIDE = [
    "{tmp}/home2/{x}",
    "../uploads2/{x}",
    "../../home2/{x}",
    "{home}/uploads2/{x}",
    "{home}/uploads/../cache/{x}",
    "~/{x}",
    "//proc/self/root{tmp}/home2/{x}",
    "{home}/uploads/link{end}",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_confined_specs_read_only_uploads(path: str, traps: Workspace, tmp_path: Path) -> None:
    def fill(x: str, end: str) -> str:
        return path.format(tmp=tmp_path, home=traps.root, x=x, end=end)

    base = spec(data__train=str(traps.uploads / "a.csv"), model=f"path:{traps.uploads / 'm'}")
    assert check(base, traps, confined=True) == []
    model, data = fill("m", ""), fill("a.csv", ".csv")
    model = model.replace("../uploads2", "uploads/../uploads2").replace("../../home2", "../home2")
    assert fields(check(base.changed({"model": f"path:{model}"}), traps, confined=True)) == ["model"]
    assert fields(check(base.changed({"data.train": data}), traps, confined=True)) == ["data.train"]
    assert fields(check(base.changed({"data.test": data}), traps, confined=True)) == ["data.test"]


def test_confined_adapters_cannot_name_a_base_outside(traps: Workspace, tmp_path: Path) -> None:
    folder = traps.uploads / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    source = f"path:{tmp_path / 'home2' / 'm'}"
    (folder / "workbench.json").write_text(
        json.dumps({"base": {"source": source, "fingerprint": "x"}, "head": "AutoModel", "head_options": {}})
    )
    adapter = spec(model=f"path:{folder}")
    assert check(adapter, traps) == []
    assert fields(check(adapter, traps, confined=True)) == ["model"]


def test_confined_runs_must_be_in_the_workspace(traps: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "status.json").write_text("{}")
    (traps.runs / "linked").symlink_to(tmp_path / "elsewhere")
    for name in ("linked", "../uploads/m", str(traps.uploads / "m")):
        assert fields(check(spec(model=f"run:{name}"), traps, confined=True)) == ["model"]


def test_an_unfinished_run_has_no_model(workspace: Workspace) -> None:
    run = Run.create(spec(), workspace)
    (problem,) = check(spec(model=f"run:{run.id}"), workspace)
    assert "queued" in problem.message


@pytest.mark.parametrize(("model", "tuning", "rate"), [
    ("minilm", "full", 3e-4), ("smollm2", "full", 5e-5), ("smollm2", "lora", 1e-3), ("lstm", "full", 5e-4),
    ("multilingual-e5-small", "lora", 3e-3),
])  # fmt: skip
def test_the_default_learning_rate_depends_on_method_and_model(
    model: str, tuning: str, rate: float, workspace: Workspace
) -> None:
    learning_rate = resolve(spec(model=model, tuning=tuning), workspace).spec.training.learning_rate
    assert learning_rate == pytest.approx(rate)


def test_a_resolved_spec_has_every_default(workspace: Workspace) -> None:
    resolved = resolve(spec(tuning="lora"), workspace).spec
    assert resolved.training.learning_rate == pytest.approx(6e-3) and resolved.tuning.options["rank"] == 8
    assert resolved.task.options["threshold"] == 0.5
    assert resolve(spec(tuning="lora", training__learning_rate=0.01), workspace).spec.training.learning_rate == 0.01


def test_load_spec(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("task: text-classification\ndata: banking77\nmodel: minilm\n")
    assert load_spec(str(tmp_path / "a.yaml")).data.train == "banking77"
    load_spec("demo-full").training.epochs = 77
    assert load_spec("demo-full").training.epochs == 2, "a preset is copied"
    with pytest.raises(UnknownNameError, match="Did you mean 'demo-lora'"):
        load_spec("demo-lor")
    for name in ("x" * 5000, "a\0b", ""):
        with pytest.raises((UnknownNameError, SpecError)):
            load_spec(name)


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.XLSX", "reviews.csv.gz", "reviews.zip", "old.xls"])
def test_the_name_of_a_table_is_not_the_name_of_a_preset(name: str, workspace: Workspace) -> None:
    """A missing table is reported as missing data; an archive is not read as YAML."""
    table = load_spec(name)
    assert (table.task.name, table.data.train, table.model.source) == ("text-classification", name, "auto")
    assert [problem.field for problem in check(table, workspace) if problem.severity == "error"] == ["data.train"]


def test_an_invalid_document_is_reported_as_problems() -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({"task": "x", "data": {"trian": "y"}, "model": "z", "training": {"epochs": "many"}})
    problems = problems_of(caught.value)
    assert fields(problems) == ["data.train", "data.trian", "training.epochs"]
    assert "max_length" in problems[0].hint and "many" in {p.field: p for p in problems}["training.epochs"].message


NEW = {"task": "masked-lm", "data": "film-plots", "model": {"source": "transformer-encoder", "max_positions": 64}}


def test_problems_of_a_model_from_scratch(workspace):
    spec = RunSpec.parse({**NEW, "data": {"train": "film-plots", "max_length": 65}})
    (problem,) = [p for p in check(spec, workspace) if p.severity == "error"]
    assert problem.field == "data.max_length"
    assert "65 tokens are more than the 64 positions" in problem.message
    rotary = spec.changed({"model.positions": "rotary"})
    assert not [p for p in check(rotary, workspace) if p.severity == "error"]
    spec = RunSpec.parse({**NEW, "data": {"train": "film-plots", "max_length": 64}, "tuning": "lora"})
    (problem,) = [p for p in check(spec, workspace) if p.severity == "error"]
    assert problem.field == "tuning" and "starts from random weights" in problem.message
    (problem,) = check(spec.changed({"tuning": "head"}), workspace)
    assert problem.severity == "warning" and "random initial values" in problem.message


def test_virtual_tokens_use_positions_and_exclude_packing(workspace: Workspace) -> None:
    model = {"source": "transformer-encoder", "max_positions": 64}
    spec = RunSpec.parse({**NEW, "model": model, "data": {"train": "film-plots", "max_length": 50}, "tuning": "prompt"})
    problems = {problem.field: problem for problem in check(spec, workspace)}
    assert "50 tokens and 20 virtual ones of prompt are more than the 64" in problems["data.max_length"].message
    assert "44 or less" in problems["data.max_length"].hint
    assert "packing puts several texts into one" in problems["task.packing"].message
    fits = spec.changed({"data.max_length": 44, "task.packing": False})
    assert not {"data.max_length", "task.packing"} & {problem.field for problem in check(fits, workspace)}


def test_heads_must_divide_the_width(workspace):
    spec = RunSpec.parse({**NEW, "model": {"source": "transformer-encoder", "heads": 5}})
    problems = [p for p in check(spec, workspace) if p.severity == "error"]
    assert any("5 heads do not divide the width 128" in p.message for p in problems)


def test_a_model_from_scratch_has_a_higher_default_learning_rate(workspace):
    spec = RunSpec.parse({**NEW, "data": {"train": "film-plots", "max_length": 64}})
    assert resolve(spec, workspace).spec.training.learning_rate == 5e-4
    assert resolve(spec.changed({"training.learning_rate": 0.01}), workspace).spec.training.learning_rate == 0.01


@pytest.mark.parametrize("limit", ["max_steps", "max_tokens"])
def test_the_default_epochs_end_a_run_before_its_limit(workspace: Workspace, limit: str) -> None:
    spec = RunSpec.parse(
        {"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm", "training": {limit: 10**6}}
    )
    (problem,) = [p for p in check(spec, workspace) if p.field == f"training.{limit}"]
    assert problem.severity == "info" and "the default number of epochs" in problem.message
    longer = spec.changed({"training.epochs": 40})
    assert not [p for p in check(longer, workspace) if p.field == f"training.{limit}"]


@pytest.mark.parametrize(
    ("task", "data", "message", "suitable"),
    [
        ("text-classification", "wikigold", "wikigold has no text and no label", "banking77"),
        ("question-answering", "cluener", "no question and no context", "xquad-en"),
        ("summarization", "python-functions", "no summary", "scitldr"),
        ("dialogue", "chatterbot-faq-en", "no turns", "crosswoz"),
    ],
)
def test_data_of_another_task_is_refused_with_suitable_data(
    task: str, data: str, message: str, suitable: str, workspace: Workspace
) -> None:
    problems = [p for p in check(RunSpec.parse({"task": task, "data": data, "model": "minilm"}), workspace)]
    (problem,) = [p for p in problems if p.field == "data.train"]
    assert problem.severity == "error" and message in problem.message
    assert (
        suitable in problem.hint and f" {data}," not in problem.hint and catalogue().datasets[data].task in problem.hint
    )


def test_data_with_the_needed_columns_is_accepted(workspace: Workspace) -> None:
    """Columns match by role, by an alias, through an option that needs other roles, or because the spec names them."""
    for task, data in (
        ("masked-lm", "banking77"),
        ("masked-lm", "chnsenticorp-hotel"),
        ({"name": "sentence-similarity", "pairs_from_labels": True}, "banking77"),
        ("text-classification", {"train": "wikigold", "columns": {"text": "words", "label": "tags"}}),
        *((entry.task, name) for name, entry in catalogue().datasets.items() if entry.task in tasks),
    ):
        problems = check(RunSpec.parse({"task": task, "data": data, "model": "minilm"}), workspace)
        assert "data.train" not in fields(problems), (task, data)


@pytest.mark.parametrize(("task", "suggested"), [("translation", True), ("summarization", True), ("masked-lm", False)])
def test_an_option_with_which_a_model_fits_is_suggested(task: str, suggested: bool, workspace: Workspace) -> None:
    data = {"translation": "tatoeba-en-zh", "summarization": "scitldr", "masked-lm": "film-plots"}[task]
    problems = check(RunSpec.parse({"task": task, "data": data, "model": "smollm2"}), workspace)
    (problem,) = [problem for problem in problems if problem.severity == "error"]
    assert problem.field == "model" and ("task.architecture: decoder" in problem.hint) is suggested
    if suggested:
        task_spec = {"name": task, "architecture": "decoder"}
        problems = check(RunSpec.parse({"task": task_spec, "data": data, "model": "smollm2"}), workspace)
        assert not [problem for problem in problems if problem.severity == "error"]


def test_an_adapter_is_refused_where_the_vocabulary_head_would_be_new(workspace: Workspace) -> None:
    spec = RunSpec.parse({"task": "masked-lm", "data": "film-plots", "model": "minilm", "tuning": "lora"})
    (problem,) = check(spec, workspace)
    assert problem.field == "tuning" and "cannot hold a new one" in problem.message
    assert not check(spec.changed({"tuning": "full"}), workspace)
    assert "lora" not in fitting_tunings(tasks.get("masked-lm")(), "minilm")
    assert "lora" in fitting_tunings(tasks.get("causal-lm")(), "smollm2")
    generation = {"task": "dialogue", "data": "chatterbot-en", "model": "smollm2", "tuning": "lora"}
    assert not check(RunSpec.parse(generation), workspace)


def test_absolute_paths_leave_names_and_references_alone(workspace: Workspace, tmp_path: Path) -> None:
    reference = "hf:owner/name@0123456789abcdef0123456789abcdef01234567?split=train"
    streamed = spec(data__train=reference, data__limit__train=100)
    assert with_absolute_paths(streamed, workspace, confined=False).data.train == reference
    assert with_absolute_paths(spec(), workspace, confined=False).data.train == "rotten-tomatoes"
    relative = with_absolute_paths(spec(data__train="a.csv", model="path:m"), workspace, confined=False)
    assert (relative.data.train, relative.model.source) == (str(Path.cwd() / "a.csv"), f"path:{Path.cwd() / 'm'}")


def test_an_entry_may_report_problems_of_its_own(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"task": tasks.get("text-classification"), "model": models.get("minilm"), "tuning": tunings.get("full")}
    for section, entry in entries.items():
        problem = Problem("error", section, "is not for Mondays")
        with monkeypatch.context() as patch:
            patch.setattr(entry, "problems", lambda self, spec, problem=problem: [problem])
            assert check(spec(tuning="full"), workspace) == [problem]
    (problem,) = check(spec(data__columns={"txt": "a"}), workspace)
    assert problem.field == "data.columns.txt" and "text, label" in problem.hint


def test_one_function_decides_what_a_name_in_the_data_section_is() -> None:
    assert source_kind("rotten-tomatoes") == "catalogue" and source_kind("rotten-tomatoes", "test") == "path"
    assert source_kind("hf:owner/name@main") == source_kind("hf:owner/name@main", "valid") == "hub"
    assert source_kind("reviews.csv") == source_kind("./rotten-tomatoes") == "path"
    package = Path(workbench.__file__).parent
    decides = re.compile(r"\bis_reference\(|in catalogue\(\)\.datasets\b(?!\.)|catalogue\(\)\.datasets\.get\(")
    allowed = {"data/catalogue/naming.py", "data/catalogue/hub_rows.py"}
    own = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        if str(path.relative_to(package)) not in allowed
        for line in path.read_text(encoding="utf-8").splitlines()
        if decides.search(line) and not line.strip().startswith("for ") and " for " not in line
    ]
    assert not own, f"ask workbench.data.catalogue.naming.source_kind instead: {own}"
