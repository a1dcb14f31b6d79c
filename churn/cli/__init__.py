"""The command line: each command is one call into `churn.commands`; text goes to standard error.

With `--json`, one object goes to standard output. Exit codes: 0 success, 1 bug, 2 usage or
configuration, 3 data contract, 4 quality gate, 5 model integrity, 6 busy, 7 input/output.
"""

# Importing a module registers its commands, in this order.
from churn.cli import (  # isort: skip
    shops,
    analytics,
    modelling,
    customers,
    offers,
    sending,
    reporting,
    service,
    privacy,
    registry,
    operations,
)
from churn.cli.options import app
from churn.cli.running import main

__all__ = [
    "analytics",
    "app",
    "customers",
    "main",
    "modelling",
    "offers",
    "operations",
    "privacy",
    "registry",
    "reporting",
    "sending",
    "service",
    "shops",
]
