from django.urls import path, re_path
from django.views.decorators.http import require_GET, require_POST

from example_apps.zerostate import views

urlpatterns = [
    path("guilds/", require_POST(views.create_guild)),
    path("guilds/<slug:name>/", require_GET(views.show_guild)),
    path("guilds/<slug:name>/members/", require_POST(views.join_guild)),
    path("guilds/<slug:name>/tasks/", require_POST(views.run_task)),
    path("guilds/<slug:name>/payments/", require_POST(views.send_payment)),
    path("guilds/<slug:name>/dissolve/", require_POST(views.dissolve_guild)),
    re_path(
        "^channels/(?P<pk>[0-9]+)/(?P<action>settle|dispute|close)/$", require_POST(views.change_channel)
    ),
]
