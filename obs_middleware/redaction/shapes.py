"""Credentials that are known by their form alone: keys of services, JWTs, private keys, URLs with a password.

Facts about the forms are those of the services' own documentation and of the public rule lists of leak detectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from obs_middleware.redaction.values import is_placeholder, looks_secret

# Beginnings, and what follows them.
_TOKENS = (
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|APKA)[A-Z0-9]{16}\b",
    r"LTAI[A-Za-z0-9]{12,24}\b",
    r"AKID[A-Za-z0-9]{32}\b",
    r"gh[pousr]_[A-Za-z0-9]{30,255}",
    r"github_pat_\w{30,255}",
    r"gl(?:pat|dt|rt|rtr|ptt|cbt|soat|oas|ffct|agent|imt|ft|wt|feat)-[\w.=-]{18,300}",
    r"GR1348941[\w-]{20}",
    r"_gitlab_session=[0-9a-z]{32}",
    r"xox[a-z](?:\.xox[a-z])?-(?:\d+-)?[\w-]{10,250}",
    r"xapp-\d-[\w-]{10,250}",
    r"(?:sk|rk|pk)_(?:live|test|prod)_[A-Za-z0-9]{10,250}",
    r"whsec_[A-Za-z0-9+/=]{24,}",
    r"AIza[\w-]{30,40}",
    r"ya29\.[\w-]{20,}",
    r"1//0[\w-]{40,}",
    r"GOCSPX-[\w-]{20,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[\w-]{30,}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}",
    r"key-[0-9a-f]{32}\b",
    r"pubkey-[0-9a-f]{32}\b",
    r"[0-9a-f]{32}-us\d{1,2}\b",
    r"SK[0-9a-f]{32}\b",
    r"do[opr]_v1_[0-9a-f]{64}",
    r"(?:hf|api_org)_[A-Za-z0-9]{28,}",
    r"sk-(?:proj|svcacct|admin|None|ant-[a-z]+\d\d|or-v1|lf|live|test)-[\w-]{20,}",
    r"sk-[A-Za-z0-9]{20,}",
    r"gsk_[A-Za-z0-9]{40,}",
    r"xai-[A-Za-z0-9]{40,}",
    r"pplx-[A-Za-z0-9]{40,}",
    r"r8_[A-Za-z0-9]{30,}",
    r"nvapi-[\w-]{40,}",
    r"shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}",
    r"\b\d{8,10}:AA[\w-]{32,35}",
    r"NR(?:AK|RA|JS|II|IQ|SP|BR|AA)-[\w-]{16,}",
    r"hv[sbr]\.[\w-]{24,}",
    r"\b[sb]\.[A-Za-z0-9]{24}\b",
    r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}",
    r"glsa_[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}",
    r"glc_[A-Za-z0-9+/]{32,400}={0,2}",
    r"eyJrIjoi[\w+/=-]{30,}",
    r"dp\.(?:pt|ct|st|sa|scim|audit)\.(?:[a-z]{2,}\.)?[A-Za-z0-9]{40,44}",
    r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}",
    r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    r"sq0(?:atp|csp|idp)-[\w-]{20,}",
    r"EAA[A-Za-z0-9_-]{50,}",
    r"dapi[0-9a-f]{32}(?:-\d)?",
    r"dose[0-9a-f]{32}",
    r"pscale_(?:tkn|oauth|pw)_[\w.=-]{30,}",
    r"ATATT3[\w=-]{60,}",
    r"ATCTT3[\w=-]{60,}|ATBB[A-Za-z0-9]{20,}[A-F0-9]{8}|BBDC-[A-Za-z0-9+/]{40,}",
    r"rubygems_[0-9a-f]{48}",
    r"dckr_(?:pat|oat)_[\w-]{20,}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{40,}",
    r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
    r"ops_eyJ[\w+/=-]{100,}",
    r"AKCp[A-Za-z0-9]{60,}",
    r"cmVmd[A-Za-z0-9]{50,}",
    r"p8e-[A-Za-z0-9]{32}",
    r"CLOJARS_[a-z0-9]{60}",
    r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}",
    r"FLWSECK(?:_TEST)?-[0-9a-zA-Z-]{12,}",
    r"EZ[AT]K[A-Za-z0-9]{54}",
    r"fio-u-[\w=-]{60,}",
    r"fo1_[\w-]{43}|fm[12][ar]?_[A-Za-z0-9+/=]{90,}",
    r"figd_[\w-]{30,}",
    r"gsk-[\w-]{30,}",
    r"HRKU-[\w-]{30,}",
    r"ico-[A-Za-z0-9]{32}",
    r"pul-[0-9a-f]{40}",
    r"rdme_[a-z0-9]{60,}",
    r"sgp_(?:[0-9a-fA-F]{16}_|local_)?[0-9a-fA-F]{40}",
    r"shippo_(?:live|test)_[0-9a-fA-F]{40}",
    r"sntry[su]_[\w+/=-]{40,}",
    r"tk-us-[\w-]{40,}",
    r"tfp_[A-Za-z0-9]{40,}",
    r"tskey-[a-z]+-[\w-]{16,}",
    r"xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}",
    r"xsmtpsib-[0-9a-f]{64}-[A-Za-z0-9]{16}",
    r"(?:access|sandbox|production|development)-(?:sandbox|development|production)-[0-9a-f-]{36}",
    r"(?:live|test)_[a-z]{0,4}_?[A-Za-z0-9]{35,}\b",
    r"secret_[A-Za-z0-9]{43}\b|ntn_[A-Za-z0-9]{40,}",
    r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",
    r"pat-(?:na1|eu1)-[0-9a-f-]{36}",
    r"phc_[A-Za-z0-9]{40,}|phx_[A-Za-z0-9]{40,}",
    r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}",
    r"sbp_[0-9a-f]{40}|sb_(?:secret|publishable)_[\w-]{20,}",
    r"vercel_blob_rw_\w{30,}|vc[apir]_[A-Za-z0-9]{24,}",
    r"nf[pcouk]_[A-Za-z0-9]{36,}",
    r"rnd_[A-Za-z0-9]{32,}|rpa_[A-Za-z0-9]{40,}",
    r"cloudinary://\d+:[\w-]+@",
    r"oy2[a-z0-9]{43}\b",
    r"jwt_[A-Za-z0-9]{40,}",
    r"waka_[0-9a-f-]{36}",
    r"CFPAT-[\w-]{40,}",
    r"dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    r"API-[A-Z0-9]{26}\b",
    r"AccountKey=[\w+/]{80,}={0,2}",
    r"[A-Za-z0-9_~.]{3}\dQ~[\w~.-]{31,34}",
    r"\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}",
    r"ABSK[A-Za-z0-9+/]{100,}={0,2}",
    r"bkua_[0-9a-f]{40}|ccipat_[A-Za-z0-9_]{20,}",
    r"crates?io[A-Za-z0-9]{30,}|cio[A-Za-z0-9]{32}\b",
    r"amzn\.mws\.[0-9a-f-]{36}",
    r"aio_[A-Za-z0-9]{28}\b|nk[sS][A-Z0-9]{50,}",
)
_token = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_TOKENS)})")
_WEBHOOKS = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d+/|"
    r"api\.telegram\.org/bot|"
    r"hooks\.zapier\.com/hooks/catch/|outlook\.office(?:365)?\.com/webhook/|"
    r"[a-z0-9-]+\.webhook\.office\.com/webhookb2/|"
    r"chat\.googleapis\.com/v1/spaces/[^\s?]{1,64}\?key=|maker\.ifttt\.com/trigger/\w{1,64}/with/key/|"
    r"events\.pagerduty\.com/integration/|"
    r"hooks\.airtable\.com/workflows/v1/genericWebhook/)([^\s\"'<>]{8,512})"
)
_private_key = re.compile(
    r"-----BEGIN(?: [A-Z0-9]+){0,3} PRIVATE KEY(?: BLOCK)?-----"
    r"(?P<body>(?:[^-\"'<}]|-(?!----)){0,16000})"
)
_putty = re.compile(r"(Private-Lines: \d+\s+|Private-MAC: )([A-Za-z0-9+/=\s]{16,8000})")
_jwt = re.compile(r"(?<![\w-])ey[jJ][\w-]{5,}\.[\w-]{4,}(?:\.[\w-]*){1,3}", re.ASCII)
# The userinfo of a URL. A password may hold any character: it ends at the last `@` with a host behind it.
_userinfo = re.compile(r"(?<=://)(?P<user>[^\s:/@\"'<>?#\[\]]{0,256})(?P<colon>:?)(?=[^\n]{0,512}@)")
_run = re.compile(r"[^\s\"'<>`]*").match
_host_behind = re.compile(r"@(?=[\w.\[{$%-])")
_port = re.compile(r"\d{1,5}(?=[/?#\s,;]|\Z)")
_jdbc_thin = re.compile(
    r"(jdbc:oracle:(?:thin|oci):[^\s/:@]{1,64}/)([^\s]{1,128})(?=@)|"
    r"(\bsqlplus\s+[\w.-]{1,64}/)([^\s]{1,128})(?=@)"
)
_bare_userinfo = re.compile(
    r"(?<![\w/:@.-])([\w.+-]{1,64}):([^\s:/@\"'<>]{3,128})@(?=[\w-]+(?:\.[\w-]+)*:\d{2,5}\b)"
)
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
_digest = re.compile(r"\b(digest|hawk|mac)( +(?:username|id|realm)=)([^\r\n]{1,2048})", re.IGNORECASE)
_hash = re.compile(
    r"\$(?:2[abxy]\$\d\d\$[./A-Za-z0-9]{50,60}|argon2\w{1,2}\$[^\s'\"]{20,512}|scrypt\$[^\s'\",]{20,512}|"
    r"[156y]\$[^\s$]{1,64}\$[./A-Za-z0-9]{20,128})|\b(?:pbkdf2_\w{1,16}|bcrypt_sha256|argon2|scrypt)\$[^\s'\",]{20,512}"
)
_code_of_person = re.compile(
    r"\byour (?:[\w-]{1,24} )?(?:code|pin|passcode)(?: is|:)? (\d{4,8})\b|"
    r"\b(\d{4,8}) (?:is|as) your (?:[\w-]{1,24} ){0,3}(?:code|pin)\b|"
    r"(?-i:\bPIN)(?: code| number)? ?:? (\d{4,6})\b",
    re.IGNORECASE,
)
_auth_call = re.compile(
    r"""(\b\w{0,24}(?:Auth|Credentials?|Login)\(\s?(?:\w{1,16}=)?['"][^'"\n]{0,128}['"],\s?(?:\w{1,16}=)?['"])([^'"\n]{1,256})"""
)
_link = re.compile(
    r"(/(?:password[-_]?)?(?:reset|verify|verification|activate|activation|confirm|invite|invitation|magic|unsubscribe)"
    r"(?:[-_](?:password|email|link|account))?/(?:[\w-]{1,12}/)?)([\w.~-]{16,512})"
)
_commands = re.compile(
    r"(?P<curl>\b(?:curl|https?|smbclient)\b[^\n]{0,256}?\s(?:-u|-a|--user|--proxy-user|"
    r"-U)[ =]?[\"']?[^\s:\"']{1,128}:)(?P<user_password>[^\s\"']{1,128})"
    r"|(?P<mysql>\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump|mysqlimport)\b[^\n|"
    r";]{0,256}?[\s\"',]-p)(?P<mysql_password>[^\s\"',]{3,128})"
    r"|(?P<tool>\b(?:sshpass|twine upload|docker login|podman login|helm registry login|az login|"
    r"ldapsearch|ldapadd|ldapmodify|mongo(?:sh|dump|restore)?|"
    r"redis-cli|rabbitmqadmin|zip|7z|unzip|sqlcmd|bcp|kinit|smbclient|openssl)\b[^\n|"
    r";]{0,256}?[\s\"',](?:-p|-w|-a|-P|-passin|-passout|-pass)[\"']?[ ,]{1,3}[\"']?(?:pass:)?)"
    r"(?P<tool_password>(?!-)[^\s\"',]{3,128})"
    r"|(?P<net>\bnet use\b[^\n]{0,128}/user:\S{1,64} )(?P<net_password>\S{3,128})"
)


def hide_shapes(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without the credentials that are known by their form."""
    if "PRIVATE KEY" in text:
        text = _private_key.sub(
            lambda match: match[0][: match.start("body") - match.start()] + mark(match["body"]), text
        )
    if "Private-" in text:
        text = _putty.sub(lambda match: match[1] + mark(match[2]), text)
    if "ey" in text:
        text = _jwt.sub(lambda match: mark(match[0]), text)
    text = _token.sub(lambda match: mark(match[0]), text)
    text = _link.sub(
        lambda match: match[1] + mark(match[2]) if looks_secret(match[2], strict=True) else match[0], text
    )
    if "://" in text or "hooks" in text or ".com/" in text:
        text = _WEBHOOKS.sub(lambda match: match[1] + mark(match[2]), text)
    return text


def hide_hashes(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without the hashes of passwords."""
    return _hash.sub(lambda match: mark(match[0]), text)


def hide_codes(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without codes that are sent to a person: `your code is 482913`."""

    def hidden(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return match[0].replace(code, mark(code))

    return _code_of_person.sub(hidden, text)


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


def hide_schemes(text: str, mark: Callable[[str], str]) -> str:
    """Return the text without what follows `Bearer`, `Basic` and the like, unless it is a word of a sentence."""

    def hidden(match: re.Match[str]) -> str:
        word = match["word"].rstrip(".,;:!?)]}")
        scheme = match["scheme"].strip().lower()
        is_common = scheme in ("bearer", "basic")
        if is_placeholder(word) or not (
            looks_secret(word, strict=not is_common)
            or (is_common and _is_no_word(word))
            or (len(word) >= 24 and _is_no_word(word))
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
