"""Tables that commands show in the terminal."""
