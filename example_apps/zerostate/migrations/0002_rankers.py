from typing import Any

from django.db import migrations


def found_rankers(apps: Any, schema_editor: Any) -> None:
    """Found the guild that ranks songs for audotics, and have three agents join it."""
    rankers, _ = apps.get_model("zerostate", "Guild").objects.get_or_create(name="rankers")
    for number in (1, 2, 3):
        agent, _ = apps.get_model("zerostate", "Agent").objects.get_or_create(name=f"executor-{number}")
        rankers.members.add(agent)


class Migration(migrations.Migration):
    dependencies = [("zerostate", "0001_initial")]

    operations = [migrations.RunPython(found_rankers, migrations.RunPython.noop)]
