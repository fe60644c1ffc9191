"""The models: training, the forest, the online model, their blend, and the store that checks digests."""
