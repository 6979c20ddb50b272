"""Threads: who may use the cores while a network computes."""

from threadpoolctl import threadpool_limits


def cores_for_torch() -> threadpool_limits:
    """Within the block, NumPy's matrix products use one thread.

    Batches are resampled by NumPy between two steps of PyTorch. The threads of NumPy's BLAS wait in a busy loop for their
    next product, and so take the cores from PyTorch's: on two cores a step takes about twice as long.

    Example:
        >>> with cores_for_torch():
        ...     pass
    """
    return threadpool_limits(limits=1, user_api="blas")
