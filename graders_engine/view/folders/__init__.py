"""The runs that can be looked at, and what is known of them before they are opened."""
