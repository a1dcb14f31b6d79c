"""Evaluation report of a model: curves, calibration, profit, importance and a backtest of the
decision, as numbers, as charts and as a page.
"""
