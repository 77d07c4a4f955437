"""Passwords in URLs and in other names of a server: `redis://:…@cache`, `scott/…@db:1521/orcl`."""

from __future__ import annotations

import re
from collections.abc import Callable

from obs_middleware.redaction.values import is_placeholder, looks_secret

# The userinfo of a URL. A password may hold any character: it ends at the last `@` with a host behind it.
_userinfo = re.compile(
    r"(?:(?<=://)|(?<=:\\/\\/))(?P<user>[^\s:/@\"'<>?#\[\]]{0,256})(?P<colon>:?)(?=[^\n]{0,512}@)"
)
_run = re.compile(r"[^\s\"'<>`]*").match
_host_behind = re.compile(r"@(?=[\w.\[{$%-])")
_port = re.compile(r"\d{1,5}(?=[/?#\s,;]|\Z)")
_jdbc_thin = re.compile(
    r"(jdbc:oracle:(?:thin|oci):[^\s/:@]{1,64}/)([^\s]{1,128})(?=@)|"
    r"(\bsqlplus\s+[\w.-]{1,64}/)([^\s]{1,128})(?=@)"
)
_user_and_password = re.compile(  # of Oracle: scott/tiger@db:1521/orcl
    r"(?<![\w/:@.-])([\w$#-]{1,64})/([^\s/@\"'<>]{3,128})@(?=[\w.-]{1,253}:\d{2,5}/\w)"
)
_mail_and_password = re.compile(r"(?<![\w.+-])([\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+):([^\s\"'<>,;/]{8,128})")
_bare_userinfo = re.compile(
    r"(?<![\w/:@.-])([\w.+-]{1,64}):([^\s:/@\"'<>]{3,128})@(?=[\w-]+(?:\.[\w-]+)*:(?:\d{2,5}\b|[:/]))"
)


def hide_userinfo(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without the userinfo of URLs that have a password, or a user that looks like one."""
    parts, copied = [], 0
    for match in _userinfo.finditer(text):
        if match.start() < copied:
            continue
        end = _end_of_userinfo(text, match)
        if end > match.start():
            user, has_password = match["user"], bool(match["colon"])
            if has_password:
                password = text[match.end() : end]
                if is_placeholder(password) or not password:
                    continue
                hidden = f"{mark(user)}:{mark(password)}"
            elif looks_secret(user) or (user.isalnum() and len(user) >= 20):
                hidden = mark(user)
            else:
                continue
            parts += [text[copied : match.start()], hidden]
            copied = end
    text = "".join([*parts, text[copied:]]) if parts else text
    if "jdbc:oracle" in text or "sqlplus" in text:
        text = _jdbc_thin.sub(lambda match: (match[1] or match[3]) + mark(match[2] or match[4]), text)
    text = _mail_and_password.sub(
        lambda match: f"{match[1]}:{mark(match[2])}" if looks_secret(match[2], strict=True) else match[0],
        text,
    )
    if "/" in text:
        text = _user_and_password.sub(lambda match: f"{match[1]}/{mark(match[2])}@", text)
    return _bare_userinfo.sub(
        lambda match: match[0] if is_placeholder(match[2]) else f"{match[1]}:{mark(match[2])}@", text
    )


def _end_of_userinfo(text: str, match: re.Match[str]) -> int:
    """Return where the `@` stands that ends the userinfo, or 0."""
    at = match.end()
    if not match["colon"]:
        return at if text[at : at + 1] == "@" else 0
    line = text.find("\n", at, at + 512)
    limit = min(len(text), at + 512) if line < 0 else line
    run = _run(text, at, limit)
    end = run.end() if run else at
    last = text.rfind("@", at, end)
    port = _port.match(text, at, limit)
    if port is not None and (
        last < 0 or text[port.end() : port.end() + 1] in "/?#,; " or port.end() == limit
    ):
        return 0
    if last < 0 and end < limit:
        behind = None if port else _host_behind.search(text, end, min(limit, at + 80))
        last = (
            behind.start()
            if behind
            and "://" not in text[at : behind.start()]
            and not _looks_like_prose(text[at : behind.start()])
            else -1
        )
    return max(0, last)


def _looks_like_prose(value: str) -> bool:
    return len(value.split()) > 3
