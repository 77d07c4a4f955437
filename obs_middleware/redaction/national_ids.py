"""National IDs by their form and check digits, and check digits that cards and articles share."""

from __future__ import annotations

import re
from collections.abc import Callable

_national = re.compile(
    r"""(?<![\w.-])(?:
        (?P<ssn> (?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4} )
      | (?P<nino> (?:(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]|QQ)
        (?:\d{6}|[ ]\d\d[ ]\d\d[ ]\d\d[ ]?)[A-D] )
      | (?P<nir> [12][ ]?\d{2}[ ]?(?:0[1-9]|1[0-2]|2[0-9])[ ]?(?:\d{2}|2[AB])[ ]?\d{3}[ ]?\d{3}[ ]?\d{2} )
      | (?P<dni> (?:\d{8}|[XYZ]\d{7})-?[A-HJ-NP-TV-Z] )
      | (?P<cpf> \d{3}\.\d{3}\.\d{3}-\d{2} )
      | (?P<cnpj> \d{2}\.\d{3}\.\d{3}/\d{4}-\d{2} )
      | (?P<ahv> 756\.\d{4}\.\d{4}\.\d{2} )
      | (?P<aadhaar> [2-9]\d{3}[ ]\d{4}[ ]\d{4} )
      | (?P<fiscale> [A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z] )
      | (?P<china> [1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dX] )
      | (?P<hetu> (?:[0-2]\d|3[01])(?:0[1-9]|1[0-2])\d{2}[-+A]\d{3}[0-9A-FHJ-NPR-Y] )
      | (?P<personnummer> \d{6}[-+]\d{4} )
      | (?P<korea> \d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])-[1-4]\d{6} )
      | (?P<nric> [STFG]\d{7}[A-JZ] )
      | (?P<curp> [A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d )
    )(?![\w-]|\.\d)""",
    re.VERBOSE | re.ASCII,
)


def hide_national_ids(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without national IDs."""
    return _national.sub(lambda match: mark(match[0]) if _is_national(match) else match[0], text)


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of the others."""
    total = sum(int(digit) for digit in digits[-1::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def is_ean(digits: str) -> bool:
    """Tell whether the last digit is that of an article's number (EAN-13)."""
    return sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(digits)) % 10 == 0


def _is_national(match: re.Match[str]) -> bool:
    kind, text = match.lastgroup or "", match[0]
    digits = [int(char) for char in text if char.isdigit()]
    if kind in ("ssn", "nino", "korea", "curp"):
        return True
    if kind == "nir":
        bare = text.replace(" ", "").replace("2A", "19").replace("2B", "18")
        return len(bare) == 15 and 97 - int(bare[:13]) % 97 == int(bare[13:])
    if kind == "dni":
        number = text[:-1].rstrip("-").replace("X", "0").replace("Y", "1").replace("Z", "2")
        return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]
    if kind == "cpf":
        return (
            len(set(digits)) > 1
            and _mod11(digits[:9], range(10, 1, -1)) == digits[9]
            and _mod11(digits[:10], range(11, 1, -1)) == digits[10]
        )
    if kind == "cnpj":
        weights = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]
        return _mod11(digits[:12], weights[1:]) == digits[12] and _mod11(digits[:13], weights) == digits[13]
    if kind == "ahv":
        return is_ean("".join(map(str, digits)))
    if kind == "aadhaar":
        return _verhoeff(digits)
    if kind == "china":
        weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
        return "10X98765432"[sum(int(a) * b for a, b in zip(text, weights, strict=False)) % 11] == text[-1]
    if kind == "hetu":
        return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31] == text[-1]
    if kind == "personnummer":
        return luhn("".join(map(str, digits))) and 1 <= int(text[2:4]) <= 12 and 1 <= int(text[4:6]) <= 31
    if kind == "nric":
        total = sum(a * b for a, b in zip(digits, (2, 7, 6, 5, 4, 3, 2), strict=True)) + (
            4 if text[0] in "TG" else 0
        )
        return ("JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK")[total % 11] == text[-1]
    return _fiscale(text)


def _mod11(digits: list[int], weights: range | list[int]) -> int:
    rest = sum(a * b for a, b in zip(digits, weights, strict=True)) % 11
    return 0 if rest < 2 else 11 - rest


# Weights of the characters at odd places of an Italian codice fiscale.
_ODD_DIGITS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_ODD_LETTERS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", _ODD_DIGITS + _ODD_LETTERS, strict=True))


def _fiscale(text: str) -> bool:
    total = sum(
        _ODD[char] if index % 2 == 0 else (int(char) if char.isdigit() else ord(char) - 65)
        for index, char in enumerate(text[:15])
    )
    return chr(65 + total % 26) == text[15]


def _product(a: int, b: int) -> int:
    """Multiply in the dihedral group of order 10."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5


_P = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
for _ in range(6):
    _P.append([_P[-1][index] for index in _P[1]])


def _verhoeff(digits: list[int]) -> bool:
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = _product(check, _P[index % 8][digit])
    return check == 0
