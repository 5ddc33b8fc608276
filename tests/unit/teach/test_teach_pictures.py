"""Pictures of the course carry their words, and runs of the course are found again."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
import pytest

from tests.dashboard.fake_runs import fake_run
from workbench.errors import RunError
from workbench.teach import runs
from workbench.teach.pictures import show
from workbench.workspace import Workspace


def test_a_picture_says_what_is_to_be_seen_on_it_and_closes_its_figure() -> None:
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1])
    shown = show(figure, 'It rises: "0 < 1".')
    assert not plt.fignum_exists(figure.number)
    page = shown._repr_html_()
    assert 'alt="It rises: &quot;0 &lt; 1&quot;."' in page and 'width="192"' in page
    assert shown.png.startswith(b"\x89PNG") and repr(shown) == 'Picture: It rises: "0 < 1".'


def test_a_picture_without_words_is_refused() -> None:
    figure, _ = plt.subplots()
    with pytest.raises(ValueError, match="give alt"):
        show(figure, "  ")
    plt.close(figure)


def test_a_run_that_is_done_is_found_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    done, _ = fake_run(workspace, seed=1), fake_run(workspace, "failed", seed=2)
    asked: list[object] = []
    failed = lambda spec, _, start: asked.append(spec) or fake_run(workspace, "failed", seed=3)  # noqa: E731
    monkeypatch.setattr(runs, "submit", failed)
    monkeypatch.setattr(runs, "resolve", lambda spec, _: type("Resolved", (), {"spec": spec}))
    monkeypatch.setattr(runs, "watch", lambda *_: [])
    assert runs.run(done.spec(), quiet=True).id == done.id and not asked
    with pytest.raises(RunError, match=re.escape("is failed: The run needed 9.1 GB")):  # a failed one is done again
        runs.run(done.spec().changed({"training.seed": 2}), quiet=True)
    assert len(asked) == 1


def test_figures_are_those_of_the_report(workspace: Workspace) -> None:
    run = fake_run(workspace)
    told = (run.report() or {})["metrics"]
    assert runs.figures(run)["accuracy"] == told["accuracy"]["value"]
    assert set(runs.figures(run)) <= set(told)
