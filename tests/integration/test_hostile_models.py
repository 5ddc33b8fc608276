"""Model folders that try to run code when they are loaded (attacks A7 and A8): none of them succeeds.

A separate process loads each folder as a run does (``model: path:FOLDER``) and as the tampered result of a run. It
either refuses the folder with a reason or loads it without running the hostile code: the file that this code would
write (the marker) never exists.
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


class HostilePickle:
    """Writes the marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


def write_pickle(path: Path, marker: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(pickle.dumps({"classifier.weight": HostilePickle(marker)}))


def write_code(path: Path, marker: Path) -> None:
    path.write_text(
        f"open({str(marker)!r}, 'w').close()\nfrom transformers import BertForSequenceClassification as Evil\n"
        "from transformers import BertConfig as EvilConfig, PreTrainedTokenizerFast as EvilTokenizer\n"
    )


def update_json(path: Path, **fields: Any) -> None:
    document = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**document, **fields}))


@dataclass(frozen=True)
class Case:
    """A hostile folder.

    Attributes:
        name: what is hostile about it.
        set_trap: makes a good folder hostile; its arguments are the folder and the marker's path.
        refusal: part of the error message, or None if the folder is loaded and the trap is ignored.
        hub: whether it may contact the hub (the folder names a hub model, as a user may).
    """

    name: str
    set_trap: Trap
    refusal: str | None
    hub: bool = False


def only_pickle(name: str) -> Trap:
    def set_trap(folder: Path, marker: Path) -> None:
        (folder / "model.safetensors").unlink(missing_ok=True)
        write_pickle(folder / name, marker)

    return set_trap


def extra_pickles(*names: str) -> Trap:
    def set_trap(folder: Path, marker: Path) -> None:
        for name in names:
            write_pickle(folder / name, marker)

    return set_trap


def config_fields(file: str = "config.json", code: str | None = None, **fields: Any) -> Trap:
    def set_trap(folder: Path, marker: Path) -> None:
        update_json(folder / file, **fields)
        if code:
            write_code(folder / code, marker)

    return set_trap


def python_files(folder: Path, marker: Path) -> None:
    names = ("__init__.py", "setup.py", "conftest.py", "sitecustomize.py", "usercustomize.py", "torch.py", "numpy.py")
    for name in (*names, "modeling_bert.py", "tokenization_bert.py", "configuration_bert.py", "transformers.py"):
        write_code(folder / name, marker)
    (folder / "evil.pth").write_text(f"import os; open({str(marker)!r}, 'w').close()\n")


def custom_generate(folder: Path, marker: Path) -> None:
    (folder / "custom_generate").mkdir()
    write_code(folder / "custom_generate" / "generate.py", marker)
    update_json(folder / "generation_config.json", custom_generate=str(folder), trust_remote_code=True)


def shards_elsewhere(folder: Path, marker: Path) -> None:
    """Add an index whose shard is a pickle outside the folder."""
    (folder / "model.safetensors").rename(folder / "model-other.safetensors")
    write_pickle(folder.parent / "outside.bin", marker)
    index = {"metadata": {}, "weight_map": {"classifier.weight": "../outside.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def link_to_pickle(folder: Path, marker: Path) -> None:
    (folder / "model.safetensors").unlink()
    write_pickle(folder / "weights.pkl", marker)
    (folder / "model.safetensors").symlink_to("weights.pkl")


def template(folder: Path, marker: Path) -> None:
    text = "{{ cycler.__init__.__globals__.os.system('touch MARKER') }}".replace("MARKER", str(marker))
    (folder / "chat_template.jinja").write_text(text)
    update_json(folder / "tokenizer_config.json", chat_template=text)


def adapter(**fields: Any) -> Trap:
    """Turn the folder into an adapter with the configuration of a hostile one."""

    def set_trap(folder: Path, marker: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "workbench.json").unlink(missing_ok=True)
        config = {"peft_type": "LORA", "task_type": "SEQ_CLS", "r": 4, "target_modules": ["query"], **fields}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        write_pickle(folder / "adapter_model.bin", marker)

    return set_trap


def adapter_of(source: str, **fields: Any) -> Trap:
    """Turn the folder into an adapter with safetensors whose base model is ``source``."""

    def set_trap(folder: Path, marker: Path) -> None:
        weights = (folder / "model.safetensors").read_bytes()
        old = json.loads((folder / "workbench.json").read_text()) if (folder / "workbench.json").exists() else {}
        adapter(**fields)(folder, marker)
        (folder / "adapter_model.safetensors").write_bytes(weights)
        base = {"source": source.format(folder=folder), "fingerprint": "0" * 64}
        head = {"head": "AutoModelForSequenceClassification", "head_options": {}}
        task = {"task": {"name": "text-classification"}, "labels": ["bad", "good"], "max_length": 32}
        metadata = {**task, **head, **old, "adapter": True, "base": base}
        (folder / "workbench.json").write_text(json.dumps(metadata))

    return set_trap


def stray_weights(folder: Path, marker: Path) -> None:
    """Turn the folder into an adapter whose weights are a pickle, next to unrelated safetensors."""
    weights = (folder / "model.safetensors").read_bytes()
    adapter(base_model_name_or_path="evil/base")(folder, marker)
    (folder / "other.safetensors").write_bytes(weights)


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
    Case(
        "a pickle next to good weights", extra_pickles("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"), None
    ),
    Case(
        "a trainer's pickles next to good weights",
        extra_pickles("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "scaler.pt"),
        None,
    ),
    Case(
        "pickled vocabularies",
        extra_pickles("vocab.pkl", "vocab.bin", "merges.pkl", "spiece.model", "corpus.cache"),
        None,
    ),
    Case("a pickle called safetensors", only_pickle("model.safetensors"), "cannot be loaded|damaged or incomplete"),
    Case("a link from safetensors to a pickle", link_to_pickle, "cannot be loaded|damaged or incomplete"),
    Case("a pickle called tokenizer.json", extra_pickles("tokenizer.json"), "no usable tokenizer"),
    Case("a pickle called config.json", extra_pickles("config.json"), "cannot be loaded|does not know"),
    Case("an index of shards that names a pickle", shards_elsewhere, "names a file in another folder"),
    Case("auto_map with local code", config_fields(auto_map=LOCAL, code="evil.py"), CODE),
    Case("auto_map to a repository", config_fields(auto_map=REMOTE), CODE),
    Case("auto_map of the tokenizer", config_fields("tokenizer_config.json", "evil.py", auto_map=LOCAL), CODE),
    Case(
        "auto_map of the tokenizer as a list",
        config_fields("tokenizer_config.json", "evil.py", auto_map=["evil.EvilTokenizer", None]),
        CODE,
    ),
    Case("auto_map of a processor", config_fields("processor_config.json", "evil.py", auto_map=LOCAL), CODE),
    Case(
        "auto_map of a submodel",
        config_fields(text_config={"auto_map": LOCAL, "model_type": "bert"}, code="evil.py"),
        CODE,
    ),
    Case("trust_remote_code", config_fields(trust_remote_code=True, code="evil.py"), CODE),
    Case(
        "trust_remote_code of the tokenizer",
        config_fields("tokenizer_config.json", "evil.py", trust_remote_code=True),
        CODE,
    ),
    Case(
        "a model type that is code",
        config_fields(model_type="evil", architectures=["Evil"], code="evil.py"),
        "cannot be",
    ),
    Case(
        "a tokenizer class that is code",
        config_fields("tokenizer_config.json", "evil.py", tokenizer_class="Evil"),
        None,
    ),
    Case("an attention kernel from the hub", config_fields(attn_implementation=KERNEL), CODE),
    Case("an attention kernel under its private name", config_fields(_attn_implementation=KERNEL), CODE),
    Case("an attention kernel under its internal name", config_fields(_attn_implementation_internal=KERNEL), CODE),
    Case(
        "an experts kernel", config_fields(experts_implementation=KERNEL, _experts_implementation_internal=KERNEL), CODE
    ),
    Case("an attention kernel of a submodel", config_fields(text_config={"attn_implementation": KERNEL}), CODE),
    Case("an attention implementation of transformers", config_fields(attn_implementation="eager"), None),
    Case("a label called auto_map", config_fields(label2id={"auto_map": 0, "x": 1}), None),
    Case("requested kernels", config_fields(use_kernels=True, kernel_config={"RMSNorm": KERNEL}), CODE),
    Case(
        "quantization by a missing package",
        config_fields(quantization_config={"quant_method": "gptq", "bits": 4}),
        "cannot",
    ),
    Case("unknown quantization", config_fields(quantization_config={"quant_method": "evil"}), None),
    Case("stray Python files", python_files, None),
    Case("a generate function", custom_generate, CODE),
    Case("a template that escapes", template, None),
    Case("an adapter as a pickle", adapter(base_model_name_or_path="evil/base"), ONLY_SAFE),
    Case("an adapter as a pickle with stray safetensors", stray_weights, ONLY_SAFE),
    Case("an adapter of a base model on the hub", adapter_of("hf:evil/base@main"), "evil/base", hub=True),
    Case("an adapter of itself", adapter_of("path:{folder}"), "in a circle"),
    Case("an adapter of a missing folder", adapter_of("path:/nowhere/at/all"), "nowhere"),
    Case("an adapter of an unknown source", adapter_of("evil:x"), "There is no model"),
    Case("an adapter that names a module", adapter_of("minilm", megatron_config={"a": 1}, megatron_core="evil"), CODE),
]

METADATA: list[tuple[str, dict[str, Any] | bytes, str]] = [
    ("no JSON", b"\x80\x04cos\nsystem\n", "has no model"),
    ("an unknown task", {"task": {"name": "evil"}}, "There is no task"),
    ("unknown task options", {"task": {"name": "text-classification", "run": "evil"}}, "is damaged"),
    ("no labels", {"labels": None}, "is damaged"),
    ("more labels than outputs", {"labels": ["a", "b", "c"]}, "cannot be loaded"),
    ("an invalid length", {"max_length": "evil"}, "is damaged"),
    ("a whole model declared an adapter", {"adapter": True}, "contradict"),
]


def load_all(jobs: list[dict[str, str]], tmp_path: Path, workspace: Workspace) -> list[dict[str, Any]]:
    """Load each folder in a separate process; return how each attempt ended."""
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


def problem_with(case: Case, result: dict[str, Any], marker: Path) -> str | None:
    """Return what is wrong with how a case ended, or None."""
    if marker.exists():
        return f"{case.name}: ITS CODE RAN"
    if result["network_attempts"] and not case.hub:
        return f"{case.name}: the network was contacted: {result['network_attempts']}"
    if case.refusal is None:
        return f"{case.name}: should be loaded but was refused: {result['error']}" if result["error"] else None
    if not result["error"]:
        return f"{case.name}: should be refused but was loaded"
    if not any(text in result["error"] for text in case.refusal.split("|")) or result["kind"] == "Internal":
        return f"{case.name}: refused with another message: {result['kind']}: {result['error']}"
    return None


@pytest.mark.parametrize("name", ["pickle", "code"])
def test_the_traps_work(name: str, tmp_path: Path) -> None:
    """Loaded without precautions, the traps do write the marker."""
    marker = tmp_path / "marker"
    if name == "pickle":
        write_pickle(tmp_path / "a.bin", marker)
        command = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
        subprocess.run([sys.executable, "-c", command, str(tmp_path / "a.bin")], check=True)
    else:
        write_code(tmp_path / "a.py", marker)
        subprocess.run([sys.executable, "-c", f"exec(open({str(tmp_path / 'a.py')!r}).readline())"], check=True)
    assert marker.exists()


def test_hostile_models_to_start_from(workspace: Workspace, tmp_path: Path) -> None:
    good = make_model(tmp_path / "good")
    jobs, markers = [], {}
    for number, case in enumerate(CASES):
        folder, markers[case.name] = tmp_path / f"model-{number}" / "m", tmp_path / f"marker-{number}"
        shutil.copytree(good, folder)
        run = make_run(workspace, {"model": f"path:{folder}", "training.max_steps": 1, "training.epochs": 1})
        case.set_trap(folder, markers[case.name])  # after the check, so that the run itself must notice it
        jobs.append({"name": case.name, "kind": "run", "folder": str(run.folder)})
    results = load_all(jobs, tmp_path, workspace)
    assert len(results) == len(CASES)
    problems = [problem_with(case, result, markers[case.name]) for case, result in zip(CASES, results, strict=True)]
    assert "\n".join(filter(None, problems)) == ""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    workspace = Workspace(tmp_path_factory.mktemp("finished")).create()
    run = make_run(workspace, {"training.max_steps": 1, "training.epochs": 1})
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    run.transition(("queued",), "succeeded")
    return run


def copy_run(run: Run, workspace: Workspace, number: int) -> Path:
    folder = workspace.runs / f"{run.id}-{number}"
    shutil.copytree(run.folder, folder)
    update_json(folder / "model" / "workbench.json", files={})  # anyone who changes a model can remove its hashes, too
    return folder


def test_tampered_results(workspace: Workspace, finished: Run, tmp_path: Path) -> None:
    jobs, markers = [], {}
    for number, case in enumerate(CASES):
        folder, markers[case.name] = copy_run(finished, workspace, number), tmp_path / f"marker-{number}"
        metadata = (folder / "model" / "workbench.json").read_text()
        case.set_trap(folder / "model", markers[case.name])
        if not (folder / "model" / "workbench.json").exists():  # an adapter without metadata: let it get that far
            (folder / "model" / "workbench.json").write_text(metadata)
        jobs.append({"name": case.name, "kind": "predict", "folder": str(folder)})
    results = load_all(jobs, tmp_path, workspace)
    assert len(results) == len(CASES)
    problems = [problem_with(case, result, markers[case.name]) for case, result in zip(CASES, results, strict=True)]
    assert "\n".join(filter(None, problems)) == ""


def test_tampered_metadata(workspace: Workspace, finished: Run, tmp_path: Path) -> None:
    """``workbench.json`` describes how to load a result."""
    jobs = []
    for number, (name, content, _) in enumerate(METADATA):
        path = copy_run(finished, workspace, number) / "model" / "workbench.json"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            update_json(path, **content)
        jobs.append({"name": name, "kind": "predict", "folder": str(path.parent.parent)})
    for (name, _, message), result in zip(METADATA, load_all(jobs, tmp_path, workspace), strict=True):
        assert result["error"] and message in result["error"], f"{name}: {result}"
        assert result["kind"] != "Internal" and not result["network_attempts"], f"{name}: {result}"


def test_an_adapter_config_next_to_whole_weights(workspace: Workspace, finished: Run, tmp_path: Path) -> None:
    """transformers would treat the folder as an adapter and load the base model that it names."""
    folder, marker = copy_run(finished, workspace, 0), tmp_path / "marker"
    evil = tmp_path / "evil"
    shutil.copytree(folder / "model", evil)
    config_fields(auto_map=LOCAL, code="evil.py")(evil, marker)
    config = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": str(evil)}
    (folder / "model" / "adapter_config.json").write_text(json.dumps(config))
    weights = (folder / "model" / "model.safetensors").read_bytes()
    (folder / "model" / "adapter_model.safetensors").write_bytes(weights)
    (result,) = load_all([{"name": "x", "kind": "predict", "folder": str(folder)}], tmp_path, workspace)
    assert "contradict" in result["error"] and not marker.exists()


def test_run_folder_refuses_a_hostile_model(workspace: Workspace, tmp_path: Path) -> None:
    """A worker's ``python -m workbench run-folder`` on a model folder that became hostile after the check."""
    folder, marker = make_model(tmp_path / "m"), tmp_path / "marker"
    run = make_run(workspace, {"model": f"path:{folder}"})
    config_fields(auto_map=LOCAL, code="evil.py")(folder, marker)
    command = [sys.executable, "-m", "workbench", "run-folder", str(run.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=DRIVER.parents[2])
    status = run.status()
    assert done.returncode == 2 and status.state == "failed"
    assert CODE in status.error.message and "Traceback" not in done.stdout + done.stderr
    assert not marker.exists()


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.refusal in (ONLY_SAFE, CODE)], ids=lambda case: case.name
)
def test_check_refuses_hostile_models(case: Case, workspace: Workspace, tmp_path: Path) -> None:
    folder = make_model(workspace.uploads / "m")
    case.set_trap(folder, tmp_path / "marker")
    spec = make_run(workspace).spec().changed({"model": f"path:{folder}"})
    with pytest.raises(RefusedError):
        refuse_unsafe(folder)
    for confined in (False, True):
        (problem,) = check(spec, workspace, confined)
        assert problem.field == "model" and case.refusal in problem.message
    assert not (tmp_path / "marker").exists()
