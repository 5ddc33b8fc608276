"""``model: auto`` follows the language of the data, and a model that does not know it is warned about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.check import check, resolve
from workbench.check.language import AutoChoice, choose_model
from workbench.data.catalogue.entries import catalogue
from workbench.data.text.language import UNKNOWN, Languages
from workbench.errors import SpecError
from workbench.models.loading import make_source
from workbench.problem import Problem
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

GERMAN = "Das Essen war sehr gut, und die Bedienung ist freundlich."
ENGLISH = "The food was very good, and the service is friendly."
CHINESE = "饭菜很好吃，服务也很周到。"
E5 = "multilingual-e5-small"


def write(path: Path, texts: list[str], **more: str) -> str:
    """Write each text four times with a number: identical texts would stay in one split."""
    columns = [{"text": text, **more} for text in texts * 4]
    rows = [{name: f"{text} {i}" for name, text in row.items()} for i, row in enumerate(columns)]
    rows = [{**row, "label": "ab"[i % 2]} for i, row in enumerate(rows)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def spec(data: str, model: str, task: str = "text-classification", **more: object) -> RunSpec:
    return RunSpec.parse({"task": task, "data": data, "model": model, **more})


def languages(**shares: float) -> Languages:
    return Languages(shares, {"Latin": 1.0}, 1.0, 1_000)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param([ENGLISH] * 9 + [GERMAN], "minilm", id="english"),
        pytest.param([GERMAN] * 10, E5, id="german"),
        pytest.param([CHINESE] * 10, E5, id="chinese"),
        pytest.param([ENGLISH] * 6 + [CHINESE] * 6, E5, id="mixed"),
    ],
)
def test_auto_follows_the_language_of_a_file(
    texts: list[str], expected: str, workspace: Workspace, tmp_path: Path
) -> None:
    """The run's spec names the model and the reason, so that it is the same when it is resolved again."""
    document = spec(write(tmp_path / "reviews.jsonl", texts), "auto", notes="Mine.")
    problems = check(document, workspace)
    assert [(problem.severity, problem.field) for problem in problems] == [("info", "model")]
    assert problems[0].message.startswith(f"auto chose {expected}: the texts are in ")
    resolved = resolve(document, workspace)
    assert resolved.spec.model.source == resolved.model.name == expected
    assert resolved.spec.notes == f"Mine.\n{problems[0].message}"
    assert document.model.source == "auto" and document.notes == "Mine.", "the user's spec is not changed"
    again = resolve(resolved.spec, workspace).spec
    assert again == resolved.spec


@pytest.mark.parametrize(
    ("text", "task", "more", "expected"),
    [
        (GERMAN, "text-classification", {}, "lora"),
        (GERMAN, "text-classification", {"tuning": "full"}, "full"),
        (GERMAN, "masked-lm", {}, "full"),  # an adapter cannot hold the new output layer
        (ENGLISH, "text-classification", {}, "full"),
    ],
)
def test_the_multilingual_model_is_trained_with_lora_unless_a_spec_says_otherwise(
    text: str, task: str, more: dict[str, str], expected: str, workspace: Workspace, tmp_path: Path
) -> None:
    document = spec(write(tmp_path / "reviews.jsonl", [text] * 10), "auto", task, **more)
    resolved = resolve(document.changed({"data.max_length": 64}), workspace)
    assert resolved.tuning.name == resolved.spec.tuning.method == expected
    assert ("It is trained with lora." in resolved.spec.notes) == (expected == "lora")
    assert document.tuning.method == more.get("tuning", "full"), "the user's spec is not changed"


def test_options_of_the_model_are_those_of_the_chosen_one(workspace: Workspace, tmp_path: Path) -> None:
    data = write(tmp_path / "reviews.jsonl", [GERMAN] * 10)
    options = {"source": "auto", "dropout": 0.3}
    resolved = resolve(RunSpec.parse({"task": "text-classification", "data": data, "model": options}), workspace)
    assert resolved.spec.model.options["dropout"] == 0.3
    options["dropout"] = 3
    problems = check(RunSpec.parse({"task": "text-classification", "data": data, "model": options}), workspace)
    assert [problem.field for problem in problems if problem.severity == "error"] == ["model.dropout"]


@pytest.mark.parametrize(
    ("data", "task", "expected"),
    [
        ("rotten-tomatoes", "text-classification", "minilm"),
        ("tnews", "text-classification", E5),
        ("xquad-de", "question-answering", E5),
        ("chatterbot-en", "dialogue", "smollm2"),
    ],
)
def test_auto_knows_the_language_of_a_catalogued_data_set(
    data: str, task: str, expected: str, workspace: Workspace
) -> None:
    assert resolve(spec(data, "auto", task, tuning="lora"), workspace).spec.model.source == expected


def test_auto_proposes_a_model_whose_terms_must_be_accepted(workspace: Workspace, tmp_path: Path) -> None:
    """For generated texts that are not English. A language that is not known is no reason to accept terms."""
    path = tmp_path / "chats.jsonl"
    lines = ["Wann haben Sie am Samstag geöffnet?", "Wir haben am Samstag von neun bis zwölf Uhr geöffnet."]
    rows = [{"messages": [{"role": r, "content": t} for r, t in zip(("user", "assistant"), lines, strict=True)]}] * 20
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    problems = check(spec(str(path), "auto", "dialogue", tuning="lora"), workspace)
    assert any("auto chose gemma-3-270m: the texts are in German" in problem.message for problem in problems)
    assert any("--accept-terms" in problem.hint for problem in problems if problem.severity == "error")
    choice = choose_model(tasks.get("dialogue")(), None)
    assert isinstance(choice, AutoChoice) and choice.source == "smollm2"


def test_auto_without_a_fitting_model_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(SpecError, match="auto finds no pretrained model"):
        resolve(spec("tatoeba-en-zh", "auto", "translation"), workspace)


def test_auto_with_an_unknown_task_reports_the_task_alone(workspace: Workspace) -> None:
    problems = check(spec("rotten-tomatoes", "auto", "text-clasification"), workspace)
    assert [problem.field for problem in problems] == ["task"]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"en": 0.85, "fr": 0.15}, "minilm"),
        ({"en": 0.75, "fr": 0.25}, E5),
        ({UNKNOWN: 1.0}, E5),
        ({"en": 0.5, UNKNOWN: 0.5}, E5),
        (None, E5),
    ],
)
def test_english_must_be_nearly_all_of_the_text(shares: dict[str, float] | None, expected: str) -> None:
    """An unknown language is not English, and neither is that of rows that were not downloaded yet."""
    choice = choose_model(tasks.get("text-classification")(), languages(**shares) if shares else None)
    assert isinstance(choice, AutoChoice) and choice.source == expected


def test_auto_may_not_read_outside_the_uploads(workspace: Workspace, tmp_path: Path) -> None:
    """For a request over the network, the language of a file elsewhere stays private."""
    problems = check(spec(write(tmp_path / "secret.jsonl", [CHINESE] * 9), "auto"), workspace, confined=True)
    assert any(problem.severity == "error" and problem.field == "data.train" for problem in problems)
    assert not any("Chinese" in problem.message for problem in problems)


def test_a_model_of_another_language_is_warned_about(workspace: Workspace, tmp_path: Path) -> None:
    data = write(tmp_path / "reviews.jsonl", [GERMAN] * 10)
    (warning,) = check(spec(data, "minilm"), workspace)
    assert (warning.severity, warning.field, warning.hint) == ("warning", "model", f"Use model: {E5}.")
    assert warning.message == "minilm was trained on English, and the texts are in German (100%)."
    assert check(spec(data, E5), workspace) == []
    english = write(tmp_path / "english.jsonl", [ENGLISH] * 10)
    assert check(spec(english, "minilm"), workspace) == []


def test_only_the_columns_of_the_task_are_read(workspace: Workspace, tmp_path: Path) -> None:
    """Long English texts in another column, whose name would also do, do not hide that the text is Chinese."""
    data = write(tmp_path / "reviews.jsonl", [CHINESE] * 10, content=ENGLISH * 20)
    (warning,) = check(spec(data, "minilm"), workspace)
    assert "Chinese (100%)" in warning.message
    mapped = {"train": data, "columns": {"text": "content"}}
    assert check(RunSpec.parse({"task": "text-classification", "data": mapped, "model": "minilm"}), workspace) == []


def test_the_share_of_unknown_tokens_is_reported(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the tokenizer in the cache, if there is one: 8 of the 10 characters of the texts are not in it."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "models" / "minilm"
    folder.mkdir(parents=True)
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "饭": 1, "菜": 2}, unk_token="[UNK]"))
    backend.normalizer = normalizers.Replace(Regex("[ 0-9]"), "")  # the rows' numbers
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.save(str(folder / "tokenizer.json"))
    data = write(tmp_path / "reviews.jsonl", ["饭菜很好吃服务也周到"] * 10)
    (warning,) = check(spec(data, "minilm"), workspace)
    assert "80% of their tokens are unknown to its tokenizer." in warning.message
    (folder / "tokenizer.json").write_text("{")
    (warning,) = check(spec(data, "minilm"), workspace)
    assert "unknown to its tokenizer" not in warning.message


def test_a_folder_whose_tokenizer_does_not_know_the_texts(workspace: Workspace, tmp_path: Path) -> None:
    """Nothing says which languages it was trained on; its vocabulary does."""
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import Regex, Tokenizer, models, normalizers

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    save_file({"weight": np.zeros(1, dtype=np.float32)}, folder / "model.safetensors")
    backend = Tokenizer(models.WordLevel({"[UNK]": 0, CHINESE: 1}, unk_token="[UNK]"))
    backend.normalizer = normalizers.Replace(Regex(" [0-9]+"), "")  # the rows' numbers
    backend.save(str(folder / "tokenizer.json"))
    known = write(tmp_path / "known.jsonl", [CHINESE] * 10)
    assert check(spec(known, f"path:{folder}"), workspace) == []
    data = write(tmp_path / "reviews.jsonl", [CHINESE, GERMAN] * 10)
    (warning,) = check(spec(data, f"path:{folder}"), workspace)
    assert warning.severity == "warning" and "50% of the tokens" in warning.message


def test_models_without_known_languages_are_not_warned_about(workspace: Workspace, tmp_path: Path) -> None:
    """Models that start from nothing learn any language."""
    data = write(tmp_path / "reviews.jsonl", [CHINESE] * 10)
    assert not [problem for problem in check(spec(data, "lstm"), workspace) if "trained on" in problem.message]


def test_languages_of_the_catalogued_models() -> None:
    for name, entry in catalogue().models.items():
        assert make_source(name, Workspace.current()).languages == frozenset(entry.languages)
    assert {"en", "de", "zh", "ar", "hi"} <= set(catalogue().models[E5].languages)
    assert catalogue().models["minilm"].languages == ("en",)


def test_no_model_for_a_task_is_a_problem_not_an_exception() -> None:
    assert isinstance(choose_model(tasks.get("translation")(), languages(en=1.0)), Problem)
