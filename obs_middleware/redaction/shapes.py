"""Credentials that are known by their form alone: JWTs, private keys, webhooks, schemes, hashes, codes.

Facts about the forms are those of the services' own documentation and of the public rule lists of leak detectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from obs_middleware.redaction.tokens import TOKEN
from obs_middleware.redaction.values import is_placeholder, looks_secret

_WEBHOOKS = re.compile(
    r"(hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d+/|"
    r"api\.telegram\.org/bot|"
    r"hooks\.zapier\.com/hooks/catch/|hook\.[a-z]{2}\d\.make\.com/|outlook\.office(?:365)?\.com/webhook/|"
    r"[a-z0-9-]+\.webhook\.office\.com/webhookb2/|"
    r"chat\.googleapis\.com/v1/spaces/[^\s?]{1,64}\?key=|maker\.ifttt\.com/trigger/\w{1,64}/with/key/|"
    r"events\.pagerduty\.com/integration/|"
    r"hooks\.airtable\.com/workflows/v1/genericWebhook/)([^\s\"'<>]{8,512})"
)
_private_key = re.compile(
    r"-----BEGIN(?: [A-Z0-9]+){0,3} PRIVATE KEY(?: BLOCK)?-----"
    r"(?P<body>(?:[^-\"'<}]|-(?!----)){0,16000})"
)
_KEY_BODY = 16_000
_in_pieces = re.compile(r"[\w+/=\s\"'`,;:.()\[\]<>|\\&#-]*", re.ASCII).fullmatch
_twilio = re.compile(r"(\bAC[0-9a-f]{32}[\"']?[,:][ ]?[\"']?)([0-9a-f]{32})\b")
_putty = re.compile(r"(Private-Lines: \d+\s+|Private-MAC: )([A-Za-z0-9+/=\s]{16,8000})")
_jwt = re.compile(r"(?<![\w-])ey[jJ][\w-]{5,}\.[\w-]{4,}(?:\.[\w-]*){1,3}", re.ASCII)
SCHEMES = (
    *(
        "bearer",
        "basic",
        "negotiate",
        "ntlm",
        "apikey",
        "geniekey",
        "ssws",
        "splunk",
        "hawk",
        "mac ",
        "token",
        "bot ",
    ),
    *("digest", "jwt", "oauth", "dpop"),
)
_schemes = re.compile(
    rf"\b(?P<scheme>(?:{'|'.join(map(str.strip, SCHEMES))}),? +)"
    r"(?P<word>[^\s\"'`,;<>]{6,})",
    re.IGNORECASE,
)
_is_pair = re.compile(r"[A-Za-z_]+=[^=]").match  # of `token_type=bearer expires_in=3600`
_digest = re.compile(r"\b(digest|hawk|mac)( +(?:username|id|realm)=)([^\r\n]{1,2048})", re.IGNORECASE)
_hash = re.compile(
    r"\$(?:2[abxy]\$\d\d\$[./A-Za-z0-9]{50,60}|argon2\w{1,2}\$[^\s'\"]{20,512}|scrypt\$[^\s'\",]{20,512}|"
    r"(?:[156y]|apr1)\$[^\s$]{1,64}\$[./A-Za-z0-9]{20,128})|\b(?:pbkdf2_\w{1,16}|bcrypt_sha256|argon2|scrypt)\$[^\s'\",]{20,512}"
)
# What protocols of mail and Redis send: `AUTH PLAIN …`, `AUTH default …`, `"AUTH" "…"`.
_login = re.compile(r"(\bAUTH(?: [\w.-]{1,32})? |\"AUTH\" (?:\"[^\"\n]{1,64}\" )?\")([^\s\"'\\]{6,512})")
_code_of_person = re.compile(
    r"\byour (?:[\w-]{1,24} )?(?:code|pin|passcode)(?: is|:)? (\d{4,8})\b|"
    r"\b(\d{4,8}) (?:is|as) your (?:[\w-]{1,24} ){0,3}(?:code|pin)\b|"
    r"(?-i:\bPIN)(?: code| number)? ?:? (\d{4,6})\b",
    re.IGNORECASE,
)
_link = re.compile(
    r"(/(?:password[-_]?)?(?:reset|verify|verification|activate|activation|confirm|invite|invitation|magic|unsubscribe|hooks?|webhooks?)"
    r"(?:[-_](?:password|email|link|account))?/(?:[\w-]{1,12}/)?)([\w.~-]{16,512})"
)


def hide_shapes(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without the credentials that are known by their form."""
    if "PRIVATE KEY" in text:
        text = _hide_private_keys(text, mark)
    if "Private-" in text:
        text = _putty.sub(lambda match: match[1] + mark(match[2]), text)
    if "ey" in text:
        text = _jwt.sub(lambda match: mark(match[0]), text)
    if "AC" in text:
        text = _twilio.sub(lambda match: match[1] + mark(match[2]), text)
    if "AUTH" in text:
        text = _login.sub(
            lambda match: match[1] + mark(match[2]) if looks_secret(match[2]) else match[0], text
        )
    text = TOKEN.sub(lambda match: mark(match[0]), text)
    text = _link.sub(
        lambda match: match[1] + mark(match[2]) if looks_secret(match[2], strict=True) else match[0], text
    )
    if "://" in text or "hooks" in text or ".com/" in text:
        text = _WEBHOOKS.sub(lambda match: match[1] + mark(match[2]), text)
    return text


def _hide_private_keys(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without the bodies of private keys, also of those that a repr or a list has in pieces."""
    parts, copied = [], 0
    for match in _private_key.finditer(text):
        start, end = match.span("body")
        if start < copied:
            continue
        close = text.find("-----END", end, start + _KEY_BODY)
        if close > end and _in_pieces(text, end, close):
            end = close
        parts += [text[copied:start], mark(text[start:end])]
        copied = end
    return "".join([*parts, text[copied:]])


def hide_hashes(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without the hashes of passwords."""
    return _hash.sub(lambda match: mark(match[0]), text)


def hide_codes(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without codes that are sent to a person: `your code is 482913`."""

    def hidden(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return match[0].replace(code, mark(code))

    return _code_of_person.sub(hidden, text)


def hide_schemes(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without what follows `Bearer`, `Basic` and the like, unless it is a word of a sentence."""

    def hidden(match: re.Match[str]) -> str:
        word = match["word"].rstrip(".,;:!?)]}")
        scheme = match["scheme"].strip().lower()
        is_common = scheme in ("bearer", "basic")
        if (
            is_placeholder(word)
            or _is_pair(word)
            or not (
                looks_secret(word, strict=not is_common)
                or (is_common and _is_no_word(word))
                or (len(word) >= 24 and _is_no_word(word))
            )
        ):
            return match[0]
        return f"{match['scheme']}{mark(word)}{match['word'][len(word) :]}"

    text = _digest.sub(lambda match: f"{match[1]} {mark(match[3])}", text)
    return _schemes.sub(hidden, text)


def _is_no_word(word: str) -> bool:
    if any(char in word for char in "(:%{$") or "://" in word:
        return False
    if "=" in word.rstrip("=") or (word.endswith("=") and word[:-1].isalpha() and word[:-1].islower()):
        return False
    if word.isalpha() and (word.islower() or word.istitle() or word.isupper()) and len(word) < 20:
        return False
    return (
        (word.isalpha() and len(word) >= 12)
        or word.endswith("=")
        or (any(char.isdigit() for char in word) and looks_secret(word))
    )
