"""What a factorised network is, as tables and figures."""
