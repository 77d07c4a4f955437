"""What is a secret and how it is hidden: one Redactor for every sink."""

from obs_middleware.redaction.marks import REDACTED
from obs_middleware.redaction.redactor import CHARACTERS, CUT, Redactor, one_line

__all__ = ["CHARACTERS", "CUT", "REDACTED", "Redactor", "one_line"]
