"""Measure the code itself: ``python tests/code_metrics.py [FOLDER ...] [--list METRIC]``.

Prints how much of the code is typed and documented, which private words are left as identifiers, and how long files
and how full folders are. ``tests/unit/base/test_code_style.py`` holds the figures to their limits.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("workbench", "dashboard")
Function = ast.FunctionDef | ast.AsyncFunctionDef

# Words that name how a value was obtained instead of what it is, and terms that the field calls otherwise.
PRIVATE_WORDS = {
    "found": "result, match, or the thing's own name",
    "told": "message, reported",
    "said": "message, text",
    "given": "inputs, value, or the thing's own name",
    "asked": "query, requested",
    "kept": "cached, saved, selected",
    "place": "index, position",
    "places": "indices, positions",
    "wishes": "options",
    "reckon": "extrapolate, compute",
    "heed": "check",
    "foresight": "estimate",
    "foretold": "estimated",
    "anatomy": "structure",
    "thaw": "unfreeze",
    "spoil": "corrupt, add_noise",
    "untouched": "base, untrained",
    "proof": "faithfulness",
    "prove": "evaluate",
    "proven": "evaluated",
    "proofs": "evaluations",
    "outlook": "queue status",
    "mates": "positives",
    "nats": "nll",
    "anew": "again",
}
# Fields of files that earlier versions have written.
ON_DISK = {"kept_heads", "heads_kept", "trials_asked", "place"}
ON_DISK_IN = (
    "compress/pruning.py",
    "jobs/sweeps.py",
    "networks/configuration.py",
    "runs/documents.py",
    "training/activation_cache.py",
)


@dataclass
class Metrics:
    """What was counted; each list holds ``path:line name``."""

    files: int = 0
    lines: int = 0
    signatures: int = 0
    any_signatures: list[str] = field(default_factory=list)
    dict_returns: list[str] = field(default_factory=list)
    documented_with_parameters: int = 0
    without_args: list[str] = field(default_factory=list)
    question_openings: list[str] = field(default_factory=list)
    private_words: list[str] = field(default_factory=list)
    long_files: list[str] = field(default_factory=list)
    folders: Counter[str] = field(default_factory=Counter)

    @property
    def any_share(self) -> float:
        """Signatures with a bare ``Any``, as a share of all."""
        return len(self.any_signatures) / max(self.signatures, 1)

    @property
    def args_share(self) -> float:
        """Documented public functions with parameters that have an ``Args`` section, as a share."""
        return 1 - len(self.without_args) / max(self.documented_with_parameters, 1)


def measure(*folders: str) -> Metrics:
    """Measure every Python file below the folders.

    Args:
        folders: relative to the repository's root.

    Returns:
        The counts and where they are.
    """
    metrics = Metrics()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            _measure_file(path, metrics)
    return metrics


def private_words(path: Path) -> Iterator[tuple[int, str, str]]:
    """List the identifiers of a file that hold a private word.

    Args:
        path: a Python file.

    Yields:
        Line, identifier and the private word in it.
    """
    on_disk = ON_DISK if str(path).endswith(ON_DISK_IN) else set()
    for line, name in _bindings(ast.parse(path.read_text(encoding="utf-8"))):
        if name in on_disk:
            continue
        words = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().split("_")
        for word in words:
            if word in PRIVATE_WORDS and not ("not" in words and word == "found"):
                yield line, name, word


def _bindings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, Function | ast.ClassDef):
            yield node.lineno, node.name


def _measure_file(path: Path, metrics: Metrics) -> None:
    text = path.read_text(encoding="utf-8")
    where = str(path.relative_to(ROOT))
    lines = text.count("\n")
    metrics.files += 1
    metrics.lines += lines
    if path.name != "__init__.py":
        metrics.folders[str(path.parent.relative_to(ROOT))] += 1
    if lines > 500:
        metrics.long_files.append(f"{where} {lines}")
    metrics.private_words += [f"{where}:{line} {name}" for line, name, _ in private_words(path)]
    tree = ast.parse(text)
    for node, public in _functions(tree, True):
        _measure_function(node, public, where, metrics)


def _functions(node: ast.AST, public: bool) -> Iterator[tuple[Function, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield child, public and not child.name.startswith("_")
            yield from _functions(child, False)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, public and not child.name.startswith("_"))
        else:
            yield from _functions(child, public)


def _measure_function(node: Function, public: bool, where: str, metrics: Metrics) -> None:
    label = f"{where}:{node.lineno} {node.name}"
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    arguments += [extra for extra in (node.args.vararg, node.args.kwarg) if extra is not None]
    annotations = [a.annotation for a in arguments if a.annotation is not None]
    if node.returns is not None:
        annotations.append(node.returns)
    metrics.signatures += 1
    texts = [ast.unparse(annotation) for annotation in annotations]
    if any(re.search(r"(?<![\w.])Any\b", text) for text in texts):
        metrics.any_signatures.append(label)
    if node.returns is not None and re.search(r"\bdict\[str, Any\]", ast.unparse(node.returns)):
        metrics.dict_returns.append(label)
    documentation = ast.get_docstring(node)
    if documentation is None or not public:
        return
    decorators = {ast.unparse(d) for d in node.decorator_list}
    if re.match(r"(What|How|Whether|Which|Where|Why|Who)\b", documentation) and "property" not in decorators:
        metrics.question_openings.append(label)
    parameters = [a for a in arguments if a.arg not in ("self", "cls")]
    if parameters:
        metrics.documented_with_parameters += 1
        if not re.search(r"^\s*Args:", documentation, re.MULTILINE):
            metrics.without_args.append(label)


def main() -> None:
    """Print the figures, or where one of them comes from."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folders", nargs="*", default=list(PRODUCT))
    parser.add_argument("--list", help="any, dict, args, questions, words or files: where they are")
    options = parser.parse_args()
    metrics = measure(*options.folders)
    lists = {
        "any": metrics.any_signatures,
        "dict": metrics.dict_returns,
        "args": metrics.without_args,
        "questions": metrics.question_openings,
        "words": metrics.private_words,
        "files": metrics.long_files,
    }
    if options.list:
        print("\n".join(lists[options.list]))
        return
    fullest, count = metrics.folders.most_common(1)[0]
    print(f"{metrics.files} files, {metrics.lines:,} lines")
    print(f"signatures with a bare Any          {metrics.any_share:6.1%}  ({len(metrics.any_signatures)})")
    print(f"functions returning dict[str, Any]  {len(metrics.dict_returns):6}")
    print(f"documented functions with Args      {metrics.args_share:6.1%}  ({len(metrics.without_args)} without)")
    print(f"docstrings that open with a question{len(metrics.question_openings):6}")
    print(
        f"private words as identifiers        {len(metrics.private_words):6}  "
        f"({1000 * len(metrics.private_words) / max(metrics.lines, 1):.1f} per 1,000 lines)"
    )
    print(f"files over 500 lines                {len(metrics.long_files):6}")
    print(f"modules in the fullest folder       {count:6}  ({fullest})")


if __name__ == "__main__":
    main()
