"""Every code block of the documentation runs, every registry entry has a page, and the site builds strictly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.site import entries, hooks
from tests.docs.pages import LANGUAGES, blocks
from workbench.spec import RunSpec

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md"))
RUNNABLE = [
    page
    for page in [*PAGES, ROOT / "README.md"]
    if any(b.language in ("python", "sh") for b in blocks(page.read_text("utf-8")))
]


def _parameter(page: Path) -> object:
    slow = "<!-- slow -->" in page.read_text(encoding="utf-8")
    return pytest.param(page, id=str(page.relative_to(ROOT)), marks=[pytest.mark.slow] if slow else [])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [_parameter(page) for page in RUNNABLE])
def test_code_blocks_run(page: Path, tmp_path: Path, shared_cache: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, str(ROOT / "tests" / "docs" / "pages.py"), str(page)]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_block_names_its_language(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    fences = [line for line in text.splitlines() if line.lstrip().startswith("```")]
    results = list(blocks(text))
    assert len(fences) == 2 * len(results), "a fence without a language, or an unclosed one"
    assert {block.language for block in results} <= set(LANGUAGES)


def test_every_entry_has_a_page_with_a_valid_example() -> None:
    pages = dict(hooks.generated())
    for kind in entries.kinds():
        for name in kind.registry.names():
            page = pages[f"reference/{kind.folder}/{entries.file_name(name)}.md"]
            assert kind.registry.label(name) in page
            examples = [block for block in blocks(page) if block.language in ("yaml", "sh")]
            assert examples or kind.folder in ("formats", "shapes"), f"{name} has no example"
            for example in examples:
                if example.language == "yaml":
                    RunSpec.from_yaml(example.code)


def test_every_option_and_command_is_described() -> None:
    pages = dict(hooks.generated())
    for section in RunSpec.model_fields:
        assert f"## {section}" in pages["reference/options.md"] or f"`{section}`" in pages["reference/options.md"]
    help_text = subprocess.run(
        [sys.executable, "-m", "workbench", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = help_text.partition("Commands:")[2]
    commands = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2:3].strip()]
    assert len(commands) > 20
    for command in commands:
        assert f"## workbench {command}" in pages["reference/cli.md"], command


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"?(https?:[^\" >]+)", text)
        loaded += re.findall(r"<link[^>]* href=\"?(https?:[^\" >]+)", text)
        assert not loaded, f"{page.name} needs the network: {loaded}"
        assert ":class:<code>" not in text
