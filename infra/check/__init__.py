"""Holds everything under infra/ against schemas and rules, without a cluster: `python -m infra.check`."""
