"""Model registry: MLflow runs, versions and aliases."""
