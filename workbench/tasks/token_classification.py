"""Find names (or slots) in texts: each word gets a tag, and tags that belong together are a name.

    workbench run wikigold-entities

The first token of a word carries its tag. What the model says of the words of a text is read as the most probable row
of tags that is possible: I-LOC only follows B-LOC or I-LOC (Viterbi's search over the head's probabilities).

A name is right when its borders and its type are (entity F1 as seqeval counts it in its mode "strict").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.batching import Batches
from workbench.data.text.tokens import TokenTable, tokenize_words
from workbench.errors import DataError
from workbench.metrics import measures
from workbench.spec import SpecModel
from workbench.tasks.base import INFERENCE_BATCH_SIZE, Array, Encoded, Target, TargetScore, Task, tasks
from workbench.tasks.shared.entities import (
    OUTSIDE,
    TOLD,
    Counts,
    Ints,
    Names,
    Scheme,
    Tags,
    bio_labels,
    first_pieces,
    row_offsets,
    split_words,
    types_of,
)

if TYPE_CHECKING:
    import torch

IGNORED = -100  # the label of a token that no loss is computed for
NO_LIMIT = 2**31 - 1
OVERLAP = 0.25  # share of a window of a long text that the next one shows again

WORD_GUESSES = ("words", "tokens")
TAG_GUESSES = ("tags", "ner_tags", "labels", "slots", "entities")

MEASURES = {
    "entity_f1": ("f1", "hits", "found", "names"),
    "precision": ("ratio", "hits", "found"),
    "recall": ("ratio", "hits", "names"),
}


@dataclass(frozen=True)
class WordTargets:
    """The tags of N rows of words, and where each word stands among the tokens.

    Attributes:
        words: the rows themselves.
        offsets: int64 [N + 1]; row i has the words ``offsets[i]:offsets[i + 1]`` of all.
        tags: int64 [words], numbers of BIO; types that the model does not know have numbers behind its labels.
        first: int64 [words], place in its row of a word's first token; -1 where it has none.
        labels: int32 [total tokens], the tag that is learned for a token; -100 for none.
        learned: int64 [N], how many tokens of a row have one.
        types: names of the types in ``tags``.
    """

    words: Sequence[Sequence[str]]
    offsets: Ints
    tags: Ints
    first: Ints
    labels: Array
    learned: Ints
    types: list[str]

    def of_words(self, outputs: Array, missing: float) -> Array:
        """What ``outputs`` [N, T] say of the first token of each word, [words]; ``missing`` where there is none."""
        row = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        return np.where(self.first >= 0, outputs[row, np.maximum(self.first, 0)], missing)


@tasks.register("token-classification")
class TokenClassification(Task):
    """Token classification: find names or slots in texts."""

    head = "AutoModelForTokenClassification"
    target_kind = "label of a word"
    peft_type = "TOKEN_CLS"
    primary_metric = "entity_f1"

    class Config(SpecModel):
        scheme: Literal["auto", "bio", "iob1", "io", "bioes", "plain"] = Field(
            "auto",
            description="How tags are written; plain: types without a prefix. auto finds out by looking at them.",
        )
        label_all_pieces: bool = Field(
            False, description="Every token of a word learns the word's tag, not only its first token."
        )
        constrained: bool = Field(
            True,
            description="Answer with the most probable row of tags that is possible (I-LOC after B-LOC or I-LOC only); "
            "otherwise with the most probable tag of each word.",
        )

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.scheme: Scheme = "bio"

    # -- data ----------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [
            Column("words", "The words of a text.", WORD_GUESSES, kind="words"),
            Column("tags", "A tag for each word: B-PER, I-PER, O.", TAG_GUESSES, kind="tags"),
        ]

    def fit(self, train: Examples) -> None:
        tags = self._read(train)
        if not tags.types:
            raise DataError(
                "No word of the training data has another tag than O: there is nothing to find.",
                "Check the column that is mapped to 'tags'.",
            )
        self.scheme = tags.scheme() if self.config.scheme == "auto" else self.config.scheme
        self._refuse_mixed(train, tags)
        self.labels = bio_labels(tags.types)

    def _read(self, examples: Examples) -> Tags:
        plain = self.config.scheme == "plain"
        return Tags.read(examples.columns["tags"], types_of(self.labels), plain)

    def _refuse_mixed(self, examples: Examples, tags: Tags) -> None:
        """Raise DataError for a tag without a prefix among tags that have one."""
        bare = (tags.prefix < 0) if self.scheme != "plain" or (tags.prefix > 0).any() else np.zeros(1, dtype=bool)
        if not bare.any():
            return
        word = int(bare.argmax())
        row = int(np.searchsorted(tags.offsets, word, side="right")) - 1
        tag = examples.columns["tags"][row][word - int(tags.offsets[row])]
        raise DataError(
            f"{examples.locations()[row]}: the tag {tag!r} has no prefix such as B- or I-, and other tags have.",
            "Write all tags in one way; if a prefix is a part of the types' names, set task.scheme to plain.",
        )

    def texts(self, examples: Examples) -> Iterator[str]:
        for words in examples.columns["words"]:
            yield " ".join(words)

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        words = examples.columns["words"]
        tags = self._read(examples)
        self._refuse_mixed(examples, tags)
        gold, impossible = tags.to_bio(self.scheme)
        tokens = tokenize_words(tokenizer, words, max_length)
        first = first_pieces(tokens, tags.offsets)
        _refuse_unreadable(examples, first, tags.offsets)
        labels = self._token_labels(tokens, gold, first, tags.offsets)
        learned = np.add.reduceat(labels != IGNORED, tokens.offsets[:-1])
        targets = WordTargets(words, tags.offsets, gold, first, labels, learned, tags.types)
        return Encoded(tokens, targets, " ".join(self._notes(tokens, targets, impossible, training)))

    def _token_labels(self, tokens: TokenTable, gold: Ints, first: Ints, offsets: Ints) -> Array:
        """The tag that is learned for each token, int32 [total tokens]."""
        gold = np.where(gold < len(self.labels), gold, OUTSIDE)  # of a type unknown: nothing can be said of it
        labels = np.full(len(tokens.ids), IGNORED, dtype=np.int32)
        if self.config.label_all_pieces:
            assert tokens.words is not None
            pieces = np.flatnonzero(tokens.words >= 0)
            row = np.repeat(np.arange(len(tokens)), tokens.lengths)[pieces]
            tags = gold[offsets[row] + tokens.words[pieces]]
            labels[pieces] = tags + (tags % 2)  # a piece goes on with the name that its word begins
        row = np.repeat(np.arange(len(tokens)), np.diff(offsets))
        there = first >= 0
        labels[tokens.offsets[row[there]] + first[there]] = gold[there]
        return labels

    def _notes(self, tokens: TokenTable, targets: WordTargets, impossible: int, training: bool) -> Iterator[str]:
        if training and self.scheme != "bio":
            yield f"Tags are read as {TOLD[self.scheme]}."
        if impossible:
            yield (
                f"{impossible:,} tags are impossible where they stand (such as I-LOC after O); each was taken for the "
                "beginning of a name."
            )
        cut = tokens.full_lengths > tokens.lengths
        lost = int((targets.first < 0)[np.repeat(cut, np.diff(targets.offsets))].sum())
        if lost:
            what = "they are not learned from" if training else "names there count as missed"
            yield f"{lost:,} words of {int(cut.sum()):,} rows were cut off by data.max_length: {what}."
        known = len(types_of(self.labels))
        unknown = int((Names.read(targets.tags, targets.offsets).type >= known).sum())
        if unknown:
            names = ", ".join(targets.types[known:][:5])
            yield f"{unknown:,} names are of types that the training part lacks ({names}): they count as missed."

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        batch = encoded.tokens.pad(indices, pad_id, multiple)
        batch["labels"] = encoded.tokens.pad_values(encoded.targets.labels, indices, IGNORED, multiple)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def loss_weight(self, encoded: Encoded, indices: Array) -> int:
        return int(encoded.targets.learned[indices].sum())

    # -- model ---------------------------------------------------------------------------------------------------

    def model_options(self) -> dict[str, Any]:
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: i for i, label in enumerate(self.labels)},
        }

    def init_head(self, model: Any, train: Encoded, new: Collection[str]) -> None:
        """Begin with each tag as probable as it is common: the bias is the logarithm of its share.

        Nearly every word is no name. A head that begins even learns this first, in steps that are large and all of one
        direction; adapters and LoRA in a small model then make all tokens alike, for good. Lin et al. 2017, "Focal Loss
        for Dense Object Detection", section 4.1, begin so for the same reason.
        """
        import torch

        if "classifier.bias" not in new:
            return
        learned = train.targets.labels[train.targets.labels != IGNORED]
        counts = np.bincount(learned, minlength=len(self.labels)) + 1.0  # one more: what is cut off stays possible
        with torch.no_grad():
            model.classifier.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """[B, T, 2]: of each token that has a label the number of its tag, and the probability of that; NaN else."""
        import torch

        said = batch["labels"] != IGNORED
        tags, probability = read_tags(model_output.logits.float(), said, self.config.constrained)
        found = torch.stack([tags.float(), probability], dim=-1)
        return found.masked_fill(~said[..., None], float("nan"))

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        return TargetScore.choice(model_output.logits[:, target.position], target.index)

    # -- results -------------------------------------------------------------------------------------------------

    def _counts(self, outputs: Array, targets: WordTargets) -> Counts:
        tags = targets.of_words(outputs[..., 0], OUTSIDE).astype(np.int64)
        return Counts.of(tags, targets.tags, targets.offsets, len(targets.types))

    def metrics(self, outputs: Array, targets: WordTargets) -> dict[str, float]:
        return measures.metric_values(_columns(self._counts(outputs, targets)), MEASURES)

    def report(self, outputs: Array, targets: WordTargets, train_targets: WordTargets) -> dict[str, Any]:
        counts = self._counts(outputs, targets)
        usual = Counts.of(usual_tags(train_targets, targets), targets.tags, targets.offsets, len(targets.types))
        return {
            "metrics": measures.intervals(_columns(counts), MEASURES),
            "measures": {name: list(measure) for name, measure in MEASURES.items()},
            "baseline": measures.metric_values(_columns(usual), MEASURES),
            "baseline_name": "each word's most frequent tag in training",
            "labels": targets.types,
            "per_class": _per_type(counts, targets.types),
            "scheme": self.scheme,
        }

    def prediction_rows(self, examples: Examples, outputs: Array, targets: WordTargets) -> dict[str, list[Any]]:
        tags = targets.of_words(outputs[..., 0], OUTSIDE).astype(np.int64)
        columns = _columns(self._counts(outputs, targets))
        score = targets.of_words(outputs[..., 1], np.nan)
        row = np.repeat(np.arange(len(examples)), np.diff(targets.offsets))
        there = ~np.isnan(score)
        sums = np.bincount(row[there], weights=score[there], minlength=len(examples))
        number = np.bincount(row[there], minlength=len(examples))
        right = (columns["hits"] == columns["found"]) & (columns["hits"] == columns["names"])
        return {
            "id": list(examples.ids),
            "input": [" ".join(words) for words in targets.words],
            "gold": _written(targets, targets.tags),
            "prediction": _written(targets, tags),
            "score": (sums / np.maximum(number, 1)).tolist(),
            "correct": right.tolist(),
            **{name: column.tolist() for name, column in columns.items()},
        }

    # -- asked -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("text", "The text to find names in."),
            Column("words", "Or its words, as a list.", kind="words", required=False),
        ]

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """``{"text", "entities": [{"text", "label", "start", "end", "score"}]}`` for each input.

        ``start`` and ``end`` are characters of the text; of words given as a list, of these joined by spaces. The score
        is the mean probability of the tags. A long text is read in overlapping windows.
        """
        config = self.changed(options)
        asked = [_asked(given, place) for place, given in enumerate(inputs, start=1)]
        rows = [[text[start:end] for start, end in spans] for text, spans in asked]
        logits = word_logits(model, tokenizer, rows, max_length)
        tags, scores = _read_rows(logits, config.constrained)
        names = Names.read(np.concatenate(tags), row_offsets(rows))
        flat = np.concatenate(scores)
        first = row_offsets(rows)
        types = types_of(self.labels)
        answers: list[dict[str, Any]] = [{"text": text, "entities": []} for text, _ in asked]
        for start, end, kind, row in zip(names.start, names.end, names.type, names.row, strict=True):
            text, spans = asked[row]
            begin, stop = spans[start - first[row]][0], spans[end - 1 - first[row]][1]
            answers[row]["entities"].append(
                {
                    "text": text[begin:stop],
                    "label": types[kind],
                    "start": begin,
                    "end": stop,
                    "score": float(flat[start:end].mean()),
                }
            )
        return answers


# -- tokens and words -----------------------------------------------------------------------------------------------


def _refuse_unreadable(examples: Examples, first: Ints, offsets: Ints) -> None:
    """Raise DataError for a row of which the tokenizer knows nothing: there is nothing to learn or to ask."""
    readable = np.add.reduceat(first >= 0, offsets[:-1])
    if readable.all():
        return
    row = int(readable.argmin())
    raise DataError(
        f"{examples.locations()[row]}: the tokenizer finds nothing in "
        f"{' '.join(examples.columns['words'][row])[:60]!r}.",
        "Take the row out (invisible characters?), or use a model whose tokenizer knows this script.",
    )


def read_tags(logits: torch.Tensor, said: torch.Tensor, constrained: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The tag of each token, and its probability.

    Args:
        logits: float [B, T, C], scores of the C tags of BIO.
        said: bool [B, T], which tokens have a tag; the others are passed over.
        constrained: read the most probable row of tags that is possible, not the most probable tag of each token.

    Returns:
        int64 and float, [B, T] each; of tokens that have no tag they mean nothing.
    """
    scores = logits.log_softmax(-1)
    tags = _possible(scores, said) if constrained else scores.argmax(-1)
    return tags, scores.gather(-1, tags[..., None])[..., 0].exp()


def _possible(scores: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
    """The row of tags with the highest sum of ``scores`` [B, T, C] in which I only goes on with its own type, [B, T].

    Where the most probable tags of a row are possible together, no other row of tags has a higher sum: only the other
    rows are searched.
    """
    import torch

    found = scores.argmax(-1)
    places = torch.arange(said.shape[1], device=said.device)
    last = torch.where(said, places, -1).cummax(dim=1).values.roll(1, dims=1)  # the place of the last tag up to there
    last[:, :1] = -1
    before = found.gather(1, last.clamp(min=0)).masked_fill(last < 0, OUTSIDE)
    inner = (found > 0) & (found % 2 == 0)
    broken = (said & inner & (before != found) & (before != found - 1)).any(dim=1).nonzero()[:, 0]
    if len(broken):
        found[broken] = _search(scores[broken], said[broken])
    return found


def _search(scores: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
    """The row of tags with the highest sum of ``scores`` [B, T, C] in which I only goes on with its own type, [B, T].

    Viterbi (1967). A tag may follow any other, but for I: so each step takes two maxima, and no table of C x C.
    """
    import torch

    batch, length, classes = scores.shape
    every = torch.arange(classes, device=scores.device)
    inner = (every > 0) & (every % 2 == 0)
    best = torch.full((batch, classes), float("-inf"), device=scores.device)
    best[:, OUTSIDE] = 0  # what stands before a row
    origins = []
    for at in range(length):
        highest, of = best.max(-1, keepdim=True)
        begun, gone_on = best[:, 1::2], best[:, 2::2]
        origin = of.expand(-1, classes).clone()
        before = highest.expand(-1, classes).clone()
        before[:, inner] = torch.maximum(begun, gone_on)
        origin[:, inner] = torch.where(begun >= gone_on, every[1::2], every[2::2])
        here = said[:, at, None]
        origins.append(torch.where(here, origin, every))
        best = torch.where(here, before + scores[:, at], best)
    found = torch.empty((batch, length), dtype=torch.int64, device=scores.device)
    tag = best.argmax(-1, keepdim=True)
    for at in reversed(range(length)):
        found[:, at] = tag[:, 0]
        tag = origins[at].gather(-1, tag)
    return found


# -- figures --------------------------------------------------------------------------------------------------------


def _columns(counts: Counts) -> dict[str, Array]:
    return {"hits": counts.hits, "found": counts.found, "names": counts.gold}


def _per_type(counts: Counts, types: Sequence[str]) -> dict[str, dict[str, float]]:
    hits, found, gold = counts.by_type.T
    columns = measures.ratio(hits, found), measures.ratio(hits, gold), measures.f1(hits, found, gold), gold
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for name, p, r, f, n in zip(types, *columns, strict=True)
    }


def usual_tags(train: WordTargets, asked: WordTargets) -> Ints:
    """For each word of ``asked`` its most frequent tag in ``train``, O for a word unknown there, int64 [words]."""
    known: dict[str, Counter[int]] = {}
    for word, tag in zip((word for row in train.words for word in row), train.tags.tolist(), strict=True):
        known.setdefault(word, Counter())[tag] += 1
    usual = {word: min(tags, key=lambda tag: (-tags[tag], tag)) for word, tags in known.items()}
    return np.array([usual.get(word, OUTSIDE) for row in asked.words for word in row], dtype=np.int64)


def _written(targets: WordTargets, tags: Ints) -> list[str]:
    """The names in each row as text: ``"Empire State Building (LOC); Mary (PER)"``."""
    names = Names.read(tags, targets.offsets)
    found: list[list[str]] = [[] for _ in targets.words]
    begin = targets.offsets[names.row]
    for row, start, end, kind in zip(names.row, names.start - begin, names.end - begin, names.type, strict=True):
        found[row].append(f"{' '.join(targets.words[row][start:end])} ({targets.types[kind]})")
    return ["; ".join(each) for each in found]


# -- asked ----------------------------------------------------------------------------------------------------------


def _asked(given: Mapping[str, Any], place: int) -> tuple[str, list[tuple[int, int]]]:
    """A text and its words, as characters from and to. Raises DataError."""
    words = given.get("words") or given.get("text")
    if isinstance(words, list | tuple) and words and all(isinstance(w, str) and w.strip() for w in words):
        ends = np.cumsum([len(word) + 1 for word in words]) - 1
        return " ".join(words), [(int(end) - len(word), int(end)) for word, end in zip(words, ends, strict=True)]
    text = given.get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataError(
            f"Input {place} has no text.", 'Write some text, or give its words: {"words": ["Mary", "sings"]}.'
        )
    return text, split_words(text)


def word_logits(model: Any, tokenizer: Any, rows: Sequence[Sequence[str]], max_length: int) -> list[torch.Tensor]:
    """The head's scores for each word of each row, [words, C] on the CPU; NaN for a word that has no token.

    A row of more than ``max_length`` tokens is read in windows that overlap; a word is taken from the window that shows
    more around it.
    """
    import torch

    windows = _windows(tokenizer, rows, max_length)
    shown = [rows[row][begin:end] for row, begin, end in windows]
    tokens = tokenize_words(tokenizer, shown, max_length)
    offsets = row_offsets(shown)
    first = first_pieces(tokens, offsets)
    device = next(model.parameters()).device
    of_windows: list[Any] = [None] * len(windows)
    for indices in Batches(np.maximum(tokens.lengths, 1), INFERENCE_BATCH_SIZE).in_order():
        if not tokens.lengths[indices].any():
            continue  # nothing but invisible characters
        batch = {k: torch.from_numpy(v).to(device) for k, v in tokens.pad(indices, tokenizer.pad_token_id or 0).items()}
        with torch.inference_mode():
            logits = model(**batch).logits.float().cpu()
        for place, window in enumerate(indices.tolist()):
            at = torch.from_numpy(first[offsets[window] : offsets[window + 1]])
            said = logits[place][at.clamp(min=0)]
            of_windows[window] = said.masked_fill((at < 0)[:, None], float("nan"))
    classes = int(model.config.num_labels)
    return _joined(windows, of_windows, rows, classes)


def _windows(tokenizer: Any, rows: Sequence[Sequence[str]], max_length: int) -> list[tuple[int, int, int]]:
    """Stretches of words that fit into ``max_length`` tokens: (row, first word, behind the last)."""
    tokens = tokenize_words(tokenizer, rows, NO_LIMIT)
    assert tokens.words is not None
    windows: list[tuple[int, int, int]] = []
    for row, words in enumerate(rows):
        if tokens.lengths[row] <= max_length:
            windows.append((row, 0, len(words)))
            continue
        own = tokens.words[tokens.offsets[row] : tokens.offsets[row + 1]]
        pieces = np.bincount(own[own >= 0], minlength=len(words))
        room = max(1, max_length - int((own < 0).sum()))
        ends = np.cumsum(pieces)
        begin = 0
        while True:
            before = int(ends[begin] - pieces[begin])
            end = max(begin + 1, int(np.searchsorted(ends, before + room, side="right")))
            windows.append((row, begin, end))
            if end >= len(words):
                break
            starts = ends - pieces
            shared = int(np.searchsorted(starts, int(ends[end - 1]) - OVERLAP * room, side="right")) - 1
            fits = int(np.searchsorted(starts, int(ends[end]) - room))  # from there the next word is shown, too
            begin = max(begin + 1, min(max(shared, fits), end))
    return windows


def _joined(
    windows: Sequence[tuple[int, int, int]], of_windows: Sequence[Any], rows: Sequence[Sequence[str]], classes: int
) -> list[torch.Tensor]:
    """The scores of whole rows from those of their windows: where two overlap, each gives the half nearer to it."""
    import torch

    found = [torch.full((len(words), classes), float("nan")) for words in rows]
    for place, (row, begin, end) in enumerate(windows):
        if of_windows[place] is None:
            continue
        start = begin
        if place and windows[place - 1][0] == row:
            start = (begin + windows[place - 1][2]) // 2
        found[row][start:end] = of_windows[place][start - begin :]
    return found


def _read_rows(logits: Sequence[torch.Tensor], constrained: bool) -> tuple[list[Array], list[Array]]:
    """Tags and their probabilities, [words] of each row; a word without token is O."""
    import torch

    order = sorted(range(len(logits)), key=lambda row: len(logits[row]))
    tags: list[Any] = [None] * len(logits)
    scores: list[Any] = [None] * len(logits)
    for start in range(0, len(order), INFERENCE_BATCH_SIZE):
        rows = order[start : start + INFERENCE_BATCH_SIZE]
        padded = torch.nn.utils.rnn.pad_sequence([logits[r] for r in rows], True, float("nan"))
        said = ~padded.isnan().any(-1)
        found, probability = read_tags(padded.nan_to_num(0.0), said, constrained)
        found = found.masked_fill(~said, OUTSIDE)
        for place, row in enumerate(rows):
            tags[row] = found[place, : len(logits[row])].numpy()
            scores[row] = probability[place, : len(logits[row])].numpy()
    return tags, scores
