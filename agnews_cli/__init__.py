"""Train text classifiers on free GPUs and CPUs, one command from data to a usable model."""

__version__ = "0.1.0"
