"""What observing a request costs: ours against the peers, side by side, in one run (`make bench`)."""
