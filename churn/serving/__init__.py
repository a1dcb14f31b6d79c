"""HTTP services: one application of the parts that `[serving]` switches on."""
