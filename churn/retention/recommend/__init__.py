"""Which product, or category, to put into an offer or a message: from baskets, judged forward."""
