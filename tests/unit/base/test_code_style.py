"""The code uses the field's vocabulary, its data are typed and its functions documented: metrics with limits.

``python tests/code_metrics.py --list any`` (``dict``, ``args``, ``questions``, ``words``, ``files``) lists what a
metric counts.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.code_metrics import PRIVATE_WORDS, PRODUCT, ROOT, Metrics, measure, private_words

EVERYWHERE = (*PRODUCT, "tests", "notebooks", "tutorials", "docs")

# Phrases that are hard to read, and what to write instead.
PHRASES = {
    r"(validation|training|train|test|valid) part": "split",
    r"anew": "again",
    r"whoever": "anyone who, users who",
    r"(is|are|be) told(?! apart)": "is reported, the message says",
    r"shall": "must, will",
    r"put away": "archived",
    r"foretold": "estimated",
    r"what is to be": "say what it is",
    r"stands? (on|at|behind|beside|there)": "is on",
    r"(goes|go|went|gone|going) on with": "continue, resume",
    r"(leaves|leave) out zero": "excludes zero",
    r"holds zero": "includes zero",
    r"held against": "compared with",
}
MOST_FILES_WITH_ANY = 26
TEXT_SUFFIXES = (".py", ".md", ".yaml", ".toml")


@cache
def _product() -> Metrics:
    return measure(*PRODUCT)


def test_identifiers_use_the_fields_vocabulary() -> None:
    lines = []
    for folder in EVERYWHERE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line, name, word in private_words(path):
                lines.append(f"{path.relative_to(ROOT)}:{line} {name}: say {PRIVATE_WORDS[word]}")
    assert not lines, "\n".join(lines)


def test_private_words_are_recognized(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "found = 1\nclass KeptRows: ...\ndef f(places): self.told = places\n"
        "not_found, replace, kepts, FileNotFound = 1, 2, 3, 4\nfor given in (): ...\n"
    )
    assert [name for _, name, _ in private_words(path)] == ["found", "KeptRows", "given", "places", "told"] or {
        name for _, name, _ in private_words(path)
    } == {"found", "KeptRows", "given", "places", "told"}


def _texts() -> list[Path]:
    paths = [path for folder in (*PRODUCT, "docs", "notebooks", "tutorials") for path in (ROOT / folder).rglob("*")]
    paths += ROOT.glob("*.md")
    return sorted(path for path in paths if path.suffix in TEXT_SUFFIXES)


@pytest.mark.parametrize("phrase", PHRASES)
def test_prose_avoids(phrase: str) -> None:
    lines = []
    for path in _texts():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(phrase, line, re.IGNORECASE):
                lines.append(f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]}")
    assert not lines, f"say: {PHRASES[phrase]}\n" + "\n".join(lines)


def test_data_are_typed() -> None:
    assert _product().any_share <= 0.08, "\n".join(_product().any_signatures)
    assert len(_product().dict_returns) <= 15, "\n".join(_product().dict_returns)


def test_functions_are_documented() -> None:
    assert _product().args_share >= 0.95, "\n".join(_product().without_args)
    assert not _product().question_openings, "\n".join(_product().question_openings)


def test_files_and_folders_are_small() -> None:
    assert len(_product().long_files) <= 2, _product().long_files
    folder, count = _product().folders.most_common(1)[0]
    assert count <= 20, folder


def test_any_is_allowed_only_in_listed_files() -> None:
    """Ruff checks ANN401 in all other files. Remove a file from the list in pyproject.toml once it needs no Any."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ignores = settings["tool"]["ruff"]["lint"]["per-file-ignores"]
    allowed = [name for name, rules in ignores.items() if "ANN401" in rules and "*" not in name]
    assert len(allowed) <= MOST_FILES_WITH_ANY
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "ANN401", "--output-format", "json"]
    result = subprocess.run([*command, *allowed], cwd=ROOT, capture_output=True, text=True)
    used = {str(Path(item["filename"]).relative_to(ROOT)) for item in json.loads(result.stdout)}
    assert set(allowed) == used, "these files no longer need Any, or do not exist"
