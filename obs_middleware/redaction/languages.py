"""Words for passwords, tokens and keys in other languages than English.

A word is written as keys are compared: in small letters, without blanks and marks. A letter with a diacritic may also
come without it, or as two characters.
"""

from __future__ import annotations

import re
import unicodedata

PASSWORDS = """
    passwort kennwort geheimwort motdepasse mdp contraseña contrasena clavesecreta claveacceso senha palavrapasse
    paroladordine parolachiave wachtwoord lösenord losenord adgangskode adgangskoden passord kodeord salasana
    hasło haslo heslo lozinka geslo jelszó jelszo parool slaptažodis slaptazodis şifre sifre parola
    пароль парола лозинка кодовоеслово κωδικός κωδικος συνθηματικό סיסמה סיסמא كلمةالمرور كلمةالسر
    पासवर्ड รหัสผ่าน mậtkhẩu matkhau katasandi 密码 密碼 口令 パスワード 暗証番号 비밀번호 패스워드 암호
"""
KEYS = """
    токен ключapi секрет секретныйключ ключдоступа 密钥 密鑰 私钥 令牌 トークン 秘密鍵 apiキー 토큰 비밀키
    geheimnis secreto segredo segreto chiavesegreta codicesegreto jeton jetondaccès clésecrète clesecrete claveapi
"""
_STATUS = """
    falsch ungültig geändert gesetzt leer fehlt vergessen erforderlich abgelaufen korrekt zurückgesetzt
    incorrect incorrecte oublié invalide requis modifié expiré incorrecta incorrecto inválida inválido obligatoria
    obligatorio requerida cambiada caducada olvidada incorreta obrigatória alterada expirada esquecida errata errato
    mancante scaduta obbligatoria onjuist verplicht gewijzigd verlopen felaktigt forkert feil väärä nieprawidłowe
    wymagane zmienione nesprávné povinné yanlış gerekli değiştirildi hibás valor wert valeur valore
"""


def _forms(word: str) -> set[str]:
    """Return the word as it is squeezed, with its diacritics and without."""
    decomposed = unicodedata.normalize("NFD", word)
    return {re.sub(r"[\W_]+", "", form).lower() for form in (word, decomposed)}


STATUS = frozenset(_STATUS.split())
WORDS = "|".join(sorted({form for word in PASSWORDS.split() + KEYS.split() for form in _forms(word)}))
# Where such a word may stand in a text that is not of ASCII alone.
hits = re.compile(
    "парол|лозинк|секрет|токен|ключ|κωδικ|συνθηματικ|סיסמ|المرور|السر|पासवर|รหัส|"
    "密[码碼钥鑰]|口令|令牌|私钥|スワ|暗証|トークン|秘密鍵|キー|비밀|패스워드|암호|토큰|"
    # with a letter of its own, or with a letter and a combining mark
    r"contrase(?:ñ|n\u0303)|hasł|l(?:ö|o\u0308)senord|(?:ş|s\u0327)ifre|jelsz(?:ó|o\u0301)|slapta(?:ž|z\u030c)|"
    r"kh(?:ẩ|u\u0302\u0309)u|cl(?:é|e\u0301)|acc(?:è|e\u0300)s",
    re.IGNORECASE,
).finditer


def is_word_of_another_alphabet(value: str) -> bool:
    """Tell whether a value is a word that is not written in ASCII, as `неверный`."""
    return value.isalpha() and not value.isascii()
