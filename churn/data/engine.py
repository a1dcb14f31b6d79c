"""Former place of the engines."""

from churn.data.engines.base import Frame, identifier, literal
from churn.data.engines.duck import DuckDBEngine

__all__ = ["DuckDBEngine", "Frame", "identifier", "literal"]
