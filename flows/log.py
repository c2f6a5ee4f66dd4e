"""Where flows say what they do: the run's own log where there is one, else Python's."""

from __future__ import annotations

import logging
from typing import Any

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger


def logger() -> Any:
    """The logger of the flow or task that runs, else that of the package."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("flows")
