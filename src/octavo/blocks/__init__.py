"""Neural parts that read like their equations. Volumes are `batch channel bscan depth ascan`."""
