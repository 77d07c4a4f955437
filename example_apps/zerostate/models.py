from django.db import models


class Guild(models.Model):
    class State(models.TextChoices):
        ACTIVE = "active"
        DISSOLVED = "dissolved"

    name = models.SlugField(unique=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    balance_units = models.PositiveIntegerField(default=1_000_000)

    def __str__(self) -> str:
        return str(self.name)


class Task(models.Model):
    class Status(models.TextChoices):
        EXECUTING = "executing"
        COMPLETED = "completed"
        FAILED = "failed"

    guild = models.ForeignKey(Guild, on_delete=models.CASCADE, related_name="tasks")
    program = models.CharField(max_length=32)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.EXECUTING)
    cost_units = models.PositiveIntegerField(default=0)


class Payment(models.Model):
    guild = models.ForeignKey(Guild, on_delete=models.CASCADE, related_name="payments")
    payee = models.CharField(max_length=64)
    amount_units = models.PositiveIntegerField()
