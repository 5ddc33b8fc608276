"""Model folders made to run code when they are loaded (attacks A7 and A8): none of them does.

Each folder is loaded as ``model: path:FOLDER`` by a run, and as the result of a run whose folder was tampered with, in
a process of its own. Either it is refused with a reason, or it is loaded and the trap stays shut: the file that the
hostile code would write (the marker) is never there.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_model, make_run
from workbench.check import check
from workbench.errors import RefusedError
from workbench.models.safety import refuse_unsafe
from workbench.runs.run import Run
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.workspace import Workspace

DRIVER = Path(__file__).with_name("hostile_process.py")
Trap = Callable[[Path, Path], None]


class Opened:
    """Unpickling it writes the marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


def put_pickle(path: Path, marker: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(pickle.dumps({"classifier.weight": Opened(marker)}))


def put_code(path: Path, marker: Path) -> None:
    path.write_text(
        f"open({str(marker)!r}, 'w').close()\nfrom transformers import BertForSequenceClassification as Evil\n"
        "from transformers import BertConfig as EvilConfig, PreTrainedTokenizerFast as EvilTokenizer\n"
    )


def change(path: Path, **fields: Any) -> None:
    matches = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**matches, **fields}))


@dataclass(frozen=True)
class Case:
    """A hostile folder.

    Attributes:
        name: what is hostile about it.
        set_trap: changes a good folder; it is also given the marker's path.
        refused: words of the reason, or None when it is loaded as if the trap were not there.
        hub: whether the hub may be asked (the folder names a model of it, as a user may).
    """

    name: str
    set_trap: Trap
    refused: str | None
    hub: bool = False


def only_pickle(name: str) -> Trap:
    def set_trap(folder: Path, marker: Path) -> None:
        (folder / "model.safetensors").unlink(missing_ok=True)
        put_pickle(folder / name, marker)

    return set_trap


def beside(*names: str) -> Trap:
    def set_trap(folder: Path, marker: Path) -> None:
        for name in names:
            put_pickle(folder / name, marker)

    return set_trap


def config(file: str = "config.json", code: str | None = None, **fields: Any) -> Trap:
    def set_trap(folder: Path, marker: Path) -> None:
        change(folder / file, **fields)
        if code:
            put_code(folder / code, marker)

    return set_trap


def python_files(folder: Path, marker: Path) -> None:
    names = ("__init__.py", "setup.py", "conftest.py", "sitecustomize.py", "usercustomize.py", "torch.py", "numpy.py")
    for name in (*names, "modeling_bert.py", "tokenization_bert.py", "configuration_bert.py", "transformers.py"):
        put_code(folder / name, marker)
    (folder / "evil.pth").write_text(f"import os; open({str(marker)!r}, 'w').close()\n")


def custom_generate(folder: Path, marker: Path) -> None:
    (folder / "custom_generate").mkdir()
    put_code(folder / "custom_generate" / "generate.py", marker)
    change(folder / "generation_config.json", custom_generate=str(folder), trust_remote_code=True)


def shards_elsewhere(folder: Path, marker: Path) -> None:
    """An index whose shard is a pickle outside the folder."""
    (folder / "model.safetensors").rename(folder / "model-other.safetensors")
    put_pickle(folder.parent / "outside.bin", marker)
    index = {"metadata": {}, "weight_map": {"classifier.weight": "../outside.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def link_to_pickle(folder: Path, marker: Path) -> None:
    (folder / "model.safetensors").unlink()
    put_pickle(folder / "weights.pkl", marker)
    (folder / "model.safetensors").symlink_to("weights.pkl")


def template(folder: Path, marker: Path) -> None:
    text = "{{ cycler.__init__.__globals__.os.system('touch MARKER') }}".replace("MARKER", str(marker))
    (folder / "chat_template.jinja").write_text(text)
    change(folder / "tokenizer_config.json", chat_template=text)


def adapter(**fields: Any) -> Trap:
    """Turns the folder into an adapter, with what a hostile one would say of itself."""

    def set_trap(folder: Path, marker: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "workbench.json").unlink(missing_ok=True)
        note = {"peft_type": "LORA", "task_type": "SEQ_CLS", "r": 4, "target_modules": ["query"], **fields}
        (folder / "adapter_config.json").write_text(json.dumps(note))
        put_pickle(folder / "adapter_model.bin", marker)

    return set_trap


def adapter_of(source: str, **fields: Any) -> Trap:
    """An adapter with safetensors, whose base is ``source``."""

    def set_trap(folder: Path, marker: Path) -> None:
        saved = (folder / "model.safetensors").read_bytes()
        old = json.loads((folder / "workbench.json").read_text()) if (folder / "workbench.json").exists() else {}
        adapter(**fields)(folder, marker)
        (folder / "adapter_model.safetensors").write_bytes(saved)
        base = {"source": source.format(folder=folder), "fingerprint": "0" * 64}
        head = {"head": "AutoModelForSequenceClassification", "head_options": {}}
        task = {"task": {"name": "text-classification"}, "labels": ["bad", "good"], "max_length": 32}
        note = {**task, **head, **old}
        (folder / "workbench.json").write_text(json.dumps({**note, "adapter": True, "base": base}))

    return set_trap


def stray_weights(folder: Path, marker: Path) -> None:
    """peft's weights are a pickle; some other safetensors lie beside it."""
    saved = (folder / "model.safetensors").read_bytes()
    adapter(base_model_name_or_path="evil/base")(folder, marker)
    (folder / "other.safetensors").write_bytes(saved)


ONLY_SAFE = "only safetensors are loaded"
CODE = "names code to run"
REMOTE = {"AutoModelForSequenceClassification": "evil/repo--modeling_evil.Evil"}
LOCAL = {
    "AutoConfig": "evil.EvilConfig",
    "AutoModel": "evil.Evil",
    "AutoModelForSequenceClassification": "evil.Evil",
    "AutoTokenizer": ["evil.EvilTokenizer", "evil.EvilTokenizer"],
}
KERNEL = "evil/kernel@main:evil"

CASES = [
    Case("weights as a pickle", only_pickle("pytorch_model.bin"), ONLY_SAFE),
    Case("weights as a checkpoint", only_pickle("model.ckpt"), ONLY_SAFE),
    Case("weights as a .pt", only_pickle("model.pt"), ONLY_SAFE),
    Case("no weights, a pickled tokenizer", only_pickle("tokenizer.pkl"), ONLY_SAFE),
    Case("a pickle beside good weights", beside("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"), None),
    Case(
        "a trainer's pickles beside good weights",
        beside("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "scaler.pt"),
        None,
    ),
    Case("pickled vocabularies", beside("vocab.pkl", "vocab.bin", "merges.pkl", "spiece.model", "corpus.cache"), None),
    Case("a pickle called safetensors", only_pickle("model.safetensors"), "cannot be loaded"),
    Case("a link from safetensors to a pickle", link_to_pickle, "cannot be loaded"),
    Case("a pickle called tokenizer.json", beside("tokenizer.json"), "no usable tokenizer"),
    Case("a pickle called config.json", beside("config.json"), "cannot be loaded"),
    Case("an index of shards that names a pickle", shards_elsewhere, "names a file in another folder"),
    Case("auto_map with its code", config(auto_map=LOCAL, code="evil.py"), CODE),
    Case("auto_map to a repository", config(auto_map=REMOTE), CODE),
    Case("auto_map of the tokenizer", config("tokenizer_config.json", "evil.py", auto_map=LOCAL), CODE),
    Case(
        "auto_map of the tokenizer as a list",
        config("tokenizer_config.json", "evil.py", auto_map=["evil.EvilTokenizer", None]),
        CODE,
    ),
    Case("auto_map of a processor", config("processor_config.json", "evil.py", auto_map=LOCAL), CODE),
    Case("auto_map inside a part", config(text_config={"auto_map": LOCAL, "model_type": "bert"}, code="evil.py"), CODE),
    Case("trust_remote_code", config(trust_remote_code=True, code="evil.py"), CODE),
    Case("trust of the tokenizer", config("tokenizer_config.json", "evil.py", trust_remote_code=True), CODE),
    Case("a model type that is code", config(model_type="evil", architectures=["Evil"], code="evil.py"), "cannot be"),
    Case("a tokenizer class that is code", config("tokenizer_config.json", "evil.py", tokenizer_class="Evil"), None),
    Case("an attention kernel of the hub", config(attn_implementation=KERNEL), CODE),
    Case("the same under its other name", config(_attn_implementation=KERNEL), CODE),
    Case("the same under its inner name", config(_attn_implementation_internal=KERNEL), CODE),
    Case("an experts kernel", config(experts_implementation=KERNEL, _experts_implementation_internal=KERNEL), CODE),
    Case("a kernel of a part", config(text_config={"attn_implementation": KERNEL}), CODE),
    Case("attention that transformers has", config(attn_implementation="eager"), None),
    Case("a label called auto_map", config(label2id={"auto_map": 0, "x": 1}), None),
    Case("kernels asked for", config(use_kernels=True, kernel_config={"RMSNorm": KERNEL}), CODE),
    Case(
        "quantisation by a missing package", config(quantization_config={"quant_method": "gptq", "bits": 4}), "cannot"
    ),
    Case("unknown quantisation", config(quantization_config={"quant_method": "evil"}), None),
    Case("Python files that lie about", python_files, None),
    Case("a generate function", custom_generate, CODE),
    Case("a template that escapes", template, None),
    Case("an adapter as a pickle", adapter(base_model_name_or_path="evil/base"), ONLY_SAFE),
    Case("an adapter as a pickle with stray safetensors", stray_weights, ONLY_SAFE),
    Case("an adapter of a base on the hub", adapter_of("hf:evil/base@main"), "evil/base", hub=True),
    Case("an adapter of itself", adapter_of("path:{folder}"), "in a circle"),
    Case("an adapter of a missing folder", adapter_of("path:/nowhere/at/all"), "nowhere"),
    Case("an adapter of an unknown source", adapter_of("evil:x"), "There is no model"),
    Case("an adapter that names a module", adapter_of("minilm", megatron_config={"a": 1}, megatron_core="evil"), CODE),
]

NOTES: list[tuple[str, dict[str, Any] | bytes, str]] = [
    ("no JSON", b"\x80\x04cos\nsystem\n", "has no model"),
    ("an unknown task", {"task": {"name": "evil"}}, "There is no task"),
    ("options that there are not", {"task": {"name": "text-classification", "run": "evil"}}, "is damaged"),
    ("no labels", {"labels": None}, "is damaged"),
    ("more labels than the head has", {"labels": ["a", "b", "c"]}, "cannot be loaded"),
    ("a length that is none", {"max_length": "evil"}, "is damaged"),
    ("a whole model called an adapter", {"adapter": True}, "contradict"),
]


def load_all(jobs: list[dict[str, str]], tmp_path: Path, workspace: Workspace) -> list[dict[str, Any]]:
    """How each folder's loading ended, by name."""
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    online = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**online, "WORKBENCH_HOME": str(workspace.root), "PYTHONPATH": str(DRIVER.parents[2])}
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(tmp_path / "jobs.json")],
        capture_output=True,
        text=True,
        timeout=280,
        env={**environment, "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "hf")},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("RESULT ")]


def judge(case: Case, result: dict[str, Any], marker: Path) -> str | None:
    """What is wrong with how a case ended, or None."""
    if marker.exists():
        return f"{case.name}: ITS CODE RAN"
    if result["reached"] and not case.hub:
        return f"{case.name}: the network was asked for: {result['reached']}"
    if case.refused is None:
        return f"{case.name}: should be loaded, and was refused: {result['error']}" if result["error"] else None
    if not result["error"]:
        return f"{case.name}: should be refused, and was loaded"
    if case.refused not in result["error"] or result["kind"] == "Internal":
        return f"{case.name}: refused with other words: {result['kind']}: {result['error']}"
    return None


@pytest.mark.parametrize("name", ["pickle", "code"])
def test_the_traps_work(name: str, tmp_path: Path) -> None:
    """Opened the usual way, they do write the marker."""
    marker = tmp_path / "marker"
    if name == "pickle":
        put_pickle(tmp_path / "a.bin", marker)
        command = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
        subprocess.run([sys.executable, "-c", command, str(tmp_path / "a.bin")], check=True)
    else:
        put_code(tmp_path / "a.py", marker)
        subprocess.run([sys.executable, "-c", f"exec(open({str(tmp_path / 'a.py')!r}).readline())"], check=True)
    assert marker.exists()


def test_folders_that_a_run_is_started_from(workspace: Workspace, tmp_path: Path) -> None:
    good = make_model(tmp_path / "good")
    jobs, markers = [], {}
    for number, case in enumerate(CASES):
        folder, markers[case.name] = tmp_path / f"model-{number}" / "m", tmp_path / f"marker-{number}"
        shutil.copytree(good, folder)
        run = make_run(workspace, {"model": f"path:{folder}", "training.max_steps": 1, "training.epochs": 1})
        case.set_trap(folder, markers[case.name])  # after the check: the run itself must see it
        jobs.append({"name": case.name, "kind": "run", "folder": str(run.folder)})
    results = load_all(jobs, tmp_path, workspace)
    assert len(results) == len(CASES)
    wrong = [judge(case, result, markers[case.name]) for case, result in zip(CASES, results, strict=True)]
    assert "\n".join(filter(None, wrong)) == ""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    workspace = Workspace(tmp_path_factory.mktemp("finished")).create()
    run = make_run(workspace, {"training.max_steps": 1, "training.epochs": 1})
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    run.transition(("queued",), "succeeded")
    return run


def copy_of(run: Run, workspace: Workspace, number: int) -> Path:
    folder = workspace.runs / f"{run.id}-{number}"
    shutil.copytree(run.folder, folder)
    return folder


def test_results_that_were_tampered_with(workspace: Workspace, finished: Run, tmp_path: Path) -> None:
    jobs, markers = [], {}
    for number, case in enumerate(CASES):
        folder, markers[case.name] = copy_of(finished, workspace, number), tmp_path / f"marker-{number}"
        note = (folder / "model" / "workbench.json").read_text()
        case.set_trap(folder / "model", markers[case.name])
        if not (folder / "model" / "workbench.json").exists():  # an adapter without a base: let it get that far
            (folder / "model" / "workbench.json").write_text(note)
        jobs.append({"name": case.name, "kind": "predict", "folder": str(folder)})
    results = load_all(jobs, tmp_path, workspace)
    assert len(results) == len(CASES)
    wrong = [judge(case, result, markers[case.name]) for case, result in zip(CASES, results, strict=True)]
    assert "\n".join(filter(None, wrong)) == ""


def test_notes_that_were_tampered_with(workspace: Workspace, finished: Run, tmp_path: Path) -> None:
    """``workbench.json``, which says how a result is read."""
    jobs = []
    for number, (name, content, _) in enumerate(NOTES):
        path = copy_of(finished, workspace, number) / "model" / "workbench.json"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            change(path, **content)
        jobs.append({"name": name, "kind": "predict", "folder": str(path.parent.parent)})
    for (name, _, words), result in zip(NOTES, load_all(jobs, tmp_path, workspace), strict=True):
        assert result["error"] and words in result["error"], f"{name}: {result}"
        assert result["kind"] != "Internal" and not result["reached"], f"{name}: {result}"


def test_an_adapters_note_beside_whole_weights(workspace: Workspace, finished: Run, tmp_path: Path) -> None:
    """transformers would take it for an adapter and go to the base that it names."""
    folder, marker = copy_of(finished, workspace, 0), tmp_path / "marker"
    evil = tmp_path / "evil"
    shutil.copytree(folder / "model", evil)
    config(auto_map=LOCAL, code="evil.py")(evil, marker)
    note = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": str(evil)}
    (folder / "model" / "adapter_config.json").write_text(json.dumps(note))
    saved = (folder / "model" / "model.safetensors").read_bytes()
    (folder / "model" / "adapter_model.safetensors").write_bytes(saved)
    (result,) = load_all([{"name": "x", "kind": "predict", "folder": str(folder)}], tmp_path, workspace)
    assert "contradict" in result["error"] and not marker.exists()


def test_a_run_started_by_the_command_refuses_too(workspace: Workspace, tmp_path: Path) -> None:
    """``python -m workbench run-folder``, as the worker starts it, with a folder that was swapped after the check."""
    folder, marker = make_model(tmp_path / "m"), tmp_path / "marker"
    run = make_run(workspace, {"model": f"path:{folder}"})
    config(auto_map=LOCAL, code="evil.py")(folder, marker)
    command = [sys.executable, "-m", "workbench", "run-folder", str(run.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=DRIVER.parents[2])
    status = run.status()
    assert done.returncode == 2 and status.state == "failed"
    assert CODE in status.error.message and "Traceback" not in done.stdout + done.stderr
    assert not marker.exists()


@pytest.mark.parametrize("case", [c for c in CASES if c.refused in (ONLY_SAFE, CODE)], ids=lambda c: c.name)
def test_check_refuses_before_anything_starts(case: Case, workspace: Workspace, tmp_path: Path) -> None:
    folder = make_model(workspace.uploads / "m")
    case.set_trap(folder, tmp_path / "marker")
    spec = make_run(workspace).spec().changed({"model": f"path:{folder}"})
    with pytest.raises(RefusedError):
        refuse_unsafe(folder)
    for confined in (False, True):
        (problem,) = check(spec, workspace, confined)
        assert problem.field == "model" and case.refused in problem.message
    assert not (tmp_path / "marker").exists()
