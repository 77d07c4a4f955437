"""The probe app on Django: one URLconf, served through WSGI with sync views or ASGI with async views."""
