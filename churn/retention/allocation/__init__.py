"""Who gets which offer within a budget, capacities, and caps and floors of groups."""

from churn.retention.allocation.allocate import Allocation, allocate
from churn.retention.allocation.problem import Limits, Problem

__all__ = ["Allocation", "Limits", "Problem", "allocate"]
