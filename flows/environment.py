"""Settings that libraries read when they are imported: no telemetry, no phoning home, quiet logs. Import this first.

What a user has set in the environment stands.
"""

from __future__ import annotations

import os

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Without a server that the user names, one runs inside the process on SQLite.
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    # It takes 5 s on a machine that is at rest; the default bound of 20 s is too short for a busy one.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_CLI_PROMPT": "false",
    # What jobs and clusters say reaches the log of the run that started them.
    "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,pipelines",
    "GRPC_VERBOSITY": "ERROR",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}


_LEVEL, _SILENT = "PREFECT_LOGGING_LEVEL", "CRITICAL"


def settle(*, verbose: bool = False) -> None:
    """Puts the settings into the environment."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # The first call comes at import, before the command line has been read: a later one may still ask for more.
    if verbose and os.environ.get(_LEVEL) == _SILENT:
        os.environ[_LEVEL] = "INFO"
    os.environ.setdefault(_LEVEL, _SILENT)


settle()
