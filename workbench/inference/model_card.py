"""The model card of a run's result: ``README.md`` next to the model, for people who find the folder.

It follows the hub's model cards (Mitchell et al. 2019, "Model Cards for Model Reporting"): YAML front matter, then the
task, the data, metrics with intervals, settings, limits, and how to load the model without the workbench. Names and
notes come from users and files, so all of them are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from workbench.data.catalogue.entries import DatasetEntry, Entry, HubSource, ModelEntry, catalogue
from workbench.data.catalogue.naming import find_entry
from workbench.files import SHARED, read_json, write_atomically
from workbench.formatting import shorten
from workbench.models.export import OUR_TYPES
from workbench.models.pooling import stored_pooling
from workbench.models.safety import ADAPTER_FILE
from workbench.runs.documents import BaseNote, Environment, Interval, Report
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.types import Json

FILE_NAME = "README.md"
MAX_TEXT = 300  # characters of a name or a note
MAX_LABELS = 50  # that are listed
_MARKDOWN = re.compile(r"[\\`*_\[\]#|~$]|://|^[-+=]")  # what Markdown would format, link, or begin a list with
_PIPELINES = {  # of transformers, by head
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForMaskedLM": "fill-mask",
    "AutoModelForCausalLM": "text-generation",
}
_PIPELINE_TAGS = {**_PIPELINES, "AutoModelForQuestionAnswering": "question-answering"}  # that the hub knows
# Tasks whose answers are not what the pipeline of their head returns.
_OWN_DECODING = ("recommendation", "relation-extraction", "masked-lm-nsp")
_PAIRS = ("recommendation", "multiple-choice")  # tasks whose inputs are pairs of texts
_NO_BASE = "# peft cannot load the base by a name. Write one model with: workbench merge RUN"
_CARD = """\
{front_matter}
# {title}

{summary}

## Data

{data}

## Evaluation

{evaluation}

## Training

{training}

## Limits

{limits}

## Use

{use}
"""


def write_model_card(run: Run, folder: Path, report: Report | None = None) -> Path:
    """Write the card of a finished run's model.

    Args:
        run: the run.
        folder: the folder of the model: the run's own, or a merged one.
        report: the run's report, if it is not written yet.

    Returns:
        The file.
    """
    text = model_card(run, folder, report).encode("utf-8", "replace")
    path = folder / FILE_NAME
    write_atomically(path, lambda file: file.write(text), SHARED)
    return path


def model_card(run: Run, folder: Path, report: Report | None = None) -> str:
    """Return the card of a finished run's model as Markdown.

    Args:
        run: the run.
        folder: the folder of the model.
        report: the run's report, if it is not written yet.
    """
    spec, report, note = run.spec(), report or run.report() or Report(), run.base_note() or BaseNote()
    environment = run.environment() or Environment()
    adapter = (folder / ADAPTER_FILE).exists()
    base, data = _base_entry(spec), _dataset_entry(spec)
    return _CARD.format(
        front_matter=_front_matter(spec, note, report, adapter, base),
        title=escape(spec.name or run.id),
        summary=_summary(spec, note, adapter, base),
        data=_data(spec, report, environment, data),
        evaluation=_evaluation(report),
        training=_training(run.id, spec, note, report, environment),
        limits=_limits(spec, note, report),
        use=_use(note, folder, adapter),
    )


def escape(text: object) -> str:
    """Return a text on one line that Markdown and HTML show as it is.

    Args:
        text: any value.
    """
    line = shorten(text, MAX_TEXT)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", line)


# -- sections --------------------------------------------------------------------------------------------------------


def _front_matter(spec: RunSpec, note: BaseNote, report: Report, adapter: bool, base: ModelEntry | None) -> str:
    fields: dict[str, Json] = {"library_name": "peft" if adapter else "transformers"}
    tag = _PIPELINE_TAGS.get(note.head or "")
    if tag and spec.task.name not in _OWN_DECODING and not note.pooling:  # the hub would show a pipeline's answers
        fields["pipeline_tag"] = tag
    if base is not None:
        if base.terms is None:
            fields["license"] = base.licence.lower()
        else:
            fields |= {"license": "other", "license_name": base.licence, "license_link": base.terms.address}
        fields["language"] = list(base.languages)
    name = _hub_name(spec, base)
    if name:
        fields["base_model"] = name
    fields["tags"] = [spec.task.name, *([spec.tuning.method] if adapter else [])]
    fields["metrics"] = [name for name in report.metrics if name != "loss"]
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=False)}---\n"


def _summary(spec: RunSpec, note: BaseNote, adapter: bool, base: ModelEntry | None) -> str:
    kind = f"An adapter ({escape(spec.tuning.method)})" if adapter else "A model"
    source = escape(_short_source(spec.model.source))
    lines = [f"{kind} for {escape(spec.task.name)}, trained from {source}."]
    if base is not None:
        lines.append(f"{escape(base.label)}. Licence: {escape(base.licence)}. {escape(base.citation or '')}".rstrip())
        if base.terms is not None:
            lines.append(f"{escape(base.terms.notice)} They apply to this model as well.")
    if note.labels:
        shown = ", ".join(f"{i} = {escape(label)}" for i, label in enumerate(note.labels[:MAX_LABELS]))
        more = f", and {len(note.labels) - MAX_LABELS} more" if len(note.labels) > MAX_LABELS else ""
        lines.append(f"Labels: {shown}{more}.")
    return "\n\n".join(lines)


def _data(spec: RunSpec, report: Report, environment: Environment, entry: DatasetEntry | None) -> str:
    rows = [["training", _file_name(spec.data.train)]]
    rows += [
        [name, _file_name(file)] for name, file in (("validation", spec.data.valid), ("test", spec.data.test)) if file
    ]
    rows += [[f"{name} examples", f"{count:,}"] for name, count in report.examples.items()]
    rows.append(["fingerprint", report.data_fingerprint or environment.data_fingerprint or "not known"])
    if entry is not None:
        rows += [["data set", entry.label], ["licence", entry.licence], ["citation", entry.citation or "none"]]
    else:
        rows.append(["licence", "not known: the data are the user's own files"])
    return _table(["", ""], rows)


def _evaluation(report: Report) -> str:
    split = {"valid": "validation split, which also chose the weights"}.get(
        report.evaluated_on or "", f"{report.evaluated_on or 'test'} split"
    )
    rows = []
    for name, metric in report.metrics.items():
        baseline = report.baseline.get(name)
        rows.append([name, _number(metric.value), _interval(metric), "" if baseline is None else _number(baseline)])
    text = f"On the {escape(split)}; the baseline is {escape(report.baseline_name or 'not given')}.\n\n"
    return text + _table(["metric", "value", "95% interval", "baseline"], rows)


def _training(run_id: str, spec: RunSpec, note: BaseNote, report: Report, environment: Environment) -> str:
    training = spec.training
    options: list[list[object]] = [[name, value] for name, value in note.tuning.items() if name != "method"]
    packages: list[list[object]] = [[name, version] for name, version in environment.packages.items()]
    rows: list[list[object]] = [
        ["run", run_id],
        ["fine-tuning method", spec.tuning.method],
        *options,
        ["epochs", training.epochs],
        ["steps", report.steps],
        ["batch size", f"{training.batch_size} x {training.gradient_accumulation}"],
        ["peak learning rate", training.learning_rate],
        ["learning rate schedule", f"{training.lr_schedule}, warm-up {training.warmup_ratio}"],
        ["weight decay", training.weight_decay],
        ["seed", training.seed],
        ["device", environment.device.get("name")],
        ["precision", environment.device.get("precision")],
        ["training time in seconds", report.cost.seconds],
        ["trainable weights", report.cost.trained_parameters],
        *packages,
    ]
    return _table(["setting", "value"], [row for row in rows if row[1] is not None])


def _limits(spec: RunSpec, note: BaseNote, report: Report) -> str:
    limits = [f"It reads at most {note.max_length or spec.data.max_length} tokens of a text, as in training."]
    if note.labels and (note.head or "").endswith("Classification"):
        limits.append("It knows the labels above and no others: it assigns one of them to any text.")
    limits.append(
        "The metrics hold for texts like those of the test data. Other sources, times and languages were not measured."
    )
    limits += [escape(text) for text in report.notes[:20]]
    return "\n".join(f"- {text}" for text in limits)


def _use(note: BaseNote, folder: Path, adapter: bool) -> str:
    config = read_json(folder / "config.json")
    kind = str(config.get("model_type", "")) if isinstance(config, dict) else ""
    if kind.startswith(OUR_TYPES):
        return (
            f"The architecture ({escape(kind)}) is the workbench's own. `workbench merge RUN` writes a folder that "
            "transformers loads, if it has such an architecture. `workbench predict RUN` uses the model as it is."
        )
    pooling = note.pooling if adapter else stored_pooling(config)
    if pooling is not None:
        code = _pooled_code(note, pooling, _adapter_base(folder) if adapter else None)
    else:
        code = _adapter_code(note, folder) if adapter else _model_code(note)
    return f"`FOLDER` is the folder of this file.\n\n```python\n{code}\n```"


def _model_code(note: BaseNote) -> str:
    head, length = note.head or "AutoModel", note.max_length or 512
    pipeline = _PIPELINES.get(head)
    if pipeline == "text-classification" and note.task.get("name") not in _OWN_DECODING:
        every = ", top_k=None" if note.task.get("multi_label") else ""
        inputs = '{"text": "...", "text_pair": "..."}' if note.task.get("pairs") else '"..."'
        return (
            "from transformers import pipeline\n\n"
            "# truncation=True: longer texts are cut as in training\n"
            f'classify = pipeline("text-classification", model=FOLDER, truncation=True{every})\n'
            f"print(classify({inputs}))"
        )
    if pipeline == "token-classification":
        return (
            "from transformers import pipeline\n\n"
            f"# a longer text is read in windows of {length} tokens\n"
            'tag = pipeline(\n    "token-classification", model=FOLDER, aggregation_strategy="first", '
            f"stride={length // 4}\n)\n"
            'print(tag("..."))'
        )
    if pipeline in ("fill-mask", "text-generation") and note.task.get("name") not in _OWN_DECODING:
        return f'from transformers import pipeline\n\nmodel = pipeline("{pipeline}", model=FOLDER)\nprint(model("..."))'
    return (
        f"from transformers import AutoTokenizer, {head}\n\n"
        f"tokenizer = AutoTokenizer.from_pretrained(FOLDER)  # cuts a text after {length} tokens\n"
        f"model = {head}.from_pretrained(FOLDER).eval()\n"
        'outputs = model(**tokenizer("...", truncation=True, return_tensors="pt"))'
    )


def _pooled_code(note: BaseNote, pooling: str, base: str | None) -> str:
    """Return the code for a token classifier whose logits are pooled; ``base`` is that of an adapter."""
    if base == "":
        return _NO_BASE
    labels = "" if base is None else f", num_labels={len(note.labels) or 1}"
    inputs = '["..."], ["..."]' if note.task.get("pairs") or note.task.get("name") in _PAIRS else '["..."]'
    normalize = ".sigmoid()" if note.task.get("multi_label") else ".softmax(-1)" if note.labels else ""
    pooled = {"cls": "logits[:, 0]", "mean": "(logits * mask).sum(1) / mask.sum(1)"}[pooling]
    what = {"cls": "those of its first token", "mean": "their mean"}[pooling]
    return (
        "import torch\n"
        + ("from peft import PeftModel\n" if base else "")
        + "from transformers import AutoModelForTokenClassification, AutoTokenizer\n\n"
        f"# The head scores each token; the scores of a text are {what}.\n"
        "# AutoModelForSequenceClassification and its pipeline read another vector, and do not answer the same.\n"
        "tokenizer = AutoTokenizer.from_pretrained(FOLDER)\n"
        f"model = AutoModelForTokenClassification.from_pretrained({base or 'FOLDER'}{labels}).eval()\n"
        + ("model = PeftModel.from_pretrained(model, FOLDER).eval()\n" if base else "")
        + f'batch = tokenizer({inputs}, padding=True, truncation=True, return_tensors="pt")\n'
        "with torch.no_grad():\n"
        "    logits = model(**batch).logits  # [texts, tokens, labels]\n"
        + ('mask = batch["attention_mask"].unsqueeze(-1)\n' if pooling == "mean" else "")
        + f"print(({pooled}){normalize})"
    )


def _adapter_base(folder: Path) -> str:
    """Return the arguments by which transformers loads an adapter's base; an empty text if it cannot."""
    config = read_json(folder / ADAPTER_FILE)
    name = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    revision = config.get("revision") if isinstance(config, dict) else None
    return f"{_literal(name)}{f', revision={_literal(revision)}' if revision else ''}" if name else ""


def _adapter_code(note: BaseNote, folder: Path) -> str:
    head, base = note.head or "AutoModel", _adapter_base(folder)
    if not base:
        return _NO_BASE
    labels = f", num_labels={len(note.labels)}" if note.labels else ""
    return (
        "from peft import PeftModel\n"
        f"from transformers import AutoTokenizer, {head}\n\n"
        f"base = {head}.from_pretrained({base}{labels})\n"
        "model = PeftModel.from_pretrained(base, FOLDER).eval()\n"
        "tokenizer = AutoTokenizer.from_pretrained(FOLDER)\n"
        'outputs = model(**tokenizer("...", truncation=True, return_tensors="pt"))'
    )


# -- pieces ----------------------------------------------------------------------------------------------------------


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _literal(text: object) -> str:
    """Return a text as a Python string on one line, without a backtick that would end the block of code."""
    return ascii(str(text)).replace("`", "\\x60")


def _number(value: float | int | None) -> str:
    return "not a number" if value is None else f"{value:.4f}"


def _interval(metric: Interval) -> str:
    if metric.low is None or metric.high is None:
        return ""
    return f"{metric.low:.4f} to {metric.high:.4f}"


def _file_name(source: str) -> str:
    """Return the name of a file without the folders of this machine; other sources as they are."""
    return source if source.startswith("hf:") else Path(source).name or source


def _short_source(source: str) -> str:
    kind, separator, argument = source.partition(":")
    return f"path:{Path(argument).name}" if separator and kind == "path" else source


def _base_entry(spec: RunSpec) -> ModelEntry | None:
    return catalogue().models.get(spec.model.source)


def _dataset_entry(spec: RunSpec) -> DatasetEntry | None:
    return find_entry(spec.data.train)


def _hub_name(spec: RunSpec, entry: Entry | None) -> str | None:
    """Return the repository of the base on the hub; None if it is not known."""
    if spec.model.source.startswith("hf:"):
        return spec.model.source.removeprefix("hf:").partition("@")[0]
    sources = entry.sources if entry is not None else ()
    return next((source.repository for source in sources if isinstance(source, HubSource)), None)
