"""The least that the probe app needs, plus the one line of ours."""

SECRET_KEY = "only-for-tests"
USE_TZ = True
ROOT_URLCONF = "tests.apps.django_app.urls_sync"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", ".example.org"]
INSTALLED_APPS = ["obs_django"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "tests.apps.django_app.handled.HandledErrors",
]
LOGGING_CONFIG = None
PROBE_CATCH_ALL = False
