"""The health of utilityfog: what must be done before it has started, and its checks."""

from example_apps.utilityfog import storage
from example_apps.utilityfog.telemetry import observer
from example_apps.utilityfog.tree import tree
from obs_middleware.health import Result
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
    reached = len(tree.within_reach())
    return Result(
        "pass" if reached == storage.NODES else "warn" if reached else "fail",
        output=f"a message reaches {reached} of {storage.NODES} nodes",
        observed_value=reached,
        observed_unit="nodes",
    )
