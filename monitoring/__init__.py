"""What people and Prometheus look at: metric definitions, the live terminal view, the offline report."""
