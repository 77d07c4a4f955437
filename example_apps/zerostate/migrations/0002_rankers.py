from typing import Any

from django.db import migrations


def found_rankers(apps: Any, schema_editor: Any) -> None:
    """Found the guild that ranks songs for audotics."""
    apps.get_model("zerostate", "Guild").objects.get_or_create(name="rankers")


class Migration(migrations.Migration):
    dependencies = [("zerostate", "0001_initial")]

    operations = [migrations.RunPython(found_rankers, migrations.RunPython.noop)]
