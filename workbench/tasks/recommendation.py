"""Will this user like this? Learned from what users liked before, read as texts.

    task: recommendation

The model reads what a user liked before (newest first) and a candidate as one pair of texts, and says how probable it
is that the user likes it: a cross-encoder, which knows of users and items nothing but these texts, so new ones are no
problem.

What is ranked: of each user the examples of the test part, by their scores. The figures are means over the users who
have both there, something they liked and something they did not. They are held against popularity: how often a
candidate was liked in training. Split by time, or the model knows what came later: the data set movielens-small is so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.errors import DataError, SpecError
from workbench.metrics import measures
from workbench.spec import SpecModel
from workbench.tasks.base import Array, Encoded, ScoringTask, Target, TargetScore, read_list, tasks
from workbench.tasks.shared.ranking import RANKING, Floats, Ints, rank_for_users

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

LIKED = ("liked", "like", "yes", "true", "1", "positive", "good")  # labels that are plainly the better of two
BETWEEN = "; "  # of texts in a history


@dataclass(frozen=True)
class Ratings:
    """What is known of N examples.

    Attributes:
        user: int64 [N], from 0 in the order of their first examples.
        liked: [N].
        popularity: float64 [N], how often the candidate was liked in training.
    """

    user: Ints
    liked: NDArray[np.bool_]
    popularity: Floats


@tasks.register("recommendation")
class Recommendation(ScoringTask):
    """Recommendation: will a user like this, judged by the texts of what the user liked before."""

    head = "AutoModelForSequenceClassification"
    target_kind = "label"
    peft_type = "SEQ_CLS"
    primary_metric = "auc"

    class Config(SpecModel):
        liked: str | None = Field(
            None, description="The label that means liked; empty where one of the two plainly does (liked, yes, 1)."
        )
        history_length: int | None = Field(
            None, ge=0, description="Most texts of a history that are read, the newest, parted by ; (empty for all)."
        )

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.likes: Counter[str] = Counter()
        self.latest = -np.inf  # time of the last training example

    # -- data ----------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [
            Column("history", "What the user liked before, newest first.", ("liked_before",), may_be_empty=True),
            Column("candidate", "What the user may like.", ("item", "title")),
            Column("label", "Whether the user liked it.", ("liked", "like", "clicked"), kind="label"),
            Column("user", "Whose it is: users are measured one by one.", ("user_id", "userid", "customer")),
            Column("time", "When it was; only to see that the test part is later.", ("timestamp",), False, "number"),
        ]

    def texts(self, examples: Examples) -> Iterator[str]:
        # A history is made of candidates; read once, a tokenizer learns the same from it.
        yield from examples.columns["candidate"]

    def fit(self, train: Examples) -> None:
        names = sorted(set(train.columns["label"]))
        if len(names) != 2:
            shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            raise DataError(
                f"The column of labels has {len(names)} different ones ({shown}), and liked or not are two.",
                "Write one for what users liked, and one for what they did not.",
            )
        liked = self._liked(names)
        self.labels = [next(name for name in names if name != liked), liked]
        rated = zip(train.columns["candidate"], train.columns["label"], strict=True)
        self.likes = Counter(candidate for candidate, label in rated if label == liked)
        self.latest = max(train.columns.get("time", ()), default=-np.inf)

    def _liked(self, names: Sequence[str]) -> str:
        """Which of the two labels means liked. Raises SpecError where that is not plain."""
        if self.config.liked is not None:
            if self.config.liked not in names:
                raise SpecError(
                    f"task.liked is {self.config.liked!r}, and the labels are {names[0]!r} and {names[1]!r}.",
                    "Name one of these.",
                )
            return self.config.liked
        plain = [name for name in names if name.casefold() in LIKED]
        if len(plain) != 1:
            raise SpecError(
                f"Neither of the labels {names[0]!r} and {names[1]!r} plainly means that something was liked.",
                "Say which does: task.liked.",
            )
        return plain[0]

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        columns = examples.columns
        histories = [self._newest(history) for history in columns["history"]]
        tokens = tokenize(tokenizer, histories, columns["candidate"], max_length)
        number: dict[str, int] = {}
        ratings = Ratings(
            np.array([number.setdefault(user, len(number)) for user in columns["user"]], dtype=np.int64),
            np.array([label == self.labels[1] for label in columns["label"]], dtype=bool),
            np.array([self.likes[candidate] for candidate in columns["candidate"]], dtype=np.float64),
        )
        earlier = sum(time < self.latest for time in columns.get("time", ())) if not training else 0
        note = ""
        if earlier:
            note = (
                f"{earlier:,} of {len(examples):,} examples are earlier than the last training example: the model has "
                "seen what came after them."
            )
        return Encoded(tokens, ratings, note)

    def _newest(self, history: str) -> str:
        if self.config.history_length is None:
            return history
        return BETWEEN.join(history.split(BETWEEN)[: self.config.history_length])

    def encode_inputs(self, tokenizer: Any, inputs: Sequence[dict[str, Any]], max_length: int) -> TokenTable:
        """A row for each input's one candidate."""
        histories = [self._newest(_history(given, place)) for place, given in enumerate(inputs, start=1)]
        candidates = []
        for place, given in enumerate(inputs, start=1):
            found = _candidates(given, place)
            if len(found) != 1:
                raise DataError(f"Input {place} has {len(found)} candidates, and one is needed.", "Give one candidate.")
            candidates += found
        return tokenize(tokenizer, histories, candidates, max_length)

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        arrays = encoded.tokens.pad(indices, pad_id, multiple)
        arrays["labels"] = encoded.targets.liked[indices].astype(np.int64)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    # -- model ---------------------------------------------------------------------------------------------------

    def model_options(self) -> dict[str, Any]:
        return {
            "num_labels": 2,
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: i for i, label in enumerate(self.labels)},
            "problem_type": "single_label_classification",
        }

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Probabilities of not liked and of liked, [B, 2]."""
        return model_output.logits.float().softmax(dim=-1)  # type: ignore[no-any-return]

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        return TargetScore.choice(model_output.logits, target.index)

    # -- results -------------------------------------------------------------------------------------------------

    def metrics(self, outputs: Array, targets: Ratings) -> dict[str, float]:
        return measures.metric_values(_by_user(targets, outputs[:, 1]), RANKING)

    def report(self, outputs: Array, targets: Ratings, train_targets: Ratings) -> dict[str, Any]:
        table = _by_user(targets, outputs[:, 1])
        popular = _by_user(targets, targets.popularity)
        candidates = np.bincount(targets.user)
        return {
            "metrics": measures.intervals(table, RANKING),
            "measures": RANKING,
            "baseline": measures.metric_values(popular, RANKING),
            "gain": measures.improvements(popular, table, RANKING),
            "baseline_name": "popularity: how often each candidate was liked in training",
            "labels": self.labels,
            "ranked": "each user's examples of this part; means over the users with both labels there",
            "users": int(table["users"].sum()),
            "users_left_out": int(len(candidates) - table["users"].sum()),
            "candidates_per_user": {"median": float(np.median(candidates)), "largest": int(candidates.max())},
        }

    def prediction_rows(self, examples: Examples, outputs: Array, targets: Ratings) -> dict[str, list[Any]]:
        """``correct``: whether the more probable of the two labels is the right one; users are what is measured."""
        columns = examples.columns
        readable = self.decode(outputs)
        gold = [self.labels[int(liked)] for liked in targets.liked]
        rows: dict[str, list[Any]] = {
            "id": list(examples.ids),
            "input": [f"{h} ⟂ {c}" for h, c in zip(columns["history"], columns["candidate"], strict=True)],
            "gold": gold,
            "prediction": [each["label"] for each in readable],
            "score": outputs[:, 1].astype(float).tolist(),
            "correct": [g == each["label"] for g, each in zip(gold, readable, strict=True)],
            "user": list(columns["user"]),
            "popularity": targets.popularity.tolist(),
        }
        return rows | {name: column.tolist() for name, column in _by_user(targets, outputs[:, 1]).items()}

    def decode(self, outputs: Array) -> list[dict[str, Any]]:
        results = []
        for row in outputs.astype(float):
            best = int(row.argmax())
            by_label = dict(zip(self.labels, row.tolist(), strict=True))
            results.append({"label": self.labels[best], "score": float(row[best]), "scores": by_label})
        return results

    # -- asked -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("history", "What the user liked before, newest first: texts parted by ;.", may_be_empty=True),
            Column("candidate", "What the user may like; or several, as candidates."),
            Column("candidates", "What is to be put in order.", required=False, kind="texts"),
        ]

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """``{"text", "score", "ranked"}``: candidates with the probability that they are liked, best first."""
        candidates = [_candidates(given, place) for place, given in enumerate(inputs, start=1)]
        rows = [
            {"history": _history(given, place), "candidate": candidate}
            for place, (given, found) in enumerate(zip(inputs, candidates, strict=True), start=1)
            for candidate in found
        ]
        told = super().predict(model, tokenizer, rows, max_length, options)
        results, begin = [], 0
        for found in candidates:
            scores = [each["scores"][self.labels[1]] for each in told[begin : begin + len(found)]]
            begin += len(found)
            ranked = [{"text": t, "score": s} for t, s in zip(found, scores, strict=True)]
            ranked.sort(key=lambda each: -each["score"])
            results.append({**ranked[0], "ranked": ranked})
        return results


def _by_user(targets: Ratings, scores: NDArray[Any]) -> dict[str, Floats]:
    return rank_for_users(targets.user, targets.liked, np.asarray(scores, dtype=np.float64))


def _history(given: Mapping[str, Any], place: int) -> str:
    """What was liked before as one text. Raises DataError."""
    history = read_list(given, "history", place)
    if isinstance(history, list | tuple):
        return BETWEEN.join(str(each) for each in history)
    if history is not None:
        raise DataError(f"Input {place}: the history is neither text nor a list of texts.", 'Write ["...", "..."].')
    return ""


def _candidates(given: Mapping[str, Any], place: int) -> list[str]:
    """The candidates of an input; one may be given alone. Raises DataError."""
    alone = given.get("candidate")
    found = read_list(given, "candidates", place) or ([alone] if isinstance(alone, str) else alone)
    if not isinstance(found, list | tuple) or not found or not all(str(each).strip() for each in found):
        raise DataError(
            f"Input {place} has no candidates, or an empty one.",
            'Write {"history": ["..."], "candidates": ["...", "..."]}.',
        )
    return [str(each) for each in found]
