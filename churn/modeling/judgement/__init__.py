"""The judgement of a model: curves, calibration, profit, importance, and the decision looked back
on; as numbers, as pictures, and as a page.
"""
