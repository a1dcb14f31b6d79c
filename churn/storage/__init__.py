"""Files, manifests, locks and the ledger: each written whole or not at all."""
