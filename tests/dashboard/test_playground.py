"""The Playground with small random models: what is asked, what is drawn, and what the link brings back."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from tests.dashboard.translation import check
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.tasks.answers import Answer, Choice, GeneratedText, Ranking, Relation
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

TEXT = "the film was good with music"
HOSTILE = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) :red[x] \u202e\U0001f642 '\"`"
Opens = Callable[..., Run]


@pytest.fixture
def opens(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Opens:
    """Makes a finished run of a task whose model is the one that is given."""
    from dashboard.parts.shared import side_by_side

    loaded: dict[str, Predictor] = {}
    monkeypatch.setattr(side_by_side, "load", lambda run: loaded[run.id])

    def made(reader: Any, **more: Any) -> Run:
        if reader.task.name == "text-classification":
            run = fake_run(workspace, **more)
        else:
            run = fake_run(workspace, "queued", changes={"task": reader.task.name}, **more)
            run.update_status(state="succeeded")
        loaded[run.id] = Predictor(reader.model, reader.tokenizer, reader.task, reader.max_length)
        return run

    return made


def classifier(labels: list[str] | None = None, seed: int = 0) -> Any:
    from transformers import BertForSequenceClassification

    from tests.unit.explain.test_explain_targets import of_bert

    labels = labels or ["negative", "positive"]
    return of_bert(BertForSequenceClassification, "text-classification", labels, num_labels=len(labels))


def as_json(**inputs: Any) -> str:
    return json.dumps(inputs, ensure_ascii=False)


def charts(test: AppTest) -> list[Any]:
    return [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]


def marked(test: AppTest) -> str:
    return "".join(str(e.proto.body) for e in test.get("html") if "<div dir" in str(e.proto.body))


def query(test: AppTest, name: str) -> str:
    value = test.query_params.get(name, "")
    return value if isinstance(value, str) else value[0]


def test_a_prediction_survives_a_reload(opens: Opens) -> None:
    run = opens(classifier())
    test = well(open_page("playground"))
    assert not charts(test) and any("press Run" in str(e.value) for e in test.info)
    test.text_area(key="play.field.text").set_value(TEXT)
    test = well(test.button(key="play_ask").click().run())
    (chart,) = charts(test)
    assert sum(chart["data"][0]["x"]) == pytest.approx(1)
    assert "**Label: " in text_of(test)
    assert json.loads(query(test, "input")) == {"text": TEXT} and query(test, "run") == run.id
    again = well(open_page("playground", run=run.id, input=as_json(text=TEXT)))
    assert charts(again) == charts(test)
    assert again.text_area(key="play.field.text").value == TEXT


def test_two_runs_get_the_same_input(opens: Opens) -> None:
    first, second = opens(classifier()), opens(classifier(), tuning="lora")
    test = well(open_page("playground", **{"run": first.id, "with": second.id, "input": as_json(text=TEXT)}))
    assert len(charts(test)) == 2 and not test.error
    code = test.code[0].value
    assert first.id in code and second.id in code and TEXT in code
    links = [link.proto for link in test.get("page_link")]
    assert any(second.id in link.query_string and "text=" in link.query_string for link in links)


@pytest.mark.parametrize(("device", "words"), [("cpu", "the processor"), ("meta", "the device meta")])
def test_the_device_of_the_model_is_named(device: str, words: str) -> None:
    import torch

    from dashboard.parts.playground.answers import device_name

    assert device_name(SimpleNamespace(model=torch.nn.Linear(1, 1, device=device))) == words  # type: ignore[arg-type]


def test_only_runs_of_the_same_task_can_be_compared(opens: Opens) -> None:
    from tests.unit.explain.test_explain_targets import language_model

    first, other = opens(classifier()), opens(language_model())
    test = well(open_page("playground", **{"run": first.id, "with": other.id, "input": as_json(text=TEXT)}))
    assert test.selectbox(key="play.with").value is None and len(test.selectbox(key="play.with").options) == 1


def test_an_example_of_the_runs_data_is_taken(opens: Opens) -> None:
    run = opens(classifier())
    test = well(open_page("playground", run=run.id))
    box = test.selectbox(key=f"play.example.{run.id}")
    test = well(box.select_index(0).run())
    text = test.text_area(key="play.field.text").value
    assert text and charts(test) and json.loads(query(test, "input")) == {"text": text}


def test_a_question_is_answered_in_its_text(opens: Opens) -> None:
    from transformers import BertForQuestionAnswering

    from tests.unit.explain.test_explain_targets import of_bert

    run = opens(of_bert(BertForQuestionAnswering, "question-answering"))
    inputs = {"question": "what was good", "context": TEXT}
    test = well(open_page("playground", run=run.id, input=as_json(**inputs)))
    assert not test.error and "<mark" in marked(test)
    part = well(open_page("playground", run=run.id, input=as_json(question="what")))
    assert "no context" in part.error[0].value.replace("\\", "")


def test_names_are_marked_in_the_text(opens: Opens) -> None:
    from transformers import BertForTokenClassification

    from tests.unit.explain.test_explain_targets import of_bert

    run = opens(of_bert(BertForTokenClassification, "token-classification", ["B-X", "I-X", "O"], num_labels=3))
    test = well(open_page("playground", run=run.id, input=as_json(text=f"{TEXT} {HOSTILE}")))
    assert not test.error and "<img" not in marked(test) and "&lt;img" in marked(test)
    assert [area.key for area in test.text_area] == ["play.field.text"]


def test_generation_options_reach_the_model(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.explain.test_explain_targets import language_model

    options: list[dict[str, Any]] = []
    monkeypatch.setattr(
        Predictor, "predict", lambda _, inputs, how: [GeneratedText(str(options.append(how) or len(options)))]
    )
    run = opens(language_model())
    link = {
        "run": run.id,
        "input": as_json(text=TEXT),
        "generation": json.dumps({"max_new_tokens": 3, "temperature": 0.0}),
    }
    test = well(open_page("playground", **link))
    assert test.number_input(key=f"play.option.{run.id}.max_new_tokens").value == 3
    assert not test.error and "--set max_new_tokens=3" in test.code[0].value
    assert [text.value for text in test.text] == ["1"]
    test.number_input(key=f"play.option.{run.id}.max_new_tokens").set_value(12)
    test = well(test.button(key="play_ask").click().run())
    assert [text.value for text in test.text] == ["2"]
    assert [(how["max_new_tokens"], how["temperature"], how["top_k"]) for how in options] == [
        (3, 0.0, 50),
        (12, 0.0, 50),
    ]
    assert json.loads(query(test, "generation")) == {"max_new_tokens": 12, "temperature": 0.0}


WRONG = ["{", "[]", "7", '{"text": 5}', '{"text": {"a": 1}}', '{"other": "x"}', "[" * 5000, HOSTILE, "\0"]


def test_nothing_in_a_link_is_trusted(opens: Opens) -> None:
    run = opens(classifier())
    test = open_page("playground", run=run.id)
    for wrong in WRONG:
        for name in ("input", "generation", "with"):
            test.query_params[name] = wrong
        test = well(test.run())
        assert not charts(test) and not test.error, wrong
        assert test.selectbox(key="play.with").value is None
    test.query_params["input"] = '{"text": "half \\ud800"}'
    assert well(test.run()).text_area(key="play.field.text").value == "half ?"


def test_a_link_cannot_make_the_page_write_for_long(opens: Opens) -> None:
    from tests.unit.explain.test_explain_targets import language_model

    run = opens(language_model())
    test = open_page("playground", run=run.id)
    for generation in ('{"max_new_tokens": 100000}', '{"max_new_tokens": "x"}', '{"__class__": 1}', "9" * 900, "null"):
        test.query_params["generation"] = generation
        test = well(test.run())
        assert test.number_input(key=f"play.option.{run.id}.max_new_tokens").value == 40


def test_hostile_text_and_labels_are_text(opens: Opens) -> None:
    run = opens(classifier([HOSTILE, "b"]), labels=[HOSTILE, "b"])
    test = well(open_page("playground", run=run.id, input=as_json(text=HOSTILE)))
    assert charts(test) and "<img" not in json.dumps(charts(test), ensure_ascii=False)
    text = text_of(test).replace(test.code[0].value, "")
    assert "<img" not in text.replace(r"\<img", "") and "](javascript" not in text


def test_a_run_whose_model_is_gone_says_so(workspace: Workspace) -> None:
    run = fake_run(workspace)
    test = well(open_page("playground", run=run.id, input=as_json(text=TEXT)))
    assert len(test.error) == 1 and "What to do" in test.error[0].value


def test_the_input_stays_across_pages(opens: Opens) -> None:
    run = opens(classifier())
    test = well(open_page("playground", run=run.id, input=as_json(text=TEXT)))
    test = well(test.switch_page("views/home.py").run())
    test = well(test.switch_page("views/playground.py").run())
    assert test.text_area(key="play.field.text").value == TEXT and charts(test)


# What a task asks for and answers; there is a tokenizer and no model.
ANSWERS: dict[str, tuple[dict[str, Any], Answer, str]] = {
    "relation-extraction": (
        {"text": "The fire caused a loss.", "head": "fire", "tail": "loss"},
        Relation("Cause(e1,e2)", 1.0, {"Cause(e1,e2)": 1.0}, relation="Cause", source="fire", target="loss"),
        "from fire to loss",
    ),
    "dialogue": (
        {"text": "How are you?", "turns": ["Hello", "Hi, who is there?"]},
        GeneratedText("I am fine today."),
        "I am fine today.",
    ),
    "multiple-choice": (
        {"context": "It began to rain.", "choices": ["She opened her umbrella.", "The sun is hot."]},
        Choice("She opened her umbrella.", 0, 0.9, {"She opened her umbrella.": 0.9}),
        "She opened her umbrella",
    ),
    "sentence-similarity": (
        {
            "text": "my card is gone",
            "text_b": "my card was stolen",
            "candidates": ["what are the fees", "I lost my card"],
        },
        Ranking.of(["I lost my card"], [0.75]),
        "I lost my card",
    ),
    "recommendation": (
        {"history": "Alien (1979), Horror", "candidate": "Heat (1995), Action", "candidates": ["Heat", "Casino"]},
        Ranking.of(["Heat", "Casino"], [0.4, 0.6]),
        "Casino",
    ),
    "controlled-generation": (
        {"label": "fresh", "length": "short", "keyword": "camera", "text": "The film"},
        GeneratedText("The film has a lively camera."),
        "a lively camera",
    ),
    "translation": ({"source": "He is my friend."}, GeneratedText("Il est mon ami.", tokens=5), "Il est mon ami."),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_input_of_a_task_reaches_its_model_and_the_answer_is_drawn(
    name: str, opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.explain.explain_models import tokenizer
    from workbench.inference.inputs import input_fields
    from workbench.inference.predictor import _refuse_unknown_roles

    inputs, result, shown = ANSWERS[name]
    task = tasks.get(name)()
    reached: list[dict[str, Any]] = []

    def predict(self: Predictor, inputs: list[dict[str, Any]], how: Any) -> list[Answer]:
        _refuse_unknown_roles(inputs, self.task)
        reached.extend(inputs)
        return [result]

    monkeypatch.setattr(Predictor, "predict", predict)
    run = opens(Predictor(torch.nn.Identity(), tokenizer(), task, 32))
    roles = [column.role for column in input_fields(task)]
    assert set(inputs) == set(roles), "each input of the task has a field"
    test = well(open_page("playground", run=run.id, input=as_json(**inputs)))
    assert not test.error and reached == [inputs]
    assert [area.key for area in test.text_area] == [f"play.field.{role}" for role in roles]
    tables = " ".join(str(table.value.to_dict()) for table in [*test.table, *test.dataframe])
    assert shown in text_of(test) + tables


def test_answers_are_translated(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "pseudo")
    first, second = opens(classifier()), opens(classifier(seed=1), tuning="lora")
    check(open_page("playground", run=first.id, input=as_json(text=TEXT)))
    check(open_page("playground", run=first.id, input=as_json(text=TEXT), **{"with": second.id}))
