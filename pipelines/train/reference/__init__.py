"""The reference trainer: CLIPPO's objective on a published version, in PyTorch.

Run it with `python -m pipelines.train.reference`; docs/trainer.md says what it does.
"""
