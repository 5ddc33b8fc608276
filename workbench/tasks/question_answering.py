"""Find the answer to a question in a text: where in it the answer begins, and where it ends.

    workbench run question-answering
    workbench predict RUN --input '{"question": "Who wrote it?", "context": "It was written by Ada Lovelace in 1843."}'

As in BERT (Devlin et al. 2018, sections 4.2 and 4.3): each token of the context gets a score for being the first of the
answer and one for being the last; a span is as good as the sum of both. That there is no answer is said by the scores
of the first token, [CLS]. A long context is read in overlapping windows, and the best span of all windows counts.

While training, tokens that no answer can begin or end with (the question, padding) stay out of both softmaxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.batching import Batches
from workbench.data.text.packing import offsets_within
from workbench.data.text.windows import Windows, tokenize_windows
from workbench.errors import DataError
from workbench.metrics import measures, squad
from workbench.spec import SpecModel
from workbench.tasks.base import Array, Encoded, Target, TargetScore, Task, tasks
from workbench.tasks.shared.sentence_pairs import sentences

if TYPE_CHECKING:
    import torch

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ANSWER, NO_ANSWER = "answer", "no answer"  # what a model says of a question; it is stored with the model
UNKNOWN = -100  # the place of an answer that a window should hold and does not
NOWHERE = 2**31  # above every place
WINDOWS_AT_ONCE = 16  # when the model is asked
EXCERPT = 2000  # characters of a context that predictions keep

MEASURES: measures.Measures = {
    "f1": ("ratio", "overlap", "examples"),
    "exact_match": ("ratio", "exact", "examples"),
}
# Where some questions have no answer, as SQuAD 2.0 tells them apart.
APART: measures.Measures = {
    "answered_f1": ("ratio", "overlap_answered", "answered"),
    "no_answer_accuracy": ("ratio", "right_without_answer", "without_answer"),
}


@dataclass(frozen=True)
class Asked:
    """Questions, their right answers, and where these stand in the windows.

    Attributes:
        contexts: of N questions.
        right: right answers of each, as texts; none where there is no answer.
        example: int64 [W], the question of each window, ascending.
        offsets: int64 [W + 1], where each window's tokens begin.
        spans: int32 [total tokens, 2], where a token stands in its context, in characters; -1 outside of it.
        start, end: int64 [W], first and last token of the answer in its window; 0 where it is not in the window, and
            UNKNOWN where no window holds it whole.
    """

    contexts: list[str]
    right: list[list[str]]
    example: Ints
    offsets: Ints
    spans: NDArray[np.int32]
    start: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.contexts)


@dataclass(frozen=True)
class Found:
    """What a model finds for N questions, best first; characters are those of the context.

    Attributes:
        start, end: int64 [N, C], characters; -1 where there are fewer candidates.
        probability: float64 [N, C], of each candidate among all spans of all windows, and no answer where that may be.
        nothing: float64 [N], probability that there is no answer; 0 where the model may not say so.
        silent: bool [N], whether the model says that there is no answer.
    """

    start: Ints
    end: Ints
    probability: Floats
    nothing: Floats
    silent: NDArray[np.bool_]


@tasks.register("question-answering")
class QuestionAnswering(Task):
    """Question answering: find the words of a text that answer a question."""

    head = "AutoModelForQuestionAnswering"
    target_kind = "span"
    peft_type = "QUESTION_ANS"
    primary_metric = "f1"

    class Config(SpecModel):
        stride: int = Field(128, ge=0, le=8192, description="Tokens of the context that neighbouring windows share.")
        max_answer_tokens: int = Field(30, ge=1, le=512, description="Longest answer, in tokens.")
        candidates: int = Field(5, ge=1, le=50, description="How many answers are told to a question, best first.")
        no_answer: Literal["auto", "allowed", "never"] = Field(
            "auto",
            description="Whether the model may say that there is no answer; auto: if training has such questions.",
        )
        null_bias: float = Field(
            0.0,
            ge=-10_000,
            le=10_000,
            description="Added to the score of no answer (a sum of two logits): above 0 it is said more often.",
        )

    config: Config

    @property
    def may_be_silent(self) -> bool:
        """Whether the model may say that there is no answer."""
        return NO_ANSWER in self.labels

    # -- data ----------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [
            Column("question", "The question.", ("question", "query")),
            Column(
                "context",
                "The text with the answer.",
                ("context", "passage", "paragraph", "document", "text"),
                keeps_together=True,
            ),
            Column("answers", "Its answers, by place; none for no answer.", ("answers", "answer"), kind="answers"),
        ]

    def fit(self, train: Examples) -> None:
        given = train.columns["answers"]
        without = [place for place, answers in zip(train.locations(), given, strict=True) if not answers]
        if len(without) == len(given):
            raise DataError(
                f"None of the {len(given):,} training questions has an answer.", "Check the column mapped to 'answers'."
            )
        if without and self.config.no_answer == "never":
            raise DataError(
                f"{without[0]}: there is no answer; {len(without):,} training questions have none, and task.no_answer "
                "is never.",
                "Set task.no_answer: auto, or take these rows out.",
            )
        silent = self.config.no_answer == "allowed" or bool(without)
        self.labels = [ANSWER, NO_ANSWER] if silent else [ANSWER]

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        columns = examples.columns
        windows = tokenize_windows(tokenizer, columns["question"], columns["context"], max_length, self.config.stride)
        start, end = answer_places(windows, columns["answers"])
        right = [[answer["text"] for answer in answers] for answers in columns["answers"]]
        asked = Asked(
            list(columns["context"]), right, windows.example, windows.tokens.offsets, windows.spans, start, end
        )
        return Encoded(windows.tokens, asked, self._note(windows, asked))

    def _note(self, windows: Windows, asked: Asked) -> str:
        """How many windows there are, and what does not come out as it should."""
        told = [f"{len(asked):,} questions in {len(windows):,} windows"]
        cut = len(np.unique(windows.example[windows.tokens.full_lengths > windows.tokens.lengths]))
        lost = len(np.unique(asked.example[asked.start == UNKNOWN]))
        without = sum(not answers for answers in asked.right)
        if cut:
            told.append(f"{cut:,} questions were cut: they leave no room for the context")
        if lost:
            told.append(f"{lost:,} answers stand whole in no window (data.max_length), and are not learned")
        if without and not self.may_be_silent:
            told.append(f"{without:,} questions have no answer, which this model cannot say")
        return "" if len(told) == 1 and len(windows) == len(asked) else f"{'; '.join(told)}."

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        asked: Asked = encoded.targets
        batch = encoded.tokens.pad(indices, pad_id, multiple)
        eligible = encoded.tokens.pad_values(asked.spans[:, 0] >= 0, indices, 0, multiple) > 0
        more = {
            "eligible": eligible,  # [B, T], tokens of the context
            "start_positions": asked.start[indices],
            "end_positions": asked.end[indices],
        }
        return {name: torch.from_numpy(array) for name, array in {**batch, **more}.items()}

    def loss_weight(self, encoded: Encoded, indices: Array) -> int:
        return max(1, int((encoded.targets.start[indices] != UNKNOWN).sum()))

    # -- model ---------------------------------------------------------------------------------------------------

    def model_options(self) -> dict[str, Any]:
        return {}

    def forward(self, model: Any, batch: Mapping[str, torch.Tensor]) -> Any:
        own = ("eligible", "start_positions", "end_positions")
        output = model(**{name: tensor for name, tensor in batch.items() if name not in own})
        ends = [(output.start_logits, batch["start_positions"]), (output.end_logits, batch["end_positions"])]
        output["loss"] = sum(_place_loss(logits, places, batch["eligible"]) for logits, places in ends) / 2
        return output

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Of each window the C best spans: C first tokens, C last ones, C scores; then the logarithm of the sum of
        exp(score) over all its spans, and the score of no answer: [B, 3 C + 2]."""
        import torch
        from torch.nn import functional

        eligible, count, longest = batch["eligible"], self.config.candidates, self.config.max_answer_tokens
        start, end = model_output.start_logits.float(), model_output.end_logits.float()
        nothing = start[:, 0] + end[:, 0]
        start = start.masked_fill(~eligible, -torch.inf)
        end = functional.pad(end.masked_fill(~eligible, -torch.inf), (0, longest - 1), value=-torch.inf)
        # [B, T, L]: of the span that begins at a token and is l + 1 tokens long
        spans = (start[:, :, None] + end.unfold(1, longest, 1)).flatten(1)
        best = spans.topk(min(count, spans.shape[1]))
        first = best.indices // longest
        last = first + best.indices % longest
        missing = (0, count - best.values.shape[1])
        found = [functional.pad(places.float(), missing) for places in (first, last)]
        scores = functional.pad(best.values, missing, value=-torch.inf)
        return torch.cat([*found, scores, spans.logsumexp(1, keepdim=True), nothing[:, None]], dim=1)

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        """The span from ``target.position`` to ``target.end``; without a place that there is no answer."""
        place = target.position or 0
        start = TargetScore.choice(model_output.start_logits, place)
        end = TargetScore.choice(model_output.end_logits, place if target.end is None else target.end)
        return TargetScore(start.logit + end.logit, start.probability * end.probability)

    # -- results -------------------------------------------------------------------------------------------------

    def found(self, outputs: Array, asked: Asked) -> Found:
        """The answers that the windows' outputs [W, 3 C + 2] tell."""
        count = (outputs.shape[1] - 2) // 3
        outputs = outputs.astype(np.float64)
        start, end = (outputs[:, i * count : (i + 1) * count].astype(np.int64) for i in (0, 1))
        scores, total, nothing = outputs[:, 2 * count : -2], outputs[:, -2], outputs[:, -1]
        there = np.isfinite(scores)
        begin = asked.offsets[:-1, None]
        start = np.where(there, asked.spans[begin + start, 0], -1)
        end = np.where(there, asked.spans[begin + end, 1], -1)
        first = np.flatnonzero(np.diff(asked.example, prepend=-1))  # the first window of each question
        total = np.logaddexp.reduceat(total, first)
        nothing = np.minimum.reduceat(nothing, first)  # there is none if no window has one
        if self.may_be_silent:
            total = np.logaddexp(total, nothing)
        start, end, scores = _best_of_windows(start, end, scores, np.diff(first, append=len(asked.example)), count)
        silent = ~np.isfinite(scores[:, 0])
        probability = np.exp(scores - np.where(silent, 0, total)[:, None])
        if self.may_be_silent:
            silent = silent | (nothing + self.config.null_bias > scores[:, 0])
            return Found(start, end, probability, np.exp(nothing - total), silent)
        return Found(start, end, probability, np.zeros(len(asked)), silent)

    def decode(self, found: Found, contexts: Sequence[str]) -> list[dict[str, Any]]:
        """What a user gets for each question."""
        results = []
        for row, context in enumerate(contexts):
            candidates: list[dict[str, Any]] = []
            for start, end, score in zip(found.start[row], found.end[row], found.probability[row], strict=True):
                if start >= 0:
                    candidates.append({**_without_spaces(context, int(start), int(end)), "score": float(score)})
            silent = bool(found.silent[row])
            nothing = {"answer": "", "start": None, "end": None, "score": float(found.nothing[row])}
            best = nothing if silent else candidates[0]
            results.append({**best, "no_answer": silent, "candidates": candidates})
        return results

    def _best(self, found: Found, contexts: Sequence[str]) -> list[str]:
        """The answer to each question; empty for none."""
        places = zip(contexts, found.start[:, 0], found.end[:, 0], found.silent, strict=True)
        return ["" if silent else _without_spaces(text, int(a), int(b))["answer"] for text, a, b, silent in places]

    def metrics(self, outputs: Array, targets: Asked) -> dict[str, float]:
        table = sums(self._best(self.found(outputs, targets), targets.contexts), targets.right)
        return measures.metric_values(table, self._measures(targets))

    def _measures(self, targets: Asked) -> measures.Measures:
        both = any(targets.right) and not all(targets.right)
        return {**MEASURES, **APART} if both else MEASURES

    def report(self, outputs: Array, targets: Asked, train_targets: Asked) -> dict[str, Any]:
        table = sums(self._best(self.found(outputs, targets), targets.contexts), targets.right)
        known = self._measures(targets)
        silent = sum(not answers for answers in train_targets.right) > len(train_targets) / 2
        usual = [("" if silent else longest_sentence(context)) for context in targets.contexts]
        return {
            "metrics": measures.intervals(table, known),
            "measures": known,
            "baseline": measures.metric_values(sums(usual, targets.right), known),
            "baseline_name": "always no answer" if silent else "the longest sentence of the context",
            "questions": len(targets),
            "windows": len(targets.example),
        }

    def prediction_rows(self, examples: Examples, outputs: Array, targets: Asked) -> dict[str, list[Any]]:
        found = self.found(outputs, targets)
        given = self._best(found, targets.contexts)
        table = sums(given, targets.right)
        columns = examples.columns
        score = np.where(found.silent, found.nothing, found.probability[:, 0])
        return {
            "id": list(examples.ids),
            "input": [f"{q} ⟂ {c[:EXCERPT]}" for q, c in zip(columns["question"], columns["context"], strict=True)],
            "gold": [answers[0] if answers else "" for answers in targets.right],
            "prediction": given,
            "score": score.tolist(),
            "correct": (table["exact"] > 0).tolist(),
            **{name: column.tolist() for name, column in table.items()},
        }

    # -- asked -----------------------------------------------------------------------------------------------------

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """``{"answer", "start", "end", "score", "no_answer", "candidates"}``: characters are those of the context."""
        for place, given in enumerate(inputs, start=1):
            missing = [role for role in ("question", "context") if not str(given.get(role) or "").strip()]
            if missing:
                raise DataError(
                    f"Input {place} has no {' and no '.join(missing)}.",
                    'Give both, as in {"question": "Who wrote it?", "context": "It was written by Ada Lovelace."}.',
                )
        task = type(self)(self.changed(options))
        task.labels = self.labels
        columns: dict[str, list[Any]] = {role: [str(each[role]) for each in inputs] for role in ("question", "context")}
        columns["answers"] = [[] for _ in inputs]
        encoded = task.encode(tokenizer, Examples(columns, ids=[""] * len(inputs)), max_length)
        found = task.found(task.read(model, encoded, tokenizer.pad_token_id or 0), encoded.targets)
        return task.decode(found, columns["context"])

    def read(self, model: Any, encoded: Encoded, pad_id: int) -> Array:
        """The outputs of every window, [W, 3 C + 2], in their order; ``model`` in evaluation mode."""
        import torch

        device = next(model.parameters()).device
        found = np.empty((len(encoded), 3 * self.config.candidates + 2))
        with torch.inference_mode():
            for indices in Batches(encoded.tokens.lengths, WINDOWS_AT_ONCE).in_order():
                batch = {name: t.to(device) for name, t in self.collate(encoded, indices, pad_id).items()}
                found[indices] = self.outputs(self.forward(model, batch), batch).float().cpu().numpy()
        return found


# -- small parts ---------------------------------------------------------------------------------------------------


def answer_places(windows: Windows, answers: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[Ints, Ints]:
    """First and last token of each question's first answer in each window, int64 [W] both.

    0 where a window does not hold the answer whole, or there is none; UNKNOWN where no window of the question holds it.
    A token that is partly in the answer belongs to it.
    """
    tokens, example, (begin, end) = windows.tokens, windows.example, windows.spans.T
    gold = np.array([(a[0]["start"], a[0]["start"] + len(a[0]["text"])) if a else (-1, -1) for a in answers])
    wanted = gold.reshape(-1, 2)[example]  # [W, 2], characters
    left, right = np.repeat(wanted, tokens.lengths, axis=0).T
    context = begin >= 0
    inside = context & (begin < right) & (end > left)
    first, last = _ends(inside, tokens.offsets)
    context_first, context_last = _ends(context, tokens.offsets)
    there = last >= 0
    row = tokens.offsets[:-1]
    # An answer that goes on where its window ends is cut off; where the context ends, what goes on are spaces.
    opens, closes = np.diff(example, prepend=-1) > 0, np.diff(example, append=len(answers)) > 0
    from_left = opens | (first > context_first) | (begin[np.where(there, row + first, 0)] <= wanted[:, 0])
    to_right = closes | (last < context_last) | (end[np.where(there, row + last, 0)] >= wanted[:, 1])
    whole = there & from_left & to_right
    held = np.bincount(example, whole, minlength=len(answers)) > 0
    absent = np.where(held[example] | (wanted[:, 0] < 0), 0, UNKNOWN)
    return np.where(whole, first, absent), np.where(whole, last, absent)


def _ends(chosen: NDArray[np.bool_], offsets: Ints) -> tuple[Ints, Ints]:
    """The first and the last place in each row where ``chosen`` [total tokens] is true; NOWHERE and -1 for none."""
    place = offsets_within(np.diff(offsets))
    first = np.minimum.reduceat(np.where(chosen, place, NOWHERE), offsets[:-1])
    return first, np.maximum.reduceat(np.where(chosen, place, -1), offsets[:-1])


def _place_loss(logits: torch.Tensor, places: torch.Tensor, eligible: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of ``places`` [B] among the context's tokens and [CLS]; UNKNOWN counts for nothing."""
    import torch
    from torch.nn import functional

    allowed = eligible.clone()
    allowed[:, 0] = True
    scores = logits.float().masked_fill(~allowed, -torch.inf)
    total = functional.cross_entropy(scores, places, ignore_index=UNKNOWN, reduction="sum")
    return total / (places != UNKNOWN).sum().clamp(min=1)


def _best_of_windows(start: Ints, end: Ints, scores: Floats, windows: Ints, count: int) -> tuple[Ints, Ints, Floats]:
    """The ``count`` best spans of each question from those of its windows, [W, C] each; one that two windows hold once.

    Args:
        windows: int64 [N], of each question.

    Returns:
        [N, count] each, best first; -1 and -inf where there are fewer.
    """
    width = int(windows.max()) * count
    row = np.repeat(np.arange(len(windows)), windows * count)
    place = offsets_within(windows * count)
    table = np.full((len(windows), width), -1, dtype=np.int64), np.full((len(windows), width), -1, dtype=np.int64)
    values = np.full((len(windows), width), -np.inf)
    table[0][row, place], table[1][row, place], values[row, place] = start.ravel(), end.ravel(), scores.ravel()
    order = np.lexsort((-values, *table[::-1]), axis=1)  # by span, and the best of a span first
    start, end, values = (np.take_along_axis(each, order, axis=1) for each in (*table, values))
    again = (np.diff(start, axis=1, prepend=-2) == 0) & (np.diff(end, axis=1, prepend=-2) == 0)
    values = np.where(again, -np.inf, values)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    start, end, values = (np.take_along_axis(each, order, axis=1) for each in (start, end, values))
    there = np.isfinite(values)
    return np.where(there, start, -1), np.where(there, end, -1), values


def _without_spaces(context: str, start: int, end: int) -> dict[str, Any]:
    """The answer at these characters, without the spaces around it, which some tokenizers count as the token's."""
    text = context[start:end]
    start += len(text) - len(text.lstrip())
    text = text.strip()
    return {"answer": text, "start": start, "end": start + len(text)}


def sums(given: Sequence[str], right: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """Of each question what the measures add up, columns [N]."""
    pairs = [squad.exact_match_and_f1(answer, wanted) for answer, wanted in zip(given, right, strict=True)]
    exact, overlap = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    answered = np.array([any(map(squad.normalized_words, wanted)) for wanted in right], dtype=np.float64)
    return {
        "exact": exact,
        "overlap": overlap,
        "examples": np.ones(len(pairs)),
        "answered": answered,
        "overlap_answered": overlap * answered,
        "without_answer": 1 - answered,
        "right_without_answer": exact * (1 - answered),
    }


def longest_sentence(context: str) -> str:
    """The longest sentence of a text, in characters; the first of several."""
    return max(sentences(context), key=len, default=context).strip()
