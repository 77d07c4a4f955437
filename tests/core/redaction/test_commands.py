"""Passwords at places of their own in command lines and calls."""

from __future__ import annotations

import pytest

from tests.core.redaction.hiding import SECRET, text


@pytest.mark.parametrize(
    "command",
    [
        f"curl -u admin:{SECRET} https://shop.example",
        f"mysqldump -u root -p{SECRET} shop",
        f"redis-cli -h cache -a {SECRET} ping",
        f"docker login -u jane -p {SECRET} registry.example",
        f"sshpass -p '{SECRET}' ssh root@web",
        f"ldapsearch -p 389 -w {SECRET} -b dc=x",
        f"zip -P {SECRET} a.zip b",
        f"openssl rsa -in k.pem -passin pass:{SECRET}",
        f"BasicAuth('jane', '{SECRET}')",
    ],
)
def test_password_of_a_command_is_hidden(command: str) -> None:
    assert SECRET not in text(f"ran {command}")
