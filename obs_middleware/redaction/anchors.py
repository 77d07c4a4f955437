"""A look at a text that costs little: where may a secret be at all?

A word is looked for by a rare letter that it has, with the others around it: `k(?<=tok)en` finds `token` where a `k`
stands, and there are few. So a text without secrets is read once, and no other pattern looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from obs_middleware.redaction import languages

# `head anchor tail`: the anchor is a letter that few words have; head and tail stand around it. Of words in keys:
_WORDS = r"""
    -p-ass ot-p- -p-in(?![a-z]) c-p-in -p-hone -p-esel -p-ayment.?m -p-wd -p-w(?![a-z]) -k-ennwort se-c-ret
    -c-red -c-ard -c-ode -c-rypt -c-(?:pf|npj|urp|v[vc]) -c-srf -c-ustomer.?id -c-ontrasen li-c-en[cs]e -c-count.?n
    so-c-ial to-k-en -k-ey coo-k-ie -u-th -j-wt -x-srf
    i-d-(?:(?<=sid)|(?<=onid)|(?<=on.id)|(?<=nationalid)|(?<=national.id))(?![a-z]) -d-ob(?![a-z])
    -d-ni(?![a-z]) -d-ress si-g-(?:nature|(?![a-z])) -m-ail na-m-e -m-nemonic -m-obile -m-sisdn
    h-m-ac(?![a-z]) i-b-an -b-irth -b-sn(?![a-z]) ta-x- identi-f-ied [\s)\n]-v-alues para-m-eters
    input_-v-alue -p-sk(?![a-z]) sa-m-l(?:.?resp|art) nectionstrin-g- nection.strin-g-
    -p-aro(?:l|ol) -w-achtw sen-h-a -h-[ae]slo -k-ode(?:n|ord)?(?![a-z]) si-f-re -j-elsz -j-eton kata.san-d-i
    katasan-d-i sala-s-ana lo-z-ink slapta-z-od -k-hau(?![a-z]) cla-v-e(?![a-z]) m-d-p(?![a-z]) -g-eheim se-g-re[td]
"""
# Of credentials that are known by their form:
_FORMS = r"""
    -/-(?:reset|verif|activ|confirm|invit|magic|unsub|passw)
    -k-ey\x2d ts-k-ey se-c-ret[\x2d_] lin_oa-u-th
    -b-(?:earer|asic)[\s,] -g-(?:h[pousr]_|ithub_pat|l[a-z]{2,5}\x2d|r\d{4}|ls?[ac]_|sk[_\x2d])
    -x-(?:ox|app\x2d|ai\x2d|keysib|smtpsib) [srp]-k-_[ltp] [^a-z]s-k-\x2d whse-c-_ ai-z-a -y-a\d\d np-m-_
    p-y-pi\x2d [^a-z]s-g-[.] \x2d-u-s\d o[opr]_-v-\d [^a-z]h-f-_ -f-(?:lwseck|igd_|io\x2du|m\d|o\d_)
    sh-p-[a-z]{2}_ hoo-k- telegra-m- [mr]a-k-\x2d h-v-[sbr][.] atlas-v-\d d-p-[.][a-z]{2} lin_a-p-i_ s-q-\d
    da-p-i[0-9a-f]{4} ps-c-ale_ dc-k-r_ rub-y-gems cm-v-md -p-\de\x2d clo-j-ars -v-\d[.]\d\x2d[0-9a-f]{9} ey-j-
    -p-at[a-z0-9\x2d]{9} -p-h[cx]_ t-f-p_ i-c-o\x2d -p-ul\x2d rd-m-e_ s-g-p_ shi-p-po_ sntr-y-[su]
    t-k-\x2dus s-b-[p_] n-f-[pcouk]_ -v-(?:c[apir]_|ercel_) -d-t\d[a-z] am-z-n[.]mws -p-plx\x2d n-v-api\x2d
    -c-(?:cipat|loudinary) b-k-ua_ o-y-\d[a-z0-9]{9} at-b-b[a-z0-9]{9} -b-bdc\x2d s-q-lplus
    -p-(?:utty|rivate\x2d) -j-dbc -/-user: hoo-k-[.] gitla-b-_sess \d-/-/0 a-p-i_org_ \d-:-aa [sb]-.-[a-z0-9]{20}
    -c-urestring oa-u-th:[a-z0-9]{30} a-p-a\d\db -u-th["\s] e-w-og e-y-ai -d-ose[0-9a-f]{9}
    a-c-cess\x2d[psd] ntn-_- re-_-[a-z0-9]{8}_ r\d-_-[a-z0-9]{9} aio-_-[a-z0-9]{9} rnd-_-[a-z0-9]{9}
    rpa-_-[a-z0-9]{9} waka-_- jwt-_-[a-z0-9]{9} live-_-(?:[a-z]{0,4}_)?[a-z0-9]{16}
    test-_-(?:[a-z]{0,4}_)?[a-z0-9]{16} -c-(?:rates?io|io[a-z0-9]{16}) n-k-s[a-z0-9]{16}
    -b-egin.(?:[a-z]{2,12}.)?private ls0-t-ls
"""
# Of those that have capitals.
_CAPITALS = re.compile(
    r"A(?:[KS]IA|[BGR]IA|CCA|GPA|IDA|ROA|IPA|NPA|NVA|PKA|TATT|TCTT|\dT|\d-|KCp|KID|BSK|PI-[A-Z0-9]|C[0-9a-f]{8}|A{12})|E(?:AA|"
    r"Z[AT]K)|LTAI|"
    r"S(?:K[0-9a-f]{8}|G\.|SWS )|P(?:RIVATE KEY|MAK)|N(?:R[A-Z]{2}-|egotiate |TLM |[\w-]{22})|"
    r"H(?:RKU|awk )|CFPAT|Q~|"
    r"G(?:OCSPX|enieKey )|Digest |Bot |M(?:AC id|[\w-]{22})|O[\w-]{22}"
).search
_NUMBERS = re.compile(
    r"\d\d(?:\d(?:[-. ]\d{2,3}[-. /]\d|[-. ]\d{4}|\d[-. +_]?\d{3}|\d?%20\d|[A-Z])| \d\d \d\d )", re.ASCII
).search
_MARKS = re.compile(r"[@$%&\\+](?![\s,;.)])").search
_OPTION = re.compile(r"[\s\"',]-(?:[pPuUawb]|storepass|keypass|-user|-proxy-user)").search
_piece = re.compile("(.*?)-(.)-(.*)").fullmatch
_NO_LETTER = "[^a-z]"
# Words of which nothing can be said without those beside them: `customer id`, `payment method`, `connection string`.
_HAS_NEIGHBOURS = re.compile(
    rb"\W*(?:id(?![a-z])|string|sandi|resp|art)|.*(?:payment|saml)\W*", re.IGNORECASE | re.DOTALL
).match
_MAY_COME_AGAIN = re.compile(rb"\W{0,3}(?:[A-Za-z_]{1,24}|0{1,8})\W{0,3}").fullmatch
_WORDS_REMEMBERED = 4096
_ONE_DIGIT = bytes.maketrans(b"123456789", b"0" * 9)
_SMALL = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


class Anchors:
    """Find where a secret may be.

    Args:
        keys: further keys, without case and punctuation.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._clean_words: set[bytes] = set()
        self._own = own = [r"[\W_]?".join(map(re.escape, key[:32])) for key in keys]
        self._words = re.compile("|".join([*_grouped(_WORDS), *own])).finditer
        self._any = re.compile("|".join([*_grouped(_WORDS + _FORMS), *own])).search
        self._forms = re.compile("|".join(_grouped(_FORMS))).search

    def words(self, text: str) -> Iterator[int]:
        """Yield positions in words that may be secret keys, in order."""
        found = [hit.start() for hit in self._words(small(text))]
        if not text.isascii():
            found = sorted([*found, *(hit.start() for hit in languages.hits(text))])
        return iter(found)

    def any(self, text: str) -> bool:
        """Tell whether a word of a secret key or the beginning of a credential is in the text."""
        return (
            self._any(small(text)) is not None
            or _CAPITALS(text) is not None
            or (not text.isascii() and next(languages.hits(text), None) is not None)
        )

    def forms(self, text: str) -> bool:
        """Tell whether the beginning of a credential is in the text."""
        return self._forms(small(text)) is not None or _CAPITALS(text) is not None

    def is_clean(self, text: str) -> bool:
        """Tell whether nothing can be hidden in a text. All digits count alike: the answer holds for a shape."""
        return not (self.any(text) or has_numbers(text) or _MARKS(text) or " -" in text)

    def is_clean_shape(self, shape: bytes) -> bool:
        """Tell the same of the shape of a text. Words that were clean before are not looked at again."""
        words = shape.split()
        if self._own or not (self._clean_words.issuperset(words) or self._are_clean(words)):
            return self.is_clean(shape.decode())
        may_have_numbers = b"000" in shape or b"00 00 00 " in shape
        return not (may_have_numbers and has_numbers(shape.decode()))

    def _are_clean(self, words: list[bytes]) -> bool:
        """Tell whether each of the words is clean, whatever stands beside it."""
        for word in words:
            if word not in self._clean_words:
                if _HAS_NEIGHBOURS(word) or not self.is_clean(f" {word.decode()} "):
                    return False
                self._remember(word)
        return True

    def _remember(self, word: bytes) -> None:
        if _MAY_COME_AGAIN(word):
            if len(self._clean_words) >= _WORDS_REMEMBERED:
                self._clean_words.clear()
            self._clean_words.add(word)


def _grouped(pieces: str) -> list[str]:
    """Return one pattern for each anchor, so that a letter is compared with the others once."""
    groups: dict[str, list[str]] = {}
    for piece in pieces.split():
        head, anchor, tail = _piece(piece).groups()  # type: ignore[union-attr]
        behind = (
            re.escape(anchor) + tail if tail.isalnum() else re.escape(anchor)
        )  # a tail of letters is compared first, because that is fast
        if head.startswith(_NO_LETTER):  # a text may begin with it
            head = head.removeprefix(_NO_LETTER)
            look = f"(?<={head}{behind})(?<![a-z]{head}{behind})"
        else:
            look = f"(?<={head}{behind})" if head else ""
        tails = groups.setdefault(anchor, [])
        tails.append(f"{tail}{look}" if tail.isalnum() else f"{look}{tail}")
    return [f"{re.escape(anchor)}(?:{'|'.join(tails)})" for anchor, tails in groups.items()]


def shape(text: str) -> bytes:
    """Return an ASCII text with one digit for all, as that of messages with other numbers."""
    return text.encode().translate(_ONE_DIGIT)


def small(text: str) -> str:
    """Return the text with small letters for ASCII's capitals; every character keeps its place."""
    return text.lower() if text.isascii() else text.translate(_SMALL)


has_numbers = _NUMBERS
has_digits = re.compile(r"\d\w{2}", re.ASCII).search
has_option = _OPTION
