"""Analysis of the customer base: retention metrics, cohorts, segments.

`customer_base.py` is how an analysis reads the customers, `balance.py` who was active when,
`analysis.py` what it returns, `cells.py` how a number becomes a list of customers, `definitions.py`
what the numbers mean.
"""
