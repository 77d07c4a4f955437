"""The URLconf of the sync views."""

from tests.apps.django_app import views_sync
from tests.apps.django_app.patterns import patterns

urlpatterns = patterns(views_sync)
handler500 = "tests.apps.django_app.handled.server_error"
