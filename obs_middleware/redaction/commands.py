"""Passwords that command lines and calls have in places of their own: `mysql -p…`, `BasicAuth('jane', '…')`."""

from __future__ import annotations

import re
from collections.abc import Callable

from obs_middleware.redaction.values import is_placeholder

_auth_call = re.compile(
    r"""(\b\w{0,24}(?:Auth|Credentials?|Login)\(\s?(?:\w{1,16}=)?['"][^'"\n]{0,128}['"],\s?(?:\w{1,16}=)?['"])([^'"\n]{1,256})"""
)
_BETWEEN = r"\b[^\n|;]{0,256}?[\s\"',]"  # a command and its option
_BEHIND = r"[\"']?[ ,]{1,3}[\"']?"  # an option, before its value
_TOOLS = (  # and the option of the password, which with another tool is a port or a path
    (
        r"sshpass|twine upload|(?:docker|podman|helm registry|az) login|mongo(?:sh|dump|restore)?|rabbitmqadmin",
        "-p",
    ),
    ("ldap(?:search|add|modify|whoami|passwd)", "-w"),
    ("redis-cli", "-a"),
    ("zip|unzip|sqlcmd|bcp", "-P"),
)
_LEADS = "|".join(rf"\b(?:{tools}){_BETWEEN}{option}" for tools, option in _TOOLS)
_commands = re.compile(
    r"(?P<curl>\b(?:curl|https?|smbclient)\b[^\n]{0,256}?[\s\"',](?:-u|-a|--user|--proxy-user|"
    r"-U)[\"']?[ =,]{0,3}[\"']?[^\s:%\"',-][^\s:%\"']{0,127}[:%])(?P<user_password>[^\s\"']{1,128})"
    r"|(?P<mysql>\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump|mysqlimport|7z)\b[^\n|"
    r";]{0,256}?[\s\"',]-p)(?P<mysql_password>[^\s\"',]{3,128})"
    rf"|(?P<tool>(?:{_LEADS}){_BEHIND})"
    r"(?P<tool_password>(?!-)[^\s\"',]{3,128})"
    rf"|(?P<openssl>\b(?:openssl|keytool){_BETWEEN}(?:-pass(?:in|out)?|-storepass|-keypass){_BEHIND}(?:pass:)?)"
    r"(?P<openssl_password>(?!-|env:|file:|stdin)[^\s\"',]{3,128})"
    r"|(?P<htpasswd>\bhtpasswd -\w{0,6}b\w{0,6} \S{1,128} \S{1,64} )(?P<htpasswd_password>\S{3,128})"
    r"|(?P<net>\bnet use\b[^\n]{0,128}/user:\S{1,64} )(?P<net_password>\S{3,128})"
)


def hide_calls(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without the second argument of `BasicAuth('jane', '…')`."""
    return _auth_call.sub(lambda match: match[1] + mark(match[2]), text)


def hide_commands(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without the passwords that command lines have in places of their own."""

    def hidden(match: re.Match[str]) -> str:
        lead = next(value for name, value in match.groupdict().items() if value and "password" not in name)
        word = match[0][len(lead) :]
        return match[0] if is_placeholder(word) else lead + mark(word)

    return _commands.sub(hidden, text)
