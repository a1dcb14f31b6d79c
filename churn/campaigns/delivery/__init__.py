"""Delivery of plans: lists, audiences, e-mails, webhooks."""
