"""Passwords in texts and fields of other languages than English."""

from __future__ import annotations

import json
import unicodedata

import pytest

from tests.core.redaction.hiding import SECRET, redactor, text

MARKED = ("contraseña", "hasło", "şifre", "κωδικός", "lösenord", "jelszó")
KEYS = (
    *MARKED,
    *(unicodedata.normalize("NFD", key) for key in MARKED),
    *("mot_de_passe", "пароль", "密码", "パスワード", "비밀번호", "senha", "salasana", "wachtwoord"),
)


@pytest.mark.parametrize("key", KEYS)
def test_value_is_hidden_in_every_notation(key: str) -> None:
    for value in (
        f"{key}: {SECRET}",
        f"{key.upper()}={SECRET}",
        f"{key}:{SECRET}",
        json.dumps({key: SECRET}, ensure_ascii=False),
        json.dumps({key: SECRET}),
    ):
        assert SECRET not in text(value), value
    assert redactor().is_secret_key(key)


@pytest.mark.parametrize(
    "value",
    ["пароль: неверный", "密码错误", "Passwort: falsch", "mot de passe : incorrect", "senha: inválida"],
)
def test_sentence_that_is_about_a_password_stays(value: str) -> None:
    assert text(value) == value
