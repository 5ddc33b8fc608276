"""Say how two marked things in a sentence are related, and in which direction.

    workbench run semeval-relations

    The <e1>burst</e1> has been caused by water hammer <e2>pressure</e2>.     ->     Cause-Effect(e2,e1)

The marks reach the model as signs around the two (``@ burst @ ... # pressure #``; Zhou and Chen 2021, arXiv 2102.01373,
"entity marker (punct)"), not as new tokens: no embedding is added, so every tuning trains and saves it as it is.

The relation is read off the states of the two marks, one behind the other, by one linear map (Baldini Soares et al.
2019, arXiv 1906.03158, "entity start"). Such a map is the sum of two, one for each mark: a head for each token with two
scores for each relation, one as e1 and one as e2. So any model that has a head for tokens does, and what is saved is
that model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.batching import Batches
from workbench.data.text.tokens import TokenTable, tokenize_words
from workbench.errors import DataError, SpecError
from workbench.metrics import measures, scores
from workbench.spec import SpecModel
from workbench.tasks.base import INFERENCE_BATCH_SIZE, Array, Encoded, Task, tasks
from workbench.tasks.shared.entities import Ints, first_pieces, row_offsets

if TYPE_CHECKING:
    import torch

IGNORED = -100  # the label of a token that is no mark
NO_LIMIT = 2**31 - 1
SIGNS = (("@", "#"), ("$", "^"), ("*", "~"), ("+", "="))  # what the marks are written as; the first that is known
MOST_SCORE_COLUMNS = 100  # more labels than this, and predictions keep the best score only

_MARK = re.compile(r"(</?e[12]>)")
_MARKS = ("<e1>", "</e1>", "<e2>", "</e2>")
_DIRECTED = re.compile(r"(?P<name>.+)\((?P<first>e[12]),(?P<second>e[12])\)", re.DOTALL)
HOW = "Write <e1> and </e1> around the first of the two, <e2> and </e2> around the second."


@dataclass(frozen=True)
class Marked:
    """A sentence with two marked things.

    Attributes:
        pieces: the sentence, taken apart at its marks; these are pieces, too.
        places: which pieces are ``<e1>``, ``</e1>``, ``<e2>`` and ``</e2>``.
    """

    pieces: list[str]
    places: tuple[int, ...]

    @classmethod
    def read(cls, text: str, where: str) -> Marked:
        """Take a sentence apart. Raises DataError when it does not have each mark once, around something."""
        pieces = [piece.strip() for piece in _MARK.split(text)]
        pieces = [piece for piece in pieces if piece]
        for mark in _MARKS:
            if pieces.count(mark) != 1:
                many = "no" if mark not in pieces else str(pieces.count(mark))
                raise DataError(f"{where}: there is {many} {mark} in {text[:60]!r}.", f"{HOW} Each stands there once.")
        places = tuple(pieces.index(mark) for mark in _MARKS)
        for first, last in (places[:2], places[2:]):
            if not any(piece not in _MARKS for piece in pieces[first + 1 : last]):
                raise DataError(f"{where}: there is nothing between {pieces[first]} and its end in {text[:60]!r}.", HOW)
        return cls(pieces, places)

    def written(self, signs: tuple[str, str]) -> list[str]:
        """The pieces with signs in the place of marks."""
        sign = dict(zip(_MARKS, (signs[0], signs[0], signs[1], signs[1]), strict=True))
        return [sign.get(piece, piece) for piece in self.pieces]

    def thing(self, number: int) -> str:
        """What is marked as e1 or e2."""
        first, last = self.places[2 * number - 2 : 2 * number]
        return " ".join(piece for piece in self.pieces[first + 1 : last] if piece not in _MARKS)


@dataclass(frozen=True)
class RelationTargets:
    """What is to be said of N sentences.

    Attributes:
        classes: int64 [N], number of the label.
        marks: int32 [total tokens], 0 at the mark of e1, the number of labels at that of e2, else -100.
    """

    classes: Ints
    marks: Array


@tasks.register("relation-extraction")
class RelationExtraction(Task):
    """Relation extraction: say how two marked things are related."""

    head = "AutoModelForTokenClassification"
    peft_type = "TOKEN_CLS"
    primary_metric = "macro_f1"

    class Config(SpecModel):
        other: str = Field(
            "Other",
            min_length=1,
            description="The label of those that are not related; F1 is of all other relations.",
        )

    config: Config

    # -- data ----------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        text = "A sentence with <e1>...</e1> and <e2>...</e2> around two things."
        guesses = ("label", "relation", "class")
        return [
            Column("text", text, ("text", "sentence")),
            Column("label", "Their relation, such as Cause-Effect(e1,e2).", guesses, kind="label"),
        ]

    def fit(self, train: Examples) -> None:
        self.labels = sorted(set(train.columns["label"]))
        if len(self.labels) < 2:
            raise DataError(
                f"The training data has one label only: {self.labels}.", "At least two are needed to learn anything."
            )
        if not self.relations:
            raise DataError(
                f"The training data has no relation beside {self.config.other!r}.",
                "Set task.other to the label of those that are not related.",
            )

    @property
    def relations(self) -> list[str]:
        """The relations that count, without their direction."""
        return sorted({relation(label) for label in self.labels} - {self.config.other})

    def texts(self, examples: Examples) -> Iterator[str]:
        for text, where in zip(examples.columns["text"], examples.locations(), strict=True):
            yield " ".join(Marked.read(text, where).written(SIGNS[0]))

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        places = examples.locations()
        marked = [Marked.read(*each) for each in zip(examples.columns["text"], places, strict=True)]
        tokens, marks, note = self._tokens(tokenizer, marked, max_length, places)
        number = {label: i for i, label in enumerate(self.labels)}
        classes = np.array([number[label] for label in examples.columns["label"]], dtype=np.int64)
        return Encoded(tokens, RelationTargets(classes, marks), note)

    def _tokens(
        self, tokenizer: Any, marked: Sequence[Marked], max_length: int, where: Sequence[str]
    ) -> tuple[TokenTable, Array, str]:
        """Sentences as tokens, what of them is a mark (see :class:`RelationTargets`), and what is to be told."""
        signs, note = choose_signs(tokenizer)
        rows = [each.written(signs) for each in marked]
        tokens = tokenize_words(tokenizer, rows, NO_LIMIT)
        offsets = row_offsets(rows)
        pieces = offsets[:-1, None] + np.array([each.places for each in marked], dtype=np.int64)  # [N, 4]
        tokens, cut = crop(tokens, first_pieces(tokens, offsets)[pieces], max_length, where)
        if cut:
            note += f" {cut:,} sentences are longer than data.max_length and were cut, around what is marked."
        places = first_pieces(tokens, offsets)[pieces]
        marks = np.full(len(tokens.ids), IGNORED, dtype=np.int32)
        marks[tokens.offsets[:-1] + places[:, 0]] = 0
        marks[tokens.offsets[:-1] + places[:, 2]] = len(self.labels)
        return tokens, marks, note.strip()

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        """``labels`` [B, T] hold the class at the mark of e1, and the class + the number of labels at that of e2."""
        targets: RelationTargets = encoded.targets
        batch = self._batch(encoded.tokens, targets.marks, indices, pad_id, multiple)
        classes = batch["labels"].new_tensor(targets.classes[indices])
        batch["labels"] += (batch["labels"] != IGNORED) * classes[:, None]
        return batch

    def _batch(
        self, tokens: TokenTable, marks: Array, indices: Array, pad_id: int, multiple: int = 1
    ) -> dict[str, torch.Tensor]:
        import torch

        batch = tokens.pad(indices, pad_id, multiple)
        batch["labels"] = tokens.pad_values(marks, indices, IGNORED, multiple)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    # -- model ---------------------------------------------------------------------------------------------------

    def model_options(self) -> dict[str, Any]:
        names = [f"{mark} {label}" for mark in ("e1", "e2") for label in self.labels]
        return {
            "num_labels": len(names),
            "id2label": dict(enumerate(names)),
            "label2id": {name: i for i, name in enumerate(names)},
        }

    def forward(self, model: Any, batch: Mapping[str, torch.Tensor]) -> Any:
        """Cross-entropy of the relation; ``logits`` are [B, relations]."""
        from torch.nn import functional
        from transformers.modeling_outputs import SequenceClassifierOutput

        output = model(**{name: values for name, values in batch.items() if name != "labels"})
        marks = batch["labels"]
        first = ((marks >= 0) & (marks < len(self.labels))).int().argmax(-1)
        logits = self._at_marks(output.logits, first, (marks >= len(self.labels)).int().argmax(-1))
        classes = marks.gather(1, first[:, None])[:, 0]
        return SequenceClassifierOutput(loss=functional.cross_entropy(logits, classes), logits=logits)

    def _at_marks(self, logits: torch.Tensor, first: Any, second: Any) -> torch.Tensor:
        """The scores of the relations, [B, relations], from those of each token, [B, T, 2 x relations]."""
        import torch

        count = len(self.labels)
        rows = torch.arange(len(logits), device=logits.device)
        found: torch.Tensor = logits[rows, first, :count].float() + logits[rows, second, count:].float()
        return found

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        found: torch.Tensor = model_output.logits.softmax(dim=-1)
        return found

    # -- results -------------------------------------------------------------------------------------------------

    def measures(self) -> dict[str, tuple[str, ...]]:
        """Macro F1 is the official one of SemEval-2010 task 8, "(9+1)-way with directionality taken into account".

        Of each relation, both directions together: how often it was said, how often it was there, and how often it
        was said with the right direction. The mean of the F1 of all relations but ``other`` (Hendrickx et al. 2010,
        section 3.4; the scorer that goes with the data).
        """
        macro = [f"{what}:{name}" for name in self.relations for what in ("hits", "found", "gold")]
        return {
            "macro_f1": ("macro_f1", *macro),
            "micro_f1": ("f1", "hits", "found", "relations"),
            "accuracy": ("ratio", "right", "examples"),
        }

    def _columns(self, said: Array, gold: Array) -> dict[str, Array]:
        """What the measures count, of labels by number, [N] each."""
        names = self.relations
        number = np.array([names.index(n) if n in names else -1 for n in map(relation, self.labels)])
        said_name, gold_name, right = number[said], number[gold], said == gold
        columns = {
            "right": right,
            "examples": np.ones(len(gold)),
            "hits": right & (gold_name >= 0),
            "found": said_name >= 0,
            "relations": gold_name >= 0,
        }
        for i, name in enumerate(names):
            columns |= {
                f"hits:{name}": right & (gold_name == i),
                f"found:{name}": said_name == i,
                f"gold:{name}": gold_name == i,
            }
        return {name: values.astype(np.int64) for name, values in columns.items()}

    def confusion(self, outputs: Array, targets: RelationTargets) -> Array:
        return scores.confusion_matrix(targets.classes, outputs.argmax(axis=1), len(self.labels))

    def metrics(self, outputs: Array, targets: RelationTargets) -> dict[str, float]:
        return measures.metric_values(self._columns(outputs.argmax(axis=1), targets.classes), self.measures())

    def report(self, outputs: Array, targets: RelationTargets, train_targets: RelationTargets) -> dict[str, Any]:
        said = outputs.argmax(axis=1)
        columns = self._columns(said, targets.classes)
        majority = int(np.bincount(train_targets.classes, minlength=len(self.labels)).argmax())
        always = self._columns(np.full_like(said, majority), targets.classes)
        return {
            "metrics": measures.intervals(columns, self.measures()),
            "measures": {name: list(measure) for name, measure in self.measures().items()},
            "baseline": measures.metric_values(always, self.measures()),
            "baseline_name": f"always {self.labels[majority]!r} (most frequent in training)",
            "labels": self.labels,
            "confusion": self.confusion(outputs, targets).tolist(),
            "per_class": self._per_relation(columns),
        }

    def _per_relation(self, columns: Mapping[str, Array]) -> dict[str, dict[str, float]]:
        found = {}
        for name in self.relations:
            hits, said, gold = (int(columns[f"{what}:{name}"].sum()) for what in ("hits", "found", "gold"))
            found[name] = {
                "precision": float(measures.ratio(hits, said)),
                "recall": float(measures.ratio(hits, gold)),
                "f1": float(measures.f1(hits, said, gold)),
                "support": gold,
            }
        return found

    def prediction_rows(self, examples: Examples, outputs: Array, targets: RelationTargets) -> dict[str, list[Any]]:
        said = outputs.argmax(axis=1)
        rows: dict[str, list[Any]] = {
            "id": list(examples.ids),
            "input": list(examples.columns["text"]),
            "gold": [self.labels[i] for i in targets.classes],
            "prediction": [self.labels[i] for i in said],
            "score": outputs.max(axis=1).astype(float).tolist(),
            "correct": (said == targets.classes).tolist(),
        }
        if len(self.labels) <= MOST_SCORE_COLUMNS:
            rows |= {f"score:{label}": outputs[:, i].astype(float).tolist() for i, label in enumerate(self.labels)}
        return rows | {name: values.tolist() for name, values in self._columns(said, targets.classes).items()}

    # -- asked -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("text", "A sentence with <e1>...</e1> and <e2>...</e2>, or without, and what they would mark:"),
            Column("head", "What stands in the sentence as e1.", required=False),
            Column("tail", "What stands in the sentence as e2.", required=False),
        ]

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """``{"label", "score", "scores"}`` for each input; of a relation with a direction also ``{"relation", "from",
        "to"}``, with the two things as they stand in the text."""
        if options:
            raise SpecError(
                f"{', '.join(options)} cannot be set: a model for {self.name} does not write.", "Ask without options."
            )
        where = [f"Input {place}" for place in range(1, len(inputs) + 1)]
        marked = [Marked.read(_with_marks(*each), each[1]) for each in zip(inputs, where, strict=True)]
        tokens, marks, _ = self._tokens(tokenizer, marked, max_length, where)
        found = self._scores(model, tokens, marks, tokenizer.pad_token_id or 0)
        return [self._readable(*each) for each in zip(found, marked, strict=True)]

    def _scores(self, model: Any, tokens: TokenTable, marks: Array, pad_id: int) -> Array:
        """The probabilities of the relations, [N, relations]."""
        import torch

        device = next(model.parameters()).device
        found = np.zeros((len(tokens), len(self.labels)))
        for indices in Batches(tokens.lengths, INFERENCE_BATCH_SIZE).in_order():
            batch = {k: v.to(device) for k, v in self._batch(tokens, marks, indices, pad_id).items()}
            with torch.inference_mode():
                found[indices] = self.outputs(self.forward(model, batch), batch).float().cpu().numpy()
        return found

    def _readable(self, probabilities: Array, marked: Marked) -> dict[str, Any]:
        by_label = dict(sorted(zip(self.labels, probabilities.tolist(), strict=True), key=lambda item: -item[1]))
        best = next(iter(by_label))
        found: dict[str, Any] = {"label": best, "score": by_label[best]}
        direction = _DIRECTED.fullmatch(best)
        if direction:
            ends = (marked.thing(int(direction[side][1])) for side in ("first", "second"))
            found |= dict(zip(("relation", "from", "to"), (direction["name"], *ends), strict=True))
        return found | {"scores": by_label}


def relation(label: str) -> str:
    """A label without its direction: ``"Cause-Effect(e2,e1)"`` as ``"Cause-Effect"``."""
    found = _DIRECTED.fullmatch(label)
    return found["name"] if found else label


def choose_signs(tokenizer: Any) -> tuple[tuple[str, str], str]:
    """The signs that marks are written as: two that the tokenizer knows, each as one token; and what is to be told."""
    for signs in SIGNS:
        tokens = tokenize_words(tokenizer, [["a", signs[0], "a", signs[1], "a"]], NO_LIMIT)
        assert tokens.words is not None
        first, second = (tokens.ids[tokens.words == place].tolist() for place in (1, 3))
        if len(first) == len(second) == 1 and first != second and tokenizer.unk_token_id not in (*first, *second):
            return signs, ""
    return SIGNS[0], "The tokenizer knows no two of the signs that e1 and e2 are marked with: the model sees no marks."


def crop(tokens: TokenTable, marks: Ints, max_length: int, where: Sequence[str]) -> tuple[TokenTable, int]:
    """Rows of at most ``max_length`` tokens, cut before and behind their marks; and how many were cut.

    Args:
        tokens: N rows with their words.
        marks: int64 [N, 4], places of the marks in their row.
        where: of each row where it stands, for messages.

    Raises:
        DataError: the marks are further from each other than that.
    """
    assert tokens.words is not None
    if (marks < 0).any():
        raise DataError(f"{where[int((marks < 0).any(axis=1).argmax())]}: the tokenizer drops the marks.", HOW)
    long = np.flatnonzero(tokens.lengths > max_length)
    kept = np.ones(len(tokens.ids), dtype=bool)
    for row in long.tolist():
        begin, end = tokens.offsets[row], tokens.offsets[row + 1]
        own = np.flatnonzero(tokens.words[begin:end] >= 0)  # between the special tokens
        room = max_length - int(end - begin) + len(own)
        first, last = np.searchsorted(own, [marks[row].min(), marks[row].max()])
        if last - first + 1 > room:
            raise DataError(
                f"{where[row]}: from e1 to e2 there are {last - first + 1} tokens, and data.max_length has room for "
                f"{room}.",
                "Raise data.max_length, or take the row out.",
            )
        start = min(max(0, first - (room - (last - first + 1)) // 2), max(0, len(own) - room))
        kept[begin + own[:start]] = False
        kept[begin + own[start + room :]] = False
    if not len(long):
        return tokens, 0
    lengths = np.add.reduceat(kept, tokens.offsets[:-1])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    types = None if tokens.types is None else tokens.types[kept]
    cropped = TokenTable(tokens.ids[kept], types, offsets, tokens.full_lengths, words=tokens.words[kept])
    return cropped, len(long)


def _with_marks(given: Mapping[str, Any], where: str) -> str:
    """The text of an input, with marks: its own, or around its ``head`` and ``tail``. Raises DataError."""
    text = given.get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where} has no text.", HOW)
    things = [given.get(role) for role in ("head", "tail")]
    if not any(things):
        return text
    found: list[tuple[int, str]] = []
    spans: list[tuple[int, int]] = []
    for number, (role, thing) in enumerate(zip(("head", "tail"), things, strict=True), start=1):
        if not isinstance(thing, str) or not thing.strip():
            raise DataError(f"{where} has no {role}.", "Give text, head and tail; or mark both in the text.")
        places = [match.start() for match in re.finditer(re.escape(thing), text)]
        if len(places) != 1:
            many = "does not stand" if not places else f"stands {len(places)} times"
            raise DataError(f"{where}: the {role} {thing[:60]!r} {many} in the text.", HOW)
        spans.append((places[0], places[0] + len(thing)))
        found += [(places[0], f"<e{number}>"), (places[0] + len(thing), f"</e{number}>")]
    if spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]:
        raise DataError(f"{where}: head and tail overlap in the text.", HOW)
    for at, mark in sorted(found, key=lambda item: (-item[0], item[1][1] == "/")):
        text = text[:at] + mark + text[at:]
    return text
