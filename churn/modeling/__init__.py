"""Training, evaluation and registration of models."""
