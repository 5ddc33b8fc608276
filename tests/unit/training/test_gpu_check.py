"""The check on a GPU: its table, its time limit, and its answer on a machine without a GPU."""

from __future__ import annotations

import json
import time

import pytest
import torch

from tests.gpu.check import NO_GPU, Step, main, run_step


def python(code, seconds=60.0, name="a step"):
    return Step(name, ["-c", code], seconds)


def test_without_a_gpu_it_says_so_and_writes_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--out", str(tmp_path / "check")], [python("")]) == 2
    assert capsys.readouterr().err.strip() == NO_GPU and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("code", "exit_code"), [("print('| 1 |')", 0), ("raise SystemExit(3)", 1)])
def test_the_results_of_all_steps_are_written(monkeypatch, tmp_path, code, exit_code):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert (
        main(["--out", str(tmp_path / "check")], [python(code, name="first"), python("", name="second")]) == exit_code
    )
    document = json.loads((tmp_path / "check.json").read_text())
    state = "failed" if exit_code else "passed"
    assert document["device"] == "a GPU"
    assert [(each["name"], each["state"]) for each in document["results"]] == [("first", state), ("second", "passed")]
    page = (tmp_path / "check.md").read_text()
    assert f"| first | {state} |" in page and ("| 1 |" in page) == (not exit_code)


def test_a_step_ends_when_its_time_is_over():
    start = time.monotonic()
    result = run_step(python("import time; print('begun', flush=True); time.sleep(60)", seconds=1.5), 100)
    assert result.state == "timed out" and time.monotonic() - start < 30
    assert run_step(python(""), 5).state == "skipped"
