"""What answers over HTTP: the page to unsubscribe."""
