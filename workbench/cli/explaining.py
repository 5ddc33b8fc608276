"""The work of `workbench explain`: compute everything that was requested of one text, then print it or write a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.output import console, table
from workbench.errors import RequestError
from workbench.files import SHARED, write_text
from workbench.i18n import _
from workbench.runs.run import Run
from workbench.types import JsonObject
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
    from workbench.inference.predictor import Predictor

VIEWS = ("tokens", "head", "model", "neuron", "canvas")
BASE = "base"


@dataclass(frozen=True)
class ExplainRequest:
    """What a user requests about one text; see the options of `workbench explain`."""

    text: str
    text_pair: str | None = None
    method: str = "attention"
    options: Mapping[str, object] = field(default_factory=dict)
    target: str | None = None
    word: str | None = None
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
    """What was computed; what was not requested is None or empty.

    Attributes:
        request: what was requested.
        explanation: explanation of the text.
        evaluation: evaluation of the explanation's faithfulness.
        lens: the prediction after each layer.
        attentions: for the views, by what they are over ("" for a model with one kind).
        neuron: the neuron view's document.
        names: names of the two sides of a comparison.
        other: the explanation of the other side.
        side_by_side: attention of both sides over the same tokens.
        divergence: between the two sides.
        note: why attention or activations cannot be compared.
        patching: what carries the difference between two texts.
    """

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
    note: str = ""
    patching: Patching | None = None

    def as_dict(self) -> JsonObject:
        """Return the explanation for JSON, with everything else that was requested."""
        document = self.explanation.as_dict()
        if self.evaluation is not None:
            document["faithfulness_evaluation"] = self.evaluation.as_dict()
        if self.lens is not None:
            document["lens"] = self.lens.as_dict()
        if self.other is not None:
            document["comparison"] = {
                "with": self.names[1],
                "explanation": self.other.as_dict(),
                "attention_divergence": None if self.divergence is None else self.divergence.as_dict(),
                "note": self.note,
            }
        if self.patching is not None:
            document["patching"] = self.patching.as_dict()
        return document


def compute(run: Run, request: ExplainRequest, draw: bool) -> ExplainResult:
    """Compute everything that was requested.

    Args:
        run: a finished run.
        request: what to compute.
        draw: also capture the attention that the views of a page need.

    Raises:
        RequestError: a part of the request does not fit the run's model or the text.
    """
    from workbench.explain import evaluate_faithfulness, logit_lens
    from workbench.inference.predictor import Predictor

    predictor = Predictor.load(run)
    result = ExplainResult(request, _explain(predictor, request))
    if request.faithfulness:
        result.evaluation = evaluate_faithfulness(
            predictor,
            request.text,
            request.method,
            request.text_pair,
            request.target,
            request.word,
            options=request.options,
        )
    if request.lens:
        result.lens = logit_lens(predictor, request.text, request.text_pair)
    if draw:
        _capture(result, predictor)
    if request.compare is not None:
        _compare_runs(result, run, predictor)
    if request.other_text is not None:
        _compare_texts(result, predictor, request.other_text)
    return result


def _explain(
    predictor: Predictor, request: ExplainRequest, text: str | None = None, target: str | None = None
) -> Explanation:
    from workbench.explain import explain

    return explain(
        predictor,
        request.text if text is None else text,
        request.method,
        request.text_pair,
        request.target if target is None else target,
        request.word,
        **request.options,
    )


def _capture(result: ExplainResult, predictor: Predictor) -> None:
    """Capture attention for the views that draw it."""
    from workbench.explain import capture_encoder_decoder, capture_queries_keys
    from workbench.explain.capture import attention_of
    from workbench.explain.encoding import encode_for
    from workbench.explain.render.neuron import neuron_view

    request, model, tokenizer = result.request, predictor.model, predictor.tokenizer
    if set(request.views) & {"head", "model", "canvas"}:
        if getattr(model.config, "is_encoder_decoder", False):
            both = capture_encoder_decoder(model, tokenizer, request.text, None, predictor.max_length)
            result.attentions = {
                _("over the text that is read"): both.encoder,
                _("over the text that is written"): both.decoder,
                _("from the written text to the text that is read"): both.cross_as_pair(),
            }
        else:
            result.attentions = {"": attention_of(model, encode_for(predictor, request.text, request.text_pair))}
    if "neuron" in request.views:
        vectors = capture_queries_keys(model, tokenizer, request.text, request.text_pair, predictor.max_length)
        result.neuron = neuron_view(vectors, layers=request.layers)


def _compare_runs(result: ExplainResult, run: Run, predictor: Predictor) -> None:
    """Explain the same text in another run, or in the run's base model."""
    from workbench.explain.base_model import load_base_model
    from workbench.inference.predictor import Predictor

    request = result.request
    if request.compare == BASE:
        other, name = load_base_model(run, predictor), _("the base model of {run}").format(run=run.id)
    else:
        other_run = Run.open(str(request.compare), Workspace.current())
        other, name = Predictor.load(other_run), other_run.id
    result.names = (run.id, name)
    result.other = _explain(other, request, target=request.target or result.explanation.target)
    _align(result, predictor, other, request.text)


def _compare_texts(result: ExplainResult, predictor: Predictor, other_text: str) -> None:
    """Explain another text in the same run, and find what in the model carries the difference."""
    from workbench.explain import patch

    request = result.request
    result.names = (_("this text"), _("the other text"))
    target = request.target or result.explanation.target
    result.other = _explain(predictor, request, other_text, target)
    _align(result, predictor, predictor, other_text)
    try:
        result.patching = patch(predictor, request.text, other_text, request.text_pair, target, request.word)
    except RequestError as error:  # the answers do not differ, or the model has no layers
        result.note = f"{result.note} {error}".strip()


def _align(result: ExplainResult, first: Predictor, second: Predictor, other_text: str) -> None:
    """Restrict the attention of both sides to their common tokens; where that is impossible, note the reason."""
    from workbench.explain.capture import attention_of
    from workbench.explain.encoding import encode_for
    from workbench.explain.internals.alignment import align_attention
    from workbench.explain.internals.attention_difference import AttentionDivergence, jensen_shannon

    request = result.request
    try:
        one = attention_of(first.model, encode_for(first, request.text, request.text_pair))
        two = attention_of(second.model, encode_for(second, other_text, request.text_pair))
        if one.weights.shape[:2] != two.weights.shape[:2]:
            result.note = _("The models differ in layers or heads, so their attention cannot be overlaid.")
            return
        result.side_by_side = (one, two) if one.tokens == two.tokens else align_attention(one, two)
        if one.tokens == two.tokens:
            result.divergence = AttentionDivergence.of(jensen_shannon(one.weights, two.weights), 1)
    except RequestError as error:  # a bag of words, say, has no attention; the other results are still there
        result.note = str(error)


# -- printed ---------------------------------------------------------------------------------------------------------


def show(result: ExplainResult, page: Path | None) -> None:
    """Print what was computed.

    Args:
        result: what was computed.
        page: the file that was written, if any.
    """
    explanation = result.explanation
    probability = explanation.prediction["scores"][explanation.target]
    console.print(f"{explanation.target}: {probability:.4f}", style="bold", markup=False)
    order = sorted(range(len(explanation.tokens)), key=lambda i: -abs(explanation.scores[i]))
    rows = [
        {"token": explanation.shown[i], "score": explanation.scores[i]} for i in order if not explanation.special[i]
    ]
    table(rows[:15], {"token": _("token"), "score": ">" + _("score")}, _("There are no tokens."))
    sentences = [explanation.faithfulness["sentence"]]
    sentences += result.evaluation.sentences if result.evaluation else []
    sentences += [_("Note: {note}").format(note=note) for note in explanation.notes]
    sentences += _comparison_sentences(result)
    sentences += result.patching.sentences if result.patching else []
    for sentence in sentences:
        console.print(sentence, markup=False, soft_wrap=True)
    if result.lens is not None:
        _show_lens(result.lens)
    if page is not None:
        console.print(_("Written: {path}").format(path=page), markup=False)


def _show_lens(lens: LogitLens) -> None:
    """Print the best candidates after each layer; of a model that answers at each token, those at the last."""
    rows = []
    for layer, row in enumerate(lens.rows):
        candidates = ", ".join(f"{candidate.name} {candidate.probability:.2f}" for candidate in row[-1])
        rows.append({"layer": layer or _("embeddings"), "prediction": candidates})
    table(rows, {"layer": _("after layer"), "prediction": _("prediction")}, _("There are no layers."))


def _comparison_sentences(result: ExplainResult) -> list[str]:
    if result.other is None:
        return []
    own, other = result.explanation, result.other
    sentences = [
        _("The probability of {label} is {first:.2f} in {first_name} and {second:.2f} in {second_name}.").format(
            label=repr(own.target),
            first=own.prediction["scores"][own.target],
            first_name=result.names[0],
            second=other.prediction["scores"][other.target],
            second_name=result.names[1],
        )
    ]
    if result.divergence is not None:
        heads = ", ".join(
            _("head {head} of layer {layer} ({divergence:.2f} bits)").format(**head)
            for head in result.divergence.order[:3]
        )
        sentences.append(_("Attention differs most in {heads}.").format(heads=heads))
    return [*sentences, result.note] if result.note else sentences


# -- the page --------------------------------------------------------------------------------------------------------


def write_page(result: ExplainResult, run: Run, path: Path) -> None:
    """Write everything that was computed as one page that opens offline.

    Args:
        result: what was computed.
        run: the run, for the title.
        path: the file.

    Raises:
        RequestError: the folder does not exist.
        StorageError: the file cannot be written.
    """
    from workbench.explain.render.report import report

    if not path.parent.is_dir():
        raise RequestError(f"The folder {path.parent} does not exist.", "Create it first.")
    write_text(path, report(f"{run.id}: {result.explanation.target}", _sections(result)), SHARED)


def _sections(result: ExplainResult) -> list[Section]:
    from workbench.explain.render.curves import faithfulness_curves
    from workbench.explain.render.notebook import html
    from workbench.explain.render.report import Section

    sections = []
    if "tokens" in result.request.views:
        sections.append(Section(_("Scores of the tokens"), html=html(result.explanation)))
    if result.evaluation is not None:
        figures = faithfulness_curves(result.evaluation.curves, result.evaluation.target)
        sections.append(Section(_("Faithfulness"), result.evaluation.sentences, figures=figures))
    if result.lens is not None:
        sections.append(Section(_("Prediction after each layer"), html=html(result.lens)))
    return [*sections, *_comparison_sections(result), *_view_sections(result)]


def _comparison_sections(result: ExplainResult) -> list[Section]:
    from workbench.explain.render.canvas import comparison_view
    from workbench.explain.render.maps import divergence_map
    from workbench.explain.render.notebook import html
    from workbench.explain.render.positions import patching_maps
    from workbench.explain.render.report import Section

    if result.other is None:
        return []
    figures = [] if result.divergence is None else [divergence_map(result.divergence)]
    document = "" if result.side_by_side is None else comparison_view(*result.side_by_side, result.names)
    title = _("Compared with {name}").format(name=result.names[1])
    sections = [Section(title, _comparison_sentences(result), html(result.other), figures, document)]
    if result.patching is not None:
        maps = patching_maps(result.patching)
        sections.append(Section(_("What carries the difference"), result.patching.sentences, figures=maps))
    return sections


def _view_sections(result: ExplainResult) -> list[Section]:
    from workbench.explain.render.report import Section

    titles = {"head": _("Head view"), "model": _("Model view"), "canvas": _("All heads")}
    sections = []
    for view in result.request.views:
        for kind, attention in result.attentions.items() if view in titles else ():
            title = f"{titles[view]} {kind}".strip()
            sections.append(Section(title, document=_document(result.request, view, attention)))
    if result.neuron:
        sections.append(Section(_("Neuron view: queries and keys"), document=result.neuron))
    return sections


def _document(request: ExplainRequest, view: str, attention: Attention) -> str:
    """Draw one view. bertviz draws the selected layers and heads; the canvas has all, and begins with the selected."""
    from workbench.explain.render.bertviz import head_view, model_view
    from workbench.explain.render.canvas import canvas_view

    layers, heads = request.layers, request.heads
    if view == "canvas":
        return canvas_view(attention, layer=layers[-1] if layers else None, head=heads[0] if heads else 0)
    return (head_view if view == "head" else model_view)(attention, layers=layers, heads=heads)


def parse_indices(value: str | None, option: str) -> tuple[int, ...] | None:
    """Parse an option such as ``"0,3,5-7"``.

    Args:
        value: the option's value; None for all.
        option: its name, for the error message.

    Raises:
        RequestError: it is no list of numbers.
    """
    if value is None:
        return None
    indices: list[int] = []
    for item in value.split(","):
        first, dash, last = item.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise RequestError(f"--{option} {value!r} is not a list of numbers.", f"Write it as --{option} 0,3,5-7.")
        indices += range(int(first), int(last or first) + 1)
    return tuple(indices)


def refuse_views_without_page(views: Sequence[str]) -> None:
    """Raise RequestError for a view that only a page can show.

    Args:
        views: the requested views.
    """
    drawn = [view for view in views if view != "tokens"]
    if drawn:
        raise RequestError(f"The view {drawn[0]} needs a page.", "Name the file to write: --html FILE.")
