"""What can go wrong before or beside the tour itself."""


class DemoError(Exception):
    """Something that the person at the terminal can cure; the message says how."""

    exit_code = 1


class CannotStart(DemoError):
    """Nothing was started: a package is missing, a port is taken."""

    exit_code = 2
