"""The parts of `benchmarks/features.py`: what is run, how it is measured, how it is shown."""
