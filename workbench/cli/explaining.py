"""What `workbench explain` does: gathers all that was asked of one text, then tells it, or draws it on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.output import console, table
from workbench.errors import RequestError
from workbench.files import write_text
from workbench.runs.run import Run
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.explain import (
        Attention,
        AttentionDivergence,
        Explanation,
        FaithfulnessEvaluation,
        LogitLens,
        Patching,
    )
    from workbench.explain.render.report import Section

VIEWS = ("tokens", "head", "model", "neuron", "canvas")
BASE = "base"


@dataclass(frozen=True)
class ExplainRequest:
    """What is asked of a run about one text; see the options of `workbench explain`."""

    text: str
    text_pair: str | None = None
    method: str = "attention"
    options: dict[str, Any] = field(default_factory=dict)
    target: str | None = None
    place: str | None = None
    views: tuple[str, ...] = ("tokens",)
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    faithfulness: bool = False
    lens: bool = False
    compare: str | None = None
    other_text: str | None = None

    def __post_init__(self) -> None:
        unknown = [view for view in self.views if view not in VIEWS]
        if unknown:
            raise RequestError(f"There is no view {unknown[0]!r}.", f"Choose from: {', '.join(VIEWS)}.")
        if self.compare and self.other_text:
            raise RequestError(
                "Both another run and another text are given to compare with.", "Give --compare or --other-text."
            )


@dataclass
class ExplainResult:
    """What was found; what was not asked for is None."""

    request: ExplainRequest
    explanation: Explanation
    evaluation: FaithfulnessEvaluation | None = None
    lens: LogitLens | None = None
    attentions: dict[str, Attention] = field(default_factory=dict)
    neuron: str = ""
    names: tuple[str, str] = ("", "")
    other: Explanation | None = None
    side_by_side: tuple[Attention, Attention] | None = None
    divergence: AttentionDivergence | None = None
    side_by_side_note: str = ""
    patching: Patching | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the explanation, and beside it what else was asked for."""
        found = self.explanation.as_dict()
        if self.evaluation is not None:
            found["faithfulness_evaluation"] = self.evaluation.as_dict()
        if self.lens is not None:
            found["lens"] = self.lens.as_dict()
        if self.other is not None:
            moved = None if self.divergence is None else self.divergence.as_dict()
            found["comparison"] = {
                "with": self.names[1], "explanation": self.other.as_dict(), "attention_divergence": moved,
                "note": self.side_by_side_note,
            }  # fmt: skip
        if self.patching is not None:
            found["patching"] = self.patching.as_dict()
        return found


def compute(run: Run, request: ExplainRequest, draw: bool) -> ExplainResult:
    """Ask the run.

    Args:
        run: a finished one.
        request: what is asked.
        draw: a page is written: attention is captured for the views and for what is compared.

    Raises:
        RequestError: something of it does not fit the run's model or the text.
    """
    from workbench.explain import evaluate_faithfulness, explain, logit_lens
    from workbench.inference.predictor import Predictor

    q = request
    predictor = Predictor.load(run)
    result = ExplainResult(q, explain(predictor, q.text, q.method, q.text_pair, q.target, q.place, **q.options))
    if q.faithfulness:
        result.evaluation = evaluate_faithfulness(
            predictor, q.text, q.method, q.text_pair, q.target, q.place, **q.options
        )
    if q.lens:
        result.lens = logit_lens(predictor, q.text, q.text_pair)
    if draw:
        _capture(result, predictor)
    if q.compare is not None:
        _compare_runs(result, run, predictor)
    if q.other_text is not None:
        _compare_texts(result, predictor)
    return result


def _capture(result: ExplainResult, predictor: Any) -> None:
    """Attention for the views that draw it."""
    from workbench.explain import capture_encoder_decoder, capture_queries_keys
    from workbench.explain.capture import attention_of
    from workbench.explain.instance import encode_for
    from workbench.explain.render.neuron import neuron_view

    q, model, tokenizer = result.request, predictor.model, predictor.tokenizer
    if set(q.views) & {"head", "model", "canvas"}:
        if getattr(model.config, "is_encoder_decoder", False):
            longest = predictor.max_length
            both = capture_encoder_decoder(model, tokenizer, q.text, None, longest)
            result.attentions = {
                "of the text that is read": both.encoder,
                "of the text that is written": both.decoder,
                "from the written text to the one that is read": both.cross_as_pair(),
            }
        else:
            encoded = encode_for(predictor, q.text, q.text_pair)
            result.attentions = {"": attention_of(model, encoded)}
    if "neuron" in q.views:
        vectors = capture_queries_keys(model, tokenizer, q.text, q.text_pair, predictor.max_length)
        result.neuron = neuron_view(vectors, layers=q.layers)


def _compare_runs(result: ExplainResult, run: Run, predictor: Any) -> None:
    """The same text in another run, or in the base as it was before training."""
    from workbench.explain import explain
    from workbench.explain.base_model import load_base_model
    from workbench.inference.predictor import Predictor

    q = result.request
    assert q.compare is not None
    if q.compare == BASE:
        other, name = load_base_model(run, predictor), f"the base of {run.id}"
    else:
        another = Run.open(q.compare, Workspace.current())
        other, name = Predictor.load(another), another.id
    result.names = (run.id, name)
    target = q.target if q.target is not None else result.explanation.target
    result.other = explain(other, q.text, q.method, q.text_pair, target, q.place, **q.options)
    _align(result, predictor, other, (q.text, q.text_pair))


def _compare_texts(result: ExplainResult, predictor: Any) -> None:
    """Another text in the same run, and what of the model carries the difference."""
    from workbench.explain import explain, patch

    q = result.request
    assert q.other_text is not None
    result.names = ("this text", "the other text")
    target = q.target if q.target is not None else result.explanation.target
    result.other = explain(predictor, q.other_text, q.method, q.text_pair, target, q.place, **q.options)
    _align(result, predictor, predictor, (q.other_text, q.text_pair))
    try:
        result.patching = patch(predictor, q.text, q.other_text, q.text_pair, target, q.place)
    except RequestError as error:  # answers that do not differ, or a model without layers
        result.side_by_side_note = f"{result.side_by_side_note} {error}".strip()


def _align(result: ExplainResult, first: Any, second: Any, texts: tuple[str, str | None]) -> None:
    """The attention of both over the tokens that they share; where that cannot be, the reason is kept."""
    from workbench.explain import AttentionDivergence
    from workbench.explain.attention_difference import divergence as head_divergence
    from workbench.explain.attention_difference import divergence_over
    from workbench.explain.capture import attention_of
    from workbench.explain.instance import encode_for
    from workbench.explain.render.side_by_side import align_attention

    q = result.request
    try:
        one = attention_of(first.model, encode_for(first, q.text, q.text_pair))
        two = attention_of(second.model, encode_for(second, *texts))
        if one.weights.shape[:2] != two.weights.shape[:2]:
            result.side_by_side_note = "The models differ in layers or heads, so their attention cannot be overlaid."
            return
        result.side_by_side = (one, two) if one.tokens == two.tokens else align_attention(one, two)
        if one.tokens == two.tokens:
            result.divergence = divergence_over(head_divergence(one.weights, two.weights), 1)
            assert isinstance(result.divergence, AttentionDivergence)
    except RequestError as error:  # a bag of words, say, has no attention to compare; the rest is told all the same
        result.side_by_side_note = str(error)


# -- told ------------------------------------------------------------------------------------------------------------


def show(result: ExplainResult, page: Path | None) -> None:
    """Print what was computed."""
    explanation = result.explanation
    console.print(
        f"{explanation.target}: {explanation.prediction['scores'][explanation.target]:.4f}", style="bold", markup=False
    )
    order = sorted(range(len(explanation.tokens)), key=lambda i: -abs(explanation.scores[i]))
    rows = [
        {"token": explanation.shown[i], "score": explanation.scores[i]} for i in order if not explanation.special[i]
    ]
    table(rows[:15], {"token": "token", "score": ">score"}, "There are no tokens.")
    say = [str(explanation.faithfulness.get("sentence", ""))]
    say += result.evaluation.sentences if result.evaluation else []
    say += [f"Note: {note}" for note in explanation.notes]
    say += _compared(result)
    say += result.patching.sentences if result.patching else []
    for sentence in say:
        console.print(sentence, markup=False, soft_wrap=True)
    if result.lens is not None:
        _show_lens(result.lens)
    if page is not None:
        console.print(f"Written: {page}", markup=False)


def _show_lens(lens: LogitLens) -> None:
    """Of each layer the likeliest; of a model with an answer at each token, at the last of them."""
    rows = []
    for layer, row in enumerate(lens.rows):
        told = ", ".join(f"{one.name} {one.probability:.2f}" for one in row[-1])
        rows.append({"layer": layer or "embeddings", "says": told})
    table(rows, {"layer": "after layer", "says": "the model would say"}, "There are no layers.")


def _compared(result: ExplainResult) -> list[str]:
    if result.other is None:
        return []
    mine, other = result.explanation, result.other
    sentences = [
        f"{mine.target!r} has {mine.prediction['scores'][mine.target]:.2f} in {result.names[0]} and "
        f"{other.prediction['scores'][other.target]:.2f} in {result.names[1]}."
    ]
    if result.divergence is not None:
        most = ", ".join(
            f"{one['head']} of layer {one['layer']} ({one['divergence']:.2f} bits)"
            for one in result.divergence.most[:3]
        )
        sentences.append(f"The heads that look elsewhere most: {most}.")
    return [*sentences, result.side_by_side_note] if result.side_by_side_note else sentences


# -- drawn -----------------------------------------------------------------------------------------------------------


def write_page(result: ExplainResult, run: Run, path: Path) -> None:
    """Write all that was found as one page that opens with no network. Raises RequestError, StorageError."""
    from workbench.explain.render.report import report

    if not path.parent.is_dir():
        raise RequestError(f"The folder {path.parent} does not exist.", "Make it first.")
    write_text(path, report(f"{run.id}: {result.explanation.target}", _sections(result)))


def _sections(result: ExplainResult) -> list[Section]:
    from workbench.explain.render.curves import faithfulness_curves
    from workbench.explain.render.report import Section
    from workbench.explain.render.static import token_heat_html

    sections = []
    if "tokens" in result.request.views:
        sections.append(Section("What each token counts for", html=token_heat_html(result.explanation)))
    if result.evaluation is not None:
        figures = faithfulness_curves(result.evaluation.curves, result.evaluation.target)
        sections.append(Section("How faithful it is", result.evaluation.sentences, figures=figures))
    if result.lens is not None:
        sections.append(Section("What the model would say after each layer", html=result.lens._repr_html_()))
    return [*sections, *_comparison(result), *_views(result)]


def _comparison(result: ExplainResult) -> list[Section]:
    from workbench.explain.render.canvas import comparing_view
    from workbench.explain.render.maps import divergence_map
    from workbench.explain.render.report import Section
    from workbench.explain.render.static import token_heat_html

    if result.other is None:
        return []
    figures = [] if result.divergence is None else [divergence_map(result.divergence)]
    document = "" if result.side_by_side is None else comparing_view(*result.side_by_side, result.names)
    title = f"Compared with {result.names[1]}"
    sections = [Section(title, _compared(result), token_heat_html(result.other), figures, document)]
    if result.patching is not None:
        patching = result.patching
        sections.append(Section("What carries the difference", patching.sentences, figures=patching.figures()))
    return sections


def _views(result: ExplainResult) -> list[Section]:
    from workbench.explain.render.report import Section

    sections = []
    for view in result.request.views:
        for which, attention in result.attentions.items() if view in ("head", "model", "canvas") else ():
            title = f"{f'Attention {which}' if which else 'Attention'}: {view} view"
            sections.append(Section(title, document=_drawn(result.request, view, attention)))
    return [*sections, Section("Queries and keys: neuron view", document=result.neuron)] if result.neuron else sections


def _drawn(request: ExplainRequest, view: str, attention: Attention) -> str:
    """One view. bertviz draws the layers and heads that are asked for; the canvas has all, and begins with the last."""
    from workbench.explain.render.bertviz import head_view, model_view
    from workbench.explain.render.canvas import canvas_view

    layers, heads = request.layers, request.heads
    if view == "canvas":
        return canvas_view(attention, layer=layers[-1] if layers else None, head=heads[0] if heads else 0)
    return (head_view if view == "head" else model_view)(attention, layers=layers, heads=heads)


def numbers(given: str | None, what: str) -> tuple[int, ...] | None:
    """``"0,3,5-7"`` as numbers; None for all. Raises RequestError."""
    if given is None:
        return None
    result: list[int] = []
    for part in given.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise RequestError(f"--{what} {given!r} is no list of numbers.", f"Write it as --{what} 0,3,5-7.")
        result += range(int(first), int(last or first) + 1)
    return tuple(result)


def drawn_without_page(views: Sequence[str]) -> None:
    """Raise RequestError for a view that only a page can show."""
    drawn = [view for view in views if view != "tokens"]
    if drawn:
        raise RequestError(f"The view {drawn[0]} is a drawing.", "Say where to: --html FILE.")
