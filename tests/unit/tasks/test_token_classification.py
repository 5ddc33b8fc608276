"""Token classification: entity counts that equal seqeval's, all tagging schemes, and spans that match their text."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB1, IOB2, IOBES
from seqeval.scheme import Entities as SeqevalEntities
from torch.utils._python_dispatch import TorchDispatchMode

from tests.tiny import GOOD, OTHER, make_model
from tests.unit.tasks.predicting import predict_json
from workbench.data.cells.words import split_words
from workbench.data.examples import Examples
from workbench.data.text.tokens import tokenize_words
from workbench.errors import DataError, SpecError
from workbench.metrics import measures
from workbench.models.loading import load_tokenizer
from workbench.tasks.shared.spans import word_tags
from workbench.tasks.shared.spans.entities import (
    Entities,
    EntityCounts,
    Tags,
    bio_labels,
    first_subwords,
    row_offsets,
)
from workbench.tasks.shared.spans.word_tags import Window, join_windows, read_tags, split_windows
from workbench.tasks.token_classification import TokenClassification
from workbench.types import IGNORE_INDEX

Rows = list[list[str]]


def examples(words: Rows, tags: Rows) -> Examples:
    ids = [f"posts.conll:{3 * i + 1}" for i in range(len(words))]
    return Examples({"words": words, "tags": tags}, ids, [3 * i + 1 for i in range(len(words))])


def fitted(tags: Rows, **options: Any) -> TokenClassification:
    task = TokenClassification(TokenClassification.Config(**options))
    task.fit(examples([["the"] * len(row) for row in tags], tags))
    return task


def label_ids(rows: Rows, labels: list[str]) -> Any:
    return np.array([labels.index(tag) for row in rows for tag in row])


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(make_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def letter_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer with one token for each letter."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh", *(f"##{letter}" for letter in "abcdefgh")]
    backend = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


# -- counting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_entity_counts_equal_those_of_seqeval(seed: int) -> None:
    """Compare random tags, most of them impossible: this is where implementations differ."""
    rng = random.Random(seed)
    types = ["LOC", "a-b", "c"][: rng.randint(1, 3)]
    labels = bio_labels(types)
    gold = [rng.choices(labels, k=rng.randint(1, 9)) for _ in range(rng.randint(1, 12))]
    predicted = [[tag if rng.random() < 0.6 else rng.choice(labels) for tag in row] for row in gold]
    counts = EntityCounts.of(label_ids(predicted, labels), label_ids(gold, labels), row_offsets(gold), len(types))
    precision, recall, f1, _ = precision_recall_fscore_support(
        gold, predicted, average="micro", scheme=IOB2, zero_division=0
    )
    hits, n_predicted, n_gold = counts.hits.sum(), counts.predicted.sum(), counts.gold.sum()
    assert [
        measures.ratio(hits, n_predicted),
        measures.ratio(hits, n_gold),
        measures.f1(hits, n_predicted, n_gold),
    ] == pytest.approx([precision, recall, f1])
    per_type = precision_recall_fscore_support(gold, predicted, average=None, scheme=IOB2, zero_division=0)
    present = [i for i in range(len(types)) if counts.by_type[i, 1:].any()]
    assert counts.by_type[present, 2].tolist() == per_type[3].tolist()
    assert measures.f1(*counts.by_type[present].T) == pytest.approx(per_type[2])


def test_counts_by_hand() -> None:
    labels = bio_labels(["LOC", "PER"])
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "B-LOC"], ["O"]]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "I-LOC"], ["I-PER"]]
    counts = EntityCounts.of(label_ids(predicted, labels), label_ids(gold, labels), row_offsets(gold), 2)
    assert counts.hits.tolist() == [1, 0, 0]
    assert counts.predicted.tolist() == [2, 1, 0], "an I alone is no entity"
    assert counts.gold.tolist() == [2, 2, 0]
    assert counts.by_type.tolist() == [[1, 2, 3], [0, 1, 1]]


def test_an_entity_ends_with_its_row() -> None:
    labels = bio_labels(["X"])
    entities = Entities.read(label_ids([["O", "B-X"], ["I-X", "O"], ["B-X"]], labels), np.array([0, 2, 4, 5]))
    assert list(zip(entities.start, entities.end, entities.row, strict=True)) == [(1, 2, 0), (4, 5, 2)]


# -- tagging schemes ------------------------------------------------------------------------------------------------

SAME_ENTITIES = {
    "bio": ["B-X", "I-X", "B-X", "O", "B-Y", "B-X"],
    "iob1": ["I-X", "I-X", "B-X", "O", "I-Y", "I-X"],
    "bioes": ["B-X", "E-X", "S-X", "O", "S-Y", "S-X"],
    "bilou": ["B-X", "L-X", "U-X", "O", "U-Y", "U-X"],
}


@pytest.mark.parametrize("scheme", SAME_ENTITIES)
def test_every_tagging_scheme_reads_the_same_entities(scheme: str) -> None:
    task = fitted([SAME_ENTITIES[scheme]])
    assert task.scheme == {"bilou": "bioes"}.get(scheme, scheme)
    assert task.labels == ["O", "B-X", "I-X", "B-Y", "I-Y"]
    tag_ids, impossible = Tags.read([SAME_ENTITIES[scheme]], ["X", "Y"]).to_bio(task.scheme)
    assert [task.labels[i] for i in tag_ids] == SAME_ENTITIES["bio"]
    assert impossible == 0


@pytest.mark.parametrize(("scheme", "tags"), [("io", ["I-X", "I-X", "O", "I-Y", "I-X"]), ("plain", "X X O Y X")])
def test_without_b_tags_adjacent_entities_are_merged(scheme: str, tags: Any) -> None:
    row = tags.split() if isinstance(tags, str) else tags
    task = fitted([row, ["O"]])
    assert task.scheme == scheme
    tag_ids, _ = Tags.read([row, row[:1]], ["X", "Y"]).to_bio(task.scheme)
    assert [task.labels[i] for i in tag_ids] == ["B-X", "I-X", "O", "B-Y", "B-X", "B-X"]


@pytest.mark.parametrize(("scheme", "reference"), [("iob1", IOB1), ("bioes", IOBES), ("bio", IOB2)])
@pytest.mark.parametrize("seed", range(8))
def test_entities_of_valid_tags_equal_those_of_seqeval(scheme: Any, reference: Any, seed: int) -> None:
    """Compare random entities, tagged in the scheme, with those that seqeval reads."""
    rng = random.Random(seed)
    rows: Rows = []
    for _ in range(6):
        row: list[str] = []
        for _ in range(rng.randint(1, 4)):
            kind, length = rng.choice("XY"), rng.randint(1, 3)
            row += ["O"] * rng.randint(0, 1) + [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
        rows.append([_convert_tag(row, i, scheme) for i in range(len(row))])
    tag_ids, impossible = Tags.read(rows, ["X", "Y"]).to_bio(scheme)
    assert impossible == 0
    entities = Entities.read(tag_ids, row_offsets(rows))
    begin = row_offsets(rows)[entities.row]
    ours = sorted(zip(entities.row.tolist(), entities.start - begin, entities.end - begin, entities.type, strict=True))
    theirs = [e.to_tuple() for each in SeqevalEntities(rows, reference).entities for e in each]
    assert ours == sorted((row, start, end, "XY".index(kind)) for row, kind, start, end in theirs)


def _convert_tag(row: list[str], i: int, scheme: str) -> str:
    """Convert a BIO tag to another scheme."""
    tag, before, after = row[i], row[i - 1] if i else "O", row[i + 1] if i + 1 < len(row) else "O"
    if scheme == "iob1" and tag[0] == "B" and before[2:] != tag[2:]:
        return f"I-{tag[2:]}"
    if scheme == "bioes" and tag != "O":
        ends = after != f"I-{tag[2:]}"
        return {"BTrue": "S", "BFalse": "B", "ITrue": "E", "IFalse": "I"}[f"{tag[0]}{ends}"] + tag[1:]
    return tag


@pytest.mark.parametrize(
    ("scheme", "row", "expected", "n_impossible"),
    [
        ("bio", ["O", "I-X", "I-X", "I-Y"], ["O", "B-X", "I-X", "B-Y"], 2),
        ("bioes", ["I-X", "E-X", "O", "B-X", "O"], ["B-X", "I-X", "O", "B-X", "O"], 2),
        ("bioes", ["E-X", "E-X", "S-X", "I-X"], ["B-X", "B-X", "B-X", "B-X"], 3),
        ("iob1", ["B-X", "I-X"], ["B-X", "I-X"], 1),
    ],
)
def test_impossible_tags_are_counted_and_begin_an_entity(
    scheme: Any, row: list[str], expected: list[str], n_impossible: int
) -> None:
    tag_ids, impossible = Tags.read([row], ["X", "Y"]).to_bio(scheme)
    assert [bio_labels(["X", "Y"])[i] for i in tag_ids] == expected
    assert impossible == n_impossible


def test_a_bare_tag_among_others_is_refused_with_its_line() -> None:
    with pytest.raises(DataError, match=r"posts\.conll, line 4: the tag 'LOC' has no prefix"):
        fitted([["O", "B-LOC"], ["O", "LOC"]])
    assert fitted([["B-LOC"], ["LOC"]], scheme="plain").labels[1::2] == ["B-B-LOC", "B-LOC"]
    with pytest.raises(DataError, match="has the tag O, so there is no entity"):
        fitted([["O", "O"]])


# -- words and tokens -----------------------------------------------------------------------------------------------


def test_the_first_subword_of_a_word_has_its_tag(letter_tokenizer: Any) -> None:
    words, tags = [["abc", "d", "ef"], ["a"]], [["B-X", "I-X", "O"], ["O"]]
    encoded = fitted(tags).encode(letter_tokenizer, examples(words, tags), 32)
    ignored = IGNORE_INDEX
    assert encoded.targets.labels.tolist() == [
        ignored,
        1,
        ignored,
        ignored,
        2,
        0,
        ignored,
        ignored,
        ignored,
        0,
        ignored,
    ]
    assert encoded.targets.first.tolist() == [1, 4, 5, 1]
    every = fitted(tags, label_all_pieces=True).encode(letter_tokenizer, examples(words, tags), 32)
    assert every.targets.labels.tolist() == [ignored, 1, 2, 2, 2, 0, 0, ignored, ignored, 0, ignored]
    task = fitted(tags)
    assert [task.loss_weight(encoded, np.array(rows)) for rows in ([0], [1], [0, 1])] == [3, 1, 4]


@given(st.lists(st.lists(st.text("abcdefgh", min_size=1, max_size=5), min_size=1, max_size=6), min_size=1, max_size=5))
def test_first_subwords_equal_the_tokenizers_word_ids(letter_tokenizer: Any, rows: Rows) -> None:
    tokens = tokenize_words(letter_tokenizer, rows, 9)
    expected = []
    for row in rows:
        word_ids = letter_tokenizer(row, is_split_into_words=True, truncation=True, max_length=9).word_ids()
        expected += [word_ids.index(word) if word in word_ids else -1 for word in range(len(row))]
    assert first_subwords(tokens, row_offsets(rows)).tolist() == expected


def test_first_subwords_of_adjacent_rows(letter_tokenizer: Any) -> None:
    """As with GPT-2's tokenizer, which adds no special tokens."""
    from tokenizers import processors

    usual = letter_tokenizer.backend_tokenizer.post_processor
    letter_tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    try:
        rows = [["ab"], ["c"], ["d", "e"]]
        assert first_subwords(tokenize_words(letter_tokenizer, rows, 9), row_offsets(rows)).tolist() == [0, 0, 0, 1]
    finally:
        letter_tokenizer.backend_tokenizer.post_processor = usual


def test_words_that_are_cut_off_count_as_missed_and_are_noted(letter_tokenizer: Any) -> None:
    words, tags = [["abcd", "a", "b"], ["a"]], [["O", "B-X", "B-X"], ["B-X"]]
    task = fitted(tags)
    encoded = task.encode(letter_tokenizer, examples(words, tags), 6)
    assert encoded.note == "2 words of 1 rows were cut off by data.max_length: their entities count as missed."
    outputs = np.full((2, 6, 2), np.nan, dtype=np.float32)
    outputs[0, 1], outputs[1, 1] = (0, 0.9), (1, 0.8)
    metrics = task.metrics(outputs, encoded.targets)
    assert metrics == pytest.approx({"entity_f1": 0.5, "precision": 1, "recall": 1 / 3})


def test_unknown_types_count_as_missed_and_are_noted(letter_tokenizer: Any) -> None:
    task = fitted([["B-X", "O"]])
    tags = [["B-X", "B-New", "I-New"], ["O"]]
    encoded = task.encode(letter_tokenizer, examples([["a", "b", "c"], ["d"]], tags), 32)
    assert "1 entities have types that the training split lacks (New): they count as missed." in encoded.note
    assert encoded.targets.labels.max() < len(task.labels), "no loss of a class that the head lacks"
    outputs = np.zeros((2, 5, 3), dtype=np.float32)
    outputs[0, 1, 0] = 1
    report = task.report(outputs, encoded.targets, encoded.targets)
    assert report["metrics"]["recall"]["value"] == 0.5 and report["metrics"]["precision"]["value"] == 1
    assert report["per_class"]["New"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}


def test_a_row_without_any_token_is_refused_with_its_line(letter_tokenizer: Any) -> None:
    from tokenizers import normalizers

    letter_tokenizer.backend_tokenizer.normalizer = normalizers.Replace("z", "")
    try:
        task = fitted([["B-X"]])
        with pytest.raises(DataError, match=r"posts\.conll, line 4: the tokenizer finds no tokens in 'z zz'"):
            task.encode(letter_tokenizer, examples([["a"], ["z", "zz"]], [["O"], ["O", "O"]]), 32)
    finally:
        letter_tokenizer.backend_tokenizer.normalizer = None


def test_only_first_subwords_have_a_loss(letter_tokenizer: Any) -> None:
    """The loss is the mean over first subwords, computed from the scores, without padding and special tokens."""
    from transformers import BertConfig, BertForTokenClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForTokenClassification(BertConfig(vocab_size=30, num_labels=3, **sizes)).eval()
    words, tags = [["abc", "d", "ef"], ["a"]], [["B-X", "I-X", "O"], ["O"]]
    task = fitted(tags)
    encoded = task.encode(letter_tokenizer, examples(words, tags), 32)
    batch = task.collate(encoded, np.array([0, 1]), 0, multiple=16)
    assert batch["labels"].shape[1] == 16
    with torch.no_grad():
        output = task.forward(model, batch)
    labelled = [(0, 1, 1), (0, 4, 2), (0, 5, 0), (1, 1, 0)]
    scores = output.logits.log_softmax(-1)
    assert float(output.loss) == pytest.approx(-float(sum(scores[at] for at in labelled)) / 4, rel=1e-5)
    outputs = task.outputs(output, batch)
    assert (~outputs[..., 0].isnan()).nonzero().tolist() == [[0, 1], [0, 4], [0, 5], [1, 1]]


def test_a_new_heads_bias_is_initialized_from_tag_frequencies(letter_tokenizer: Any) -> None:
    from transformers import BertConfig, BertForTokenClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForTokenClassification(BertConfig(vocab_size=30, num_labels=3, **sizes)).eval()
    words, tags = [["abc", "d", "ef", "a"], ["a", "b"]], [["B-X", "O", "O", "O"], ["O", "O"]]
    task = fitted(tags)  # O, B-X, I-X; none is I-X
    train = task.encode(letter_tokenizer, examples(words, tags), 32)
    before = model.classifier.bias.clone()
    task.init_head(model, train, {"pooler.weight"})
    assert torch.equal(model.classifier.bias, before)  # a trained head keeps its bias
    task.init_head(model, train, {"classifier.weight", "classifier.bias"})
    assert model.classifier.bias.softmax(-1).tolist() == pytest.approx([6 / 9, 2 / 9, 1 / 9])
    assert model.classifier.bias.requires_grad and model.classifier.bias.dtype == torch.float32


# -- from scores to tags --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_constrained_decoding_equals_brute_force(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(5, 5, 5, generator=generator)
    tagged = torch.rand(5, 5, generator=generator) < 0.8
    tags, probability = read_tags(logits, tagged, constrained=True)
    scores = logits.log_softmax(-1).double().numpy()
    for row in range(5):
        indices = tagged[row].nonzero()[:, 0].tolist()
        best, best_tags = -np.inf, ()
        for candidate in itertools.product(range(5), repeat=len(indices)):
            possible = all(
                t in (0, 1, 3) or before in (t - 1, t) for before, t in zip((0, *candidate), candidate, strict=False)
            )
            total = sum(scores[row, at, tag] for at, tag in zip(indices, candidate, strict=True))
            if possible and total > best:
                best, best_tags = total, candidate
        assert tuple(tags[row, indices].tolist()) == best_tags
        expected = [np.exp(scores[row, at, tag]) for at, tag in zip(indices, best_tags, strict=True)]
        assert probability[row, indices].tolist() == pytest.approx(expected)
    free, _ = read_tags(logits, tagged, constrained=False)
    assert torch.equal(free, logits.argmax(-1))


def test_only_rows_whose_best_tags_are_impossible_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare with a search of all rows; tokens without a tag may lie between B and its I."""
    generator = torch.Generator().manual_seed(0)
    scores = (3 * torch.randn(60, 7, 5, generator=generator)).log_softmax(-1)
    tagged = torch.rand(60, 7, generator=generator) < 0.6
    searched: list[int] = []
    all_searched = word_tags.viterbi(scores, tagged)
    search = word_tags.viterbi

    def counting_search(*arguments: torch.Tensor) -> torch.Tensor:
        searched.append(len(arguments[0]))
        return search(*arguments)

    monkeypatch.setattr(word_tags, "viterbi", counting_search)
    best_tags = word_tags._best_possible(scores, tagged)
    assert torch.equal(best_tags[tagged], all_searched[tagged])
    broken = (all_searched != scores.argmax(-1)).logical_and(tagged).any(1)
    assert searched == [int(broken.sum())] and 0 < searched[0] < 60
    word_tags._best_possible(scores[~broken], tagged[~broken])
    assert len(searched) == 1, "nothing is searched where nothing is broken"


class _Counting(TorchDispatchMode):
    """Count the operations that torch dispatches."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_a_hundred_types_need_no_more_operations_than_two() -> None:
    """Nothing loops over rows or tags; only the search loops over positions."""

    def operations(rows: int, types: int, constrained: bool) -> int:
        logits = torch.zeros(rows, 24, 2 * types + 1)
        logits[..., 2] = 1.0  # entities without a beginning: every row has to be searched
        with _Counting() as counting:
            read_tags(logits, torch.ones(rows, 24, dtype=torch.bool), constrained)
        return counting.count

    assert operations(64, 100, True) == operations(2, 2, True) < 24 * 30
    assert operations(64, 100, False) == operations(2, 2, False) < 10


# -- metrics --------------------------------------------------------------------------------------------------------


def test_report_rows_and_baseline_by_hand(tokenizer: Any) -> None:
    train_words = [["great", "film", "great"], ["film", "great", "plot"]]
    train_tags = [["B-X", "O", "O"], ["O", "B-X", "O"]]
    task = fitted(train_tags)
    train = task.encode(tokenizer, examples(train_words, train_tags), 16)
    words, tags = [["great", "film"], ["plot", "unseen"], ["great"]], [["B-X", "O"], ["O", "B-X"], ["O"]]
    test_examples = examples(words, tags)
    test = task.encode(tokenizer, test_examples, 16)
    outputs = np.full((3, 4, 3), np.nan, dtype=np.float32)
    for position, (tag, probability) in {
        (0, 1): (1, 0.5),
        (0, 2): (0, 1.0),
        (1, 1): (0, 0.75),
        (1, 2): (1, 0.25),
    }.items():
        outputs[position] = tag, probability, tag
    outputs[1, 2, 2] = 0  # the search alone finds "unseen"
    outputs[2, 1] = 0, 0.5, 0
    report = task.report(outputs, test.targets, train.targets)
    assert report["metrics"]["entity_f1"]["value"] == 1
    assert report["baseline"] == pytest.approx({"entity_f1": 0.5, "precision": 0.5, "recall": 0.5})
    (note,) = report["notes"]
    assert "entity_f1 1.0000" in note and "pipeline, reaches 0.6667" in note
    assert fitted(train_tags, constrained=False).report(outputs, test.targets, train.targets)["notes"] == []
    rows = task.prediction_rows(test_examples, outputs, test.targets)
    assert rows["gold"] == ["great (X)", "unseen (X)", ""] == rows["prediction"]
    assert rows["input:text"] == ["great film", "plot unseen", "great"]
    assert rows["score"] == [0.75, 0.5, 0.5] and rows["correct"] == [True] * 3
    again = measures.metric_values(
        {name: np.array(rows[name]) for name in ("hits", "found", "names")}, report["measures"]
    )
    assert again == {name: value["value"] for name, value in report["metrics"].items()}


# -- predictions ----------------------------------------------------------------------------------------------------

SENTENCES = {
    'Mary (U.S.) said: "Hello, Paris!"': 'Mary|(|U.S.|)|said|:|"|Hello|,|Paris|!|"',
    " @paul_walk's  #topic...": "@paul_walk|'s|#topic|...",
    "New-York,London 10,000 at 12:30": "New-York|,|London|10,000|at|12:30",
    "我在北京，上海。": "我|在|北|京|，|上|海|。",
    "in 北京2020 http://a.b/c?d": "in|北|京|2020|http://a.b/c?d",
    "Paris🎉 👩‍👩‍👧! 👍🏽👍🏽": "Paris|🎉|👩‍👩‍👧|!|👍🏽👍🏽",
    "J. Smith's cafe\u0301 हिन्दी": "J.|Smith|'s|cafe\u0301|हिन्दी",
    "#": "#",
}


@pytest.mark.parametrize("text", SENTENCES)
def test_words_of_a_raw_text(text: str) -> None:
    assert "|".join(text[start:end] for start, end in split_words(text)) == SENTENCES[text]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_words_lose_nothing_but_space(text: str) -> None:
    spans = split_words(text)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert all(start < end for start, end in spans)
    assert "".join(text[start:end] for start, end in spans) == "".join(text.split())


class Stub(torch.nn.Module):
    """A model that tags good words B-NAME and "of" I-NAME, by the token alone."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(num_labels=3)
        self.tags = torch.zeros(len(tokenizer), dtype=torch.long)
        self.tags[tokenizer.convert_tokens_to_ids(GOOD)] = 1
        self.tags[tokenizer.convert_tokens_to_ids("of")] = 2
        self.longest = 0

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        self.longest = max(self.longest, input_ids.shape[1])
        return SimpleNamespace(logits=4.0 * torch.nn.functional.one_hot(self.tags[input_ids], 3))


def name_task() -> TokenClassification:
    return fitted([["B-NAME", "O"]])


def test_spans_match_their_text(tokenizer: Any) -> None:
    texts = ["  a film, (wonderful of) 👩‍👩‍👧 lovely", "superb", "film 北京 great", "the plot"]
    answers = predict_json(name_task(), Stub(tokenizer), tokenizer, [{"text": text} for text in texts], 64, {})
    assert [[e["text"] for e in each["entities"]] for each in answers] == [
        ["wonderful of", "lovely"],
        ["superb"],
        ["great"],
        [],
    ]
    for text, answer in zip(texts, answers, strict=True):
        assert answer["text"] == text
        for entity in answer["entities"]:
            assert text[entity["start"] : entity["end"]] == entity["text"]
            assert entity["label"] == "NAME"
            assert entity["score"] == pytest.approx(np.exp(4) / (np.exp(4) + 2), rel=1e-5)


def test_words_can_be_passed_as_a_list(tokenizer: Any) -> None:
    for role in ("words", "text"):
        (answer,) = predict_json(
            name_task(), Stub(tokenizer), tokenizer, [{role: ["the", "great", "of", "film"]}], 64, {}
        )
        (entity,) = answer["entities"]
        assert answer["text"] == "the great of film"
        assert (entity["text"], entity["start"], entity["end"]) == ("great of", 4, 12)


def test_a_lone_i_tag_is_no_entity(tokenizer: Any) -> None:
    """ "of" alone is tagged I: constrained decoding has no I there, and without it a lone I is no entity."""
    for options in ({}, {"constrained": False}):
        (answer,) = predict_json(
            name_task(), Stub(tokenizer), tokenizer, [{"text": "of film of great of"}], 64, options
        )
        assert [e["text"] for e in answer["entities"]][-1] == "great of"
    with pytest.raises(SpecError, match="no_such"):
        predict_json(name_task(), Stub(tokenizer), tokenizer, [{"text": "of"}], 64, {"no_such": 1})


@pytest.mark.parametrize(
    "empty_input", [{}, {"text": "  "}, {"text": None}, {"words": []}, {"words": ["a", ""]}, {"words": "a"}]
)
def test_an_input_without_words_is_refused_with_its_number(tokenizer: Any, empty_input: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="Input 2 has no text"):
        predict_json(name_task(), Stub(tokenizer), tokenizer, [{"text": "a film"}, empty_input], 64, {})


@pytest.mark.parametrize("constrained", [True, False])
def test_the_report_says_what_the_search_for_valid_tags_contributes(tokenizer: Any, constrained: bool) -> None:
    """Two of three names are right with the search, one of three with each token's own tag."""
    words = [["the", "great", "film"]] * 3
    tags = [["O", "B-NAME", "I-NAME"]] * 3
    task = fitted(tags, constrained=constrained)
    targets = task.encode(tokenizer, examples(words, tags), 16).targets
    outcome = np.zeros((3, 5, 3))
    outcome[:, :, 0] = [[0, 0, 1, 2, 0], [0, 0, 1, 2, 0], [0, 0, 1, 0, 0]]  # searched, with [CLS] first
    outcome[:, :, 2] = [[0, 0, 1, 2, 0], [0, 0, 2, 2, 0], [0, 0, 0, 2, 0]]  # the tokens' own
    notes = task.report(outcome, targets, targets)["notes"]
    if not constrained:
        assert notes == []
        return
    (note,) = notes
    searched, alone = (float(number.rstrip(".,")) for number in re.findall(r"\d\.\d+", note))
    counts = [(outcome[..., column][:, 1:4].astype(int).ravel()) for column in (0, 2)]
    gold = np.array([0, 1, 2] * 3)
    offsets = row_offsets(words)
    f1 = [
        2 * c.hits.sum() / (c.predicted.sum() + c.gold.sum())
        for c in (EntityCounts.of(t, gold, offsets, 1) for t in counts)
    ]
    assert [searched, alone] == pytest.approx(f1, abs=1e-4) and searched > alone
    assert "plain transformers" in note


def test_long_texts_are_read_in_windows(tokenizer: Any) -> None:
    rng = random.Random(3)
    texts = [" ".join(rng.choices([*GOOD, *OTHER], k=length)) for length in (200, 5, 37, 11)]
    inputs = [{"text": text} for text in texts]
    stub = Stub(tokenizer)
    whole = predict_json(name_task(), stub, tokenizer, inputs, 512, {})
    assert stub.longest == 202
    for max_length in (12, 13, 40):
        stub.longest = 0
        assert predict_json(name_task(), stub, tokenizer, inputs, max_length, {}) == whole
        assert stub.longest == max_length


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.text("abc", min_size=1, max_size=7), min_size=1, max_size=25), min_size=1, max_size=3),
    st.integers(3, 20),
)
def test_windows_hold_every_word_and_fit(letter_tokenizer: Any, rows: Rows, longest: int) -> None:
    windows = split_windows(letter_tokenizer, rows, longest)
    for number, words in enumerate(rows):
        own = [(begin, end) for row, begin, end in windows if row == number]
        assert own[0][0] == 0 and own[-1][1] == len(words)
        for (begin, end), (following, following_end) in itertools.pairwise(own):
            assert begin < following <= end < following_end
        for begin, end in own:
            tokens = sum(len(word) for word in words[begin:end]) + 2
            assert tokens <= longest or end - begin == 1


def test_windows_share_a_quarter(letter_tokenizer: Any) -> None:
    assert split_windows(letter_tokenizer, [["a"] * 50], 22) == [(0, 0, 20), (0, 15, 35), (0, 30, 50)]


def test_a_word_is_read_in_the_window_that_shows_more_around_it() -> None:
    windows = [Window(0, 0, 20), Window(0, 15, 35), Window(1, 0, 2)]
    logits = [torch.full((end - begin, 3), float(position)) for position, (_, begin, end) in enumerate(windows)]
    first, second = join_windows(windows, logits, [["a"] * 35, ["a"] * 2], 3)
    assert first[:, 0].tolist() == [0.0] * 17 + [1.0] * 18
    assert second[:, 0].tolist() == [2.0, 2.0]


def test_an_invisible_word_has_no_tag(letter_tokenizer: Any) -> None:
    from tokenizers import normalizers

    stub = Stub(letter_tokenizer)
    stub.tags[:] = 0
    stub.tags[letter_tokenizer.convert_tokens_to_ids("a")] = 1
    letter_tokenizer.backend_tokenizer.normalizer = normalizers.Replace("z", "")
    try:
        answers = predict_json(name_task(), stub, letter_tokenizer, [{"text": "zz z"}, {"text": "a zz b a zz"}], 16, {})
    finally:
        letter_tokenizer.backend_tokenizer.normalizer = None
    assert [[(e["start"], e["end"]) for e in answer["entities"]] for answer in answers] == [[], [(0, 1), (7, 8)]]


def test_rows_for_contracts() -> None:
    lines = Path("tests/rows/token-classification.jsonl").read_text(encoding="utf-8").splitlines()
    assert 24 <= len(lines) <= 40
