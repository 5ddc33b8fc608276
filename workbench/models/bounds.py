"""What a stranger's model folder may cost: its configuration and tokenizer are compared with its files before use.

``config.json`` says how many layers a model has and how large they are, and transformers builds what it says: ten
million layers take hours, in native code that hears no request to stop. The weights of the folder show what is
plausible. A tokenizer may multiply a text (normalizers or decoders that replace a letter by two, one after another),
add millions of tokens to it (padding, templates), or search it without end (regular expressions). What may depend on
the text is computed from its file; the rest shows when it reads some texts in a process with limits.
"""

from __future__ import annotations

import functools
import json
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from workbench.errors import RefusedError
from workbench.files import read_json
from workbench.system.limited_process import Limits, call
from workbench.types import Json, JsonObject

MAX_HEADER = 100 * 1024**2  # bytes of the header of a safetensors file; the format allows no more
MAX_LAYERS = 200  # of a model with few weights; with more weights as many as there are
MAX_MODULES = 20_000  # layers x experts
FACTOR = 4  # between the weights that a configuration needs and those in the folder
SLACK = 100_000_000  # weights that a configuration may need beyond that
MAX_GROWTH = 64  # how much longer normalizers may make a text
MAX_NORMALIZERS = 200
MAX_ADDED = 4096  # tokens that a tokenizer adds to a text or pads it with
PROBE_SECONDS = 30.0
PROBE_MEMORY = 3 * 1024**3
_PROBE_GROWTH = 40  # tokens for each character of a probe
_HINT = "The folder is damaged, or was made to cost. Use another model."
_SIZES = (
    "hidden_size", "n_embd", "d_model", "dim", "emb_dim", "embedding_size", "intermediate_size", "d_ff", "ffn_dim",
    "n_inner", "encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim", "width", "d_kv", "head_dim", "type_vocab_size",
)  # fmt: skip
_ROWS = ("vocab_size", "max_position_embeddings", "n_positions", "n_ctx", "max_positions")
_FEED_FORWARD = ("intermediate_size", "d_ff", "ffn_dim", "n_inner", "encoder_ffn_dim", "hidden_dim")
_WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "emb_dim", "width")


def refuse_absurd(folder: Path) -> None:
    """Refuse a model whose configuration is far larger than its weights, before it is built.

    Args:
        folder: in transformers' format, with safetensors.

    Raises:
        RefusedError: it has more layers, larger matrices or more rows than its weights can fill.
    """
    config = read_json(folder / "config.json")
    shapes = list(_shapes(folder))
    if not isinstance(config, dict) or not shapes:
        return
    weights = sum(math.prod(shape) for shape in shapes)
    widest = max((side for shape in shapes for side in shape), default=1)
    for section in _sections(config):
        _check_section(section, len(shapes), weights, widest, folder.name)


def _check_section(section: JsonObject, tensors: int, weights: int, widest: int, name: str) -> None:
    numbers = {key: value for key, value in section.items() if isinstance(value, int) and not isinstance(value, bool)}
    layers = {key: value for key, value in numbers.items() if _counts_layers(key)}
    experts = max((value for key, value in numbers.items() if "expert" in key and "per_tok" not in key), default=1)
    for key, value in layers.items():
        if value > max(MAX_LAYERS, tensors) or value * max(1, experts) > max(MAX_MODULES, 2 * tensors):
            raise _absurd(name, key, value, f"its files hold {tensors:,} weight matrices")
    if experts > max(MAX_LAYERS, tensors, widest):
        raise _absurd(name, "experts", experts, f"its files hold {tensors:,} weight matrices")
    for key in _SIZES:
        if numbers.get(key, 0) > FACTOR * max(widest, 1024):
            raise _absurd(name, key, numbers[key], f"the widest weight matrix in its files has {widest:,} columns")
    width = max((numbers.get(key, 0) for key in _WIDTHS), default=0)
    inner = max((numbers.get(key, 0) for key in _FEED_FORWARD), default=0) or 4 * width
    needed = max(layers.values(), default=0) * (4 * width * width + 2 * width * inner)
    for key in _ROWS:
        if numbers.get(key, 0) * max(width, 1) > FACTOR * weights + SLACK:
            raise _absurd(name, key, numbers[key], f"its files hold {weights:,} weights")
    if needed > FACTOR * weights + SLACK:
        raise _absurd(name, "layers and sizes that need", needed, f"its files hold {weights:,} weights")


def _counts_layers(key: str) -> bool:
    """Return whether a field says how many layers there are; others name one, or describe it."""
    return key in ("n_layer", "n_layers", "layers", "depth") or (key.startswith("num_") and key.endswith("layers")) or (
        key.endswith(("encoder_layers", "decoder_layers", "hidden_layers"))
    )  # fmt: skip


def _absurd(name: str, key: str, value: int, but: str) -> RefusedError:
    shown = f"{value:,}" if value < 10**15 else f"{float(value) if value < 10**300 else math.inf:.2g}"
    return RefusedError(f"config.json in {name[:80]} has {key} {shown}, but {but}.", _HINT)


def _sections(config: Mapping[str, Json]) -> Iterator[JsonObject]:
    """Yield a configuration and those inside it."""
    pending: list[Json] = [dict(config)]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(item for item in value.values() if isinstance(item, dict))


def _shapes(folder: Path) -> Iterator[list[int]]:
    """Yield the shapes of the weights, as the headers of the safetensors files list them."""
    for path in sorted(folder.glob("model*.safetensors")):
        try:
            with open(path, "rb") as file:
                (size,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(size)) if size <= MAX_HEADER else {}
        except (OSError, ValueError, RecursionError, struct.error):
            continue  # loading it says what is wrong
        for name, entry in header.items() if isinstance(header, dict) else ():
            shape = entry.get("shape") if isinstance(entry, dict) and name != "__metadata__" else None
            if isinstance(shape, list) and all(isinstance(side, int) for side in shape):
                yield shape


# -- tokenizers ---------------------------------------------------------------------------------------------------


def refuse_costly_tokenizer(folder: Path) -> None:
    """Refuse a tokenizer that multiplies texts, or reads a short text without end.

    Args:
        folder: with ``tokenizer.json``; without it nothing is checked.

    Raises:
        RefusedError: it does.
    """
    file = folder / "tokenizer.json"
    try:
        stat = file.stat()
    except OSError:
        return
    _check_tokenizer(file, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=32)
def _check_tokenizer(file: Path, changed: int, size: int) -> None:
    document = read_json(file)
    if isinstance(document, dict):
        for part in ("normalizer", "decoder"):
            growth, count = _growth(document.get(part))
            if growth > MAX_GROWTH or count > MAX_NORMALIZERS:
                raise RefusedError(
                    f"The tokenizer of {file.parent.name[:80]} has {count:,} {part}s that may make a text {growth:.3g} "
                    f"times as long; at most {MAX_NORMALIZERS} and {MAX_GROWTH} times are allowed.",
                    _HINT,
                )
    what = f"Reading a short text with the tokenizer of {file.parent.name[:80]}"
    call(
        "workbench.models.bounds:probe_tokenizer",
        {"path": str(file)},
        Limits(PROBE_MEMORY, PROBE_SECONDS, what, _HINT, RefusedError),
    )


def _growth(part: Json) -> tuple[float, int]:
    """Return by how much normalizers or decoders lengthen a text at most, and how many they are."""
    growth, count = 1.0, 0
    pending: list[Json] = [part]
    while pending and count <= MAX_NORMALIZERS:
        value = pending.pop()
        if not isinstance(value, dict):
            continue
        nested = value.get("normalizers", value.get("decoders"))
        if isinstance(nested, list):
            pending.extend(nested)
            continue
        count += 1
        if value.get("type") == "Replace":
            pattern, content = value.get("pattern"), str(value.get("content", ""))
            text = pattern.get("String") if isinstance(pattern, dict) else None
            shortest = max(1, len(text)) if isinstance(text, str) else 1  # a regular expression may match one letter
            growth *= max(1.0, len(content) / shortest)
        elif value.get("type") == "Prepend":
            growth *= max(1.0, 1 + len(str(value.get("prepend", ""))) / 100)
    return growth, count


_PROBES = (
    "a" * 400 + "b",
    "A" * 200,
    "1" * 200,
    " " * 200,
    "The quick brown fox, naïve café: 12.5% of 東京! " * 8,
    "\ufdfa" * 20,  # one character that normalization makes 18 of
)


def probe_tokenizer(path: str) -> int:
    """Read a few texts with a tokenizer; runs in a process with limits of memory and time.

    Args:
        path: a ``tokenizer.json``.

    Returns:
        The number of tokens.

    Raises:
        RefusedError: a text has far more tokens than characters, or cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception:  # the library raises plain exceptions; loading it says what is wrong
        return 0
    total = 0
    for text in _PROBES:
        try:
            count = len(tokenizer.encode(text, add_special_tokens=False).ids)
            ids = tokenizer.encode(text, text).ids
            added, written = len(ids) - 2 * count, len(tokenizer.decode(ids, skip_special_tokens=False))
        except MemoryError:
            raise
        except BaseException as error:  # a search that gives up is a panic of the library, which is no Exception
            reason = " ".join(str(error).split())[:200]
            raise RefusedError(
                f"The tokenizer fails on a text of {len(text):,} characters: {reason}.", _HINT
            ) from error
        if count > _PROBE_GROWTH * len(text) + MAX_ADDED or added > MAX_ADDED:
            raise RefusedError(f"The tokenizer makes {len(ids):,} tokens of {2 * len(text):,} characters.", _HINT)
        if written > MAX_GROWTH * (2 * len(text) + len(ids)) + MAX_ADDED:
            raise RefusedError(f"The tokenizer writes {written:,} characters for {len(ids):,} tokens.", _HINT)
        total += count
    return total
