"""Lists and objects that a program printed into a text: JSON, Python's ``['a', 'b']`` and NumPy's ``['a' 'b']``.

Nothing is evaluated: the text is read token by token, and the nesting is limited.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator

from workbench.types import Json

MAX_DEPTH = 40  # brackets inside brackets

_BEGINS_LIST = re.compile(r"""\s*(?:\[\s*(?:u?["'\]])|\(\s*["']|(?:np\.|numpy\.)?array\(\s*\[)""")
_NUMBERS = re.compile(r"\s*[\[(][-+\d.,\s]+[\])]\s*")
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>[uU]?(?:'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"))
        |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
        |(?P<shortened>\.\.\.)
        |(?P<name>[A-Za-z_][\w.]*)
        |(?P<sign>[\[\](){},:=])
    )""",
    re.VERBOSE | re.DOTALL,
)
_CONSTANTS: dict[str, Json] = {
    **dict.fromkeys(("None", "null", "<NA>"), None),
    **dict.fromkeys(("True", "true"), True),
    **dict.fromkeys(("False", "false"), False),
    **dict.fromkeys(("nan", "NaN"), math.nan),
}
_CALLS = (
    "set",
    "frozenset",
    "array",
    "np.array",
    "numpy.array",
    "list",
    "tuple",
    "np.str_",
    "np.int64",
    "np.int32",
    "np.float64",
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}


def looks_like_list(text: str) -> bool:
    """Return whether a text begins like a printed list of texts, or is a printed list of numbers.

    Args:
        text: a cell of a table.
    """
    return bool(_BEGINS_LIST.match(text) or _NUMBERS.fullmatch(text))


def parse_list(text: str) -> list[Json] | None:
    """Return the items of a printed list; None for a text that is no list.

    A text that begins like a list but ends otherwise is a text: ``['Tis the season] he said``.

    Args:
        text: a cell of a table.

    Raises:
        ValueError: it begins and ends like a list, but is not one; the message completes a sentence.
    """
    if not looks_like_list(text):
        return None
    try:
        value = parse_literal(text)
    except ValueError:
        if text.rstrip()[-1] in "])" or text.lstrip().startswith(('["', "[u'")):
            raise
        return None
    return value if isinstance(value, list) else None


def parse_literal(text: str) -> Json:
    """Return the list, object, text or number that a program printed.

    Args:
        text: JSON, or what Python or NumPy print.

    Raises:
        ValueError: it is none of them; the message completes a sentence such as "column 'tags' ...".
    """
    try:
        value: Json = json.loads(text)
        return value
    except (ValueError, RecursionError):
        pass
    reader = _Reader(text)
    value = reader.value(0)
    if reader.sign is not None or reader.kind:
        raise reader.invalid()
    return value


class _Reader:
    """Reads one literal; ``kind`` and ``token`` are the token that comes next, an empty kind is the end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = self._split()
        self.kind, self.token = next(self._tokens)

    @property
    def sign(self) -> str | None:
        """The next token if it is a bracket, comma, colon or equals sign."""
        return self.token if self.kind == "sign" else None

    def invalid(self) -> ValueError:
        """Return the error for a text that is no literal."""
        if "..." in self.text and self.kind == "shortened":
            return ValueError(f"holds {self.text[:60]!r}, a list that NumPy shortened: its middle (...) is lost")
        return ValueError(f"holds {self.text[:60]!r}, which is not a valid list or JSON")

    def value(self, depth: int) -> Json:
        """Read one value."""
        if depth > MAX_DEPTH:
            raise ValueError(f"holds lists nested more than {MAX_DEPTH} deep")
        kind, token = self.kind, self.token
        if kind == "sign" and token in _CLOSING:
            return self._object(depth) if token == "{" else self._items(depth)
        if kind not in ("text", "number", "name"):
            raise self.invalid()
        self._advance()
        if kind == "text":
            return self._unquoted(token)
        if kind == "number":
            return self._number(token)
        if token in _CALLS and self.sign == "(":
            return self._argument(depth)
        if token not in _CONSTANTS:
            raise self.invalid()
        return _CONSTANTS[token]

    def _split(self) -> Iterator[tuple[str, str]]:
        position, end = 0, len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position, end)
            if match is None or match.lastgroup is None:
                self.kind = "unknown"
                raise self.invalid()
            yield match.lastgroup, match[match.lastgroup]
            position = match.end()
        while True:
            yield "", ""

    def _advance(self) -> None:
        self.kind, self.token = next(self._tokens)

    def _expect(self, sign: str) -> None:
        if self.sign != sign:
            raise self.invalid()
        self._advance()

    def _items(self, depth: int) -> list[Json]:
        """Read a list or tuple, whose items are all separated by commas (Python) or all by spaces (NumPy)."""
        closing = _CLOSING[self.token]
        self._advance()
        items: list[Json] = []
        commas = 0
        while self.sign != closing:
            items.append(self.value(depth + 1))
            if self.sign == ",":
                commas += 1
                self._advance()
        self._advance()
        if commas and commas < len(items) - 1:
            raise self.invalid()
        return items

    def _object(self, depth: int) -> Json:
        """Read a dict, or a set as a list."""
        self._advance()
        pairs: dict[str, Json] = {}
        items: list[Json] = []
        while self.sign != "}":
            key = self.value(depth + 1)
            if self.sign == ":" and isinstance(key, str):
                self._advance()
                pairs[key] = self.value(depth + 1)
            else:
                items.append(key)
            if self.sign != "}":
                self._expect(",")
        self._advance()
        if pairs and items:
            raise self.invalid()
        return items or pairs

    def _argument(self, depth: int) -> Json:
        """Read the first argument of a call such as ``array(['a'], dtype=object)``, up to the closing bracket."""
        self._advance()
        value: Json = []
        if self.sign != ")":
            value = self.value(depth + 1)
        while self.sign == ",":
            self._advance()
            if self.sign == ")":
                break
            if self.kind != "name":
                raise self.invalid()
            self._advance()
            self._expect("=")
            if self.kind not in ("name", "text"):
                raise self.invalid()
            self._advance()
        self._expect(")")
        return value

    def _unquoted(self, token: str) -> str:
        token = token.lstrip("uU")
        if "\\" not in token:
            return token[1:-1]
        try:
            return str(ast.literal_eval(token.replace("\n", "\\n").replace("\r", "\\r")))
        except (ValueError, SyntaxError):
            raise self.invalid() from None

    def _number(self, token: str) -> int | float:
        try:
            return int(token)
        except ValueError:
            pass
        try:
            return float(token)
        except ValueError:
            raise self.invalid() from None
