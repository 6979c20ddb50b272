"""Benchmark: the honest comparison of several models as one call."""

from octavo.workflows.benchmark.cells import run_on_ray
from octavo.workflows.benchmark.plan import Budget, Plan, read_settings
from octavo.workflows.benchmark.running import Benchmarked, benchmark

__all__ = ["Benchmarked", "Budget", "Plan", "benchmark", "read_settings", "run_on_ray"]
