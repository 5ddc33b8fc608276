"""The command line as people and scripts use it: the installed command in a process of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_process import (
    COMMAND,
    RUN_KEYS,
    CallHere,
    assert_finished_run,
    call,
    call_json,
    environment,
    write_spec,
)
from tests.tiny import fill_with_nan, make_model, reviews
from workbench.jobs import stop_worker
from workbench.locks import waiting_lock
from workbench.runs.run import Run
from workbench.workspace import Workspace

LONG = {"epochs": 10_000, "batch_size": 4, "max_steps": 1_000_000, "checkpoint_every": 50}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace for the tests that only read its two finished runs; parallel pytest processes share it."""
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    workspace = Workspace(folder / "cli-home").create()
    yield workspace
    stop_worker(workspace)


@pytest.fixture
def call_here(home: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CallHere:
    return CallHere(home, monkeypatch, capfd)


@pytest.fixture(scope="module")
def finished(home: Workspace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The output of ``workbench run --json`` for a full and a LoRA run; the two run once per test session."""
    cached = home.root / "printed.json"
    with waiting_lock(home.root / "printed.lock"):
        if not cached.exists():
            spec = write_spec(home)
            lora = ["--set", "tuning=lora", "--set", "name=tiny-lora"]
            cached.write_text(json.dumps([call_json(home, "run", spec), call_json(home, "run", spec, *lora)]))
    first, second = json.loads(cached.read_text())
    return first, second


# -- what --json prints -----------------------------------------------------------------------------------------------


def test_run_and_show(home: Workspace, finished: tuple[dict[str, Any], ...]) -> None:
    for printed in finished:
        assert_finished_run(printed)
        shown = call_json(home, "show", printed["id"])
        assert shown == printed
        assert shown["spec"]["data"]["train"] == str(home.uploads / "reviews.csv")
    assert finished[1]["spec"]["tuning"]["method"] == "lora"
    end = finished[0]["id"][-4:]
    assert call_json(home, "show", end)["id"] == finished[0]["id"], "the end of an id must be enough"


def test_runs(home: Workspace, finished: tuple[dict[str, Any], ...]) -> None:
    listed = call_json(home, "runs")
    assert [run["id"] for run in listed][:2] == [printed["id"] for printed in finished], "oldest first"
    for run in listed:
        assert run.keys() >= RUN_KEYS and "spec" not in run


def test_compare(home: Workspace, finished: tuple[dict[str, Any], ...]) -> None:
    ids = [printed["id"] for printed in finished]
    comparison = call_json(home, "compare", *ids)
    assert comparison.keys() >= {"runs", "metric", "difference", "low", "high", "p_value", "test", "verdict"}
    assert comparison["runs"] == ids and comparison["metric"] == "accuracy"
    assert comparison["low"] <= comparison["difference"] <= comparison["high"]
    assert call_json(home, "compare", *ids, "--metric", "macro_f1")["metric"] == "macro_f1"


def test_predict(home: Workspace, finished: tuple[dict[str, Any], ...]) -> None:
    results = call_json(home, "predict", finished[1]["id"], "--text", "a great film", "--text", "a dull plot\n「很好」")
    assert len(results) == 2
    for result in results:
        assert result["label"] in ("good", "bad") and sum(result["scores"].values()) == pytest.approx(1)


@pytest.mark.slow
def test_predict_reads_inputs_by_role_and_from_a_file(
    home: Workspace, finished: tuple[dict[str, Any], ...], tmp_path: Path
) -> None:
    run = finished[1]["id"]
    rows = tmp_path / "rows.csv"
    rows.write_text('text,label\na great film,good\n"a dull, slow plot",bad\n', encoding="utf-8")
    (alone,) = call_json(home, "predict", run, "--text", "a great film")
    first, second, third = call_json(home, "predict", run, "--input", '{"text": "a great film"}', "--file", str(rows))
    assert first == alone and second == {**alone, "columns": {"label": "good"}}, "other columns are kept"
    assert third.pop("columns") == {"label": "bad"} and third.keys() == alone.keys() and third != alone
    done = call(home, "predict", run, "--input", "{text}")
    assert done.returncode == 2 and "is not JSON" in done.stderr


def test_explain_and_its_page(home: Workspace, finished: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = "a great film <script>alert(1)</script>"
    explanation = call_json(
        home, "explain", finished[0]["id"], "--text", text, "--method", "occlusion", "--html", str(page)
    )
    assert explanation.keys() >= {"tokens", "offsets", "scores", "faithfulness"}
    assert len(explanation["tokens"]) == len(explanation["offsets"]) == len(explanation["scores"])
    written = page.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in written
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org)", written)


@pytest.mark.parametrize("command", ["tasks", "models", "tunings", "explainers", "presets", "data list"])
def test_lists(call_here: CallHere, command: str) -> None:
    done = call_here(*command.split(), "--json")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    entries = json.loads(done.stdout)
    assert entries and all(entry.keys() >= {"name"} for entry in entries)
    if command != "presets":
        assert all(entry["label"] for entry in entries)


def test_check_prints_all_problems_in_one_format(home: Workspace) -> None:
    assert call_json(home, "check", "demo-full") == []
    wrong = ["--set", "tuning.ranks=3", "--set", "data=nothing.csv", "--set", "training.learning_rate=9"]
    problems = call_json(home, "check", "demo-full", *wrong, code=2)
    assert {problem["field"] for problem in problems} >= {"tuning.ranks", "data.train", "training.learning_rate"}
    problems += call_json(home, "check", "demo-full", "--set", "training.epochs=many", "--set", "seed=3", code=2)
    for problem in problems:
        assert problem.keys() == {"severity", "field", "message", "hint"}
    assert {"training.epochs", "seed"} <= {problem["field"] for problem in problems}


@pytest.mark.mirror
def test_data_show_and_fetch(live_workspace: Workspace) -> None:
    shown = call_json(live_workspace, "data", "show", "chnsenticorp-hotel")
    assert shown["licence"] and shown["citation"] and shown["language"] == "zh"
    (fetched,) = call_json(live_workspace, "data", "fetch", "chnsenticorp-hotel")
    assert fetched["name"] == "chnsenticorp-hotel" and any(Path(fetched["path"]).iterdir())
    cached = {entry["name"]: entry["cached"] for entry in call_json(live_workspace, "data", "list")}
    assert cached["chnsenticorp-hotel"] is True and cached["minilm"] is False
    assert call_json(live_workspace, "data", "clean", "--yes")["freed_bytes"] > 2_000_000


# -- output for people ------------------------------------------------------------------------------------------------


def test_tables_show_whole_ids(home: Workspace, finished: tuple[dict[str, Any], ...]) -> None:
    for command in (["runs"], ["show", finished[0]["id"]], ["compare", *(run["id"] for run in finished)]):
        done = call(home, *command)
        assert done.returncode == 0 and finished[0]["id"] in done.stdout
    assert "accuracy" in call(home, "show", finished[0]["id"]).stdout
    assert "good" in call(home, "predict", finished[0]["id"], "--text", "a [bold]great[/] film").stdout


def test_ids_are_whole_on_a_narrow_terminal(home: Workspace, finished: tuple[dict[str, Any], ...]) -> None:
    """On a real terminal with 60 columns, no id is wrapped or cut off."""
    import pty

    parent, child = pty.openpty()
    command = [*COMMAND, "runs"]
    process = subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, env=environment(home, COLUMNS="60", TERM="xterm")
    )
    os.close(child)
    output = b""
    try:
        while chunk := os.read(parent, 4096):
            output += chunk
    except OSError:  # on Linux: the other end is closed
        pass
    os.close(parent)
    assert process.wait(30) == 0
    for printed in finished:
        assert printed["id"] in output.decode()


@pytest.mark.parametrize(
    "command", ["", "run", "check", "compare", "predict", "explain", "data", "dashboard", "delete"]
)
def test_help(call_here: CallHere, command: str) -> None:
    done = call_here(*command.split(), "--help", COLUMNS="80")
    assert done.returncode == 0 and done.stdout.startswith("Usage: workbench")
    assert max(map(len, done.stdout.splitlines())) <= 80


# -- invalid requests -------------------------------------------------------------------------------------------------

HOSTILE_IDS = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "%2e%2e%2fetc",
    "..%5c..%5cwindows",
    "\\\\server\\share",
    "runs/../../x",
    "~root",
    "a" * 5000,
    "-",
    "$(touch pwned)",
    "`touch pwned`",
    "x;touch pwned",
    "x\ny",
    "\u202egnp.exe",
    "con:",
    "file:///etc/passwd",
]

INVALID_REQUESTS = [
    (["show", "nothing"], "There is no run 'nothing'"),
    (["stop", "nothing"], "There is no run"),
    (["resume", "nothing"], "There is no run"),
    (["delete", "nothing"], "There is no run"),
    (["predict", "nothing", "--text", "x"], "There is no run"),
    (["explain", "nothing", "--text", "x"], "There is no run"),
    (["compare", "nothing", "else"], "There is no run"),
    (["run", "demo-ful"], "Did you mean 'demo-full'"),
    (["run", "nothing.yaml"], "cannot be read"),
    (["submit", "demo-full", "--set", "task=text-clasification"], "Did you mean 'text-classification'"),
    (["submit", "demo-full", "--set", "training.epoch=2"], "there is no such field"),
    (["submit", "demo-full", "--set", "training.epochs"], "has no '='"),
    (["submit", "demo-full", "--set", "training.epochs=[1"], "not valid YAML"),
    (["submit", "demo-full", "--set", "training.epochs=three"], "training.epochs"),
    (["submit", "demo-full", "--set", "name.a.b=three"], "name"),
    (["submit", "demo-full", "--set", "data=" + "a" * 3000], "neither a file nor a data set"),
    (["submit", "b" * 3000], "There is no preset"),
    (["data", "fetch", "nothing"], "nothing"),
    (["data", "show", "../x"], "../x"),
    (["nothing"], "No such command 'nothing'"),
    (["show"], "Missing argument"),
    (["runs", "--nothing"], "No such option"),
    (["dashboard", "--port", "99999"], "65535"),
    (["stop", "x", "--kill-after", "-1"], "greater than or equal to 0"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), INVALID_REQUESTS, ids=[" ".join(arguments)[:40] for arguments, _ in INVALID_REQUESTS]
)
def test_an_invalid_request(call_here: CallHere, arguments: list[str], message: str) -> None:
    done = call_here(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and done.stdout == ""
    assert "Traceback" not in done.stderr and "fault of the workbench" not in done.stderr
    assert len(done.stderr.strip().splitlines()) >= 2, f"no hint: {done.stderr}"


def test_an_invalid_request_as_json(home: Workspace) -> None:
    document = call_json(home, "show", "nothing", code=2)
    assert document["error"].keys() == {"kind", "message", "hint"} and document["error"]["kind"] == "UnknownName"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [", "not valid YAML"),
        ("- a\n- b\n", "a mapping of fields is needed"),
        ("name: a\nname: b\n", "given twice"),
        ("task: text-classification\n", "data: is missing"),
        ("", "a mapping of fields is needed"),
        ("task: 3\ndata: [1]\nmodel: minilm\n", "task"),
        ("schema_version: 99\n", "newer workbench"),
        ("!!python/object/apply:os.system ['touch pwned']\n", "not valid YAML"),
        ("\x00\x01\xff", "YAML"),
    ],
)
def test_an_invalid_spec_file(home: Workspace, call_here: CallHere, content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content.encode("latin-1"))
    done = call_here("submit", str(path))
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) >= 2
    assert not (home.root / "pwned").exists()


def test_debug_shows_the_traceback(home: Workspace) -> None:
    done = call(home, "show", "nothing", "--debug")
    assert done.returncode != 0 and "Traceback" in done.stderr and "UnknownNameError" in done.stderr


def test_hostile_run_ids(home: Workspace, finished: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    """Every command that takes an id refuses each hostile id; one process runs all of them to save time."""
    script = """
import contextlib, io, json, sys
from workbench.cli import main
for command, run_id in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*command, *([] if command[-1].startswith("-") else []), "--", run_id])
    assert code == 2, (command, run_id, code, out.getvalue())
    assert json.loads(out.getvalue())["error"]["kind"] in ("Refused", "UnknownName", "Request"), out.getvalue()
print("done")
"""
    commands = [["show"], ["stop"], ["resume"], ["delete"], ["compare", finished[0]["id"]]]
    commands += [["predict", "--text", "x"], ["explain", "--text", "x"]]
    cases = [[[*command[:1], "--json", *command[1:]], run_id] for command in commands for run_id in HOSTILE_IDS]
    cases += [[["show", "--json"], "a\0b"], [["delete", "--json"], "\0"]]
    before = sorted(path.name for path in home.runs.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(cases)],
        capture_output=True,
        text=True,
        timeout=200,
        env=environment(home),
        cwd=tmp_path,
    )
    assert done.stdout == "done\n", done.stderr[-1500:]
    assert sorted(path.name for path in home.runs.iterdir()) == before and not list(tmp_path.iterdir())


# -- the life of a run ------------------------------------------------------------------------------------------------


def wait_for(run: Run, state: str, step: int = 0, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = run.status()
        if status.state == state and ((status.progress and status.progress.step) or 0) >= step:
            return
        assert status.state in ("queued", "running", state), status
        time.sleep(0.1)
    raise AssertionError(f"{run.status()} is not {state} at step {step}\n{run.log()[-1500:]}")


def test_submit_stop_resume_delete(live_workspace: Workspace) -> None:
    queued = call_json(live_workspace, "submit", write_spec(live_workspace, **LONG))
    assert queued["state"] in ("queued", "running") and queued.keys() >= RUN_KEYS | {"spec"}
    run = Run.open(queued["id"], live_workspace)
    wait_for(run, "running", step=1)
    assert call(live_workspace, "delete", run.id).returncode == 1, "a running run must not be deleted"
    assert call_json(live_workspace, "stop", run.id, "--kill-after", "60")["state"] == "stopped"
    assert any(run.checkpoints_folder.iterdir())
    resumed = call_json(live_workspace, "resume", run.id, "--no-wait")
    assert resumed["state"] in ("queued", "running")
    deadline = time.monotonic() + 120
    while "Resuming from" not in run.log() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "Resuming from step-" in run.log()
    assert call_json(live_workspace, "stop", run.id, "--kill-after", "60")["state"] == "stopped"
    assert call_json(live_workspace, "delete", run.id) == [run.id]
    assert call_json(live_workspace, "runs") == [] and not run.folder.exists()


def start_run(workspace: Workspace, spec: str) -> tuple[subprocess.Popen[str], Run]:
    """Start ``workbench run`` in a session of its own and wait until it trains."""
    process = subprocess.Popen(
        [*COMMAND, "run", spec, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(workspace),
        cwd=workspace.root,
        start_new_session=True,
        # If the tests run under nohup, their processes would inherit that SIGHUP is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not Run.all(workspace) and time.monotonic() < deadline:
        time.sleep(0.1)
    (run,) = Run.all(workspace)
    wait_for(run, "running", step=1)
    return process, run


def test_ctrl_c_stops_with_a_checkpoint(live_workspace: Workspace) -> None:
    process, run = start_run(live_workspace, write_spec(live_workspace, **LONG))
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does
    out, err = process.communicate(timeout=60)
    document = json.loads(out)
    assert document["state"] == "stopped" and document["error"] is None and process.returncode == 0
    assert "Traceback" not in err and "Stopping after a checkpoint" in err
    assert any(run.checkpoints_folder.iterdir())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL], ids=["hangup", "kill"])
def test_a_run_survives_its_closed_terminal(live_workspace: Workspace, number: int) -> None:
    process, run = start_run(live_workspace, write_spec(live_workspace, **LONG))
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    step = run.status().progress.step
    wait_for(run, "running", step=step + 20)


def test_a_failed_run_is_reported(live_workspace: Workspace) -> None:
    (live_workspace.root / "one.csv").write_text("text,label\n" + "".join(f"film {i},good\n" for i in range(30)))
    before = Run.all(live_workspace)
    document = call_json(live_workspace, "run", write_spec(live_workspace), "--set", "data=one.csv", code=2)
    assert "only the label 'good'" in document["error"]["message"] and document["error"]["hint"]
    assert Run.all(live_workspace) == before, "nothing was queued"
    broken = make_model(live_workspace.root / "broken")
    fill_with_nan(broken)  # found only when the run computes a loss
    document = call_json(live_workspace, "run", write_spec(live_workspace), "--set", f"model=path:{broken}", code=1)
    assert document["state"] == "failed" and document["error"]["message"]
    (live_workspace.root / "none.csv").write_text("a,b\n" + "".join(f"film {i},x{i}\n" for i in range(30)))
    done = call(live_workspace, "run", write_spec(live_workspace), "--set", "data=none.csv")
    assert done.returncode == 2 and "Error:" in done.stderr and "Traceback" not in done.stderr
    assert "'a'" in done.stderr or "a, b" in done.stderr, f"the message should name the columns: {done.stderr}"


def test_shell_commands_in_a_run_name(live_workspace: Workspace) -> None:
    name = "$(touch pwned); `touch pwned` | touch pwned & '\"><script>alert(1)</script>"
    document = call_json(live_workspace, "run", write_spec(live_workspace, name))
    assert_finished_run(document)
    assert re.fullmatch(r"[0-9a-z-]+", document["id"]) and document["spec"]["name"] == name
    for command in (["runs"], ["show", document["id"]]):
        assert call(live_workspace, *command).returncode == 0
    assert not list(live_workspace.root.rglob("*pwned*")) or not [
        p for p in live_workspace.root.rglob("pwned") if p.is_file()
    ]


# Predicts twice in one process, and prints its peak memory in kB after each.
PREDICT_TWICE = """
import resource, sys
from workbench.cli import main
for rows in sys.argv[3:]:
    assert main(["predict", sys.argv[1], "--file", sys.argv[2] % rows, "--out", sys.argv[2] % ("out-" + rows)]) == 0
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_predict_answers_a_large_file_in_steady_memory(
    home: Workspace, finished: tuple[dict[str, Any], ...], tmp_path: Path
) -> None:
    texts = [text for text, _ in reviews(100)]
    for rows in (5_000, 25_000):
        lines = (f"{number},{texts[number % 100]}" for number in range(rows))
        (tmp_path / f"{rows}.csv").write_text("\n".join(["number,text", *lines]) + "\n", encoding="utf-8")
    command = [sys.executable, "-c", PREDICT_TWICE, finished[0]["id"], str(tmp_path / "%s.csv"), "5000", "25000"]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    few, many = (1024 * int(line) for line in done.stdout.split())
    with open(tmp_path / "out-25000.csv", newline="", encoding="utf-8") as file:
        answers = list(csv.DictReader(file))
    assert [row["number"] for row in answers] == [str(number) for number in range(25_000)], "in the order of the file"
    assert [row["label"] for row in answers[:100]] == [row["label"] for row in answers[-100:]]
    # As objects, a row and its answer take more than 1 kB, in addition to the 0.6 kB that the file takes as a table.
    assert many - few < 20_000 * 1_100
