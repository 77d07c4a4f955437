"""Who pays whom, for what: guilds have tasks run by agents, and pay them through channels."""

from django.db import models


class Refused(Exception):
    """What will not be done; its arguments are the HTTP status that says so, and why."""


class Agent(models.Model):
    name = models.SlugField(unique=True)
    balance_units = models.PositiveBigIntegerField(default=0)
    score = models.FloatField(default=1.0)
    blacklisted_until = models.DateTimeField(null=True)


class Guild(models.Model):
    State = models.TextChoices("State", "active dissolved")
    name = models.SlugField(unique=True)
    state = models.CharField(max_length=16, default=State.active)
    balance_units = models.PositiveBigIntegerField(default=1_000_000)
    members = models.ManyToManyField(Agent, related_name="guilds")


class Task(models.Model):
    Status = models.TextChoices("Status", "executing completed failed")
    guild = models.ForeignKey(Guild, models.CASCADE, related_name="tasks")
    executor = models.ForeignKey(Agent, models.CASCADE, related_name="tasks")
    program = models.CharField(max_length=32)
    status = models.CharField(max_length=16, default=Status.executing)
    cost_units = models.PositiveIntegerField(default=0)
    receipt = models.TextField(default="")  # what was done, as JSON
    signature = models.CharField(max_length=64, default="")


class Channel(models.Model):
    """What a guild has put aside for an agent, and what of it the agent has earned and was not paid out yet."""

    State = models.TextChoices("State", "opened active disputed closed")
    creator = models.ForeignKey(Guild, models.CASCADE, related_name="channels")
    executor = models.ForeignKey(Agent, models.CASCADE, related_name="channels")
    state = models.CharField(max_length=16, default=State.opened)  # active: it has paid
    creator_units = models.PositiveBigIntegerField(default=0)
    executor_units = models.PositiveBigIntegerField(default=0)


class Payment(models.Model):
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="payments")
    task = models.ForeignKey(Task, models.CASCADE, null=True)  # none: nothing proves what it was for
    amount_units = models.PositiveBigIntegerField()
    is_settled = models.BooleanField(default=False)
