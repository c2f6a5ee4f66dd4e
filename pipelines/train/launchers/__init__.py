"""The launchers, one a backend, and which of them a spec asks for."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines import storage
from pipelines.train.launchers.base import Launcher
from pipelines.train.options import KubeRayOptions, RayJobOptions, SlurmOptions
from pipelines.train.spec import TrainerSpec


def launcher_for(spec: TrainerSpec, jobs: str) -> Launcher:
    """The launcher of a spec's backend.

    Args:
        spec: Names the backend.
        jobs: Folder or URL that holds one folder a job, beside the version.

    Raises:
        ValueError: slurm, and neither `jobs` nor `slurm.folder` is on a file system.
    """
    if spec.backend == "ray_job":
        from pipelines.train.launchers.ray_job import RayJobLauncher

        return RayJobLauncher(spec.ray_job or RayJobOptions())
    if spec.backend == "kuberay":
        from pipelines.train.launchers.kuberay import KubeRayLauncher

        return KubeRayLauncher(spec.kuberay or KubeRayOptions())
    if spec.backend == "slurm":
        from pipelines.train.launchers.slurm import SlurmLauncher

        options = spec.slurm or SlurmOptions()
        folder = options.folder or (jobs if storage.is_local(jobs) else None)
        if folder is None:
            raise ValueError(
                f"slurm.folder: name a folder that the nodes share; the results go to {jobs}, which is none"
            )
        return SlurmLauncher(folder, options)
    from pipelines.train.launchers.local import LocalLauncher

    return LocalLauncher(jobs if storage.is_local(jobs) else str(_state_home() / "jobs"))


def _state_home() -> Path:
    """Where the state of local processes lies when their results go to a store."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "pixelpairs"


__all__ = ["launcher_for"]
