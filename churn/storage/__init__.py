"""Files, manifests, locks and the ledger: every write is atomic."""
