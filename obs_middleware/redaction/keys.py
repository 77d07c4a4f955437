"""Which keys hide their value: `password`, `userPassword`, `X-Api-Key`, `token2`, `SECRET_KEY_LIVE`.

Rules:
- case, punctuation and digits at the end do not count: `access_token`, `accessToken2` and `Access-Token` are one key;
- a word behind the secret one decides: `secret_value` is a secret, `secret_name` is none, `secret_sauce` may be one;
- in a structured field a key is a key; in free text a short word (`token`, `pin`) needs a value that looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from obs_middleware.redaction import languages


class Level(IntEnum):
    """How sure it is that a key's value is a secret."""

    NO = 0
    MAYBE = 1  # look at the value, everywhere
    WORD = 2  # a short word: look at the value in free text
    YES = 3


class Key(NamedTuple):
    """What a key says of its value.

    Attributes:
        name: without case and punctuation.
        has_blanks: the value may have blanks in it, as passwords and headers have.
        is_personal: the value is a personal datum and no credential.
        is_number: a short number is a secret too, as of a PIN.
    """

    level: Level
    name: str
    has_blanks: bool = False
    is_personal: bool = False
    is_number: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OF_TOKENS = (
    "access|account|activation|admin|api|apns|app|auth(?:entication|orization)?|aws|bearer|bot|"
    "client|[cx]srf|deploy|device|"
    "fcm|github|gitlab|hub|id|identity|installation|invit(?:e|ation)|jwt|key|login|magic|magiclink|"
    "mfa|middleware|npm|"
    "oauth2?|personal|push|pypi|recovery|refresh|register|registration|registry|reset|root|secret|"
    "security|service|session|"
    "setup|slack|sso|telegram|temp|temporary|totp|twitch|unlock|unsubscribe|upload|user|vault|"
    "verification|verify|web|webhook"
)
_OF_KEYS = (
    "access|account|activation|admin|aes|anthropic|api|app|application|auth|aws|azure|backup|bot|"
    "cipher|client|consumer|crypt|"
    "crypto|csrf|data|decrypt|decryption|deploy|des|ec|ed25519|encrypt|encryption|functions?|gcp|gpg|"
    "hmac|host|iam|ingest|"
    "integration|jwe|jwk|jws|jwt|licen[cs]e|live|mac|master|merchant|openai|pgp|pre?shared|private|"
    "recovery|root|rsa|secret|"
    "sendgrid|server|service|session|shared|sign|signing|ssh|ssl|storage|stripe|subscription|"
    "symmetric|tls|unseal|vapid|vault|"
    "webhook|wrapping|write"
)
_OF_CODES = (
    "2fa|access|activation|auth(?:entication|orization)?|backup|confirm|confirmation|device|email|"
    "login|mfa|one ?time|otp|"
    "pass|phone|pin|recovery|reset|scratch|security|sms|totp|two ?factor|twofactor|unlock|user|"
    "verification|verify|"
    "sixdigit|digit|fadigit"
)
_CREDENTIALS = (
    "passw(?:or)?ds?|passwrd|pass(?:phrase|code|key)s?|"
    "userpass|dbpass|"
    "rootpass|"
    "(?<=.)pwd|pwd|(?<=.)secrets?|secretstring|(?<=.)jwt|cv[cv]2?|cardverificationvalue|"
    "authorization|setcookie|awsaccesskeyid|"
    "(?:basic|http|proxy)auth|(?:auth|session|security)cookie|(?:jsession|phpsess|sess|session|aspsession)id|"
    f"(?:{_OF_TOKENS})tokens?|(?:{_OF_KEYS})keys?|(?:{_OF_CODES})codes?|onetimepassword|recoverycodes|"
    "mnemonic(?:phrase)?|seedphrase|(?<=.)signature|hmac|clientcredentials|connectionpassword|bindpw|"
    "(?<=[a-z])passw|"
    "userpw|rootpw|dbpw|requirepass|masterauth|securityanswer|samlresponse|samlart|codeverifier|(?<=.)psk|connectionstring"
)
_SHORT_CREDENTIALS = (
    "secrets?|jwt|.*token|tokens|cookies?|.*credentials?|creds?|[cx]srf|.*otp|signature|authentication|.*secret|"
    "(?:set)?cookies"
)
# Words that count where they stand alone at the end: `db_pass` and `dbPass` are secrets, `compass` is none.
_SHORT_WORDS = _words(
    "psk clave auth pass pin pwd pw sid sig otp secret token cookie totp passwd nonce salt mpin tpin"
)
_PERSONAL = (
    "(?:billing|customer|family|first|full|given|holder|last|legal|maiden|middle|owner|patient|"
    "recipient|sur|second|"
    "cardholder|card holder|birth|real|person|contact)name|"
    "customerid|ssn|social(?:security)?(?:number|no)?|credit ?card|card ?(?:number|no|num)|ccnumber|ccnum|"
    "(?:billing|home|postal|shipping|street|mailing|residential|delivery|physical|customer|"
    "work)address|addressline|"
    "(?:home|mobile|cell|work|customer|contact)phone|(?:phone|mobile|cell|telephone|fax|"
    "whatsapp)(?:number|no)|msisdn|"
    "dateofbirth|birth ?(?:date|day)|dob|passport(?:number|no|id)?|national(?:id|identity|"
    "insurance)(?:number|no)?|nino|"
    "tax(?:id|number|payerid|fileid)|steuerid(?:nr)?|steuernummer|iban|bankaccount(?:number)?|"
    "accountnumber|acctnum|"
    "drivers?licen[cs]e(?:number|no)?|aadhaar|cpf|cnpj|dni|curp|pesel|personnummer|codicefiscale|"
    "(?:medical|health)(?:record|id|insurance)?(?:number|no)|emailaddress|e?mail ?addr|"
    "numerodesecuritesociale|idcard(?:number|no)?"
)
_SHORT_PERSONAL = (
    "email|.*email|paymentmethod|name|address|phone|telephone|tel|mobile|nif|nie|nir|bsn|sin|tin|nhsnumber|nhs|pan|zip|"
    "postcode|lat|lng"
)
_STRUCTURED_PERSONAL = _words("email paymentmethod name address phone")
QUERY_CREDENTIALS = ("code", "state")  # of OAuth 2.0 redirects (RFC 6749, section 4.1.2)

# Words behind the secret one: the value is the secret all the same.
_STILL_SECRET = _words("""
    value values val text str string raw plain plaintext cleartext clear live test prod production dev
    development staging stage stg sandbox qa local new old current previous prev next primary secondary main
    backup default confirm confirmation confirmed again repeat retype verify hash hashed digest enc
    encrypted cipher ciphertext base base64 b64 hex header input data param parameter arg env master admin
    root user app db database read write ro rw eu us uk de fr bytes pem content contents body number no num
    nr one two a b c d x v sha256 md5 sha1 bcrypt pbkdf2 argon2 mysql postgres postgresql redis mongo
    mongodb smtp ldap aws gcp azure api internal external legacy tmp temp for of owner service
""")
# Words behind the secret one: the value is something else.
_HARMLESS = _words("""
    type types count counts length len size expiry expires expired expiration expire in at ttl age policy
    policies min max limit limits usage used budget name names id ids arn version versions path paths file
    filename files dir directory url uri urls endpoint endpoints field fields column label placeholder
    required enabled disabled valid invalid validator validators hasher hashers validation strength changed
    updated created modified rotated rotation provider providers backend backends method methods mode scheme
    schemes server host service services domain samesite secure httponly kind class format regex pattern
    rule rules hint status state error errors exists set present missing manager store storage source ref
    reference index bucket algorithm algorithms alg scope scopes reset changes attempts attempt retries flow
    request requests response handler helper middleware factory function view views form forms template page
    link timeout duration seconds ms issuer audience subject location position offset prefix suffix
    separator list auth login required prompt module config settings options feature check checks failure
    failures success result results event events log logs protected protection lookup generator iterations
    rounds per rate cost price stream usage reason cookie key keys time date day days domain is has
""")
_HARMLESS_PREFIX = _words("""
    next eos bos pad unk mask sep cls special stop cancellation cancel unexpected input output prompt
    completion total max min num is has no use using cached reasoning page continuation sync expected
    current first last lookahead end start eof primary foreign public cache partition sort sorting routing
    idempotency row
""")
_LAST_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_not_alphanumeric = re.compile(r"[\W_]+")
_has_blanks = re.compile(
    r".*(?:pass(?!code)|pwd|pw$|secret|cred|auth|cookie|name|address|phone|mnemonic|seed|birth|"
    r"kennwort|senha|contrasena)"
    r"(?!.*(?:token|key|code|jwt)s?$)"
).match
_is_number = re.compile(
    r".*(?:pin|otp|cv[cv]2?|code|codes|ssn|number|no|cpf|nir|nhs|sin|tin|id|pesel|phone|mobile|tel)\d*"
).fullmatch

_KEYS_REMEMBERED = 2048  # keys may be made by clients
KEY_CHARACTERS = 128
_NONE = Key(Level.NO, "")


class SecretKeys:
    """Tell which keys are secret.

    Args:
        pii: those of personal data too.
        keys: further ones, in any spelling.
        allowed: those that are no secret, in any spelling.
    """

    def __init__(self, *, pii: bool, keys: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        self.own = tuple(squeezed for squeezed in map(squeeze, keys) if squeezed)
        self._allowed = frozenset(map(squeeze, allowed))
        self._is_own = (
            re.compile(f".*(?:{'|'.join(map(re.escape, self.own))})", re.DOTALL).fullmatch
            if self.own
            else None
        )
        self._is_credential = re.compile(f".*(?:{_CREDENTIALS}|{languages.WORDS})").fullmatch
        self._is_short = re.compile(_SHORT_CREDENTIALS).fullmatch
        self._is_personal = re.compile(f".*(?:{_PERSONAL})").fullmatch if pii else None
        self._is_short_personal = re.compile(_SHORT_PERSONAL).fullmatch if pii else None
        self._answers: dict[str, Key] = {}

    def __contains__(self, key: str) -> bool:
        """Tell whether a structured field of this name is hidden whatever it holds."""
        found = self[key]
        if found.is_personal and found.level is Level.WORD:
            return found.name in _STRUCTURED_PERSONAL or found.name.endswith("email")
        return found.level >= Level.WORD

    def __getitem__(self, key: str) -> Key:
        """Return what a key says of its value."""
        found = self._answers.get(key)
        if found is None:
            found = self._look(key[-KEY_CHARACTERS:])
            if len(key) <= KEY_CHARACTERS and len(self._answers) < _KEYS_REMEMBERED:
                self._answers[key] = found
        return found

    def _look(self, key: str) -> Key:
        whole = squeeze(key)
        if not whole or whole == "nopasswd" or whole in self._allowed:  # of sudoers
            return _NONE
        if self._is_own is not None and self._is_own(whole):
            return Key(Level.YES, whole, has_blanks=True)
        words = [word.lower() for word in _LAST_WORD.findall(key)]
        level = self._credential(whole, words)
        dropped = 0
        while level is Level.NO and len(words) > 1 and (words[-1] in _STILL_SECRET or words[-1].isdigit()):
            words.pop()
            dropped += 1
            level = self._credential("".join(words), words)
        squeezed = "".join(words) if dropped else whole
        if dropped and squeezed.endswith(("auth", "authentication")):
            return _NONE  # auth_database
        if level is not Level.NO:
            return Key(level, squeezed, bool(_has_blanks(squeezed)), False, bool(_is_number(squeezed)))
        if self._is_personal is not None and self._is_short_personal is not None:
            for name in (whole, squeezed):
                if self._is_personal(name):
                    return Key(Level.YES, name, True, True, True)
                if self._is_short_personal(name):
                    return Key(Level.WORD, name, True, True, True)
        return self._maybe(whole, [word.lower() for word in _LAST_WORD.findall(key)])

    def _credential(self, squeezed: str, words: list[str]) -> Level:
        bare = squeezed.rstrip("0123456789") or squeezed
        is_prefixed = (
            len(words) > 1 and words[0] in _HARMLESS_PREFIX and not bare.endswith(("password", "secret"))
        )
        if self._is_credential(bare) or self._is_credential(squeezed):
            return Level.WORD if is_prefixed and words[0] in ("next", "page", "current") else Level.YES
        if is_prefixed:
            return Level.NO
        if words and (
            words[-1] in _SHORT_WORDS
            or (len(words) > 1 and words[-1].isdigit() and words[-2] in _SHORT_WORDS)
        ):
            return Level.WORD
        return Level.WORD if self._is_short(bare) else Level.NO

    def _maybe(self, whole: str, words: list[str]) -> Key:
        """Return what is to be thought of a key with a secret word in its middle."""
        if len(words) < 2 and "password" not in whole:
            return _NONE
        if words and (words[-1] in _HARMLESS or words[0] in _HARMLESS_PREFIX):
            return _NONE
        for end in range(len(words), 0, -1):
            if self._credential("".join(words[:end]), words[:end]) is not Level.NO:
                level = Level.WORD if "password" in whole else Level.MAYBE
                return Key(level, whole, bool(_has_blanks(whole)))
        return Key(Level.WORD, whole, True) if "password" in whole else _NONE


def squeeze(key: str) -> str:
    """Return a key without case and punctuation."""
    return _not_alphanumeric.sub("", key).lower()
