from django.urls import path

from example_apps.zerostate import views

urlpatterns = [
    path("guilds/", views.guilds),
    path("guilds/<slug:name>/", views.guild),
    path("guilds/<slug:name>/tasks/", views.run_task),
    path("guilds/<slug:name>/payments/", views.send_payment),
]
