"""Messages with planted secrets, near misses and messages of real programs, one a line in each file.

The secrets are made when a test runs: no file holds a text that a scanner or a host could take for a real one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent
_LETTERS = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
_ALPHABETS = {
    "w": _LETTERS + "0123456789",
    "h": "0123456789abcdef",
    "d": "123456789",
    "U": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "l": "abcdefghijklmnopqrstuvwxyz0123456789",
    "x": _LETTERS + "0123456789_-",
    "b": _LETTERS + "0123456789+/",
}
_secret = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_random = re.compile(r"<([whdUlxb])(\d+)>")


class Planted(NamedTuple):
    """A message and the secrets in it."""

    kind: str
    message: str
    secrets: tuple[str, ...]

    def comes_out(self, shown: str) -> bool:
        """Tell whether a secret, or half of a long one, is left in what is shown."""
        return any(any(part in shown for part in _parts(secret)) for secret in self.secrets)


def planted(name: str) -> Iterator[Planted]:
    """Yield the messages with planted secrets."""
    for line in _lines(name):
        kind, _, text = line.partition(" | ")
        text = _filled(text, seed=kind)
        yield Planted(kind, _secret.sub(lambda match: match[1], text), tuple(_secret.findall(text)))


def messages(name: str, *, times: int = 1) -> Iterator[str]:
    """Yield the messages of a file, each with several fillings of its random parts."""
    for line in _lines(name):
        for seed in range(times):
            yield _filled(line, seed=f"{seed} {line}")


def _lines(name: str) -> Iterator[str]:
    for line in (_HERE / name).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("# "):
            yield line.replace("⏎", "\n")


def _filled(text: str, *, seed: str) -> str:
    source = random.Random(seed)

    def fill(match: re.Match[str]) -> str:
        chars = "".join(source.choices(_ALPHABETS[match[1]], k=int(match[2])))
        # A password or a token of letters alone may come about by chance, and is another kind.
        return f"{chars[0]}Q7m{chars[4:]}" if match[1] == "w" and len(chars) >= 4 else chars

    return _random.sub(fill, text).replace("<>", "")


def _parts(secret: str) -> tuple[str, ...]:
    half = len(secret) // 2
    return (secret, secret[half:], secret[: half + 1]) if len(secret) >= 8 else (secret,)
