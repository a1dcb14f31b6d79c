# A slim image that runs `churn` in /shop, where the shop's folder is mounted.
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/churn
COPY pyproject.toml README.md LICENSE requirements.txt ./
COPY churn ./churn
RUN python -m venv /opt/churn/venv
RUN /opt/churn/venv/bin/pip install --no-cache-dir --constraint requirements.txt ".[postgres,serve]"
RUN useradd --create-home churn
USER churn
WORKDIR /shop
ENTRYPOINT ["/opt/churn/venv/bin/churn"]
CMD ["run"]
