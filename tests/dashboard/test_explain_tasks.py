"""Explain for runs that label words, find answers, or write: what is explained is chosen plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration, BertForQuestionAnswering, BertForTokenClassification

from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from tests.dashboard.test_explain import heat, pictures
from tests.unit.explain.test_explain_targets import language_model, of_bert, predictor_for
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow

TEXT = "the film was good with music"
Opens = Callable[..., Run]


@pytest.fixture
def opens(workspace: Workspace, shared_cache: Any, monkeypatch: pytest.MonkeyPatch) -> Opens:
    """Makes a finished run of a task whose model is the one that is given."""
    from dashboard.parts.shared import side_by_side

    def made(reader: Any) -> Run:
        run = fake_run(workspace, "queued", changes={"task": reader.task.name})
        run.update_status(state="succeeded")
        loaded = Predictor(reader.model, reader.tokenizer, reader.task, reader.max_length)
        monkeypatch.setattr(side_by_side, "load", lambda _: loaded)
        return run

    return made


def rewriter() -> Any:
    torch.manual_seed(0)
    sizes = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    widths = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 2}
    ids["forced_eos_token_id"] = 3
    return predictor_for(
        "seq2seq-denoising", BartForConditionalGeneration(BartConfig(vocab_size=40, **sizes, **widths, **ids))
    )


def test_the_next_token_of_a_writer(opens: Opens) -> None:
    run = opens(language_model())
    test = well(open_page("explain", run=run.id, text=TEXT, method="occlusion"))
    assert len(heat(test)) == 1 and not test.error
    box = test.selectbox(key="explain.target")
    assert box.label == "Explained token" and len(box.options) == 10
    other = well(open_page("explain", run=run.id, text=TEXT, method="occlusion", target="music"))
    assert "explained for music" in heat(other)[0]
    lens = well(open_page("explain", run=run.id, text=TEXT, view="lens"))
    assert not lens.error and len(lens.dataframe[0].value.columns) > 5  # a column a token
    wrong = well(open_page("explain", run=run.id, text=TEXT, method="occlusion", target="two words"))
    assert "is not one token" in wrong.error[0].value


def test_the_label_of_a_word(opens: Opens) -> None:
    run = opens(of_bert(BertForTokenClassification, "token-classification", ["B", "I", "O"], num_labels=3))
    test = well(open_page("explain", run=run.id, text=TEXT, method="occlusion", position="3", target="I"))
    assert not test.error and heat(test)
    words = test.selectbox(key="explain.position")
    assert [option.split()[-1] for option in words.options] == TEXT.split() and words.value == 3
    assert "(at " in text_of(test)
    changed = well(words.select_index(0).run())
    assert heat(changed) != [] and changed.query_params["position"] in ("0", ["0"])


def test_the_answer_to_a_question(opens: Opens) -> None:
    run = opens(of_bert(BertForQuestionAnswering, "question-answering"))
    query = {"text": "what was good", "pair": "the film was good with music", "run": run.id, "method": "occlusion"}
    test = well(open_page("explain", **query, target="good with"))
    assert not test.error and "explained for good with" in heat(test)[0]
    assert test.selectbox(key="explain.target").label == "Explained answer"
    assert test.text_area(key="explain.text_pair").value == query["pair"]


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_the_three_attentions_of_a_model_that_rewrites(kind: str, opens: Opens) -> None:
    run = opens(rewriter())
    for view in ("canvas", "head"):
        test = well(open_page("explain", run=run.id, text=TEXT, view=view, attention=kind))
        assert not test.error, [one.value for one in test.error]
        assert len(pictures(test)) == 1
    assert ("written" in pictures(test)[0]) == (kind == "cross")
