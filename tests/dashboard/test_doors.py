"""Where the dashboard's server reads what users and models bring: every door is listed here, with its guard."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2] / "dashboard"

# Modules of the library that read or load what is not the workbench's own, and what pages may import of them.
READERS = (
    "workbench.check.contents",
    "workbench.check.language",
    "workbench.check.limited",
    "workbench.data.cells",
    "workbench.data.extract",
    "workbench.data.limited",
    "workbench.data.load",
    "workbench.data.near_duplicates",
    "workbench.data.overview",
    "workbench.data.readers",
    "workbench.data.shapes",
    "workbench.data.splitting",
    "workbench.data.tables",
    "workbench.data.text",
    "workbench.inference",
    "workbench.models",
    "workbench.system.limited_process",
    "workbench.training",
)
ALLOWED = {
    # the door: a process with limits of memory and time
    "parts/shared/data/confined.py": {"Limits", "call"},
    "serving/server.py": {"keep_ready"},
    # names and types, which read nothing
    "parts/data/batch.py": {"BATCH", "ShownBatch", "models"},
    # languages: of at most 256 kB of a text; what has to be unpacked is read in a process with limits
    "parts/data/choice.py": {
        "AUTO",
        "AutoChoice",
        "Preview",
        "UncertainEncodingError",
        "choose_model",
        "data_languages",
    },
    "parts/launch/data_notes.py": {"AutoChoice", "choose_model", "data_languages"},
    "parts/data/findings.py": {"CONFLICTING", "Overview", "Preview", "REPEATED"},
    "parts/data/overview.py": {"Histogram"},
    "parts/data/preview.py": {"ColumnFacts", "ContentKind", "Preview"},
    "parts/data/training.py": {"Overview", "rough_seconds"},  # arithmetic
    "parts/data/warnings.py": {"Languages", "Overview"},
    "parts/launch/model_cards.py": {"NAMES"},
    "parts/run/use.py": {"FILE_NAME"},
    "parts/launch/launch_form.py": {"UncertainEncodingError", "models"},
    "parts/launch/spec_yaml.py": {"models"},
    "parts/shared/data/offers.py": {"UncertainEncodingError"},
    "parts/shared/data/reports.py": {"COMPARING", "Overview", "OverlapRecord", "UPLOAD"},
    "parts/shared/data/uploads.py": {"ARCHIVES", "EXCEL", "Preview", "UPLOAD"},
    # the model of a finished run, whose files are compared with the hashes that the run has stored
    "parts/shared/side_by_side.py": {"Predictor", "PredictorCache"},
    "parts/explain/inputs.py": {"Predictor"},
    "parts/playground/answers.py": {"Predictor"},
    "parts/playground/inputs.py": {"input_fields", "inputs_from_row"},
}
# Functions that read a file, and the files of the dashboard that call them: for its own files.
OPENING = {"open", "read_json", ".read_text", ".read_bytes", ".read_csv", ".read_json", ".read_parquet", ".load_file"}
OPENED = {
    ("parts/runs/detail.py", "read_json"),  # workbench.files: a document of a run, up to 16 MB
    ("serving/server.py", ".read_text"),  # Streamlit's page
}
# Packages that parse files of strangers in native code.
PARSERS = {"datasets", "openpyxl", "pyarrow", "safetensors", "tokenizers", "transformers"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each import as module and name, those inside functions included; ``import a.b`` as (``a.b``, ``a.b``)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield (full if full in READERS else node.module), alias.name
        elif isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)


def is_reader(module: str) -> bool:
    return any(module == reader or module.startswith(f"{reader}.") for reader in READERS)


def test_users_data_and_models_are_read_through_the_listed_doors_only() -> None:
    used = {name: {imported for module, imported in imports(tree) if is_reader(module)} for name, tree in modules()}
    assert {name: names for name, names in used.items() if names} == ALLOWED


def test_pages_open_no_other_files() -> None:
    called = {
        (name, node.func.id if isinstance(node.func, ast.Name) else f".{node.func.attr}")
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    assert {(name, function) for name, function in called if function in OPENING} == OPENED


def test_pages_parse_nothing_in_native_code() -> None:
    for name, tree in modules():
        packages = {module.partition(".")[0] for module, _ in imports(tree)}
        assert not packages & PARSERS, name
