"""Monitoring: whether a model can still be trusted: its data, early returns, shift, backtest."""
