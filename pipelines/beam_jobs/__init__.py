"""Apache Beam jobs. Each is a process of its own: `python -m pipelines.beam_jobs SPEC.json`."""
