"""Predict whether a user will like an item, from texts about what the user liked before.

    task: recommendation

The model is a cross-encoder: it reads what a user liked before (newest first) and a candidate as one text pair, and
predicts the probability that the user likes the candidate. It knows users and items only by these texts, so it also
works for new ones.

Each user's examples in the test split are ranked by their scores. The metrics are means over the users who have both
liked and disliked examples there. The baseline is popularity: how often a candidate was liked in training. Split the
data by time; otherwise the model has seen later ratings. The data set movielens-small is split this way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.errors import DataError, SpecError
from workbench.i18n import N_
from workbench.metrics import measures
from workbench.metrics.label_order import sort_labels
from workbench.spec import SpecModel
from workbench.tasks.answers import Answer, Ranking, ScoredLabels
from workbench.tasks.base import (
    HeadOptions,
    ModelOutput,
    PredictionRows,
    ScoringTask,
    Target,
    TargetScore,
    TaskReport,
    tasks,
)
from workbench.tasks.contexts import Array, Batch, Encoded, InferenceContext, TaskInput
from workbench.tasks.shared.head_options import label_options
from workbench.tasks.shared.inputs import read_list
from workbench.tasks.shared.ranking import RANKING, rank_for_users
from workbench.tasks.shared.results import prediction_table
from workbench.tuning.linear_models import HeadTargets
from workbench.types import Bools, Floats, Ints, Json, Tokenizer

if TYPE_CHECKING:
    import torch

LIKED = ("liked", "like", "yes", "true", "1", "positive", "good")  # labels that clearly mean "liked"
HISTORY_SEPARATOR = "; "  # between the texts of a history


@dataclass(frozen=True)
class Ratings:
    """The targets of N examples.

    Attributes:
        user: int64 [N], index of the user, numbered from 0 in order of first appearance.
        liked: bool [N], whether the user liked the candidate.
        popularity: float64 [N], how often the candidate was liked in training.
    """

    user: Ints
    liked: Bools
    popularity: Floats


@tasks.register("recommendation")
class Recommendation(ScoringTask):
    """Recommendation: predict whether a user will like an item, from the titles the user liked before."""

    example = N_("Will somebody who liked these films like that one?")
    head = "AutoModelForSequenceClassification"
    target_kind = "label"
    peft_type = "SEQ_CLS"
    primary_metric = "auc"

    class Config(SpecModel):
        liked: str | None = Field(
            None, description="The label that means liked; may be empty if one of the two clearly does (liked, yes, 1)."
        )
        history_length: int | None = Field(
            None,
            ge=0,
            description="Maximum number of texts of a history to read, newest first; they are separated by ; "
            "(empty for all).",
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.likes: Counter[str] = Counter()
        self.latest = -np.inf  # time of the last training example

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [
            Column("history", "What the user liked before, newest first.", ("liked_before",), may_be_empty=True),
            Column("candidate", "The item that the user may like.", ("item", "title")),
            Column("label", "Whether the user liked it.", ("liked", "like", "clicked"), kind="label"),
            Column("user", "The user; metrics are computed for each user.", ("user_id", "userid", "customer")),
            Column(
                "time",
                "When the user rated it; only used to check that the test split is later.",
                ("timestamp",),
                False,
                "number",
            ),
        ]

    def texts(self, examples: Examples) -> Iterator[str]:
        # A history consists of candidates, so the candidates are enough for a tokenizer to learn from.
        yield from examples.columns["candidate"]

    def fit(self, train: Examples) -> None:
        names = sort_labels(train.columns["label"])
        if len(names) != 2:
            shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            raise DataError(
                f"The label column has {len(names)} different labels ({shown}), but exactly two are needed.",
                "Use one label for liked items and one for the others.",
            )
        liked = self._liked(names)
        self.labels = [next(name for name in names if name != liked), liked]
        rated = zip(train.columns["candidate"], train.columns["label"], strict=True)
        self.likes = Counter(candidate for candidate, label in rated if label == liked)
        self.latest = max(train.columns.get("time", ()), default=-np.inf)

    def _liked(self, names: Sequence[str]) -> str:
        """Return the label that means liked. Raise SpecError if it is not clear which one does."""
        if self.config.liked is not None:
            if self.config.liked not in names:
                raise SpecError(
                    f"task.liked is {self.config.liked!r}, but the labels are {names[0]!r} and {names[1]!r}.",
                    "Set it to one of these.",
                )
            return self.config.liked
        plain = [name for name in names if name.casefold() in LIKED]
        if len(plain) != 1:
            raise SpecError(
                f"Neither of the labels {names[0]!r} and {names[1]!r} clearly means liked.",
                "Set task.liked to the one that does.",
            )
        return plain[0]

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        columns = examples.columns
        histories = [self._newest(history) for history in columns["history"]]
        tokens = tokenize(tokenizer, histories, columns["candidate"], max_length)
        index: dict[str, int] = {}
        ratings = Ratings(
            np.array([index.setdefault(user, len(index)) for user in columns["user"]], dtype=np.int64),
            np.array([label == self.labels[1] for label in columns["label"]], dtype=bool),
            np.array([self.likes[candidate] for candidate in columns["candidate"]], dtype=np.float64),
        )
        earlier = sum(time < self.latest for time in columns.get("time", ())) if not training else 0
        note = ""
        if earlier:
            note = (
                f"{earlier:,} of {len(examples):,} examples are earlier than the last training example: the model was "
                "trained on later data."
            )
        return Encoded(tokens, ratings, note)

    def _newest(self, history: str) -> str:
        if self.config.history_length is None:
            return history
        return HISTORY_SEPARATOR.join(history.split(HISTORY_SEPARATOR)[: self.config.history_length])

    def encode_inputs(self, tokenizer: Tokenizer, inputs: Sequence[TaskInput], max_length: int) -> TokenTable:
        # Tokenize inputs with one candidate each.
        histories = [self._newest(_history(each, number)) for number, each in enumerate(inputs, start=1)]
        candidates: list[str] = []
        for number, each in enumerate(inputs, start=1):
            own = _candidates(each, number)
            if len(own) != 1:
                raise DataError(
                    f"Input {number} has {len(own)} candidates, but exactly one is needed.", "Pass one candidate."
                )
            candidates += own
        return tokenize(tokenizer, histories, candidates, max_length)

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        arrays = encoded.tokens.pad(indices, pad_id, multiple)
        arrays["labels"] = encoded.targets.liked[indices].astype(np.int64)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    # -- model ---------------------------------------------------------------------------------------------------------

    def model_options(self) -> HeadOptions:
        return {**label_options(self.labels), "problem_type": "single_label_classification"}

    def head_targets(self, split: Encoded) -> HeadTargets:
        return HeadTargets("classes", split.targets.liked.astype(np.int64))

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # The probabilities of "not liked" and "liked", [B, 2].
        probabilities: torch.Tensor = model_output.logits.float().softmax(dim=-1)
        return probabilities

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        return TargetScore.choice(model_output.logits, target.index)

    # -- results -------------------------------------------------------------------------------------------------------

    def metrics(self, outputs: Array, targets: Ratings) -> dict[str, float]:
        return measures.metric_values(_by_user(targets, outputs[:, 1]), RANKING)

    def report(self, outcome: Array, targets: Ratings, train_targets: Ratings) -> TaskReport:
        table = _by_user(targets, outcome[:, 1])
        popular = _by_user(targets, targets.popularity)
        candidates = np.bincount(targets.user)
        return {
            "metrics": measures.intervals(table, RANKING),
            "measures": RANKING,
            "baseline": measures.metric_values(popular, RANKING),
            "gain": measures.improvements(popular, table, RANKING),
            "baseline_name": "popularity: how often each candidate was liked in training",
            "labels": self.labels,
            "ranked": "each user's examples in this split; means over the users with both labels",
            "users": int(table["users"].sum()),
            "users_left_out": int(len(candidates) - table["users"].sum()),
            "candidates_per_user": {"median": float(np.median(candidates)), "largest": int(candidates.max())},
        }

    def prediction_rows(self, examples: Examples, outcome: Array, targets: Ratings) -> PredictionRows:
        # A row for each example; ``correct`` says whether the more probable label is the correct one.
        columns = examples.columns
        predicted = [answer.label for answer in self.decode(outcome)]
        gold = [self.labels[int(liked)] for liked in targets.liked]
        return prediction_table(
            examples.ids,
            {role: columns[role] for role in ("history", "candidate")},
            gold=gold,
            prediction=predicted,
            score=outcome[:, 1].astype(float).tolist(),
            correct=[a == b for a, b in zip(gold, predicted, strict=True)],
            columns={
                "user": np.array(columns["user"], dtype=object),
                "popularity": targets.popularity,
                **_by_user(targets, outcome[:, 1]),
            },
        )

    def decode(self, outputs: Array) -> list[ScoredLabels]:
        answers = []
        for row in outputs.astype(float):
            best = int(row.argmax())
            scores = dict(zip(self.labels, row.tolist(), strict=True))
            answers.append(ScoredLabels(self.labels[best], float(row[best]), scores))
        return answers

    # -- inference -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("history", "What the user liked before, newest first, separated by ;.", may_be_empty=True),
            Column("candidate", "The item that the user may like; for several items, use candidates."),
            Column("candidates", "The texts to rank.", required=False, kind="texts"),
        ]

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        # Rank the candidates of each input by the probability that the user likes them.
        self.refuse_options(options)
        candidates = [_candidates(each, number) for number, each in enumerate(inputs, start=1)]
        rows: list[TaskInput] = [
            {"history": _history(each, number), "candidate": candidate}
            for number, (each, own) in enumerate(zip(inputs, candidates, strict=True), start=1)
            for candidate in own
        ]
        scores = self.scores(context, self.encode_inputs(context.tokenizer, rows, context.max_length))
        borders = np.cumsum([len(own) for own in candidates])[:-1]
        by_input = np.split(scores[:, 1].astype(float), borders)
        return [Ranking.of(own, liked.tolist()) for own, liked in zip(candidates, by_input, strict=True)]

    def truncated(self, context: InferenceContext, inputs: Sequence[TaskInput]) -> int:
        longest = [
            {"history": _history(each, number), "candidate": max(_candidates(each, number), key=len)}
            for number, each in enumerate(inputs, start=1)
        ]
        return super().truncated(context, longest)


def _by_user(targets: Ratings, scores: Array) -> dict[str, Floats]:
    return rank_for_users(targets.user, targets.liked, np.asarray(scores, dtype=np.float64))


def _history(inputs: TaskInput, number: int) -> str:
    """Return the history of an input as one text. Raise DataError if it is invalid."""
    history = read_list(inputs, "history", number)
    if isinstance(history, list | tuple):
        return HISTORY_SEPARATOR.join(str(each) for each in history)
    if history is not None:
        raise DataError(f"Input {number}: the history is neither a text nor a list of texts.", 'Write ["...", "..."].')
    return ""


def _candidates(inputs: TaskInput, number: int) -> list[str]:
    """Return the candidates of an input, one or several. Raise DataError if they are invalid."""
    single = inputs.get("candidate")
    candidates = read_list(inputs, "candidates", number) or ([single] if isinstance(single, str) else single)
    if not isinstance(candidates, list | tuple) or not candidates or not all(str(each).strip() for each in candidates):
        raise DataError(
            f"Input {number} has no candidates, or an empty one.",
            'Write {"history": ["..."], "candidates": ["...", "..."]}.',
        )
    return [str(each) for each in candidates]
