"""The URLconf of the async views."""

from tests.apps.django_app import views_async
from tests.apps.django_app.patterns import patterns

urlpatterns = patterns(views_async)
handler500 = "tests.apps.django_app.handled.server_error"
