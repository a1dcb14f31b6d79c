"""From a plan to a list that a campaign tool can take: who may still be contacted, and how."""
