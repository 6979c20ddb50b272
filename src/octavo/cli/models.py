"""`octavo models`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Models:
    """List the models that can be trained: parameters, what one volume costs, and what each needs.

    Nothing is computed and nothing is loaded. What is built with a package that is not there is listed as not installed.
    """

    size: tuple[int, int, int] = (64, 64, 64)
    """B-scans, depth samples and A-scans of a volume."""
    json: bool = False
    """Print JSON instead of text."""

    def run(self) -> int:
        """List, and print."""
        from octavo.workflows.list_models import as_json, describe, list_models

        models = list_models(self.size)
        print(as_json(models, self.size) if self.json else describe(models, self.size))
        return 0
