"""The stream: contracts, the pure core from event to action, and the Faust shell around it."""
