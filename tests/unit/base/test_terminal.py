"""No control character reaches a terminal, whatever data, models and names hold; JSON and YAML still mean the same."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.code_metrics import PRODUCT, ROOT
from workbench.system.terminal import CONTROL, PrintableStream, printable, printable_json
from workbench.workspace import Workspace
from workbench.yaml_text import dump_yaml, load_yaml

# A title, the clipboard, a cleared screen, an 8-bit CSI, a bell, an overwritten line, a turned direction, a link.
ATTACKS = [
    "\x1b]0;title\x07",
    "\x1b]52;c;cHduZWQ=\x07",
    "\x1b[2J",
    "\x9b2J",
    "\x07",
    "good\rbad",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x7f\x08",
    "\u2028",
]
ATTACK = "".join(ATTACKS)
# Where writing is allowed: the one module that makes text printable, and the one with the command line's console.
WRITERS = {Path("workbench/system/terminal.py"), Path("workbench/cli/output.py")}
PRINTS = ("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "os.write", "traceback.print_exc")
VALUES = st.sampled_from(ATTACKS) | st.text(st.characters(codec="utf-8"))


@given(st.text())
def test_printable_text_has_no_control_characters(text: str) -> None:
    shown = printable(text)
    assert not CONTROL.search(shown) and printable(shown) == shown
    assert shown == text or CONTROL.search(text)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_printable_json_means_the_same(document: object) -> None:
    text = printable_json(json.dumps(document, ensure_ascii=False))
    assert not CONTROL.search(text) and json.loads(text) == document


@given(st.dictionaries(st.sampled_from(["a", "b\x9b"]), VALUES))
def test_printable_yaml_means_the_same(document: dict[str, str]) -> None:
    text = dump_yaml(document)
    assert not CONTROL.search(text) and load_yaml(text, "x") == document


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_is_shown(attack: str) -> None:
    shown = printable(attack)
    assert shown.isprintable() and "\\" in shown


def test_texts_of_people_stay() -> None:
    for text in ("naïve café", "日本語", "שלום\u200f", "👩\u200d🔬", "a\tb\n", "\u00a0", "ﬁ"):
        assert printable(text) == text


def test_all_that_other_packages_print_is_printable() -> None:
    code = (
        "import logging, sys, warnings\n"
        "from workbench.system.terminal import printable_output\n"
        f"attack = {ATTACK!r}\n"
        "with printable_output():\n"
        "    print(attack); print(attack, file=sys.stderr); warnings.warn(attack)\n"
        "    logging.basicConfig(); logging.error(attack)\n"
        "    sys.stdout.writelines([attack])\n"
        "    raise ValueError(attack)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT)
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 1 and output.count(r"\x1b[2J") == 6, output
    assert not CONTROL.search(output.replace("\r", "")), output


def test_streams_are_restored() -> None:
    from workbench.cli import main

    before = sys.stdout, sys.stderr
    main(["data", "list", "--json"])
    assert (sys.stdout, sys.stderr) == before
    stream = io.StringIO()
    assert PrintableStream(stream).write("\x1b") == 1 and stream.getvalue() == r"\x1b"


def command(workspace: Workspace, *arguments: str, columns: str = "100") -> str:
    """What a command writes to a terminal, both streams."""
    import pty

    variables = {
        **os.environ,
        "WORKBENCH_HOME": str(workspace.root),
        "COLUMNS": columns,
        "TERM": "xterm",
        "NO_COLOR": "1",
    }
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *arguments], cwd=ROOT, env=variables, stdout=secondary, stderr=secondary
    )
    os.close(secondary)
    output = b""
    while True:
        try:
            chunk = os.read(primary, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    process.wait(60)
    os.close(primary)
    return output.decode()


def sent(output: str) -> str:
    """What a terminal would obey, but for line ends and styles, which are ours."""
    import re

    ours = r"\x1b\[[0-9;]*m|\r\n|\r?\x1b\[(2K|1A|\?25[hl])"  # styles, line ends, and the bars of a download
    return "".join(CONTROL.findall(re.sub(ours, "", output)))


@pytest.mark.slow
def test_commands_show_what_a_run_holds(workspace: Workspace) -> None:
    """Names, notes, warnings, errors and samples of a run, in a real terminal, wide and narrow."""
    from tests.dashboard.fake_runs import fake_run
    from workbench.runs.run import Run

    run = fake_run(workspace)
    change(run.folder / "spec.yaml", "name", ATTACK)
    change(run.folder / "report.json", "notes", [ATTACK])
    change(run.folder / "status.json", "state", "failed")
    change(run.folder / "status.json", "error", {"kind": "X", "message": ATTACK, "hint": ATTACK})
    (run.folder / "log.txt").write_text(ATTACK)
    (run.folder / "samples.jsonl").write_text(json.dumps({"step": 1, "prompt": ATTACK, "text": ATTACK}) + "\n")
    assert Run(run.folder).summary().error is not None
    for columns in ("200", "40"):
        for arguments in (["runs"], ["show", run.id], ["show", run.id, "--spec"], ["queue"]):
            output = command(workspace, *arguments, columns=columns)
            assert not sent(output), (arguments, sent(output), output)
    assert r"\x1b[2J" in output or r"\x1b[2J" in command(workspace, "show", run.id)
    document = json.loads(command(workspace, "show", run.id, "--json"))
    assert document["error"]["message"] == ATTACK


def change(path: Path, name: str, value: object) -> None:
    document = yaml.safe_load(path.read_text()) if path.exists() else {}
    document[name] = value
    path.write_text(json.dumps(document))


@pytest.mark.slow
def test_commands_show_data_files_and_errors(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    rows = [{"text": f"{ATTACK} text {number}", "label": f"{ATTACK}{number % 2}"} for number in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for arguments in (
        ["data", "check", str(path)],
        ["data", "check", str(path), "--task", "text-classification"],
        ["data", "check", str(tmp_path / ATTACK.replace("/", ""))],
        ["show", ATTACK],
        [ATTACK],
        ["tasks", f"--{ATTACK}"],
        ["show", ATTACK, "--debug"],
    ):
        output = command(workspace, *arguments)
        assert output and not sent(output), (arguments, output)
        assert "x1b" in output, (arguments, output)


def test_nothing_else_writes_to_the_terminal() -> None:
    problems = []
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT)
            if relative not in WRITERS:
                problems += [f"{relative}:{line} {name}" for line, name in writes(path.read_text(encoding="utf-8"))]
    assert not problems, "use workbench.system.terminal or workbench.cli.output: " + ", ".join(problems)


def writes(code: str) -> list[tuple[int, str]]:
    """Every use of a stream or of a function that prints, but for questions about a stream."""
    result = []
    tree = ast.parse(code)
    questions = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "isatty"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "Console"):
            result.append((node.lineno, node.func.id))
        if isinstance(node, ast.Attribute) and id(node) not in questions:
            name = ast.unparse(node)
            if name in PRINTS:
                result.append((node.lineno, name))
            if name.startswith(("typer.", "click.")) and name.rsplit(".", 1)[1] in ("echo", "secho", "style", "pager"):
                result.append((node.lineno, name))
        if isinstance(node, ast.ImportFrom) and node.module in ("rich", "rich.console", "sys", "click", "typer"):
            names = {alias.name for alias in node.names} & {"print", "Console", "stdout", "stderr", "echo", "secho"}
            result += [(node.lineno, name) for name in names]
    return result


def test_the_rule_sees_each_way_to_write() -> None:
    lines = ["print(1)", "sys.stdout.write('x')", "from rich import print", "typer.echo(1)", "traceback.print_exc()"]
    assert [line for line, _ in sorted(writes("\n".join(lines)))] == [1, 2, 3, 4, 5]
    assert not writes("sys.stdin.isatty()\nsys.stderr.isatty()\nself.print(1)")
