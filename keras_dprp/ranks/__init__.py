"""Which rank each layer gets, and what it costs."""
