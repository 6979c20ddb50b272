"""Work spread over many machines, as tasks of a Ray cluster.

Nothing here is imported unless an address is given. The machines share the folders that are read and written, and have this
package installed. A task whose machine is lost is run again elsewhere; what it had written is found there and gone on with.
The cluster has to ask for a token: without one, whoever reaches its port may run programs on it.
"""

import importlib.util
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from octavo.errors import OctavoError

Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL = "local"
"""The address that starts a cluster of this machine alone, which ends with the command."""
MODE, TOKEN = "token", "RAY_AUTH_TOKEN"
_RETRIES = 5
"""How often a task is run again because its machine was lost."""


@contextmanager
def cluster(address: str) -> Iterator[Any]:
    """Connect to a Ray cluster, or start one of this machine.

    Args:
        address: Such as `10.0.0.1:6379`, or `local`.

    Yields:
        The module `ray`, connected.

    Raises:
        OctavoError: If Ray is not installed, authentication is turned off, or the cluster cannot be reached with the token.
    """
    if importlib.util.find_spec("ray") is None:
        raise OctavoError("Ray is not installed; wanted it for --ray; pip install 'octavo[ray]'")
    mode = os.environ.setdefault("RAY_AUTH_MODE", MODE)
    if mode != MODE:
        raise OctavoError(
            f"RAY_AUTH_MODE is {mode!r}; wanted 'token': without it whoever reaches the cluster's port may run programs on "
            "it; set it on every machine, and start the cluster again"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # tasks are run by this very interpreter and not in an environment that another tool makes
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    if address == LOCAL:
        # else Ray would write one where every user of the machine can read it
        os.environ.setdefault(TOKEN, secrets.token_hex(32))
    import ray

    own: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **own)
    except Exception as error:  # noqa: BLE001 - what a cluster that is not there raises depends on how it is not there
        first = str(error).splitlines()[0] if str(error) else "without a word"
        raise OctavoError(
            f"{address}: no Ray cluster can be reached there ({type(error).__name__}: {first[:120]}); wanted one that was "
            f"started with RAY_AUTH_MODE=token, and its token in {TOKEN} or ~/.ray/auth_token; check both"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def map_on_ray(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    address: str,
    *,
    cores: int = 1,
    failed: Callable[[Item, str], Result],
) -> Iterator[tuple[int, Result]]:
    """Apply a function to every item, each in a process of its own somewhere in a cluster.

    Args:
        function: What is done, in the folder this command was given in; it and the items must be picklable, and doing it
            twice must do no harm.
        items: What it is done to.
        address: Of the cluster; see `cluster`.
        cores: How many cores a task may use.
        failed: The result of an item whose task could not be done, from the item and the reason.

    Yields:
        The place of an item and its result, each once, as they come.

    Raises:
        OctavoError: If there is no such cluster, it is lost, no machine of it has so many cores, or the function raises one.
    """
    with cluster(address) as ray:
        most = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
        if most < cores:
            raise OctavoError(
                f"{address}: its largest machine has {most:g} cores, and a task wants {cores}; wanted one that has them; "
                "ask for fewer"
            )
        # a process for each task: what one leaves in memory is not there for the next
        remote = ray.remote(num_cpus=cores, max_retries=_RETRIES, max_calls=1, scheduling_strategy="SPREAD")(
            _done_there
        )
        places = {remote.remote(function, item, os.getcwd()): place for place, item in enumerate(items)}
        while places:
            (done,), _ = ray.wait(list(places), num_returns=1)
            place = places.pop(done)
            try:
                yield place, ray.get(done)
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                if isinstance(cause, OctavoError):
                    raise OctavoError(str(cause)) from None
                _require_alive(ray, address)
                yield place, failed(items[place], _reason(error))


def _require_alive(ray: Any, address: str) -> None:
    """Tell a cluster that is lost from a task that is: then nothing has failed, and all of it can be done later."""
    try:
        is_alive = any(node["Alive"] for node in ray.nodes())
    except Exception:  # noqa: BLE001 - whatever is raised, nobody answers
        is_alive = False
    if not is_alive:
        raise OctavoError(
            f"{address}: the cluster was lost; wanted it to stay; what was done is kept: repeat the command when it is back"
        )


def _done_there(function: Callable[[Any], Any], item: Any, folder: str) -> Any:
    """Do it in the folder the command was given in, so that what it names means the same on every machine."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise OctavoError(
            f"{folder}: is not there on a machine of the cluster ({error.strerror}); wanted the folders that are read and "
            "written under the same names on all of them"
        ) from None
    return function(item)


def _reason(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[-1].strip() if lines else 'without a word'}"[:300]
