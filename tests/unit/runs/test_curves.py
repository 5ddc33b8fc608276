"""Metric store and curves: incremental reading, preserved extremes, and means checked against SciPy and by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.errors import RequestError, UnknownNameError
from workbench.runs.query import read_curves as read_curves
from workbench.runs.run import Run
from workbench.runs.series import metric_store as module
from workbench.runs.series.curves import mean_band, overlaid_curves, plot_points, smooth, thin
from workbench.runs.series.metric_store import open_metrics
from workbench.spec import RunSpec
from workbench.workspace import Workspace


@pytest.fixture(params=[0, module.MAX_UNINDEXED_BYTES], ids=["index", "memory"], autouse=True)
def _index_or_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with the index on disk and with the in-memory reader for small files."""
    monkeypatch.setattr(module, "MAX_UNINDEXED_BYTES", request.param)


def make_run(workspace: Workspace, rows: list[dict[str, Any]] | None = None, **fields: Any) -> Run:
    run = Run.create(RunSpec.parse({"task": "t", "data": "d.csv", "model": "m", **fields}), workspace)
    write(run, rows or [])
    return run


def write(run: Run, rows: list[dict[str, Any]]) -> None:
    with open(run.metrics_file, "a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def row(step: int, **values: float) -> dict[str, Any]:
    return {"step": step, "epoch": step / 10, "time": step * 0.5, "tokens": step * 100, **values}


def curve_of(run: Run, name: str, x: str = "step") -> tuple[list[float], list[float]]:
    xs, ys = open_metrics(run).curve(name, x)
    return list(xs), list(ys)


def test_the_metric_store_agrees_with_the_query(workspace: Workspace) -> None:
    rows = [row(s, **{"train/loss": 1 / s}) for s in range(1, 50)]
    rows[20:20] = [row(20, **{"eval/loss": 0.5})]
    run = make_run(workspace, [*rows, {"step": 50, "eval/loss": 0.25}])
    for axis in module.AXES:
        expected = {c["name"]: (c["x"], c["y"]) for c in read_curves([run], x=axis)}
        assert {name: curve_of(run, name, axis) for name in open_metrics(run).names()} == expected
    with pytest.raises(UnknownNameError):
        open_metrics(run).curve("train/loss", "steps")
    assert curve_of(run, "no such") == ([], [])


def test_only_new_lines_are_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNINDEXED_BYTES", 0)
    sizes: list[int] = []
    parse = module._parse
    monkeypatch.setattr(module, "_parse", lambda content: sizes.append(len(content)) or parse(content))
    run = make_run(workspace, [row(s, a=s) for s in range(5000)])
    open_metrics(run)
    before = sum(sizes)
    assert before == run.metrics_file.stat().st_size
    open_metrics(run)
    assert sum(sizes) == before  # nothing new, nothing read
    write(run, [row(5000, a=1)])
    assert len(open_metrics(run).curve("a")[0]) == 5001
    assert sum(sizes) - before < 100


def test_an_unfinished_line_is_read_later(workspace: Workspace) -> None:
    run = make_run(workspace, [row(1, a=1)])
    with open(run.metrics_file, "a") as file:
        file.write('{"step": 2, "a"')
        file.flush()
        assert curve_of(run, "a") == ([1], [1])
        file.write(': 5}\nnot json\n[1]\n{"step": 3, "a": "high"}\n{"step": 4, "a": true}\n{"step": 5, "a": 6}\n')
    assert curve_of(run, "a") == ([1, 2, 5], [1, 5, 6])


def test_a_resumed_run_replaces_the_steps_after_its_checkpoint(workspace: Workspace) -> None:
    run = make_run(workspace, [row(s, a=s) for s in (1, 2, 3, 4)])
    assert curve_of(run, "a")[0] == [1, 2, 3, 4]
    write(run, [row(2, a=20), row(3, a=30)])
    assert curve_of(run, "a") == ([1, 2, 3], [1, 20, 30])
    write(run, [row(3, a=31), row(4, a=40)])
    expected = ([1, 2, 3, 4], [1, 20, 31, 40])
    assert curve_of(run, "a") == expected
    shutil.rmtree(workspace.cache / "curves", ignore_errors=True)
    assert curve_of(run, "a") == expected  # reading everything at once has the same result


def test_a_replaced_file_is_read_from_the_start(workspace: Workspace) -> None:
    run = make_run(workspace, [row(s, a=s) for s in (1, 2, 3)])
    open_metrics(run)
    for rows in ([row(7, a=7)], [row(s, b=s) for s in range(50)]):  # shorter; longer with a different start
        run.metrics_file.unlink()
        write(run, rows)
        assert open_metrics(run).names() == ["a" if rows[0].get("a") else "b"]


def test_arrow_and_the_slow_parser_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [row(s, a=s / 3) | ({"b": s} if s % 7 == 0 else {}) for s in range(6000)]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    fast = module._parse_fast(content)
    monkeypatch.setattr(module, "_FAST_FROM", 2**40)
    slow = module._parse(content)
    assert fast.size == slow.size and set(fast.columns) == set(slow.columns)
    for name in fast.columns:
        np.testing.assert_array_equal(fast.columns[name], slow.columns[name])


def test_non_finite_values_are_counted(workspace: Workspace) -> None:
    run = make_run(workspace, [row(1, a=1), row(2) | {"a": None}, row(3) | {"a": None}, row(4, a=2)])
    assert open_metrics(run).broken == {"a": (2, 3.0)}
    assert curve_of(run, "a") == ([1, 4], [1, 2])


def test_a_zoom_has_one_point_more_on_each_side(workspace: Workspace) -> None:
    run = make_run(workspace, [row(s, a=s) for s in range(100)])
    assert list(open_metrics(run).curve("a", "step", 10, 12)[0]) == [9, 10, 11, 12, 13]
    assert list(open_metrics(run).curve("a", "time", 20, None)[0])[:2] == [19.5, 20]
    xs, _ = open_metrics(make_run(workspace, [{"step": 1, "a": 1}, row(2, a=2)])).curve("a", "time")
    assert list(xs) == [1.0]  # a line without time is not on that axis


def test_curves_are_read_when_the_index_cannot_be_written(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module, "MAX_UNINDEXED_BYTES", 0)
    run = make_run(workspace, [row(s, a=s) for s in range(9)])
    monkeypatch.setattr(Path, "mkdir", fail)
    assert len(open_metrics(run).curve("a")[0]) == 9


def test_indexes_of_deleted_runs_are_removed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNINDEXED_BYTES", 0)
    first, second = (make_run(workspace, [row(1, a=1)]) for _ in range(2))
    open_metrics(first)
    first.delete()
    open_metrics(second)
    assert [path.name for path in (workspace.cache / "curves").iterdir()] == [second.id]


# -- drawing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [1, 500_000, 999_998])
def test_thinning_keeps_the_extremes_and_the_ends(index: int) -> None:
    y = np.sin(np.arange(1_000_000) / 9000)
    y[index], y[index - 1] = 50.0, -50.0
    x, thinned = thin(np.arange(1_000_000.0), y, 1000)
    assert len(x) <= 1000 and 50.0 in thinned and -50.0 in thinned
    assert x[0] == 0 and x[-1] == 999_999 and (np.diff(x) > 0).all()
    np.testing.assert_array_equal(thinned, y[x.astype(int)])


def test_smoothing_is_the_bias_corrected_moving_average() -> None:
    y = np.random.default_rng(0).normal(size=3000) + 5
    for weight in (0.0, 0.6, 0.99):
        powers = weight ** np.arange(3000.0)
        expected = [np.average(y[: i + 1][::-1], weights=powers[: i + 1]) for i in range(0, 3000, 71)]
        np.testing.assert_allclose(smooth(y, weight)[::71], expected, rtol=1e-9)
    with pytest.raises(RequestError):
        smooth(y, 1.0)


def test_the_band_is_students_t_interval() -> None:
    from scipy import stats

    x = np.arange(5.0)
    ys = np.random.default_rng(1).normal(size=(4, 5))
    band = mean_band("g", [(str(i), x, y) for i, y in enumerate(ys)])
    low, high = stats.t.interval(0.95, 3, loc=ys.mean(0), scale=stats.sem(ys))
    np.testing.assert_allclose(band.low, low)
    np.testing.assert_allclose(band.high, high)
    assert band.n == 4


def test_a_band_covers_the_common_range() -> None:
    band = mean_band(
        "g", [("a", np.array([0.0, 2, 4]), np.array([0.0, 2, 4])), ("b", np.array([1.0, 3]), np.array([3.0, 5]))]
    )
    assert list(band.x) == [1, 2, 3] and list(band.mean) == [2, 3, 4]  # (1+3)/2, (2+4)/2, (3+5)/2
    with pytest.raises(RequestError, match="in common"):
        mean_band("g", [("a", np.array([0.0]), np.array([0.0])), ("b", np.array([1.0]), np.array([3.0]))])


def test_many_curves_have_fewer_points_each_and_keep_their_extremes(workspace: Workspace) -> None:
    values = np.sin(np.arange(2000.0))
    values[777] = 9.0
    rows = [row(step, a=value) for step, value in enumerate(values)]
    runs = [make_run(workspace, rows, name=str(index)) for index in range(30)]
    curves = overlaid_curves(runs, "a", group_seeds=False)
    assert all(450 < len(each.x) <= 500 and max(each.mean) == 9.0 for each in curves)
    mean = overlaid_curves(runs, "a")  # a single line
    for few in (overlaid_curves(runs[:2], "a", group_seeds=False), mean):
        assert len(few[0].x) > 900


def test_runs_are_grouped_by_configuration(workspace: Workspace) -> None:
    def runs(rate: float) -> list[Run]:
        return [
            make_run(workspace, [row(s, a=s + seed) for s in range(3)], name=f"r{rate}-{seed}",
                     training={"learning_rate": rate, "seed": seed})
            for seed in (0, 1)
        ]  # fmt: skip

    first_runs, second_runs = runs(1e-3), runs(1e-4)
    curves = overlaid_curves([*first_runs, *second_runs], "a")
    assert [each.n for each in curves] == [2, 2] and curves[0].runs == tuple(run.id for run in first_runs)
    assert list(curves[0].mean) == [0.5, 1.5, 2.5]
    assert [each.n for each in overlaid_curves(first_runs, "a", group_seeds=False)] == [1, 1]
    assert overlaid_curves(first_runs, "no such") == []


def test_a_drawn_curve_is_smoothed_before_it_is_thinned(workspace: Workspace) -> None:
    run = make_run(workspace, [row(s, a=s % 2) for s in range(3000)])
    xs, ys = plot_points(open_metrics(run), "a", weight=0.9)
    assert len(xs) <= 1000 and 0.4 < ys[-1] < 0.6


def test_a_long_curve_is_drawn_with_its_extremes(workspace: Workspace) -> None:
    """Write the curve in two chunks, the second replacing the end of the first, and draw any range of the axis."""
    random = np.random.default_rng(0)
    values = random.normal(size=30_000).round(3)
    values[[7, 12_345, 29_998]] = 99.0, -99.0, 98.0
    run = make_run(workspace, [row(s, a=float(y) if s < 20_000 else 500.0) for s, y in enumerate(values[:22_000])])
    plot_points(open_metrics(run), "a")
    write(run, [row(s, a=float(y)) for s, y in enumerate(values[20_000:], 20_000)])
    for low, high in [(0, 29_999), (8, 29_997), *np.sort(random.integers(1, 29_000, (6, 2)), axis=1)]:
        if high - low < 50:
            continue
        xs, ys = plot_points(open_metrics(run), "a", "tokens", 100 * low, 100 * high)
        expected = values[max(0, low - 1) : high + 2]  # one point more on each side
        assert len(xs) <= 1000 and (ys.min(), ys.max()) == (expected.min(), expected.max())
        np.testing.assert_array_equal(ys, values[(xs / 100).astype(int)])
    smoothed = plot_points(open_metrics(run), "a", weight=0.99)[1]
    assert len(smoothed) <= 1000 and np.isfinite(smoothed).all()
    assert smoothed[-1] == pytest.approx(smooth(values, 0.99)[-1], abs=0.1)
    assert open_metrics(run).bounds("a") == (-99.0, 99.0)


def test_a_rewritten_longer_file_is_read_from_the_start(workspace: Workspace) -> None:
    """A resumed run's file starts like the previous one and may be longer when it is read again."""
    run = make_run(workspace, [row(s, a=s) for s in range(40)])
    open_metrics(run)
    new_file = run.folder / "aside"
    lines = [row(s, a=s) if s < 20 else row(s, a=-s) for s in range(60)]
    new_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    new_file.replace(run.metrics_file)
    assert curve_of(run, "a")[1] == [line["a"] for line in lines]


def test_usage_is_read_like_metrics(workspace: Workspace) -> None:
    run = make_run(workspace, [row(s, a=s) for s in range(9)])
    with open(run.usage_file, "w") as file:
        file.writelines(json.dumps({"time": 2.0 * s, "memory_bytes": s}) + "\n" for s in range(5000))
    usage = open_metrics(run, module.USAGE)
    assert usage.names() == ["memory_bytes"] and open_metrics(run).names() == ["a"]
    xs, ys = plot_points(usage, "memory_bytes", "time")
    assert len(xs) <= 1000 and (xs[-1], ys[-1]) == (9998, 4999)
