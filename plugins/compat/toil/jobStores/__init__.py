"""Job stores, as scripts see them."""
