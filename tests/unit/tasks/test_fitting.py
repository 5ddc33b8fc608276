"""Fitting models and tunings are known before anything is loaded and agree with transformers and ``check``."""

from __future__ import annotations

import itertools

import pytest

from workbench.check import check, fitting_models, fitting_tunings, presets
from workbench.data.catalogue.entries import catalogue
from workbench.data.catalogue.sources import open_terms_of
from workbench.data.catalogue.terms import accept_terms
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
    "multilingual-e5-small": "bert",
    "smollm2": "llama",
    "gemma-3-270m": "gemma3_text",
}
# transformers has these heads, but they make no sense: a model that sees the whole text cannot predict its next word,
# and a decoder's pretraining head predicts no masked words.
NOT_OFFERED = {
    ("minilm", "AutoModelForCausalLM"),
    ("multilingual-e5-small", "AutoModelForCausalLM"),
    ("transformer-decoder", "AutoModelForPreTraining"),
}


def test_heads_of_models_are_those_of_transformers() -> None:
    import transformers

    from workbench.models.loading import register_models

    register_models()
    heads = {task().head for _, task in tasks.items()}
    assert {name for name, entry in models.items() if entry.heads is not None} == set(OWN)
    for name, kind in OWN.items():
        config = transformers.CONFIG_MAPPING[kind]
        available = {head for head in heads if config in getattr(transformers, head)._model_mapping}
        available -= {head for model, head in NOT_OFFERED if model == name}
        assert models.get(name).heads & heads == available, name


def test_check_accepts_exactly_what_fits(workspace: Workspace) -> None:
    for name in catalogue().models:
        terms = open_terms_of(name, workspace)
        if terms is not None:
            accept_terms(terms, workspace)
    for (task_name, task), model in itertools.product(tasks.items(), OWN):
        fits = model in fitting_models(task())
        allowed = fitting_tunings(task(), model)
        for tuning in tunings.names():
            spec = RunSpec.parse({"task": task_name, "data": "rotten-tomatoes", "model": model, "tuning": tuning})
            fields_with_errors = {p.field for p in check(spec, workspace) if p.severity == "error"}
            assert ("model" not in fields_with_errors) == fits, (task_name, model)
            assert ("tuning" not in fields_with_errors) == (tuning in allowed), (task_name, model, tuning)


@pytest.mark.parametrize("preset", presets())
def test_presets_fit(preset: str) -> None:
    spec = presets()[preset]
    task_class = tasks.get(spec.task.name)
    task = task_class(task_class.Config.model_validate(spec.task.options))
    assert spec.model.source.partition(":")[0] in fitting_models(task)
    assert spec.tuning.method in fitting_tunings(task, spec.model.source.partition(":")[0])
