"""Every HTML page that the workbench writes has a policy: it loads nothing, and only its own scripts run."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from tests.code_metrics import PRODUCT, ROOT
from tests.dashboard.fake_runs import fake_run
from workbench.page_policy import policy_tag
from workbench.workspace import Workspace

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
PAGE = re.compile(r"<!doctype html|<html\b", re.IGNORECASE)
# These answer with the policy as a header (tests/dashboard/test_server.py).
BY_HEADER = {Path("dashboard/serving/login.py"), Path("dashboard/serving/server.py")}


def run_page(workspace: Workspace) -> str:
    from workbench.cli.page import write_page

    run, path = fake_run(workspace), workspace.root / "page.html"
    write_page(run, run.summary(), path)
    return path.read_text()


def comparison(workspace: Workspace) -> str:
    from workbench.compare.report import comparison_report

    return comparison_report([fake_run(workspace), fake_run(workspace)])


def figures(_: Workspace) -> str:
    from workbench.explain.render.figure import page

    return page([])


def explanation(_: Workspace) -> str:
    from workbench.explain.render.report import Section, report

    return report("title", [Section("view", document=figures(_)), Section("words", ["a sentence"])])


def bertviz(_: Workspace) -> str:
    from workbench.explain.render.bertviz import assemble

    return assemble("<p>x</p>", ["first()", "second()"], "title", "auto", "caption")


WRITERS: dict[str, Callable[[Workspace], str]] = {
    "workbench/cli/page.py": run_page,
    "workbench/compare/report.py": comparison,
    "workbench/explain/render/figure.py": figures,
    "workbench/explain/render/report.py": explanation,
    "workbench/explain/render/bertviz.py": bertviz,
}
DRAWN_ELSEWHERE = {"workbench/explain/render/canvas.py"}  # needs attention of a model; its pages are tested in Chromium
WRITES_NONE = {Path("workbench/data/readers/file_types.py")}  # recognizes HTML in users' files


def modules(pattern: re.Pattern[str]) -> set[Path]:
    """The modules of the product whose code has the pattern."""
    paths = [path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py")]
    return {path.relative_to(ROOT) for path in paths if pattern.search(path.read_text(encoding="utf-8"))}


def test_every_module_that_writes_a_page_is_tested_and_uses_the_one_policy() -> None:
    writers = modules(PAGE) - BY_HEADER - WRITES_NONE
    assert {str(path) for path in writers} == set(WRITERS) | DRAWN_ELSEWHERE
    for path in writers:
        assert "policy_tag(" in (ROOT / path).read_text(encoding="utf-8"), path
    own = modules(re.compile(r"http-equiv=.Content-Security-Policy"))
    assert own == {Path("workbench/page_policy.py")}, "only one function writes a policy"


@pytest.mark.parametrize("name", WRITERS)
def test_a_page_has_a_strict_policy_first(name: str, workspace: Workspace) -> None:
    page = WRITERS[name](workspace)
    policies = POLICY.findall(page)
    assert len(policies) == 1, "frames are escaped"
    assert "default-src 'none'" in policies[0] and "unsafe-eval" not in policies[0] and "http" not in policies[0]
    assert "script-src 'unsafe-inline'" not in policies[0] and "base-uri 'none'" in policies[0]
    before = page[: page.index("Content-Security-Policy")]
    assert not re.search(r"<(script|style|link|img|body|title)\b", before), "nothing can come before the policy"
    for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL):
        assert script_hash(script) in policies[0]


def test_a_page_allows_the_scripts_of_its_frames_and_no_others(workspace: Workspace) -> None:
    page = explanation(workspace)
    frame = unescape(re.search(r'srcdoc="([^"]*)"', page)[1])  # type: ignore[index]
    (script,) = re.findall(r"<script>(.*?)</script>", frame, re.DOTALL)
    (policy,) = POLICY.findall(page)
    assert re.findall(r"'sha256-[^']*'", policy) == [script_hash(script)]


def test_a_page_without_scripts_allows_none() -> None:
    assert "script-src 'none'" in policy_tag() and "img-src" not in policy_tag()
    assert "connect-src 'self'" in policy_tag(["x"], requests=True)


def script_hash(script: str) -> str:
    import base64
    import hashlib

    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
