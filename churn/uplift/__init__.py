"""Effects of offers, learnt from randomised contacts."""
