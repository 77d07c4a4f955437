"""Personal data that are known by their form: e-mail addresses, card numbers, IBANs, phone numbers, national IDs.

Where a form alone says too little, its check digits must fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from obs_middleware.redaction.national_ids import hide_national_ids, is_ean, luhn

_email = re.compile(
    r"(?<![\w.%+@-])(?<!//)(?!celery@|git@|hg@|svn@|getty@)(?P<user>[\w.%+-][\w.%+'-]*|\"[^\"\s]{1,64}\")"
    r"(?:@|%40|&#64;)(?P<host>[\w-]+(?:\.[\w-]+)*\.(?!(?:service|socket|target|timer|mount|slice|"
    r"scope|device|path|swap|automount|"
    r"png|jpe?g|gif|svg|webp|css|js|mjs|ts|py|so|dll|html?|json|ya?ml|md|txt|zip|gz|log|conf|cfg|"
    r"lock)\b)[^\W\d_]{2,24}\b|xn--[\w-]+(?:\.[\w-]+)+)"
    r"(?!@|:[\w.~-]+/)",
)
_cards = re.compile(
    r"(?:(?<![A-Za-z\d.])|(?<=%B))\d(?:(?:[ .+_-]|%20|\u00a0)?\d){12,47}(?!\.?\d{2}|\d?[A-Za-z])", re.ASCII
)
# UUIDs and traceparents: random digits, among which a card number or an IBAN may stand by chance.
_random_id = re.compile(
    r"((?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|"
    r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})(?![0-9A-Za-z]))"
)
_group = re.compile(r"\d+", re.ASCII)
_iban = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?(?![A-Za-z0-9])", re.ASCII
)
_phone = re.compile(
    r"(?<![\w+.:/=-])(?:\+|00(?=[1-9]\d{1,2}[ -]))(?=[1-9(])(?:[ ().-]{0,2}\d){8,15}(?![\w.:%]*\d|[%:]|\w)",
    re.ASCII,
)
_phone_after_sign = re.compile(r"(?<=[=:])\+(?=[1-9])(?:[ ().-]{0,2}\d){8,15}(?!\d|[%:]\d)", re.ASCII)
_us_phone = re.compile(
    r"(?<![\w.-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}-)[2-9]\d{2}[-.]\d{4}(?![\w-]|\.\d)", re.ASCII
)
_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in re.findall(
        r"\S+",
        """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29
    ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20
    LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25
    QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
        """,
    )
}
_CARDS = re.compile(
    r"4(?:\d{12}|\d{15})|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}|3[47]\d{13}|"
    r"(?:6011|65\d{2}|64[4-9]\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14}|"
    r"220[0-4]\d{12}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,12}"
).fullmatch
_phone_by_context = re.compile(
    r"(\b(?:tel|telephone|telefon|phone|mobile|cell|fax|whatsapp|handy)"
    r"(?:[ _-]?(?:no|number|nr))?\.?[\"']?\s?[:= ]\s?[\"']?)"
    r"(\(?\+?\d[\d ()/-]{6,18}\d)(?![\w.])",
    re.IGNORECASE | re.ASCII,
)
# Numbers that nothing but the words before them make personal.
_by_context = re.compile(
    r"\b(?:ssn|social security(?: number| no\.?)?|nino|national insurance(?: number| no\.?)?|"
    r"ni number|nhs(?: number| no\.?)?|"
    r"nir|num[eé]ro de s[eé]curit[eé] sociale|steuer[-_ ]?id(?:nr)?|steuernummer|personnummer|"
    r"cpr(?:[-_ ]?nr)?|bsn|pesel|cpf|dni|nie|nif|"
    r"codice fiscale|aadhaar(?: number)?|pan card|sin|tfn|tax[-_ ]?(?:id|file number|number)|itin|"
    r"passport(?: number| no\.?)?|"
    r"driver'?s? licen[cs]e(?: number| no\.?)?|driving licen[cs]e(?: number)?|id card(?: number|"
    r" no\.?)?|national id(?: number)?|"
    r"rut|reisepass(?:nummer)?|ausweis(?:nummer)?|medicare(?: number)?|account (?:number|no\.?)|bank account|"
    r"routing number|sort code|member id|"
    r"patient id|mrn)"
    r"[\"']?\s{0,3}(?:is|was|of|[=:#])?\s{0,3}[\"']?(?P<number>(?=[A-Z]{0,4}-?\d|"
    r"[A-Z]\d)[A-Z\d](?:[ ./-]?[A-Z\d]){4,24})\b",
    re.IGNORECASE,
)


def hide_emails(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without e-mail addresses; packages with a version and units of systemd are none."""
    return _email.sub(lambda match: mark(match[0]), text)


def hide_numbers(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without card numbers, IBANs, phone numbers and national IDs."""
    if text.count("-") >= 3:
        pieces = _random_id.split(text)
        if len(pieces) > 1:
            pieces[::2] = [hide_numbers(piece, mark) for piece in pieces[::2]]
            return "".join(pieces)
    text = _phone_by_context.sub(
        lambda match: match[1] + (mark(match[2]) if _has_phone_digits(match[2]) else match[2]), text
    )
    text = _by_context.sub(lambda match: _hide_named(match, mark), text)
    text = _iban.sub(lambda match: _hide_iban(match[0], mark), text)
    text = hide_national_ids(text, mark)
    if "+" in text or "00" in text:
        text = _phone.sub(lambda match: mark(match[0]) if _is_phone(match[0]) else match[0], text)
        text = _phone_after_sign.sub(lambda match: mark(match[0]) if _is_phone(match[0]) else match[0], text)
    text = _cards.sub(lambda match: _hide_cards(match[0], mark), text)
    return _us_phone.sub(lambda match: mark(match[0]), text)


def _hide_named(match: re.Match[str], mark: Callable[[str], str]) -> str:
    number = match["number"]
    number = number[: re.match(r"(?:\S*\d\S*|[A-Z]+)(?: (?:\S*\d\S*|[A-Z](?![a-z])))*", number).end()]  # type: ignore[union-attr]
    start = match.start("number") - match.start()
    is_shown = sum(char.isdigit() for char in number) < 5
    return match[0] if is_shown else match[0][:start] + mark(number) + match[0][start + len(number) :]


def _has_phone_digits(text: str) -> bool:
    return 7 <= sum(char.isdigit() for char in text) <= 15


def is_card(digits: str) -> bool:
    """Tell whether the digits may be a card number: its beginning, length and check digit (ISO/IEC 7812-1)."""
    return (
        bool(_CARDS(digits))
        and luhn(digits)
        and len(set(digits)) > 1
        and not (len(digits) == 13 and is_ean(digits))
    )


def _hide_cards(text: str, mark: Callable[[str], str]) -> str:
    """Hide the card numbers among groups of digits; other numbers may stand beside them."""
    groups = [group.span() for group in _group.finditer(text.replace("%20", "   "))]
    for index, (start, _) in enumerate(groups):
        for last in range(index, min(index + 5, len(groups))):
            end = groups[last][1]
            sizes = [right - left for left, right in groups[index : last + 1]]
            is_fraction = (
                last == index and text[start - 1 : start] == "." and text[start - 2 : start - 1].isdigit()
            )
            if end - start >= 13 and not is_fraction and _are_of_a_card(sizes):
                digits = "".join(char for char in text[start:end].replace("%20", " ") if char.isdigit())
                if is_card(digits):
                    rest = _cards.sub(lambda match: _hide_cards(match[0], mark), text[end:])
                    return f"{text[:start]}{mark(digits)}{rest}"
    return text


def _are_of_a_card(sizes: list[int]) -> bool:
    """Tell whether digits are grouped as those of cards: all in one, by fours, or 4-6-5 and 4-6-4."""
    if len(sizes) == 1:
        return True
    return (all(size == 4 for size in sizes[:-1]) and sizes[-1] <= 4) or (
        sizes[:2] == [4, 6] and len(sizes) == 3
    )


def _hide_iban(text: str, mark: Callable[[str], str]) -> str:
    bare = "".join(char for char in text if char.isalnum())
    length = _IBAN_LENGTHS.get(bare[:2], 0)
    if not length or len(bare) < length:
        return text
    bare = bare[:length]
    digits = "".join(str(int(char, 36)) for char in bare[4:] + bare[:4])
    if int(digits) % 97 != 1:
        return text
    end, seen = 0, 0
    for end, char in enumerate(text, 1):  # noqa: B007
        seen += char.isalnum()
        if seen == length:
            break
    return mark(bare) + text[end:]


def _is_phone(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    has_groups = any(char in " -()" for char in text.strip())
    return (9 if has_groups else 10) <= digits <= 15 and not text.startswith("00 ")
