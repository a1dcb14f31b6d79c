"""The one door to MLflow: what the models folder holds, mirrored in its record and registry."""
