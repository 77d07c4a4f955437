from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from example_apps.zerostate import channels, views

urlpatterns = [
    path("guilds/", require_POST(views.create_guild)),
    path("guilds/<slug:name>/", require_GET(views.show_guild)),
    path("guilds/<slug:name>/members/", require_POST(views.join_guild)),
    path("guilds/<slug:name>/tasks/", require_POST(views.run_task)),
    path("guilds/<slug:name>/payments/", require_POST(views.send_payment)),
    path("guilds/<slug:name>/dissolve/", require_POST(views.dissolve_guild)),
    path("channels/<int:pk>/settle/", require_POST(views.change_channel), {"change": channels.settle}),
    path("channels/<int:pk>/dispute/", require_POST(views.change_channel), {"change": channels.dispute}),
    path("channels/<int:pk>/close/", require_POST(views.change_channel), {"change": channels.close}),
]
