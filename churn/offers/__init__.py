"""Which customer gets which offer: eligibility, consent, expected value, budget."""
