"""Tokenizers trained on files and data sets, which are streamed."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from pathlib import Path

import pytest

from workbench.data.catalogue.entries import catalogue
from workbench.data.load import load_texts
from workbench.data.text.corpus import stream_texts
from workbench.data.text.tokenizers import (
    SPECIAL_TOKENS,
    TokenizerSpec,
    train_on_corpus,
    train_tokenizer,
)
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

KINDS = ("bpe", "wordpiece", "unigram", "character")
ENGLISH = [f"The {a} {b} sat on the {c}, didn't it?" for a in ("big", "old", "red") for b in ("cat", "dog", "hen")
           for c in ("mat", "roof", "chair")]  # fmt: skip


def test_a_tokenizer_is_trained_on_a_file(workspace: Workspace, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    file = tmp_path / "texts.txt"
    file.write_text("\n".join(ENGLISH), encoding="utf-8")
    summary = train_on_corpus(
        DataSpec(train=str(file)), TokenizerSpec(train="bpe", vocab_size=300), workspace, tmp_path / "out"
    )
    assert summary["vocab_size"] == len(AutoTokenizer.from_pretrained(tmp_path / "out")) == 300
    assert summary["kind"] == "bpe" and summary["texts"] == len(ENGLISH), "the whole file is used"
    assert json.dumps(summary)
    held_out = DataSpec.model_validate({"train": str(file), "holdout": {"test": 0.15, "valid": 0.15}})
    summary = train_on_corpus(held_out, TokenizerSpec(train="bpe", vocab_size=300), workspace, tmp_path / "part")
    assert summary["texts"] == round(0.7 * len(ENGLISH)), "without the held-out share"


def test_a_runs_tokenizer_is_trained_on_the_train_split_only(workspace: Workspace, tmp_path: Path) -> None:
    """Each word occurs in one text: no word of a held-out text is a token."""
    from workbench.data.load import load_data
    from workbench.models.base import models
    from workbench.tasks.base import tasks

    file = tmp_path / "texts.csv"
    file.write_text("text\n" + "".join(f"{chr(0x4E00 + i) * 3}\n" for i in range(40)), encoding="utf-8")
    task = tasks.get("causal-lm")()
    dataset = load_data(DataSpec(train=str(file)), task.columns(), workspace)
    entry = models.get("transformer-decoder")
    source = entry(entry.Config.model_validate({"tokenizer": {"train": "character"}}), "", workspace)
    source.prepare(lambda: task.texts(dataset.train), tmp_path / "tokenizer")
    learned_tokens = set(source.tokenizer.get_vocab()) - set(SPECIAL_TOKENS)
    assert learned_tokens == set("".join(dataset.train.columns["text"])) and len(learned_tokens) == 28


def write_corpus(path: Path, rows: int) -> Path:
    """Write a file of this kind with texts of 300 characters, 6 MB in total for 20,000 rows."""
    texts = [f"{i:06d} " + "the old cat sat on the big red roof " * 8 for i in range(rows)]
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"text": texts, "other": texts}), path, row_group_size=2000)
    elif path.suffix == ".txt":
        path.write_text("\n".join(texts), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    else:
        tab = "\t" if path.suffix == ".tsv" else ","
        path.write_text(f"text{tab}n\n" + "\n".join(f"{text}{tab}1" for text in texts), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "suffix",
    [".jsonl", *(pytest.param(suffix, marks=pytest.mark.slow) for suffix in (".txt", ".csv", ".parquet", ".tsv"))],
)
def test_a_corpus_is_streamed_from_its_file(suffix: str, workspace: Workspace, tmp_path: Path) -> None:
    """6 MB of text, of which at most a quarter is in memory at once."""
    small = DataSpec(train=str(write_corpus(tmp_path / f"few{suffix}", 50)))
    train_on_corpus(small, TokenizerSpec(train="character"), workspace, tmp_path / "first")  # import modules first
    data = DataSpec(train=str(write_corpus(tmp_path / f"texts{suffix}", 20_000)))
    tracemalloc.start()
    summary = train_on_corpus(data, TokenizerSpec(train="character"), workspace, tmp_path / "out")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert summary["texts"] == 20_000
    assert peak < 1_500_000, f"{peak:,} bytes were in memory at once"


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".jsonl", ".parquet", ".md"])
def test_streamed_texts_are_those_of_the_table(suffix: str, workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / f"texts{suffix}"
    if suffix == ".md":
        path.write_bytes("# Käse\r\n\r\nOne.\r\nTwo.\r\n\r\n\r\nThree.".encode("cp1252"))
    else:
        write_corpus(path, 50)
    if suffix == ".tsv":  # an unpaired quote, far down
        path.write_text(path.read_text() + '\n"odd\t1\nlast\t2', encoding="utf-8")
    data = DataSpec.model_validate({"train": str(path), "holdout": {"test": 0, "valid": 0}})
    streamed, notes = stream_texts(data, workspace)
    loaded, loaded_notes = load_texts(data, workspace)
    assert list(streamed) == loaded and len(loaded) >= 3
    for note in notes:
        assert note in loaded_notes


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,n\nfine,1\nodd,1,2\n", "line 3: 3 fields"),
        ("a.jsonl", '{"text": "a"}\n{"texts": "b"}\n', "line 2: lacks 'text'"),
        ("a.jsonl", '{"text": "a"}\n{"text": {"b": 1}}\n', "line 2: column 'text' holds an object"),
        ("a.csv", "number,size\n1,2\n", "no column matches the role text"),
        ("a.txt", "fine\n\nbi\0nary\n", "line 3: there is a NUL"),
        ("a.csv", " \n", "is empty"),
    ],
)
def test_a_bad_row_of_a_stream_is_refused_with_its_location(
    name: str, content: str, message: str, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        train_on_corpus(DataSpec(train=str(tmp_path / name)), TokenizerSpec(train="bpe"), workspace, tmp_path / "out")


def test_all_texts_of_an_array_of_objects(workspace: Workspace, tmp_path: Path) -> None:
    """All named columns are used; words are one text, other lists one text per item, and classes are skipped."""
    rows = [{"words": ["The", "cat", "房", "间"], "turns": ["Hi!", "Oh."], "label": "x", "n": 3}]
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    columns = {"words": "words", "turns": "turns", "label": "label"}
    texts, _ = stream_texts(DataSpec(train=str(tmp_path / "a.json"), columns=columns), workspace)
    assert list(texts) == ["The cat房间", "Hi!", "Oh."]


QUICK = sorted(name for name, entry in catalogue().datasets.items() if not entry.made_here
               and sum(file.bytes for file in entry.files.values()) < 12_000_000)  # fmt: skip


@pytest.mark.mirror
@pytest.mark.parametrize("name", QUICK)
def test_any_corpus_of_the_catalogue(name: str, workspace: Workspace, mirror: Path) -> None:
    """Every corpus has texts, of every role with text, and a tokenizer can be trained on them."""
    texts, _ = stream_texts(DataSpec(train=name), workspace)
    sample = list(itertools.islice(texts, 400))
    assert sample and all(isinstance(text, str) for text in sample)
    assert sum(map(len, sample)) / len(sample) > 2
    assert len(train_tokenizer(sample, TokenizerSpec(train="bpe", vocab_size=300))) == 300


@pytest.mark.mirror
@pytest.mark.slow
def test_chinese_reviews(workspace: Workspace, mirror: Path) -> None:
    """Real Chinese: WordPiece separates characters, BPE and unigram learn words, everything is decoded."""
    texts, _ = load_texts(
        DataSpec(train="chnsenticorp-hotel", columns={"text": "review"}, limit={"train": 2000}), workspace
    )
    lengths = {}
    for kind in KINDS:
        tokenizer = train_tokenizer(texts, TokenizerSpec(train=kind, vocab_size=4000))
        ids = tokenizer(texts[:500])["input_ids"]
        unknown = sum(i == 1 for each in ids for i in each) / sum(map(len, ids))
        assert unknown < 0.005
        lengths[kind] = sum(map(len, ids))
        if kind in ("bpe", "character"):
            is_exact = [tokenizer.decode(each, skip_special_tokens=True) == text for each, text in zip(ids, texts)]  # noqa: B905
            assert sum(is_exact) >= (500 if kind == "bpe" else 400)
    assert lengths["unigram"] < 0.8 * lengths["character"] and lengths["bpe"] < lengths["character"]


@pytest.mark.mirror
def test_trained_tokenizers_compress_plays(workspace: Workspace, mirror: Path) -> None:
    texts, _ = load_texts(DataSpec(train="tinyshakespeare"), workspace)
    tokenizer = train_tokenizer(texts, TokenizerSpec(train="bpe", vocab_size=2000))
    characters, tokens = sum(map(len, texts)), sum(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"]))
    assert len(tokenizer) == 2000 and 2.8 < characters / tokens < 4.5
    assert [tokenizer.decode(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] == texts
