"""The health of utilityfog: what must be done before it has started, its checks, and who is told of a change."""

from example_apps.utilityfog import coordination, storage
from example_apps.utilityfog.telemetry import observer
from obs_middleware.health import Change, Result
from obs_middleware.health.ready_made import disk_space, event_loop_lag


@observer.lifecycle.initialiser
def verify_storage() -> None:
    """Read the whole file: no traffic comes until this is done, and none at all if the file is damaged."""
    storage.verify()


observer.health.add("database", storage.ping, component_type="datastore")
observer.health.add("event_loop", event_loop_lag(), critical=False)
observer.health.add("disk", disk_space(str(storage.PATH.absolute().parent)), critical=False, every_seconds=30)


@observer.health.check("coordination", critical=False, every_seconds=1, component_type="component")
def nodes_reached() -> Result:
    """Count the nodes that a message would reach; not critical, because it takes a request to wake a node."""
    reached = len(coordination.awake_from(coordination.ROOT))
    return Result(
        "pass" if reached == storage.NODES else "warn" if reached else "fail",
        output=f"a message reaches {reached} of {storage.NODES} nodes",
        observed_value=reached,
        observed_unit="nodes",
    )


@observer.health.on_change
def export_now(change: Change) -> None:
    """Write the files at once, because whoever reads them should not wait for the next interval."""
    observer.exporters.push()
