"""Every key word in every notation with every kind of value, and every mark inside a password: nothing comes out."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.core.redaction.hiding import text

KEYS = (
    *(
        "password",
        "DB_PASSWORD",
        "userPassword",
        "passphrase",
        "secret",
        "client_secret",
        "clientSecret",
        "token",
    ),
    *(
        "access_token",
        "api_key",
        "X-Api-Key",
        "API_KEY_LIVE",
        "token2",
        "secret_value",
        "session_id",
        "authorization",
    ),
    *("cookie", "credentials", "smtp_pass", "jwt", "auth_code", "csrf_token"),
)
VALUES = (
    *(
        "hunter2Xq",
        "Tr0ub4dor&3",
        "xK9#mP2$vL",
        "A1b2C3d4E5f6G7h8",
        "p@ssW0rd!",
        "correct-horse7",
        "Zx81,Qw;t9",
    ),
    *("8f14e45fceea167a5a36dedd4bea2543", "550e8400-e29b-41d4-a716-446655440000", "qwertzuiopasdfghjklyx"),
)
NOTATIONS = (
    *(
        "{k}={v}",
        "failed {k}={v} user=7",
        "{k}: {v}",
        "{k}:{v}",
        "{k} = {v}",
        "{k} := {v}",
        "{k} => {v}",
        "{k} -> {v}",
    ),
    *(
        '{{"{k}": "{v}"}}',
        '{{"{k}":"{v}","n":1}}',
        "{{'{k}': '{v}'}}",
        "{{b'{k}': b'{v}'}}",
        '{k}="{v}"',
        "{k}='{v}'",
    ),
    *(
        '{{"a":"{{\\"{k}\\":\\"{v}\\"}}"}}',
        ':{k}=>"{v}"',
        "<{k}>{v}</{k}>",
        '<a {k}="{v}" b="1"/>',
        "('{k}', '{v}')",
    ),
    *(
        "run --{k} {v} --x",
        "run --{k}={v} --x",
        "['run', '--{k}', '{v}']",
        '{{"name": "{k}", "value": "{v}"}}',
    ),
    *(
        '{{"key": "{k}", "value": "{v}"}}',
        "- name: {k}\n  value: {v}",
        "GET /x?{k}={v} HTTP/1.1",
        "GET /x?a=1&{k}={v}&b=2 HTTP/1.1",
    ),
    *(
        'form-data; name="{k}"\r\n\r\n{v}\r\n--b',
        "f(x=1, {k}='{v}', y=2)",
        "f(x=1, {k}={v})",
        "a: b\n{k}: {v}\nc: d",
    ),
    *(
        "export {k}={v}",
        "{k}: {v}\r\nHost: x",
        "SET {k} = '{v}' WHERE",
        "invalid {k}: {v}",
        "{{User:x {k}:{v}}}",
    ),
    *(
        "{k}\n  Value error [type=x, input_value='{v}', input_type=str]",
        "params[{k}]={v}",
        "settings['{k}'] = '{v}'",
    ),
    *("user=x|{k}={v}|z=1", "{{\\u0022{k}\\u0022:\\u0022{v}\\u0022}}"),
)


@pytest.mark.parametrize("notation", NOTATIONS)
def test_value_of_every_key_is_hidden_in_every_notation(notation: str) -> None:
    for key in KEYS:
        for value in VALUES:
            shown = text(notation.format(k=key, v=value))
            assert value not in shown
            assert value[-4:] not in shown, notation.format(k=key, v=value)


@pytest.mark.parametrize("key", KEYS)
def test_percent_encoded_pair_is_hidden_and_stays_percent_encoded(key: str) -> None:
    for value in VALUES:
        shown = text(f"x?next=%2Fcb%3F{key}%3D{quote(value, safe='')}")
        assert shown == f"x?next=%2Fcb%3F{key}%3DREDACTED"


@pytest.mark.parametrize("mark", "&,;<>(){}[]'\"\\ !@#$%^*+=|~`/?:._-")
@pytest.mark.parametrize("key", ["password", "DB_PASSWORD", "pwd", "secret", "client_secret", "passphrase"])
def test_tail_of_a_password_behind_a_mark_is_hidden(key: str, mark: str) -> None:
    value = f"Rk4{mark}7hQz"
    notations = ["{k}={v}", "{k}: {v}", "login {k}={v} failed", "{k}={v} DB_HOST=db"]
    notations += [] if mark == ";" else ["Server=db;{k}={v};Encrypt=yes"]
    notations += (
        [] if mark in "\"'\\" else ['{k}="{v}"', "{k}='{v}'", '{{"{k}": "{v}", "n": 1}}', "{{'{k}': '{v}'}}"]
    )
    for notation in notations:
        assert "7hQz" not in text(notation.format(k=key, v=value)), notation.format(k=key, v=value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("login with password=Rk4&7hQz failed", "login with password=REDACTED failed"),
        ("password=Rk4 7hQz DB_HOST=db", "password=REDACTED DB_HOST=db"),
        ("Server=db;Password=Rk4,7hQz;Encrypt=yes", "Server=db;Password=REDACTED;Encrypt=yes"),
        ("GET /x?token=Rk4x7hQz&b=2 HTTP/1.1", "GET /x?token=REDACTED&b=2 HTTP/1.1"),
        ('{"msg": "password=Rk4 7hQz", "n": 1}', '{"msg": "password=REDACTED", "n": 1}'),
        ("run --password Rk4x7hQz --host db", "run --password REDACTED --host db"),
        ("the password is Rk4x7hQz.", "the password is REDACTED."),
        ("password is 'Rk4 7hQz' now", "password is 'REDACTED' now"),
        (
            "<user><password>Rk4x7hQz</password><id>3</id></user>",
            "<user><password>REDACTED</password><id>3</id></user>",
        ),
        ("postgres://app:p@ss/w0rd@db:5432/shop", "postgres://REDACTED:REDACTED@db:5432/shop"),
        ("mysql -u root -pRk4x7hQz shop", "mysql -u root -pREDACTED shop"),
        (
            "INSERT INTO u (id, password) VALUES (1, 'Rk4')",
            "INSERT INTO u (id, password) VALUES (1, 'REDACTED')",
        ),
        ("card 4111 1111 1111 1111 declined", "card REDACTED declined"),
        ("to DE89 3704 0044 0532 0130 00 today", "to REDACTED today"),
        ("call +49 30 901820 now", "call REDACTED now"),
    ],
)
def test_what_stands_beside_a_secret_stays(value: str, shown: str) -> None:
    assert text(value) == shown
