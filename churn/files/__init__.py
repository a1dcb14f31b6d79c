"""Atomic publishing, manifests, hashes, locks, the ledger."""
