"""Cached tokens are used only for the same texts, tokenizer and settings; cache failures are harmless."""

from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import make_model, reviews
from workbench.data.text import token_cache
from workbench.data.text.packing import tokenize_documents
from workbench.data.text.tokens import TokenTable, tokenize, tokenize_words
from workbench.data.text.windows import tokenize_windows
from workbench.models.loading import load_tokenizer
from workbench.workspace import Workspace

TEXTS = [text for text, _ in reviews(60)]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizer(model):
    return load_tokenizer(model)


@pytest.fixture(autouse=True)
def cache_small_tables(monkeypatch) -> None:
    """Cache tables of few texts too."""
    monkeypatch.setattr(token_cache, "MIN_TEXTS", 2)


@pytest.fixture
def folder(workspace: Workspace) -> Path:
    return token_cache.cache_folder(workspace)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*")) if folder.is_dir() else []


def equal_tables(a: TokenTable, b: TokenTable) -> bool:
    pairs = [(getattr(a, n), getattr(b, n)) for n in ("ids", "types", "offsets", "full_lengths", "words")]
    return all((x is None) == (y is None) and (x is None or np.array_equal(x, y)) for x, y in pairs)


def forbid_tokenizing(monkeypatch) -> None:
    """Make tokenizing an error: results must come from the cache."""
    for name in ("tokens._tokenize", "tokens._tokenize_words", "windows._make", "packing._read_documents"):
        monkeypatch.setattr(f"workbench.data.text.{name}", lambda *_: pytest.fail("tokenized again"))


def test_every_kind_of_table_is_cached_unchanged(tokenizer, folder, monkeypatch) -> None:
    rows = [text.split() for text in TEXTS]

    def make() -> list[TokenTable]:
        windows = tokenize_windows(tokenizer, TEXTS[:30], TEXTS[30:], 20, 4)
        documents = [tokenize_documents(tokenizer, TEXTS, words) for words in (False, True)]
        return [
            tokenize(tokenizer, TEXTS, max_length=9),
            tokenize(tokenizer, TEXTS, TEXTS[::-1], 12),
            tokenize_words(tokenizer, rows, 9),
            windows.tokens,
            TokenTable(windows.example, None, windows.spans, windows.example),
            *[TokenTable(d.ids, None, d.offsets, d.words) for d in documents],
        ]

    first = make()
    assert len(files(folder)) == 6
    forbid_tokenizing(monkeypatch)
    second = make()
    assert all(equal_tables(a, b) for a, b in zip(first, second, strict=True))
    assert first[1].types is not None and first[2].words is not None


def test_other_inputs_or_settings_are_tokenized_separately(tokenizer, model, folder) -> None:
    """Other text boundaries, order or tokenizer; pairs that join to the same text."""
    other = load_tokenizer(model)
    other.add_tokens(["zebra"])
    tokenize(tokenizer, ["a b", "c"])
    tokenize(tokenizer, ["a", "b c"])
    tokenize(tokenizer, ["c", "a b"])
    tokenize(tokenizer, ['a b", "c', "c"])
    tokenize(tokenizer, ["a b", "c"], max_length=4)
    tokenize(other, ["a b", "c"])
    tokenize(tokenizer, ["a b", "c"], ["x", "y"])
    tokenize(tokenizer, ["a b", "c"], ["xy", ""])
    tokenize_words(tokenizer, [["a b"], ["c"]])
    tokenize_words(tokenizer, [["a", "b"], ["c"]])
    assert len(files(folder)) == 10


def test_few_texts_are_not_cached(tokenizer, folder, monkeypatch) -> None:
    monkeypatch.setattr(token_cache, "MIN_TEXTS", 61)
    tokenize(tokenizer, TEXTS)
    assert files(folder) == []


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "pickle", "foreign"])
def test_a_damaged_file_is_replaced(tokenizer, folder, damage) -> None:
    expected = tokenize(tokenizer, TEXTS)
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[len(content) // 3] ^= 0x40
    if damage in ("pickle", "foreign"):
        arrays = {"ids": np.array([{"a": 1}], dtype=object)} if damage == "pickle" else {"ids": np.zeros(3, np.int32)}
        with open(path, "wb") as file:
            np.savez(file, offsets=np.array([0, 1 if damage == "pickle" else 7]), **arrays)
    else:
        damaged = {"cut": content[: len(content) // 2], "bit": content, "empty": b"", "text": b"no archive"}
        path.write_bytes(damaged[damage])
    assert equal_tables(tokenize(tokenizer, TEXTS), expected)
    with np.load(path) as archive:
        assert np.array_equal(archive["ids"], expected.ids), "the file is valid again"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_is_not_an_error_and_leaves_nothing(tokenizer, folder, monkeypatch, number) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(np, "savez", fail)
    assert len(tokenize(tokenizer, TEXTS)) == len(TEXTS)
    assert files(folder) == []


def test_without_a_folder_nothing_is_cached(tokenizer, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file"))
    assert len(tokenize(tokenizer, TEXTS)) == len(TEXTS)


def test_the_least_recently_used_tables_are_deleted(tokenizer, folder, monkeypatch) -> None:
    """Of three tables with space for two, the least recently used is deleted; the newest is always saved."""
    tables = [[*TEXTS[:50], str(i)] for i in range(3)]
    tokenize(tokenizer, tables[0])
    size = files(folder)[0].stat().st_size
    tokenize(tokenizer, tables[1])
    for age, path in enumerate(sorted(files(folder), key=lambda p: p.stat().st_mtime_ns)):
        os.utime(path, (1000 + age, 1000 + age))
    tokenize(tokenizer, tables[0])  # used again: now the second is the oldest
    monkeypatch.setattr(token_cache, "MAX_BYTES", 5 * size // 2)
    tokenize(tokenizer, tables[2])
    assert len(files(folder)) == 2
    forbid_tokenizing(monkeypatch)
    tokenize(tokenizer, tables[0])
    tokenize(tokenizer, tables[2])


def test_a_too_large_table_is_not_cached(tokenizer, folder, monkeypatch) -> None:
    monkeypatch.setattr(token_cache, "MAX_TABLE_BYTES", 1000)
    tokenize(tokenizer, TEXTS)
    assert files(folder) == []


def _tokenize_often(model: Path, queue) -> None:
    token_cache.MIN_TEXTS = 2
    tokenizer = load_tokenizer(model)
    queue.put([tokenize(tokenizer, TEXTS, max_length=8 + i % 3).ids.tolist() for i in range(12)])


@pytest.mark.slow
def test_two_processes_at_once(model, folder) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_tokenize_often, args=(model, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    first, second = queue.get(timeout=120), queue.get(timeout=120)
    for process in processes:
        process.join()
    assert first == second and len(files(folder)) == 3
