"""The plan of an access line: which texts and which values of a RequestRecord follow each other in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from obs_middleware.logs.fields import ACCESS_FIELDS, MESSAGE_FIELDS, AccessField, Spelling, message_text

if TYPE_CHECKING:
    from obs_middleware.logs.formatters.json import JsonFormatter
    from obs_middleware.redaction import Redactor

_REMEMBERED = 256  # texts of one field; clients may fill them
_REMEMBERED_CHARACTERS = 256  # of a value

# Text before, attribute of RequestRecord, spelling, texts by value, function for a value without a text. The last two
# are None unless the spelling is SPELLED.
Step = tuple[str, str, int, "Texts | None", Callable[[Any], str] | None]


class Texts(dict[Any, str]):
    """The text of each value as a line has it, made when it is first asked for, because most come again."""

    __slots__ = ("_spell",)

    def __init__(self, spell: Callable[[Any], str]) -> None:
        self._spell = spell

    def __missing__(self, value: Any) -> str:
        text = self._spell(value)
        if type(value) is str:
            if len(value) > _REMEMBERED_CHARACTERS:
                return text
            text = value if text == value else text  # most are: one text for both
        elif value is not None and type(value) is not int:  # 1, 1.0 and True are one key
            return text
        if len(self) >= _REMEMBERED:
            self.clear()  # those that come again are soon back
        self[value] = text
        return text


def steps(
    formatter: JsonFormatter,
    redactor: Redactor,
    *,
    logger: str,
    level: str,
    table: Iterable[AccessField] = ACCESS_FIELDS,
) -> Iterator[Step]:
    """Yield the steps of a line: timestamp, message, static fields, then each field of the table."""
    fields = {field.name: field for field in table}
    quoted: dict[str, Texts] = {}  # texts of the message, which may come again as a field
    yield f'{{{formatter.name("timestamp")}:"', "ended", Spelling.TIMESTAMP.value, None, None
    level_name, logger_name, message = map(formatter.name, ("level", "logger", "message"))
    before = f'",{level_name}:{formatter.json(level)},{logger_name}:"{logger}",{message}:"'
    for name in MESSAGE_FIELDS:
        texts = quoted[name] = Texts(_quoted_speller(fields[name], formatter, redactor))
        yield before, fields[name].attribute, Spelling.SPELLED.value, texts, texts.__missing__
        before = " "
    before = f'",{formatter.static_text}'
    for name, attribute, spelling, _, is_text in fields.values():
        before += f",{formatter.name(name)}:" + '"' * is_text
        if spelling is Spelling.SPELLED:
            speller = _quoted_speller if is_text else _speller
            is_in_message = is_text and name in quoted
            texts = quoted[name] if is_in_message else Texts(speller(fields[name], formatter, redactor))
            yield before, attribute, spelling.value, texts, texts.__missing__
        else:
            yield before, attribute, spelling.value, None, None
        before = '"' * is_text


def _speller(field: AccessField, formatter: JsonFormatter, redactor: Redactor) -> Callable[[Any], str]:
    return lambda value: formatter.json(field.value(redactor, value))


def _quoted_speller(field: AccessField, formatter: JsonFormatter, redactor: Redactor) -> Callable[[Any], str]:
    """Return what spells a value as it stands between quotes."""
    return lambda value: formatter.json(message_text(field.value(redactor, value)))[1:-1]
