"""Extract the answer to a question from a text by predicting where the answer begins and ends.

    workbench run question-answering
    workbench predict RUN --input '{"question": "Who wrote it?", "context": "It was written by Ada Lovelace in 1843."}'

As in BERT (Devlin et al. 2018, sections 4.2 and 4.3), each token of the context gets a score for being the first token
of the answer and a score for being the last; the score of a span is the sum of both. The scores of the first token,
[CLS], represent "no answer". A long context is read in overlapping windows; the best span over all windows is the
answer.

During training, tokens that cannot begin or end an answer (the question, padding) are excluded from both softmaxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.windows import Windows, tokenize_windows
from workbench.errors import DataError
from workbench.i18n import N_
from workbench.metrics import measures, squad
from workbench.spec import SpecModel
from workbench.tasks.answers import Answer, ExtractedAnswer, Span
from workbench.tasks.base import ModelOutput, PredictionRows, Split, Target, TargetScore, Task, TaskReport, tasks
from workbench.tasks.contexts import Array, Batch, Encoded, InferenceContext, TaskInput, compute_in_batches
from workbench.tasks.shared.baselines import shared_words
from workbench.tasks.shared.inputs import refuse_missing_texts, with_options
from workbench.tasks.shared.results import prediction_table
from workbench.tasks.shared.sentence_pairs import sentences
from workbench.tasks.shared.spans.answer_spans import answer_positions, best_of_windows
from workbench.types import IGNORE_INDEX, Bools, Floats, Ints, Json, Tokenizer

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

ANSWER, NO_ANSWER = "answer", "no answer"  # the model's labels, saved with the model
WINDOW_BATCH_SIZE = 16  # windows in a batch of predictions
EXCERPT = 2000  # characters of a context that predictions store

MEASURES: measures.Measures = {
    "f1": ("ratio", "overlap", "examples"),
    "exact_match": ("ratio", "exact", "examples"),
}
# Reported if some questions have no answer, as for SQuAD 2.0.
NO_ANSWER_MEASURES: measures.Measures = {
    "answered_f1": ("ratio", "overlap_answered", "answered"),
    "no_answer_accuracy": ("ratio", "right_without_answer", "without_answer"),
}


@dataclass(frozen=True)
class Questions:
    """Questions, their correct answers, and the positions of the answers in the windows.

    Attributes:
        contexts: contexts of N questions.
        right: the correct answers to each; empty if there is no answer.
        example: int64 [W], the question of each window, ascending.
        offsets: int64 [W + 1], where each window's tokens begin.
        spans: int32 [total tokens, 2], the span of each token in its context, in characters; -1 outside the context.
        start, end: int64 [W], first and last token of the answer in its window; 0 if the window does not contain it,
            and IGNORE_INDEX if no window contains all of it.
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
class BestSpans:
    """The model's answers to N questions, best first, as character positions in the context.

    Attributes:
        start, end: int64 [N, C], character positions; -1 if there are fewer candidates.
        probability: float64 [N, C], probability of each candidate among all spans of all windows (and "no answer", if
        allowed).
        p_no_answer: float64 [N], probability that there is no answer; 0 if the model may not predict that.
        no_answer: bool [N], whether the model predicts that there is no answer.
    """

    start: Ints
    end: Ints
    probability: Floats
    p_no_answer: Floats
    no_answer: Bools


@tasks.register("question-answering")
class QuestionAnswering(Task):
    """Extractive question answering: find the span of a text that answers a question."""

    example = N_("Where in this contract is the notice period?")
    head = "AutoModelForQuestionAnswering"
    target_kind = "span"
    peft_type = "QUESTION_ANS"
    primary_metric = "f1"

    class Config(SpecModel):
        stride: int = Field(128, ge=0, le=8192, description="Overlap of consecutive windows of a context, in tokens.")
        max_answer_tokens: int = Field(30, ge=1, le=512, description="Maximum length of an answer, in tokens.")
        candidates: int = Field(5, ge=1, le=50, description="Maximum number of answers to return, best first.")
        no_answer: Literal["auto", "allowed", "never"] = Field(
            "auto",
            description="Allow the model to predict that there is no answer; auto: if the training data has such "
            "questions.",
        )
        null_bias: float = Field(
            0.0,
            ge=-10_000,
            le=10_000,
            description="Added to the score of no answer (a sum of two logits): a value above 0 makes no answer "
            "more frequent.",
        )

    config: Config

    @property
    def allows_no_answer(self) -> bool:
        """Whether the model may predict that there is no answer."""
        return NO_ANSWER in self.labels

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [
            Column("question", "The question.", ("question", "query")),
            Column(
                "context",
                "The text that contains the answer.",
                ("context", "passage", "paragraph", "document", "text"),
                keeps_together=True,
            ),
            Column(
                "answers",
                "The answers, with their positions; empty if there is no answer.",
                ("answers", "answer"),
                kind="answers",
            ),
        ]

    def fit(self, train: Examples) -> None:
        answers = train.columns["answers"]
        without = [where for where, own in zip(train.locations(), answers, strict=True) if not own]
        if len(without) == len(answers):
            raise DataError(
                f"None of the {len(answers):,} training questions has an answer.",
                "Check the column mapped to 'answers'.",
            )
        if without and self.config.no_answer == "never":
            raise DataError(
                f"{without[0]}: the answer is missing ({len(without):,} training questions have none), but "
                "task.no_answer "
                "is never.",
                "Set task.no_answer: auto, or remove these rows.",
            )
        no_answer = self.config.no_answer == "allowed" or bool(without)
        self.labels = [ANSWER, NO_ANSWER] if no_answer else [ANSWER]

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        columns = examples.columns
        windows = tokenize_windows(tokenizer, columns["question"], columns["context"], max_length, self.config.stride)
        start, end = answer_positions(windows, columns["answers"])
        right = [[answer["text"] for answer in answers] for answers in columns["answers"]]
        questions = Questions(
            list(columns["context"]), right, windows.example, windows.tokens.offsets, windows.spans, start, end
        )
        return Encoded(
            windows.tokens, questions, self._note(windows, questions), truncation=_truncation(windows, questions)
        )

    def _note(self, windows: Windows, questions: Questions) -> str:
        """Return a note about the number of windows and the lost answers."""
        notes = [f"{len(questions):,} questions in {len(windows):,} windows"]
        lost = len(np.unique(questions.example[questions.start == IGNORE_INDEX]))
        without = sum(not answers for answers in questions.right)
        if lost:
            notes.append(f"{lost:,} answers do not fit into any window (data.max_length) and are not trained on")
        if without and not self.allows_no_answer:
            notes.append(f"{without:,} questions have no answer, which this model cannot predict")
        return "" if len(notes) == 1 and len(windows) == len(questions) else f"{'; '.join(notes)}."

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        questions: Questions = encoded.targets
        batch = encoded.tokens.pad(indices, pad_id, multiple)
        eligible = encoded.tokens.pad_values(questions.spans[:, 0] >= 0, indices, 0, multiple) > 0
        more = {
            "eligible": eligible,  # [B, T], tokens of the context
            "start_positions": questions.start[indices],
            "end_positions": questions.end[indices],
        }
        return {name: torch.from_numpy(array) for name, array in {**batch, **more}.items()}

    def loss_weight(self, encoded: Encoded, indices: Ints) -> int:
        return max(1, int((encoded.targets.start[indices] != IGNORE_INDEX).sum()))

    # -- model ---------------------------------------------------------------------------------------------------------

    def forward(self, model: torch.nn.Module, batch: Batch) -> ModelOutput:
        own = ("eligible", "start_positions", "end_positions")
        output = model(**{name: tensor for name, tensor in batch.items() if name not in own})
        ends = [(output.start_logits, batch["start_positions"]), (output.end_logits, batch["end_positions"])]
        output["loss"] = sum(_position_loss(logits, positions, batch["eligible"]) for logits, positions in ends) / 2
        return output

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # The C best spans of each window, [B, 3 C + 2].
        #
        # C first tokens, C last tokens and C scores; then the log-sum-exp of the scores of all spans of the window, and
        # the score of no answer.
        import torch
        from torch.nn import functional

        eligible, count, longest = batch["eligible"], self.config.candidates, self.config.max_answer_tokens
        start, end = model_output.start_logits.float(), model_output.end_logits.float()
        no_answer = start[:, 0] + end[:, 0]
        start = start.masked_fill(~eligible, -torch.inf)
        end = functional.pad(end.masked_fill(~eligible, -torch.inf), (0, longest - 1), value=-torch.inf)
        # [B, T, L]: the score of the span that begins at a token and is l + 1 tokens long
        spans = (start[:, :, None] + end.unfold(1, longest, 1)).flatten(1)
        best = spans.topk(min(count, spans.shape[1]))
        first = best.indices // longest
        last = first + best.indices % longest
        missing = (0, count - best.values.shape[1])
        tokens = [functional.pad(positions.float(), missing) for positions in (first, last)]
        scores = functional.pad(best.values, missing, value=-torch.inf)
        return torch.cat([*tokens, scores, spans.logsumexp(1, keepdim=True), no_answer[:, None]], dim=1)

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        # The score of the span from ``target.position`` to ``target.end``; without a position, the score of no answer.
        position = target.position or 0
        start = TargetScore.choice(model_output.start_logits, position)
        end = TargetScore.choice(model_output.end_logits, position if target.end is None else target.end)
        return TargetScore(start.logit + end.logit, start.probability * end.probability)

    # -- results -------------------------------------------------------------------------------------------------------

    def best_spans(self, outputs: Array, questions: Questions) -> BestSpans:
        """Return the best answers to the questions from the outputs of their windows.

        Args:
            outputs: the outputs for every window, [W, 3 C + 2].
            questions: the questions of the windows.
        """
        count = (outputs.shape[1] - 2) // 3
        outputs = outputs.astype(np.float64)
        start, end = (outputs[:, i * count : (i + 1) * count].astype(np.int64) for i in (0, 1))
        scores, total, no_answer = outputs[:, 2 * count : -2], outputs[:, -2], outputs[:, -1]
        exists = np.isfinite(scores)
        begin = questions.offsets[:-1, None]
        start = np.where(exists, questions.spans[begin + start, 0], -1)
        end = np.where(exists, questions.spans[begin + end, 1], -1)
        first = np.flatnonzero(np.diff(questions.example, prepend=-1))  # the first window of each question
        total = np.logaddexp.reduceat(total, first)
        no_answer = np.minimum.reduceat(no_answer, first)  # there is no answer if no window has one
        if self.allows_no_answer:
            total = np.logaddexp(total, no_answer)
        windows = np.diff(first, append=len(questions.example))
        start, end, scores = best_of_windows(start, end, scores, windows, count)
        says_none = ~np.isfinite(scores[:, 0])
        probability = np.exp(scores - np.where(says_none, 0, total)[:, None])
        if self.allows_no_answer:
            says_none = says_none | (no_answer + self.config.null_bias > scores[:, 0])
            return BestSpans(start, end, probability, np.exp(no_answer - total), says_none)
        return BestSpans(start, end, probability, np.zeros(len(questions)), says_none)

    def decode(self, spans: BestSpans, contexts: Sequence[str]) -> list[ExtractedAnswer]:
        """Return the answer to each question.

        Args:
            spans: predicted spans of N questions.
            contexts: the contexts, [N].
        """
        answers = []
        for row, context in enumerate(contexts):
            columns = (spans.start[row], spans.end[row], spans.probability[row])
            candidates = tuple(
                _stripped(context, int(start), int(end), float(score))
                for start, end, score in zip(*columns, strict=True)
                if start >= 0
            )
            none = bool(spans.no_answer[row])
            best = None if none else candidates[0]
            score = float(spans.p_no_answer[row]) if best is None else best.score
            answers.append(ExtractedAnswer(best, score, candidates, context))
        return answers

    def metrics(self, outputs: Array, targets: Questions) -> dict[str, float]:
        return measures.metric_values(self._sums(outputs, targets), self._measures(targets))

    def _sums(self, outputs: Array, targets: Questions) -> dict[str, Floats]:
        return sums(_best_texts(self.best_spans(outputs, targets), targets.contexts), targets.right)

    def _measures(self, targets: Questions) -> measures.Measures:
        both = any(targets.right) and not all(targets.right)
        return {**MEASURES, **NO_ANSWER_MEASURES} if both else MEASURES

    def report(self, outcome: Array, targets: Questions, train_targets: Questions) -> TaskReport:
        known = self._measures(targets)
        mostly_none = sum(not answers for answers in train_targets.right) > len(train_targets) / 2
        baseline = [("" if mostly_none else longest_sentence(context)) for context in targets.contexts]
        before, after = sums(baseline, targets.right), self._sums(outcome, targets)
        return {
            "metrics": measures.intervals(after, known),
            "measures": known,
            "baseline": measures.metric_values(before, known),
            "baseline_name": "always no answer" if mostly_none else "the longest sentence of the context",
            "gain": measures.improvements(before, after, known),
            "questions": len(targets),
            "windows": len(targets.example),
        }

    def baseline_report(self, train: Split, reported: Split, outcome: Array) -> TaskReport | None:
        targets, columns = reported.targets, reported.examples.columns
        known = self._measures(targets)
        answers = shared_words.nearest_sentences(
            columns["question"], columns["context"], train.examples.columns["context"]
        )
        before = sums(answers, targets.right)
        return {
            "baseline": measures.metric_values(before, known),
            "baseline_name": shared_words.NAME,
            "gain": measures.improvements(before, self._sums(outcome, targets), known),
        }

    def prediction_rows(self, examples: Examples, outcome: Array, targets: Questions) -> PredictionRows:
        spans = self.best_spans(outcome, targets)
        predicted = _best_texts(spans, targets.contexts)
        table = sums(predicted, targets.right)
        columns = examples.columns
        return prediction_table(
            examples.ids,
            {"question": columns["question"], "context": [text[:EXCERPT] for text in columns["context"]]},
            gold=[answers[0] if answers else "" for answers in targets.right],
            prediction=predicted,
            score=np.where(spans.no_answer, spans.p_no_answer, spans.probability[:, 0]).tolist(),
            correct=(table["exact"] > 0).tolist(),
            columns=table,
        )

    # -- inference -----------------------------------------------------------------------------------------------------

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        refuse_missing_texts(
            inputs,
            ("question", "context"),
            'Write both, as in {"question": "Who wrote it?", "context": "It was written by Ada Lovelace."}.',
        )
        task = type(self)(with_options(self.config, options, self.name))
        task.labels = self.labels
        columns = {role: [str(each[role]) for each in inputs] for role in ("question", "context")}
        examples = Examples({**columns, "answers": [[] for _ in inputs]}, ids=[""] * len(inputs))
        encoded = task.encode(context.tokenizer, examples, context.max_length)
        spans = task.best_spans(task.window_outputs(context, encoded), encoded.targets)
        return list(task.decode(spans, columns["context"]))

    def window_outputs(self, context: InferenceContext, encoded: Encoded) -> Array:
        """Return the outputs of every window, [W, 3 C + 2], in order.

        Args:
            context: a finished model.
            encoded: W windows.
        """

        def compute(indices: Ints) -> torch.Tensor:
            batch = context.to_device(self.collate(encoded, indices, context.pad_id))
            return self.outputs(self.forward(context.model, batch), batch).float()

        return compute_in_batches(encoded.tokens.lengths, compute, WINDOW_BATCH_SIZE)


# -- helpers -----------------------------------------------------------------------------------------------------------


def _truncation(windows: Windows, questions: Questions) -> str:
    """Return a message about questions that were truncated; empty for none."""
    cut = len(np.unique(windows.example[windows.tokens.full_lengths > windows.tokens.lengths]))
    if not cut:
        return ""
    share = f"{cut:,} of {len(questions):,} questions ({cut / len(questions):.0%})"
    return f"{share} were truncated to leave room for the context. Raise data.max_length to use all of them."


def _position_loss(logits: torch.Tensor, positions: torch.Tensor, eligible: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of ``positions``, [B], over the context's tokens and [CLS]."""
    import torch
    from torch.nn import functional

    allowed = eligible.clone()
    allowed[:, 0] = True
    scores = logits.float().masked_fill(~allowed, -torch.inf)
    total = functional.cross_entropy(scores, positions, ignore_index=IGNORE_INDEX, reduction="sum")
    return total / (positions != IGNORE_INDEX).sum().clamp(min=1)


def _stripped(context: str, start: int, end: int, score: float) -> Span:
    """Return a span without surrounding spaces, which some tokenizers include in a token."""
    text = context[start:end]
    start += len(text) - len(text.lstrip())
    text = text.strip()
    return Span(text, start, start + len(text), score)


def _best_texts(spans: BestSpans, contexts: Sequence[str]) -> list[str]:
    """Return the answer to each question; an empty string for no answer."""
    rows = zip(contexts, spans.start[:, 0], spans.end[:, 0], spans.no_answer, strict=True)
    return ["" if none else context[start:end].strip() for context, start, end, none in rows]


def sums(answers: Sequence[str], right: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """Return the columns that the measures sum over the questions, [N] each.

    Args:
        answers: answers of N questions, empty for no answer.
        right: the correct answers to each.
    """
    pairs = [squad.exact_match_and_f1(answer, wanted) for answer, wanted in zip(answers, right, strict=True)]
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
    """Return the longest sentence of a text, in characters; the first one if several are equally long.

    Args:
        context: the text.
    """
    return max(sentences(context), key=len, default=context).strip()
