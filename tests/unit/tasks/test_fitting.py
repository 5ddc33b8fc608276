"""What goes with a task is known before anything is loaded, and is the same as what transformers and check say."""

from __future__ import annotations

import itertools

import pytest

from workbench.check import check, fitting_models, fitting_tunings, presets
from workbench.models.base import models
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

OWN = {
    "transformer-encoder": "workbench-encoder",
    "transformer-decoder": "workbench-decoder",
    "transformer-encoder-decoder": "workbench-encoder-decoder",
    "bag-of-embeddings": "workbench-bag-of-embeddings",
    "textcnn": "workbench-textcnn",
    "lstm": "workbench-recurrent",
    "gru": "workbench-recurrent",
    "minilm": "bert",
    "smollm2": "llama",
}
# transformers has these, and they make no sense: a model that sees the whole text cannot guess the next word of it,
# and a decoder's pretraining head guesses no masked words.
NOT_OFFERED = {("minilm", "AutoModelForCausalLM"), ("transformer-decoder", "AutoModelForPreTraining")}


def test_the_heads_that_models_name_are_those_that_transformers_has() -> None:
    import transformers

    from workbench.models.loading import register_models

    register_models()
    heads = {task().head for _, task in tasks.items()}
    assert {name for name, entry in models.items() if entry.heads is not None} == set(OWN)
    for name, kind in OWN.items():
        config = transformers.CONFIG_MAPPING[kind]
        there = {head for head in heads if config in getattr(transformers, head)._model_mapping}
        there -= {head for model, head in NOT_OFFERED if model == name}
        assert models.get(name).heads & heads == there, name


def test_what_fits_is_what_check_lets_through(workspace: Workspace) -> None:
    for (task_name, task), model in itertools.product(tasks.items(), OWN):
        fits = model in fitting_models(task())
        allowed = fitting_tunings(task(), model)
        for tuning in tunings.names():
            spec = RunSpec.parse({"task": task_name, "data": "rotten-tomatoes", "model": model, "tuning": tuning})
            wrong = {p.field for p in check(spec, workspace) if p.severity == "error"}
            assert ("model" not in wrong) == fits, (task_name, model)
            assert ("tuning" not in wrong) == (tuning in allowed), (task_name, model, tuning)


@pytest.mark.parametrize("preset", presets())
def test_presets_fit(preset: str) -> None:
    spec = presets()[preset]
    task = tasks.get(spec.task.name)
    made = task(task.Config.model_validate(spec.task.options))
    assert spec.model.source.partition(":")[0] in fitting_models(made)
    assert spec.tuning.method in fitting_tunings(made, spec.model.source.partition(":")[0])
