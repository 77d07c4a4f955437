"""What a value looks like: a secret, the name of one, a placeholder, a sentence."""

from __future__ import annotations

import re

from obs_middleware.redaction import languages

# What stands in the place of a secret: a mask, nothing, a parameter, a variable.
_is_placeholder = re.compile(
    r"""[*•●.#_?-]{2,}|x{3,}|\*+|-|none|null|nil|undefined|nan|true|false|yes|no|n/a|tbd|\?|\{\}|\[\]|\(\)
      | %[srdqv]|%\(\w+\)[srd]|\{[\w.!:]*\}|\$\{[^}]*\}|\$\([^)]*\)|\$[A-Za-z_]+|\$\d{1,2}|\{\{[^}]*\}\}|:[a-z_]+
      | @[a-z_]+|%[A-Z_]+%|<[A-Za-z][\w -]*>|<\*+>
      | [<\[(]?\W*(?:filtered|redacted|hidden|masked|scrubbed|removed|omitted|secret|sensitive|obfuscated)\W*[>\])]?
      | \[(?:[a-z]+\ )?(?:filtered|redacted|hidden|masked|scrubbed|removed|omitted)(?:\ [a-z]+)?\]
      | (?:REDACTED)(?:-[a-p]{12})?
      | !(?:vault|secret|ref|sub|env|env_var|reference|getatt|include)
      | your[-_ ]?[\w -]*|changeme|change[-_]me|example|optional|\.\.\.|\x85|…
    """,
    re.VERBOSE | re.IGNORECASE,
).fullmatch
STATUS = (
    frozenset(
        re.findall(
            r"\S+",
            """
    granted refused permission min max minimum maximum wait waiting retry retrying
    required invalid missing expired incorrect wrong mismatch mismatched changed updated reset rotated
    ok okay valid set unset empty present absent unknown disabled enabled failed failure success
    succeeded denied rejected accepted blank weak strong short long found provided supplied unavailable
    revoked skipped skip used unused created deleted removed refreshed renewed sent received loaded done
    pending active inactive verified unverified unauthorized forbidden error warning info debug str
    string int integer float bytes bool boolean any optional text varchar char object dict list
    secretstr type none self cls default auto basic bearer token oauth oauth2 jwt ldap saml kerberos
    gssapi md5 plain external internal public private on off not authenticated authentication
    authorization stored encrypted hashed generated match matches matched allowed expiring is was are
    has had must should may can cannot the a an this that for from to of in by with and or if when new
    no yes email user username password secret key cookie session field value name null undefined bad
    good old same different common numeric alphanumeric asd card cash invoice paypal strict lax warn
    open closed ready starting started stopped running login logout required: closed, rs256 hs256 es256
    sha256 sha1 sha512 hmac pbkdf2 bcrypt argon2 scrypt nonce body header query form json xml html post
    get put expected got using without via as at after before during because since between either
    neither only also more than rotation expiry expiration policy length check checks lookup cache store
    handler manager eof end unexpected numbers characters letters identifier number string, newline
    indent dedent comment op name:
    """,
        )
    )
    | languages.STATUS
)
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
    is was are be been must should may can cannot can't will would has have had not no the a an this
    that these those for from to of in on at by with without and or but if when while because than too
    more less least most already field required invalid missing expired failed denied ensure please
    enter your you we it its their does do did doesn't isn't wasn't didn't contains contain reset
    expires need needs
    """,
    )
)
_word = re.compile(r"[A-Za-z][a-z]*(?:['’-][a-z]+)?[.,;:!?)\]\"'}]*|[A-Z]{2,}[.,;:!?)]*").fullmatch
# Values that are code: a call, an attribute, a subscription.
_is_code = re.compile(
    r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*[(\[].*|(?:self|cls|os|settings|config|request|req|app|args|kwargs|ctx|params|data|"
    r"env|process|options|opts|this|conf|cfg|secrets)(?:\.[A-Za-z_]\w*)+\W*|lambda\b.*|f[\"'].*",
    re.DOTALL,
).fullmatch
_has_digit = re.compile(r"\d", re.ASCII).search
_has_letter = re.compile(r"[A-Za-z]").search
# Values with digits and letters that are ordinary ones.
_is_ordinary = re.compile(
    r"""v?\d+(?:\.\d+)+(?:[-+.]?[a-z]+\.?\d*)*  # versions
      | \d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)?  # dates
      | [+-]?\d+(?:\.\d+)?\s?(?:[a-zµ]{1,3}|%|[KMGT]i?B|bytes|items|days|hours|minutes|seconds|chars|characters|bits?)
      | 0x[0-9a-f]+ | \d+/\d+ | \d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\d+)?
      | [a-z][a-z0-9+.-]*://[^\s@]* | \.{0,2}/[\w./-]* | [A-Z]:\\.* | ~/.*
      | [A-Za-z]+(?:[._/:#-][A-Za-z]+)*[._/:#-]\d+  # worker-12, user:42
      | (?:[A-Za-z]+|\d{1,4}|[A-Za-z]{1,3}\d{1,2})(?:[._/:-](?:[A-Za-z]+|\d{1,4}|[A-Za-z]{1,3}\d{1,2}))+  # eu-west-1
      | (?:x|ed|rsa|ec|secp|curve|des|sha)-?\d{3,5}\w{0,2}
      | (?:\w+\.)+\w+\(.*
      | [A-Za-z_.$]{4,}(?:[{(\[<].*|@[0-9a-f]{4,16}\W*)  # what objects look like
      | (?:utf|iso|ipv|tls|http|oauth|rsa|aes|ec|sha|md|hs|rs|es|ps|base|x|s|k8s|i18n|l10n|p|h|g)-?\d+(?:[-./]\w+)*
      | \d+(?:st|nd|rd|th)
    """,
    re.VERBOSE | re.IGNORECASE,
).fullmatch
_is_numbered_name = re.compile(r"[A-Za-z]+(?:[._/:#-][A-Za-z]+)*\d{1,3}").fullmatch  # worker12
_is_uuid = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE).fullmatch
_camel = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]")
_MARKS = frozenset("!$%^&*+=~|?#<>;")
_EDGES = "\"'`.,;:!?()[]{}<>"


def is_placeholder(value: str) -> bool:
    """Tell whether the value stands in the place of a secret and is none."""
    if len(value) > 64 or not _is_placeholder(value):
        return False
    return value[0] != "<" or not looks_secret(value[1:-1])


def is_sentence(value: str) -> bool:
    """Tell whether the value begins as words of a sentence do."""
    words = value[:160].split(None, 9)[:9]
    if words and languages.is_word_of_another_alphabet(words[0]) and words[0].lower() in STATUS:
        return True
    if not words or not _word(words[0].lstrip("\"'([{")):
        return False
    first = words[0].strip(_EDGES).lower()
    if len(words) == 1:
        return first in STATUS or first in _FUNCTION_WORDS
    if any(looks_secret(word) for word in words[1:3]):
        return False
    if first in STATUS:
        return True
    plain = [word.strip(_EDGES).lower() for word in words[:6] if _word(word.lstrip("\"'([{"))]
    if any(word in _FUNCTION_WORDS for word in plain[:5]):
        return True
    return len(plain) == len(words) <= 3


def goes_on(word: str) -> bool:
    """Tell whether a word goes on with the sentence around a value, and is no part of the value."""
    bare = word.strip(_EDGES)
    return bare.startswith("REDACTED") or (
        (bare.islower() or bare.istitle()) and (bare in STATUS or bare in _FUNCTION_WORDS)
    )


def is_status(value: str) -> bool:
    """Tell whether the value is one word that says how things are."""
    return value.strip(_EDGES).lower() in STATUS


def is_code(value: str) -> bool:
    """Tell whether the value is an expression of a program."""
    return bool(_is_code(value)) and (
        not _has_digit(name := value.partition("(")[0].partition("[")[0])
        or (name.count("_") > 1 and name.islower())
    )


def looks_secret(value: str, *, strict: bool = False) -> bool:
    """Tell whether a value looks like a secret and not like a word, a name, a count, a date, a version or a path.

    Args:
        strict: nothing but a blank stands before the value, so that it may be any word of a sentence.
    """
    value = value.strip("\"'`.,;:()[]{}<> ")
    if len(value) > 256:
        value = value[:256].split(None, 1)[0]
    if len(value) < (8 if strict else 6) or is_placeholder(value) or _is_ordinary(value):
        return False
    if is_code(value) or "->" in value or any(char.isspace() for char in value[:64]):
        return False
    has_digit, has_letter = bool(_has_digit(value)), bool(_has_letter(value))
    if has_digit and has_letter:
        if strict:
            if _is_uuid(value) or _is_numbered_name(value):
                return False
            if (
                "/" in value
                or value.count("-") > 1
                or "." in value[:-1]
                or ":" in value
                or "=" in value
                or "_" in value
            ):
                return len(value) >= 20 and _is_mixed(value)
            return _is_mixed(value) or (len(value) >= 16) or _alternates(value)
        return True
    if has_digit:
        return not strict and len(value) >= 8 and value.isdigit() and len(value) != 10
    if strict:
        return len(value) >= 20 and _is_mixed(value) and value.isalpha()
    if any(char in _MARKS for char in value[1:-1]) and has_letter:
        return True
    return len(value) >= 20 and value.isalpha() and (value.islower() or not _camel_words(value))


def _is_mixed(value: str) -> bool:
    """Tell whether small and capital letters and digits are mixed as no name mixes them."""
    return (
        any(char.islower() for char in value)
        and any(char.isupper() for char in value[1:])
        and any(char.isdigit() for char in value)
    )


def _alternates(value: str) -> bool:
    """Tell whether digits stand among letters, as in `hx7qm2zp`, and not at the end alone."""
    return len(re.findall(r"\d+", value)) >= 2 or bool(re.search(r"\d[a-z]{3,}$|\d[A-Z]", value))


def _camel_words(value: str) -> bool:
    """Tell whether the letters are words in camel case: few capitals, each with small letters behind."""
    return all(len(word) >= 3 for word in re.findall(r"[A-Z][a-z]*|[a-z]+", value))
