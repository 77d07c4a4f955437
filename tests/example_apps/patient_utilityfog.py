"""utilityfog whose nodes wait longer for one another, so that none is given up on a busy machine."""

from __future__ import annotations

from example_apps.utilityfog import tree
from example_apps.utilityfog.app import app as app

tree.REPLY_SECONDS = 60.0
