"""The real Gemma 3 270M: its terms, its tokens, and how it continues texts in three languages."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.data.catalogue.sources import open_terms_of
from workbench.data.catalogue.terms import accept_terms
from workbench.errors import RefusedError
from workbench.models.loading import load_folder, load_tokenizer, make_source
from workbench.models.sources.pretrained import Catalogued
from workbench.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.mirror]

NAME = "gemma-3-270m"
TEXTS = [
    "Hello, world! 12345  two spaces",
    "Die Größe der Straßenbahn überraschte Jürgen.\n\n\tEin Absatz.",
    "这家宾馆的房间很大，服务员态度也很好。",
    "Привет, мир! Как дела?",
    "مرحبا بالعالم",
    "こんにちは世界。 안녕하세요 세계",
    "नमस्ते दुनिया สวัสดีชาวโลก",
    "<b>x</b> = 10 🎉 👩‍👩‍👧 \u200b",
    "  leading and trailing  ",
]
CONTINUED = {
    "Monday, Tuesday, Wednesday,": " Thursday, Friday",
    "Montag, Dienstag, Mittwoch,": " Donnerstag, Freitag",
    "星期一、星期二、": "星期三、星期四",
}


def sentencepiece(text: str, metadata: dict[str, Any]) -> list[str]:
    """Tokenize as SentencePiece's BPE does: user-defined symbols first, then merge the pair with the best score."""
    scores = dict(zip(metadata["tokens"], metadata["scores"], strict=True))
    kinds = zip(metadata["tokens"], metadata["token_type"], strict=True)
    fixed = sorted((token.replace(" ", "\u2581") for token, kind in kinds if kind == 4), key=len, reverse=True)
    pieces: list[str] = []
    for i, part in enumerate(re.split(f"({'|'.join(map(re.escape, fixed))})", text.replace(" ", "\u2581"))):
        symbols = [part] if i % 2 else list(part)
        while not i % 2:
            pairs = [(scores.get(a + b, -1e9), -k) for k, (a, b) in enumerate(pairwise(symbols))]
            if not pairs or max(pairs)[0] == -1e9:
                break
            k = -max(pairs)[1]
            symbols[k : k + 2] = [symbols[k] + symbols[k + 1]]
        for symbol in filter(None, symbols):
            is_known = symbol in scores or i % 2
            pieces += [symbol] if is_known else [f"<0x{byte:02X}>" for byte in symbol.encode()]
    return pieces


@pytest.mark.timeout(900)
def test_gemma_reads_and_continues_texts_in_many_languages(shared_cache: Path, workspace: Workspace) -> None:
    from gguf import GGUFReader

    source = make_source(NAME, workspace)
    assert isinstance(source, Catalogued)
    with pytest.raises(RefusedError, match="Gemma Terms of Use"):
        source.folder()
    terms = open_terms_of(NAME, workspace)
    assert terms is not None
    accept_terms(terms, workspace)
    folder = source.folder()
    fields = GGUFReader(folder.parent / "model.gguf").fields
    metadata = {key: fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "scores", "token_type")}
    tokenizer: Any = load_tokenizer(folder)
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.convert_ids_to_tokens(ids) == sentencepiece(text, metadata)
        assert tokenizer.decode(ids) == text
    model, newly_initialized = load_folder(folder, "AutoModelForCausalLM", {}, complete=True)
    assert not newly_initialized
    for text, answer in CONTINUED.items():
        inputs = tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            output: Any = model.generate(**inputs, max_new_tokens=6, do_sample=False)  # type: ignore[operator]
        assert answer in tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])
