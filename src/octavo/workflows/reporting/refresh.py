"""Own words: a run's card and checklists, written anew whenever something was trained or measured.

They only tell what is there already. So whatever keeps them from being written must not end what took hours.
"""

import logging
from pathlib import Path

from octavo.workflows.reporting.checklists import write_checklists
from octavo.workflows.reporting.model_card import write_model_card

_log = logging.getLogger("octavo.model-card")


def refresh_card(run: Path, *, checklists: bool = False) -> None:
    """Write the model card again, and the checklists if they are asked for; a failure is a warning and no more.

    Args:
        run: A run's folder.
        checklists: Whether those of the reporting guidelines are written too.
    """
    for write in (write_model_card, write_checklists) if checklists else (write_model_card,):
        try:
            write(run)
        except Exception as error:  # noqa: BLE001  (whatever it is, the models and their measures are there)
            reason = " ".join(str(error).split()) or type(error).__name__
            what = "the model card and the checklists" if checklists else "the model card"
            _log.warning("%s: %s could not be written, all else was: %s", run, what, reason)
            return
