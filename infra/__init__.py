"""What operators apply. docs: infra/README.md."""
