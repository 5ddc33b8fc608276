"""The share of tokens that a tokenizer does not know, and the note about it in a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from workbench.data.examples import Examples
from workbench.data.text.unknown_tokens import MAX_BYTES, load_backend, unknown_share
from workbench.runs.report_notes import WarningNote
from workbench.tasks.base import tasks
from workbench.training.prepare import _note_unknown_tokens


def make_backend(unknown: str | None = "[UNK]") -> Tokenizer:
    vocabulary = {token: i for i, token in enumerate(["[CLS]", "good", "bad", *([unknown] if unknown else [])])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown or "none"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 0)])
    return backend


@pytest.mark.parametrize("unknown", ["[UNK]", "<unk>"])
def test_the_share_is_that_of_the_texts_tokens(unknown: str) -> None:
    """Special tokens around a text are not counted; each text would have one."""
    assert unknown_share(make_backend(unknown), ["Good bad", "好 good"]) == 0.25
    assert unknown_share(make_backend(unknown), ["", ""]) is None


def test_a_tokenizer_without_an_unknown_token_has_no_share() -> None:
    """One of bytes knows everything."""
    assert unknown_share(make_backend(None), ["good"]) is None


def test_only_small_and_whole_files_are_loaded(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    assert load_backend(file) is None
    backend = make_backend()
    backend.enable_padding(length=64)
    backend.save(str(file))
    loaded = load_backend(file)
    assert loaded is not None and unknown_share(loaded, ["good"]) == 0, "the padding that the file asks for is ignored"
    content = file.read_text(encoding="utf-8")
    file.write_text(content[:-9], encoding="utf-8")
    assert load_backend(file) is None
    file.write_text(content + " " * MAX_BYTES, encoding="utf-8")
    assert load_backend(file) is None


def test_a_run_notes_many_unknown_tokens() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=make_backend(), unk_token="[UNK]", cls_token="[CLS]")
    task = tasks.get("text-classification")()
    examples = Examples({"text": ["good 好 吃 的"] * 20, "label": ["a", "b"] * 10})
    (note,) = _note_unknown_tokens(task, tokenizer, examples)
    assert isinstance(note, WarningNote) and note.startswith(
        "75% of the tokens of the training texts are unknown to the tokenizer ([UNK])"
    )
    known = Examples({"text": ["good bad"] * 99 + ["好"], "label": ["a", "b"] * 50})
    assert _note_unknown_tokens(task, tokenizer, known) == []
