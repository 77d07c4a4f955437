"""The reputation of agents: the share of their last tasks that went well. Who falls too low gets none for a while."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils.timezone import now

from example_apps.zerostate.models import Agent, Guild, Refused, Task
from example_apps.zerostate.telemetry import REPUTATION_TASKS, span
from obs_django import events

LAST_TASKS = 20
TRUST = 2  # tasks that went well, which everybody begins with
LOWEST_SCORE = 0.3  # a newcomer has less after five failures
BLACKLISTED_FOR = timedelta(seconds=60)


def free_agents() -> QuerySet[Agent]:
    return Agent.objects.exclude(blacklisted_until__gt=now())


def best_executor(guild: Guild) -> Agent:
    """Give the member with the best score that is not blacklisted."""
    best = free_agents().filter(guilds=guild).order_by("-score", "pk").first()
    if best is None:
        raise Refused(503, f"guild {guild.name} has no member that may run a task")
    return best


def record(executor: Agent, result: str) -> None:
    """Note how a task of an agent has ended."""
    with span("reputation.record", agent=executor.name, result=result):
        REPUTATION_TASKS.labels(result).inc()
        with span("reputation.calculate", agent=executor.name) as current:
            last = executor.tasks.exclude(status="executing").order_by("-pk")[:LAST_TASKS]
            went_well = [task.status == Task.Status.completed for task in last]
            executor.score = (sum(went_well) + TRUST) / (len(went_well) + TRUST)
            current.set_attribute("score", executor.score)
        if executor.score < LOWEST_SCORE:
            with span("reputation.blacklist", agent=executor.name, score=executor.score):
                executor.blacklisted_until = now() + BLACKLISTED_FOR
                events.record("executor_blacklisted", labels={"agent": executor.name, "security": True})
        executor.save(update_fields=["score", "blacklisted_until"])
