"""The simple baselines of taggers, of question answering and of generated texts, and the sentence about them."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import make_run
from workbench.data.examples import Examples
from workbench.runs.documents import Report
from workbench.runs.run import Run
from workbench.tasks.base import Split
from workbench.tasks.shared.baselines import crf, shared_words, tfidf
from workbench.tasks.shared.spans.entities import row_offsets
from workbench.tasks.token_classification import TokenClassification, WordTargets
from workbench.training.runner import run_folder
from workbench.workspace import Workspace


def finished(workspace: Workspace, changes: dict[str, Any]) -> Report:
    run = make_run(workspace, changes)
    run_folder(run.folder)
    report = Run.open(run.id, workspace).report()
    assert report is not None
    return report


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


# -- names -------------------------------------------------------------------------------------------------------------


def tagged_rows(count: int, seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Rows in which capitalized words after "Mr" are names; every name is new."""
    generator = np.random.default_rng(seed)
    rows, tags = [], []
    for _ in range(count):
        name = "".join(generator.choice(list("abcdefgh"), 6)).capitalize()
        before = generator.choice(["the film", "we saw", "it rained and then"]).split()
        rows.append([*before, "Mr", name, "left"])
        tags.append([*["0"] * (len(before) + 1), "1", "0"])
    return rows, tags


def test_the_crf_tags_words_it_has_never_seen() -> None:
    rows, tags = tagged_rows(80, 0)
    others, expected = tagged_rows(30, 1)
    assert crf.predict_tags(rows, tags, others) == expected


def test_the_crf_reads_pairs_of_characters() -> None:
    """北 and 京 alone are names in no row, only together; rows of characters are not read as words."""
    names, others = [list("在北京见"), list("去北京吧")], [list("在北方见"), list("去京都吧"), list("向北走去")]
    train = (names + others) * 30
    tags = [["0", "1", "2", "0"] if row in names else ["0"] * 4 for row in train]
    assert crf.predict_tags(train, tags, [list("我北京人"), list("我北方人")]) == [list("0120"), list("0000")]


def test_a_row_of_100000_words_takes_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, tags = tagged_rows(80, 0)
    long, own = ["the", "film"] * 50_000, ["0"] * 100_000
    begin = time.monotonic()
    (answer,) = crf.predict_tags([*rows, long], [*tags, own], [long])
    assert answer == own and time.monotonic() - begin < 30


def test_many_words_and_many_tags_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["a"] * 10] * 1_000
    assert len(crf._sample(rows, 2)) == 1_000
    monkeypatch.setattr(crf, "MAX_WORDS", 500)
    assert len(crf._sample(rows, 2)) == 50
    assert len(crf._sample(rows, 100_000)) == 1, "at least one row"


def test_rows_without_any_name_are_no_names() -> None:
    assert crf.predict_tags([["a", "b"]] * 60, [["0", "0"]] * 60, [["a"], []]) == [["0"], []]


@pytest.mark.parametrize(("word", "shape"), [("Mary-Ann2024", "Aa-Aa0"), ("NATO", "A"), ("iPhone", "aAa"), ("!!", "!")])
def test_word_shapes(word: str, shape: str) -> None:
    assert crf.word_shape(word) == shape


def word_split(rows: list[list[str]], tags: list[list[str]]) -> Split:
    examples = Examples({"words": rows, "tags": tags}, [f"a:{i}" for i in range(len(rows))])
    flat = np.array([int(tag) for row in tags for tag in row])
    first = np.concatenate([np.arange(len(row)) for row in rows])
    targets = WordTargets(rows, row_offsets(rows), flat, first, flat, np.ones(len(rows), np.int64), ["PER"])
    return Split(examples, targets)


def test_a_tagger_is_compared_with_the_crf() -> None:
    """The model finds every second name, the CRF all of them."""
    train, reported = word_split(*tagged_rows(80, 0)), word_split(*tagged_rows(40, 1))
    longest = max(len(row) for row in reported.targets.words)
    outputs = np.zeros((40, longest, 3))
    for i, row in enumerate(reported.targets.words):
        outputs[i, len(row) - 2, 0] = 1 if i % 2 else 0
    task = TokenClassification()
    task.labels = ["O", "B-PER", "I-PER"]
    fields = task.baseline_report(train, reported, outputs)
    assert fields is not None and fields["baseline"]["entity_f1"] == 1
    assert fields["gain"]["entity_f1"]["value"] == pytest.approx(2 / 3 - 1)
    assert fields["gain"]["entity_f1"]["high"] < 0
    few = word_split(*tagged_rows(crf.MIN_ROWS - 1, 0))
    assert task.baseline_report(few, reported, outputs) is None


def test_a_run_says_that_the_crf_is_better(workspace: Workspace, tmp_path: Path) -> None:
    rows, tags = tagged_rows(150, 0)
    names = ["O", "B-PER"]
    table = [{"words": w, "tags": [names[int(t)] for t in own]} for w, own in zip(rows, tags, strict=True)]
    changes = {"task.name": "token-classification", "data.train": write_rows(tmp_path / "names.jsonl", table)}
    report = finished(workspace, {**changes, "training.max_steps": 1})
    assert report.baseline_name == crf.NAME and report.baseline["entity_f1"] == 1
    note = next(note for note in report.notes if "simple baseline" in note)
    assert "a conditional random field (CRF) on words and their shapes, is better than this model" in note
    assert "each word's most frequent tag in training" in report.baselines


# -- missing packages --------------------------------------------------------------------------------------------------


def test_a_report_says_which_package_a_baseline_lacks(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "sklearn" else find(name, *a))
    monkeypatch.setattr(tfidf, "MIN_EXAMPLES", 20)
    report = finished(workspace, {"training.max_steps": 1})
    assert any("scikit-learn is not installed" in note for note in report.notes)
    assert report.baseline_name is not None and report.baseline_name.startswith("always")


# -- questions ---------------------------------------------------------------------------------------------------------


def test_the_sentence_with_the_rarest_shared_words_answers() -> None:
    context = "The film is the best of the year. Ada Lovelace wrote the first program. It rained."
    questions = ["What is the name of the person who wrote the program?", "When did it rain so much that it rained?"]
    train = ["The name of the film is long.", "What the person is.", "Who is it?"]
    answers = shared_words.nearest_sentences(questions, [context, context], train)
    assert answers == ["Ada Lovelace wrote the first program.", "It rained."]


def test_characters_are_words_in_chinese() -> None:
    context = "北京是首都。上海是最大的城市。"
    assert shared_words.nearest_sentences(["哪个城市最大？"], [context], [context]) == ["上海是最大的城市。"]


def test_a_context_without_sentences_is_its_own_answer() -> None:
    assert shared_words.nearest_sentences(["why?", ""], [" ", "so"], ["x"]) == [" ", "so"]


def test_a_run_says_that_a_sentence_with_the_same_words_is_better(workspace: Workspace, tmp_path: Path) -> None:
    """Each answer is the whole sentence that names the question's word; one step teaches nothing."""
    words = ["wonderful", "lovely", "great", "superb", "charming", "dreadful", "boring", "awful"]
    generator = np.random.default_rng(0)
    rows = []
    for i in range(120):
        sentences = [f"the {word} film is a story number {i}." for word in generator.choice(words, 3, replace=False)]
        answer = sentences[i % 3]
        context = " ".join(sentences)
        start = [context.index(answer)]
        question = f"what is {answer.split()[1]}"
        rows.append({"question": question, "context": context, "answers": {"text": [answer], "answer_start": start}})
    changes = {"task.name": "question-answering", "data.train": write_rows(tmp_path / "questions.jsonl", rows)}
    report = finished(workspace, {**changes, "training.max_steps": 1})
    assert report.baseline_name == shared_words.NAME and report.baseline["f1"] == 1
    assert "the longest sentence of the context" in report.baselines
    assert any("shares the most words with the question, is better than this model" in each for each in report.notes)


# -- generated texts ---------------------------------------------------------------------------------------------------


def test_a_run_says_that_copying_is_better(workspace: Workspace, tmp_path: Path) -> None:
    """Every translation is the source with one other word, which changes from row to row."""
    generator = np.random.default_rng(0)
    letters = list("abcdefghij")
    rows = []
    for _ in range(60):
        words = ["".join(generator.choice(letters, 5)) for _ in range(6)]
        rows.append({"source": " ".join(words), "target": " ".join([*words[:5], words[0]])})
    changes = {
        "task": {"name": "translation", "max_new_tokens": 8, "written": 6},
        "data": {"train": write_rows(tmp_path / "pairs.jsonl", rows)},
        "model": {
            "source": "transformer-encoder-decoder",
            "hidden_size": 16,
            "layers": 1,
            "heads": 2,
            "tokenizer": {"train": "bpe", "vocab_size": 300},
        },
        "training.max_steps": 1,
    }
    report = finished(workspace, changes)
    assert report.baseline_name is not None and report.baseline_name.startswith("copying the source")
    assert any("copying the source, is better than this model" in note for note in report.notes)


def test_of_two_baselines_the_better_one_is_compared_with(workspace: Workspace, tmp_path: Path) -> None:
    """19 of 20 examples have one label, and words say nothing: TF-IDF cannot beat the majority."""
    generator = np.random.default_rng(0)
    rows = []
    for i in range(400):
        text = " ".join(generator.choice(["film", "story", "actors", "music", "plot", "scene"], 3))
        rows.append({"text": f"{text} {i}", "label": "rare" if generator.random() < 0.05 else "common"})
    report = finished(workspace, {"data.train": write_rows(tmp_path / "a.jsonl", rows), "training.max_steps": 1})
    best = max(value for value in report.baselines.values() if value is not None)
    assert len(report.baselines) == 2 and report.baseline["accuracy"] == best
    assert any("simple baseline" in note for note in report.notes)
