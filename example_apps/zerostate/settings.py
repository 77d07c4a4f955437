"""Django settings of zerostate. The one line is `"obs_django"` in INSTALLED_APPS: no middleware, no urls."""

import os

import django

INSTALLED_APPS = ["obs_django", "example_apps.zerostate"]
OBS_SERVICE_NAME = "zerostate"
OBS_METRICS_PREFIX = "zerostate"

SECRET_KEY = os.environ.get("ZEROSTATE_SECRET_KEY", "only-for-the-demo")
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "zerostate"]  # the last one: in containers

ROOT_URLCONF = "example_apps.zerostate.urls"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "example_apps.zerostate.views.AgentMiddleware"]

FILE = os.environ.get("ZEROSTATE_DB", "zerostate.sqlite3")
# A transaction takes the lock at its beginning, so that what it reads is still so when it writes.
LOCKING = {"transaction_mode": "IMMEDIATE", "timeout": 20} if django.VERSION >= (5, 1) else {"timeout": 20}
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FILE, "OPTIONS": LOCKING}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

PEERS_FOLDER = os.environ.get("ZEROSTATE_PEERS", f"{FILE}.peers")
UTILITYFOG_URL = os.environ.get("UTILITYFOG_URL", "")  # empty: nothing is coordinated, zerostate runs alone
