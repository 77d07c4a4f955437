"""Django settings of zerostate. The one line is `"obs_django"` in INSTALLED_APPS: no middleware, no urls."""

import os

INSTALLED_APPS = ["obs_django", "example_apps.zerostate"]
OBS_SERVICE_NAME = "zerostate"
OBS_METRICS_PREFIX = "zerostate"

DEBUG = False
SECRET_KEY = os.environ.get("ZEROSTATE_SECRET_KEY", "only-for-the-demo")
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "zerostate"]  # the last one: in containers

ROOT_URLCONF = "example_apps.zerostate.urls"
WSGI_APPLICATION = "example_apps.zerostate.wsgi.application"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("ZEROSTATE_DB", "zerostate.sqlite3"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

UTILITYFOG_URL = os.environ.get("UTILITYFOG_URL", "")  # empty: nothing is coordinated, zerostate runs alone
