"""Analysis of the customer base: retention metrics, cohorts, segments, journey,
signals, feedback.

`customer_base.py` is how an analysis reads the customers, `balance.py` who was active when,
`analysis.py` what it returns, `cells.py` how a number becomes a list of customers, `definitions.py`
what the numbers mean. `from_tables.py` has segments, journey, signals and feedback as functions.
"""
